"""Signing in: tokens are got, kept, renewed and got again, and no attempt is lost over them."""

import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta

import anyio
import pytest

from downloader.archive.nbia.oauth import Account, BearerTokens
from downloader.archive.port import Source
from downloader.archive.registry import open_archive
from downloader.errors import (
    ArchiveBusyError,
    ArchiveFaultError,
    CredentialsRejectedError,
    TciadError,
    UnexpectedReplyError,
)
from downloader.model import Md5Mode, Series, SeriesQuery
from downloader.sandbox import (
    GUEST,
    PASSWORD,
    USERNAME,
    Access,
    Sandbox,
    TokenStyle,
    catalogue_of,
    generated_series,
    serve_sandbox,
)
from downloader.transport.client import TransportSettings, open_transport
from tests.fakes.clock import FakeClock
from tests.fakes.scripted_archive import Script, ScriptedReply, ScriptedRequest, serve_script
from tests.waiting import LONGEST_WAIT_SECONDS

pytestmark = pytest.mark.anyio
SERIES = Series(series_instance_uid="1.3.6.1")
both_styles = pytest.mark.parametrize("style", list(TokenStyle))


@dataclass(frozen=True, slots=True, kw_only=True)
class Signed:
    """A client that signs in, the sandbox it asks, and the clock of both."""

    archive: Source
    sandbox: Sandbox
    clock: FakeClock

    def wait(self, seconds: float) -> None:
        """Let tokens grow old."""
        self.clock.elapsed_seconds += seconds

    async def list_all(self) -> list[Series]:
        return [series async for series in self.archive.find_series(SeriesQuery())]


@asynccontextmanager
async def signed(
    access: Access | None = None,
    *,
    api: str = "v2",
    username: str = USERNAME,
    password: str = PASSWORD,
    keycloak: bool = False,
    max_connections: int = 10,
) -> AsyncIterator[Signed]:
    """A sandbox with one series, and a client with an account."""
    clock = FakeClock()
    catalogue = catalogue_of([generated_series(seed=1, images=2, rows=8, columns=8, series_instance_uid="1.3.6.1")])
    async with (
        serve_sandbox(catalogue, access=access, clock=clock.now) as sandbox,
        open_transport(TransportSettings(max_connections=max_connections), clock) as transport,
    ):
        tokens = BearerTokens(
            sandbox.keycloak_url if keycloak else sandbox.token_url,
            Account(username=username, password=password),
            transport=transport,
            clock=clock,
        )
        archive = open_archive("test", sandbox.base_url, api=api, transport=transport, clock=clock, authentication=tokens)
        yield Signed(archive=archive, sandbox=sandbox, clock=clock)


@asynccontextmanager
async def scripted(script: Script) -> AsyncIterator[tuple[Source, Callable[[], list[str]]]]:
    """A client with an account, at an archive that answers what the test wrote; and what was asked of it."""
    clock = FakeClock()
    async with serve_script(script) as server, open_transport(TransportSettings(), clock) as transport:
        tokens = BearerTokens(
            f"{server.base_url}/oauth/token", Account(username="u", password="p"), transport=transport, clock=clock
        )
        archive = open_archive("test", server.base_url, api="v2", transport=transport, clock=clock, authentication=tokens)
        yield archive, lambda: [request.path for request in server.requests]


@both_styles
@pytest.mark.parametrize("api", ["v2", "v4"])
async def test_one_token_serves_many_requests(style: TokenStyle, api: str) -> None:
    """Also in v4, which takes a bearer from who has one."""
    async with signed(Access(style=style), api=api) as here:
        for _ in range(3):
            assert len(await here.list_all()) == 1
        assert here.sandbox.tokens.grants == ["password"]
        shown = {request.headers["Authorization"] for request in here.sandbox.requests}
        assert len(shown) == 1
        assert shown.pop().startswith("Bearer ")


async def test_keycloak_wants_a_form_of_its_own() -> None:
    """Client and scope (docs/archives.md#tokens)."""
    async with signed(keycloak=True) as here:
        assert len(await here.list_all()) == 1


async def test_a_guest_needs_no_password() -> None:
    """The archive puts in its own."""
    async with signed(username=GUEST, password="") as here:
        assert len(await here.list_all()) == 1


@both_styles
async def test_a_wrong_password_stops_the_run(style: TokenStyle) -> None:
    """The error quotes the archive's reason, and neither name nor password."""
    async with signed(Access(style=style), password="not this one") as here:
        with pytest.raises(CredentialsRejectedError, match="Invalid user credentials") as caught:
            await here.list_all()
        assert "not this one" not in str(caught.value)
        assert caught.value.exit_code == 4


@both_styles
async def test_a_token_is_refreshed_before_it_ends(style: TokenStyle) -> None:
    """The archive never sees an old one."""
    async with signed(Access(style=style, expires_in_seconds=100)) as here:
        await here.list_all()
        here.wait(89)
        await here.list_all()
        assert here.sandbox.tokens.grants == ["password"]
        here.wait(2)
        await here.list_all()
        assert here.sandbox.tokens.grants == ["password", "refresh_token"]
        assert here.sandbox.count("getSeries") == 3


@both_styles
async def test_a_refresh_token_that_is_too_old_is_not_tried(style: TokenStyle) -> None:
    """Keycloak says how long it lasts; where the reply does not say, the refusal leads to the password as well."""
    async with signed(Access(style=style, expires_in_seconds=100, refresh_expires_in_seconds=200)) as here:
        await here.list_all()
        here.wait(300)
        await here.list_all()
        tried = [] if style is TokenStyle.KEYCLOAK else ["refresh_token"]
        assert here.sandbox.tokens.grants == ["password", *tried, "password"]


