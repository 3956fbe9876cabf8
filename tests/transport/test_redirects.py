"""Redirects are followed a few times, and take no secret to another host."""

import pytest
from yarl import URL

from downloader.clock import SystemClock
from downloader.errors import UnexpectedReplyError
from downloader.transport.client import TransportSettings, open_transport
from downloader.transport.errors import mask
from downloader.transport.redirects import Request, redirected
from tests.transport.raw_server import reply, serve_raw

pytestmark = pytest.mark.anyio


def redirect(location: str, status: str = "302 Found") -> list[bytes]:
    """A redirect to `location`."""
    return reply(status=status, headers=[f"Location: {location}"])


@pytest.mark.parametrize("status", ["301 Moved", "302 Found", "303 See Other", "307 Temporary", "308 Permanent"])
async def test_a_redirect_on_the_same_host_keeps_the_credentials(status: str) -> None:
    """Path and query are those of the Location."""
    async with (
        serve_raw(
            lambda request: reply(b"here") if request.startswith("GET /new?a=1 ") else redirect("/new?a=1", status)
        ) as server,
        open_transport(TransportSettings(), SystemClock()) as transport,
        transport.get(f"{server.url}/old", headers={"api_key": "k"}) as answer,
    ):
        assert await answer.text(10) == "here"
        assert "api_key: k" in server.requests[1]


async def test_another_host_gets_no_credentials() -> None:
    """Another port is another host."""
    async with (
        serve_raw(lambda _: reply(b"there")) as other,
        serve_raw(lambda _: redirect(f"{other.url}/x")) as server,
        open_transport(TransportSettings(), SystemClock()) as transport,
        transport.get(server.url, headers={"api_key": "k", "Authorization": "Bearer t"}) as answer,
    ):
        assert await answer.text(10) == "there"
        assert "api_key" not in other.requests[0].lower()
        assert "authorization" not in other.requests[0].lower()


async def test_a_form_is_posted_again_on_the_same_host_only() -> None:
    """A form may hold a password."""
    async with (
        serve_raw(lambda request: reply(b"ok") if request.startswith("POST /new") else redirect("/new")) as server,
        open_transport(TransportSettings(), SystemClock()) as transport,
    ):
        async with transport.post_form(server.url, form={"a": "1"}) as answer:
            assert await answer.text(10) == "ok"
        assert server.requests[1].endswith("\r\n\r\na=1")
        form = Request(method="POST", url=URL(server.url), form={"a": "1"})
        with pytest.raises(UnexpectedReplyError, match="form to another host"):
            redirected(form, 307, "http://other.test/")


async def test_redirects_end() -> None:
    """Five are followed, the sixth is refused."""
    async with serve_raw(lambda _: redirect("/again")) as server, open_transport(TransportSettings(), SystemClock()) as transport:
        with pytest.raises(UnexpectedReplyError, match="more than 5 redirects"):
            async with transport.get(server.url):
                pass
        assert len(server.requests) == 6


@pytest.mark.parametrize(
    ("location", "message"),
    [
        ("http://archive.test/x", "from TLS to the unencrypted"),
        ("", "without a valid HTTP address"),
        ("ftp://archive.test/", "without a valid HTTP address"),
        ("mailto:someone", "without a valid HTTP address"),
        ("https://[half", "to an invalid URL"),
    ],
)
def test_a_bad_redirect_is_refused(location: str, message: str) -> None:
    """From TLS to plain, to no address, to what is not HTTP."""
    with pytest.raises(UnexpectedReplyError, match=message):
        redirected(Request(method="GET", url=URL("https://archive.test/")), 302, location)


def test_a_step_up_to_tls_keeps_the_credentials() -> None:
    """The same host by its proper port is the same host."""
    request = Request(method="GET", url=URL("http://archive.test/a"), headers={"api_key": "k"})
    assert redirected(request, 301, "https://archive.test/a").headers == {"api_key": "k"}
    assert redirected(request, 301, "https://archive.test:444/a").headers == {}


def test_secrets_in_an_address_are_masked() -> None:
    """Names and values of the rest stay readable."""
    shown = mask(URL("https://me:pw@host/q?api_key=SECRET&Collection=A&Access_Token=SECRET&client_secret=SECRET"))
    assert "SECRET" not in shown
    assert "pw" not in shown
    assert "Collection=A" in shown


async def test_secrets_in_an_address_stay_out_of_errors() -> None:
    """An api_key in the query is never told to a log."""
    async with serve_raw(lambda _: []) as server, open_transport(TransportSettings(), SystemClock()) as transport:
        with pytest.raises(Exception, match="before the response") as caught:
            async with transport.get(server.url, params={"api_key": "SECRET"}):
                pass
    assert "SECRET" not in str(caught.value)
