"""`doctor`: what answers where, to which credentials, and what to put into the manifest."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from anyio.from_thread import start_blocking_portal

from downloader.sandbox import API_KEY, PASSWORD, USERNAME, Fault, FaultKind
from tests.acceptance.archives import ServedArchive, serve_archive, small_catalogue
from tests.acceptance.command import run_command
from tests.transport.raw_server import reply, serve_raw

pytestmark = [pytest.mark.acceptance, pytest.mark.long]
RIGHT = {"TCIAD_USERNAME": USERNAME, "TCIAD_PASSWORD": PASSWORD}
WRONG = {"TCIAD_USERNAME": USERNAME, "TCIAD_PASSWORD": "not-the-password"}


@pytest.fixture(scope="module")
def served() -> Iterator[ServedArchive]:
    with serve_archive(small_catalogue(2)) as archive:
        yield archive


def checks_of(document: dict[str, Any], name: str) -> list[dict[str, Any]]:
    """What was found about one thing."""
    return [check for check in document["checks"] if check["name"] == name]


def test_the_doctor_finds_out_which_generation_an_address_speaks(served: ServedArchive, tmp_path: Path) -> None:
    """Also where it is too long or too short; what it tells for the manifest is a manifest's."""
    sandbox = served.sandbox
    origin = sandbox.base_url.partition("/nbia-api")[0]
    for address in (sandbox.base_url, f"{sandbox.base_url}/v4/getSeries?Collection=x", f"{sandbox.base_url}/v4/", origin):
        ended = run_command("doctor", "--archive", address, "-o", tmp_path / "library", "--json")
        assert ended.exit_code == 0, ended.stdout
        told = yaml.safe_load(ended.document["manifest"])
        assert told == {"archive": {"base_url": sandbox.base_url, "api": "v4"}}
        assert {check["health"] for check in ended.document["checks"]} == {"ok"}
    assert not (tmp_path / "library").exists()


def test_an_address_that_is_the_sandbox_s_own_is_written_out(served: ServedArchive) -> None:
    """`archive: sandbox` would start another one, and what else stood there was no archive of a manifest."""
    told = run_command("doctor", "--archive", "http://127.0.0.1:8742/nbia-api/services", "--api", "v4", "--json").document

    assert yaml.safe_load(told["manifest"]) in (
        None,
        {"archive": {"base_url": "http://127.0.0.1:8742/nbia-api/services", "api": "v4"}},
    )


@pytest.mark.parametrize(
    ("environment", "exit_code"), [({}, 4), ({"TCIAD_API_KEY": "wrong"}, 4), ({"TCIAD_API_KEY": API_KEY}, 0)]
)
def test_the_doctor_tries_the_key_of_a_2013_api(served: ServedArchive, environment: dict[str, str], exit_code: int) -> None:
    """It says that the key is missing or wrong, and what to write."""
    ended = run_command("doctor", "--archive", served.sandbox.bindaas_url, "--json", environment=environment)

    assert ended.exit_code == exit_code, ended.stdout
    told = yaml.safe_load(ended.document["manifest"])["archive"]
    assert told["api"] == "bindaas"
    assert ("auth" in told) == bool(exit_code)
    assert API_KEY not in ended.stdout + ended.stderr


def test_the_doctor_says_what_is_wrong(tmp_path: Path) -> None:
    """No server, another program, no such folder, a damaged store: each with its exit code and the next step."""
    nobody = run_command("doctor", "--archive", "http://127.0.0.1:1/nbia-api/services", "-o", tmp_path)
    assert (nobody.exit_code, "FAILED   archive" in nobody.stdout, "→" in nobody.stdout) == (4, True, True)

    (tmp_path / "file").write_text("")
    with serve_archive(small_catalogue(1)) as archive:
        address = ("--archive", archive.sandbox.base_url)
        wrong_place = run_command("doctor", *address, "-o", tmp_path / "file" / "library", "--json")
        assert wrong_place.exit_code == 5
        (tmp_path / "library" / ".tciad").mkdir(parents=True)
        (tmp_path / "library" / ".tciad" / "state.db").write_text("this is no database at all, but long enough to be one" * 40)
        damaged = run_command("doctor", *address, "-o", tmp_path / "library", "--json")
        assert damaged.exit_code == 6
        assert "tciad store rebuild" in json.dumps(damaged.document)
        stranger = run_command("doctor", "--archive", archive.sandbox.base_url.partition("/nbia-api")[0] + "/other", "--json")
        assert stranger.exit_code == 0  # another path of a host that has an archive at the usual place


def test_the_doctor_takes_a_manifest(served: ServedArchive, tmp_path: Path) -> None:
    """With its archive and credentials, and a wrong certificate file is said first."""
    manifest = tmp_path / "m.yaml"
    manifest.write_text(f"version: 1\narchive: {{base_url: {served.sandbox.base_url}, api: v1}}\nselect: [{{collection: x}}]\n")
    assert run_command("doctor", "--manifest", manifest, "-o", tmp_path).exit_code == 0
    assert run_command("doctor", "--manifest", manifest, "--api", "v2").exit_code == 2
    missing = run_command("doctor", "--manifest", manifest, "--json", environment={"SSL_CERT_FILE": str(tmp_path / "none.pem")})
    assert missing.exit_code != 0
    assert "none.pem" in missing.stdout + missing.stderr


