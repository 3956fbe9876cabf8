"""Who may ask: keys of the API of 2013, tokens of v2, and how they are got, grow old and die."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from downloader.sandbox import (
    API_KEY,
    GUEST,
    PASSWORD,
    USERNAME,
    Access,
    Catalogue,
    Fault,
    FaultKind,
    Sandbox,
    TokenStyle,
    serve_sandbox,
)
from tests.sandbox.conftest import Client, Received, first_uid

pytestmark = pytest.mark.anyio
QUERY = "../../services/TCIA/TCIA/query"
KEYED = {"api_key": API_KEY}


async def sign_in(client: Client, sandbox: Sandbox, path: str = "../oauth/token", **form: str) -> Received:
    """Ask for a token by password."""
    account = {"grant_type": "password", "username": USERNAME, "password": PASSWORD, "client_id": "nbia"}
    return await client.ask("POST", sandbox, path, form={**account, **form})


async def listed(client: Client, sandbox: Sandbox, token: str | None, path: str = "v2/getSeries") -> Received:
    """Show a token."""
    return await client.ask("GET", sandbox, path, headers={"Authorization": f"Bearer {token}"} if token else {})


def answer_of(reply: Received) -> dict[str, Any]:
    """What the office wrote."""
    assert reply.headers["Content-Type"] == "application/json"
    answer: dict[str, Any] = json.loads(reply.body)
    return answer


@pytest.mark.parametrize(
    ("headers", "parameters", "status"),
    [
        ({}, {}, 401),
        ({"api_key": "another"}, {}, 401),
        (KEYED, {}, 200),
        ({}, KEYED, 200),
    ],
)
async def test_the_api_of_2013_wants_a_key(
    client: Client, small: Catalogue, headers: dict[str, str], parameters: dict[str, str], status: int
) -> None:
    """In the header or in the address, for lists and images alike."""
    async with serve_sandbox(small) as sandbox:
        for name in ("getSeries", "getImage", "getSeries/metadata"):
            asked = {"SeriesInstanceUID": first_uid(small), **parameters} if name == "getImage" else parameters
            reply = await client.ask("GET", sandbox, f"{QUERY}/{name}", headers=headers, parameters=asked)
            assert reply.status == status


async def test_gateways_call_the_header_otherwise(client: Client, small: Catalogue) -> None:
    """Then the usual name is unknown."""
    async with serve_sandbox(small, access=Access(api_key_header="X-Key")) as sandbox:
        assert (await client.ask("GET", sandbox, f"{QUERY}/getSeries", headers={"X-Key": API_KEY})).status == 200
        assert (await client.ask("GET", sandbox, f"{QUERY}/getSeries", headers=KEYED)).status == 401


async def test_images_of_2013_are_announced(client: Client, small: Catalogue) -> None:
    """By a header, and nothing but images is in the ZIP."""
    uid = first_uid(small)
    async with serve_sandbox(small) as sandbox:
        reply = await client.ask("GET", sandbox, f"{QUERY}/getImage", headers=KEYED, parameters={"SeriesInstanceUID": uid})
        count = len(sandbox.images_of(uid))
    assert reply.headers["imageCount"] == str(count) == str(len(reply.zip.namelist()))
    assert all(name.endswith(".dcm") for name in reply.zip.namelist())


async def test_each_query_of_2013_describes_itself(client: Client, small: Catalogue) -> None:
    """Keys and formats, as JSON."""
    async with serve_sandbox(small) as sandbox:
        of_images = await client.ask("GET", sandbox, f"{QUERY}/getImage/metadata", headers=KEYED)
        of_series = await client.ask("GET", sandbox, f"{QUERY}/getSeries/metadata", headers=KEYED)
    assert json.loads(of_images.body) == {
        "query": "getImage",
        "queryKeys": [{"name": "SeriesInstanceUID", "required": True}],
        "outputFormats": ["ZIP"],
    }
    keys = [key["name"] for key in json.loads(of_series.body)["queryKeys"]]
    assert keys == ["Collection", "PatientID", "StudyInstanceUID", "Modality"]


async def test_rows_of_2013_come_in_four_formats(client: Client, small: Catalogue) -> None:
    """CSV unless asked otherwise."""
    types = {"": "text/csv", "csv": "text/csv", "json": "application/json", "html": "text/html", "xml": "application/xml"}
    async with serve_sandbox(small) as sandbox:
        for form, content_type in types.items():
            asked = {"format": form} if form else {}
            reply = await client.ask("GET", sandbox, f"{QUERY}/getPatient", headers=KEYED, parameters=asked)
            assert reply.headers["Content-Type"].startswith(content_type)


async def test_v2_needs_a_token(client: Client, small: Catalogue) -> None:
    """None at all is a null dereference; `undefined` is the guest (docs/archives.md#tokens)."""
    async with serve_sandbox(small) as sandbox:
        nobody = await listed(client, sandbox, None)
        assert (nobody.status, nobody.headers["Content-Type"], len(nobody.body)) == (500, "text/plain", 48)
        assert (await listed(client, sandbox, "undefined")).status == 200
        assert (await listed(client, sandbox, "made-up")).status == 401
        assert (await listed(client, sandbox, None, "v4/getSeries")).status == 200
        assert (await listed(client, sandbox, "made-up", "v4/getSeries")).status == 401
        assert (await listed(client, sandbox, "made-up", "v1/getSeries")).status == 200


@pytest.mark.parametrize("path", ["../oauth/token", "oauth/token", "../../auth/realms/TCIA/protocol/openid-connect/token"])
async def test_a_token_opens_v2(client: Client, small: Catalogue, path: str) -> None:
    """From any issuer: the archive's form under either of its roots, or Keycloak, which wants a scope."""
    async with serve_sandbox(small) as sandbox:
        answer = answer_of(await sign_in(client, sandbox, path, scope="openid"))
        assert (answer["token_type"], answer["expires_in"], answer["access_token"].count(".")) == ("Bearer", 7200, 2)
        assert (await listed(client, sandbox, answer["access_token"])).status == 200
        assert sandbox.tokens.grants == ["password"]
        assert all(PASSWORD not in str(request) for request in sandbox.requests)


async def test_tokens_of_the_older_kind(client: Client, small: Catalogue) -> None:
    """Opaque, and refused with an error object."""
    async with serve_sandbox(small, access=Access(style=TokenStyle.SPRING)) as sandbox:
        answer = answer_of(await sign_in(client, sandbox))
        assert answer["access_token"].count("-") == 4
        assert (await listed(client, sandbox, answer["access_token"])).status == 200
        refused = await listed(client, sandbox, "undefined")
        assert (refused.status, answer_of(refused)["error"]) == (401, "invalid_token")
        wrong = await sign_in(client, sandbox, password="x")
        assert (wrong.status, answer_of(wrong)["error"]) == (400, "invalid_grant")


@pytest.mark.parametrize(
    ("form", "status"),
    [
        ({"password": "x"}, 401),
        ({"username": "nobody"}, 401),
        ({"username": GUEST, "password": ""}, 200),
        ({"grant_type": "client_credentials"}, 500),
        ({"grant_type": "refresh_token", "refresh_token": "x"}, 400),
    ],
)
async def test_who_gets_a_token(client: Client, form: dict[str, str], status: int) -> None:
    """The account, and the guest with any password."""
    async with serve_sandbox() as sandbox:
        assert (await sign_in(client, sandbox, **form)).status == status


async def test_tokens_grow_old_and_are_refreshed(client: Client, small: Catalogue) -> None:
    """A refresh token works once, and for a time."""
    now = [datetime(2024, 1, 1, tzinfo=UTC)]
    access = Access(expires_in_seconds=60, refresh_expires_in_seconds=600)
    async with serve_sandbox(small, access=access, clock=lambda: now[0]) as sandbox:
        first = answer_of(await sign_in(client, sandbox))
        now[0] += timedelta(seconds=61)
        assert (await listed(client, sandbox, first["access_token"])).status == 401
        again = {"grant_type": "refresh_token", "refresh_token": first["refresh_token"]}
        second = answer_of(await sign_in(client, sandbox, **again))
        assert (await listed(client, sandbox, second["access_token"])).status == 200
        assert (await sign_in(client, sandbox, **again)).status == 400
        now[0] += timedelta(seconds=601)
        late = {"grant_type": "refresh_token", "refresh_token": second["refresh_token"]}
        assert (await sign_in(client, sandbox, **late)).status == 400


async def test_tokens_die_by_script(client: Client, small: Catalogue) -> None:
    """Before the second request they are forgotten, refresh tokens with them; signing in again helps."""
    async with serve_sandbox(small, faults=[Fault(kind=FaultKind.FORGOTTEN_TOKENS, after=1, times=1)]) as sandbox:
        answer = answer_of(await sign_in(client, sandbox))
        statuses = [(await listed(client, sandbox, answer["access_token"])).status for _ in range(3)]
        assert statuses == [200, 401, 401]
        again = {"grant_type": "refresh_token", "refresh_token": answer["refresh_token"]}
        assert (await sign_in(client, sandbox, **again)).status == 400
        fresh = answer_of(await sign_in(client, sandbox))
        assert (await listed(client, sandbox, fresh["access_token"])).status == 200


async def test_counts_and_hashes_without_a_version_take_the_same_token(client: Client, small: Catalogue) -> None:
    """What v2 clients ask beside v2."""
    async with serve_sandbox(small) as sandbox:
        counts = await listed(client, sandbox, "undefined", "getModalityValuesAndCounts")
        assert json.loads(counts.body) == [{"criteria": "CT", "count": 1}]
        form = {"SeriesInstanceUID": first_uid(small)}
        shown = {"Authorization": "Bearer undefined"}
        assert len((await client.ask("POST", sandbox, "getMD5Hierarchy", headers=shown, form=form)).text) == 32
        assert (await client.ask("POST", sandbox, "getMD5Hierarchy", form=form)).status == 500