@both_styles
@pytest.mark.parametrize("refresh_tokens", [True, False])
async def test_tokens_that_the_archive_forgets_cost_no_attempt(style: TokenStyle, refresh_tokens: bool) -> None:
    """A restart drops them all (docs/archives.md#tokens): the request is repeated once with a new one."""
    async with signed(Access(style=style)) as here:
        await here.list_all()
        here.sandbox.tokens.forget(refresh_tokens=refresh_tokens)
        async with here.archive.open_series(SERIES, Md5Mode.AUTO) as transfer:
            assert b"".join([b"".join(portion.original) async for portion in transfer.portions()]).startswith(b"PK")
        assert here.sandbox.tokens.grants[-1] == ("password" if refresh_tokens else "refresh_token")


async def test_a_renewal_needs_no_more_connections_than_there_are() -> None:
    """Every connection carries a request whose token was refused, and the renewal gets through all the same."""
    async with signed(max_connections=2) as here:
        await here.list_all()
        here.sandbox.tokens.forget()
        with anyio.fail_after(LONGEST_WAIT_SECONDS):
            async with anyio.create_task_group() as group:
                for _ in range(8):
                    group.start_soon(here.list_all)
        assert here.sandbox.tokens.grants == ["password", "refresh_token", "password"]


async def test_many_workers_renew_once() -> None:
    """Requests that wait use the token that the first one got."""
    async with signed(Access(expires_in_seconds=100)) as here:
        await here.list_all()
        for restarted in (False, True):
            before = len(here.sandbox.tokens.grants)
            here.wait(99)
            if restarted:
                here.sandbox.tokens.forget()
            async with anyio.create_task_group() as group:
                for _ in range(8):
                    group.start_soon(here.list_all)
            # a refresh that is refused is followed by the password
            assert here.sandbox.tokens.grants[before:] in (["refresh_token"], ["refresh_token", "password"])


async def test_a_wrong_password_is_sent_once() -> None:
    """However many workers there are: some archives lock an account after a few."""
    failed: list[str] = []

    async with signed(password="not this one") as here:

        async def ask() -> None:
            try:
                await here.list_all()
            except CredentialsRejectedError as error:
                failed.append(str(error))

        async with anyio.create_task_group() as group:
            for _ in range(8):
                group.start_soon(ask)
        assert here.sandbox.tokens.grants == ["password"]
        assert (len(failed), len(set(failed))) == (8, 1)


async def test_a_token_that_is_refused_when_new_is_the_end() -> None:
    """Once more, and then the account is to blame."""

    def script(request: ScriptedRequest) -> ScriptedReply:
        if request.path == "oauth/token":
            return ScriptedReply(body=b'{"access_token": "t"}')
        return ScriptedReply(status=401)

    async with scripted(script) as (archive, paths):
        with pytest.raises(CredentialsRejectedError):
            await archive.find_collections()
        assert paths() == ["oauth/token", "v2/getCollectionValues", "oauth/token", "v2/getCollectionValues"]


@pytest.mark.parametrize(
    ("reply", "error"),
    [
        (ScriptedReply(status=503, headers={"Retry-After": "7"}), ArchiveBusyError),
        (ScriptedReply(status=500), ArchiveFaultError),
        (ScriptedReply(status=404), UnexpectedReplyError),
        (ScriptedReply(body=b"<html>Maintenance</html>"), ArchiveFaultError),
        (ScriptedReply(body=b"[]"), UnexpectedReplyError),
        (ScriptedReply(body=b"[" * 60_000), ArchiveFaultError),
        (ScriptedReply(status=401, body=b"[" * 60_000), CredentialsRejectedError),
        (ScriptedReply(body=b'{"access_token": "\\ud800"}'), UnexpectedReplyError),
        (ScriptedReply(body=json.dumps({"access_token": "a\r\nX: y"}).encode()), UnexpectedReplyError),
        (ScriptedReply(status=400, body=b"nonsense"), CredentialsRejectedError),
    ],
)
async def test_what_is_no_token(reply: ScriptedReply, error: type[TciadError]) -> None:
    """Each with the verdict that fits it; a secret in it is not quoted."""
    async with scripted(lambda _: reply) as (archive, _):
        with pytest.raises(error) as caught:
            await archive.find_collections()
        assert "a\r\nX: y" not in str(caught.value)


@pytest.mark.parametrize("lifetime", ["1" + "0" * 400, "1e999", "NaN", '"soon"', "[]", "-1"])
async def test_a_lifetime_that_cannot_be_is_none(lifetime: str) -> None:
    """The token is used all the same."""

    def script(request: ScriptedRequest) -> ScriptedReply:
        if request.path == "oauth/token":
            return ScriptedReply(body=f'{{"access_token": "t", "expires_in": {lifetime}}}'.encode())
        return ScriptedReply(body=b'[{"Collection":"A"}]')

    async with scripted(script) as (archive, paths):
        for _ in range(2):
            assert await archive.find_collections() == ["A"]
        assert paths() == ["oauth/token", "v2/getCollectionValues", "v2/getCollectionValues"]


async def test_a_lifetime_that_nobody_tells_is_found_out() -> None:
    """The token is used until the archive refuses it."""
    async with signed(Access(expires_in_seconds=None)) as here:
        await here.list_all()
        here.wait(timedelta(days=30).total_seconds())
        await here.list_all()
        assert here.sandbox.tokens.grants == ["password"]


def test_secrets_do_not_show() -> None:
    """Not in a log of the object either."""
    assert "geheim" not in repr(Account(username="geheim", password="geheim", client_secret="geheim"))