@pytest.mark.parametrize("api", ["v4", "v2", "v1"])
@pytest.mark.parametrize("environment", [{}, RIGHT, WRONG], ids=["nobody", "right", "wrong"])
def test_a_host_that_speaks_one_generation_is_found(api: str, environment: dict[str, str]) -> None:
    """With any account: one that the archive refuses says nothing about the API."""
    with serve_archive(small_catalogue(1), apis=[api]) as archive:
        ended = run_command("doctor", "--archive", archive.sandbox.base_url, "--json", environment=environment)

    told = yaml.safe_load(ended.document["manifest"])["archive"]
    assert (told["base_url"], told["api"]) == (archive.sandbox.base_url, api)
    assert ended.exit_code == (4 if environment is WRONG and api != "v1" else 0), ended.stdout


@pytest.mark.parametrize("flags", [[], ["--api", "v4"], ["--api", "v2"]])
def test_the_doctor_tries_the_account_of_the_environment(served: ServedArchive, flags: list[str]) -> None:
    """Right, and it is said to work; wrong, and the next step is to correct it: exit 4."""
    command = ("doctor", "--archive", served.sandbox.base_url, *flags, "--json")

    right = run_command(*command, environment=RIGHT)
    assert right.exit_code == 0, right.stdout
    sentences = " ".join(check["sentence"] for check in right.document["checks"])
    assert "can sign in" in sentences or "to your account" in sentences

    wrong = run_command(*command, environment=WRONG)
    assert wrong.exit_code == 4
    (check,) = checks_of(wrong.document, "credentials")
    assert check["health"] == "failed"
    assert check["next_step"].startswith("check user name and password")
    assert "set TCIAD_USERNAME" not in check["next_step"].replace("unset TCIAD_USERNAME", "")
    assert "not-the-password" not in wrong.stdout + wrong.stderr


def test_a_host_without_accounts_is_no_failure() -> None:
    """A guest is served, and the token endpoint does not answer: public series are available."""
    answer = reply(b'[{"Collection":"X"}]', headers=["Content-Type: application/json"])
    missing = reply(b"", status="404 Not Found")
    with start_blocking_portal() as portal:
        served = serve_raw(lambda request: answer if "/v4/" in request.partition("\n")[0] else missing)
        with portal.wrap_async_context_manager(served) as server:
            ended = run_command("doctor", "--archive", f"{server.url}/nbia-api/services", "--json", environment=RIGHT)

    assert ended.exit_code == 0, ended.stdout
    (check,) = checks_of(ended.document, "credentials")
    assert check["health"] == "warning"
    assert "cannot determine" in check["sentence"]


@pytest.mark.parametrize("status", ["503 Service Temporarily Unavailable", "502 Bad Gateway", "429 Too Many Requests"])
def test_an_outage_is_no_wrong_address(status: str) -> None:
    """A host that answers so to everything is there: try again later, and do not look for another address."""
    with start_blocking_portal() as portal:
        served = serve_raw(lambda _: reply(b"<html>down</html>", status=status))
        with portal.wrap_async_context_manager(served) as server:
            ended = run_command("doctor", "--archive", f"{server.url}/nbia-api/services", "--json")

    (check,) = checks_of(ended.document, "archive")
    assert ended.exit_code == 3
    assert "is out of service" in check["sentence"]
    assert status.partition(" ")[0] in check["sentence"]
    assert check["next_step"].startswith("try again later")
    assert "look up the address" not in ended.stdout


def test_an_archive_that_is_busy_in_every_generation_is_an_outage() -> None:
    """Also where other addresses of the host are simply not found."""
    with serve_archive(small_catalogue(1), faults=[Fault(kind=FaultKind.STATUS, endpoints=("*",))]) as archive:
        ended = run_command("doctor", "--archive", archive.sandbox.base_url)

    assert ended.exit_code == 3
    assert "is out of service" in ended.stdout


def test_the_address_to_write_is_the_one_that_signing_in_works_with(served: ServedArchive, tmp_path: Path) -> None:
    """…/nbia-api is answered as well, and tokens are not issued beside it."""
    short = served.sandbox.base_url.removesuffix("/services")
    ended = run_command("doctor", "--archive", short, "--json", environment=RIGHT)

    assert ended.exit_code == 0, ended.stdout
    told = yaml.safe_load(ended.document["manifest"])["archive"]
    assert told == {"base_url": served.sandbox.base_url, "api": "v4"}
    manifest = tmp_path / "m.yaml"
    written = {"version": 1, "archive": {**told, "auth": {}}, "select": [{"collection": "*"}]}
    manifest.write_text(yaml.safe_dump(written))
    assert run_command("plan", manifest, "-o", tmp_path / "library", environment=RIGHT).exit_code == 0


@pytest.mark.parametrize("address", ["http://u:secret@[bad", "http://u:secret@proxy:99999999", "ftp://u:secret@proxy"])
@pytest.mark.parametrize("variable", ["HTTP_PROXY", "https_proxy"])
def test_a_proxy_that_is_no_address_is_told_without_its_password(
    served: ServedArchive, variable: str, address: str, tmp_path: Path
) -> None:
    """And does not keep the doctor from looking at the rest."""
    environment = {variable: address}
    ended = run_command(
        "doctor", "--archive", served.sandbox.base_url, "-o", tmp_path / "library", "--json", environment=environment
    )
    assert ended.exit_code == 2
    (proxy,) = checks_of(ended.document, "proxy")
    assert proxy["sentence"] == f"{variable.upper()} is not the address of an HTTP proxy"
    assert checks_of(ended.document, "disk")[0]["health"] == "ok"
    assert "secret" not in ended.stdout + ended.stderr
    assert "Traceback" not in ended.stderr


@pytest.mark.parametrize("address", ["http://[x", "http://h:99999999/", "https://h:x/", "http://"])
def test_an_address_that_is_none_is_refused(address: str) -> None:
    """Before anything is asked."""
    ended = run_command("doctor", "--archive", address)
    assert (ended.exit_code, "is not an address" in ended.stderr) == (2, True), ended.stderr
