"""Where redirects may lead, and the cookies that a gate before an archive sets."""

import socket
from collections.abc import Mapping
from urllib.parse import urlsplit

import pytest
from aiohttp.abc import AbstractResolver, ResolveResult
from yarl import URL

from downloader.clock import SystemClock
from downloader.errors import UnexpectedReplyError
from downloader.transport.client import TransportSettings, open_transport
from downloader.transport.cookies import COOKIES_MAX, HOSTS_MAX, GateCookies
from downloader.transport.private_addresses import is_link_local, is_private
from downloader.transport.redirects import refuse_private
from tests.transport.raw_server import reply, serve_raw

pytestmark = pytest.mark.anyio


def cookie_of(request: str) -> str:
    """What the request shows."""
    return next((line[8:] for line in request.split("\r\n") if line.lower().startswith("cookie: ")), "")


def redirect(location: str, *cookies: str) -> list[bytes]:
    """A redirect that sets cookies."""
    return reply(status="302 Found", headers=[f"Location: {location}", *(f"Set-Cookie: {cookie}" for cookie in cookies)])


async def test_a_cookie_gate_lets_in_who_shows_its_cookie() -> None:
    """It redirects to the same address; the next request shows the cookie at once."""

    def gate(request: str) -> list[bytes]:
        return reply(b"in") if cookie_of(request) == "gate=open" else redirect("/a", "gate=open; Path=/; HttpOnly")

    async with serve_raw(gate) as server, open_transport(TransportSettings(), SystemClock()) as transport:
        for _ in range(2):
            async with transport.get(f"{server.url}/a") as answer:
                assert await answer.text(10) == "in"
        assert [cookie_of(request) for request in server.requests] == ["", "gate=open", "gate=open"]


async def test_cookies_go_to_no_other_host_and_to_no_other_account() -> None:
    """Whatever domain they name."""
    async with serve_raw(lambda _: reply(b"there")) as other:

        def gate(request: str) -> list[bytes]:
            return redirect(f"http://localhost:{other.port}/", "gate=open; Domain=localhost") if "/a" in request else reply(b"x")

        async with serve_raw(gate) as server, open_transport(TransportSettings(), SystemClock()) as transport:
            async with transport.get(f"{server.url}/a", headers={"Authorization": "one"}):
                pass
            async with transport.get(f"{server.url}/b", headers={"Authorization": "two"}):
                pass
            async with transport.get(f"{server.url}/b", headers={"Authorization": "one"}):
                pass
        assert [cookie_of(request) for request in server.requests] == ["", "", "gate=open"]
        assert [cookie_of(request) for request in other.requests] == [""]


def test_cookies_are_bounded_and_obey_their_attributes() -> None:
    """Secure ones stay within TLS, paths and ends are obeyed, and no host fills the memory."""
    cookies, plain, tls = GateCookies(), URL("http://a.test/x/y"), URL("https://a.test/x/y")
    cookies.note(tls, "me", ["s=1; Secure; Path=/", "p=2; Path=/other", "q=3", "no cookie", "e=4; Max-Age=0", "c=5\x00"])
    assert cookies.header_for(tls, "me") == "s=1; q=3"
    assert cookies.header_for(plain, "me") == "q=3"
    assert cookies.header_for(URL("https://a.test/"), "me") == "s=1"
    cookies.note(tls, "me", ["q=3; Max-Age=-1"])
    assert cookies.header_for(plain, "me") == ""
    cookies.note(tls, "me", [f"n{number}=1" for number in range(100)])
    assert cookies.header_for(tls, "me").count("=") == COOKIES_MAX
    for number in range(2 * HOSTS_MAX):
        cookies.note(URL(f"https://host{number}.test/"), "me", ["a=1"])
    assert cookies.header_for(tls, "me") == ""


@pytest.mark.parametrize("max_age", ["--5", "²", "", "1.5"])
def test_a_cookie_whose_age_is_no_number_is_not_kept(max_age: str) -> None:
    """The header is the host's: it raises nothing, and what was kept under the name goes, as with an age of 0."""
    cookies, url = GateCookies(), URL("https://a.test/x")
    cookies.note(url, "me", ["a=1; Path=/"])
    cookies.note(url, "me", [f"a=2; Path=/; Max-Age={max_age}"])
    assert cookies.header_for(url, "me") == ""


@pytest.mark.parametrize(
    ("address", "private", "link_local"),
    [
        ("8.8.8.8", False, False),
        ("10.1.2.3", True, False),
        ("127.0.0.1", True, False),
        ("169.254.169.254", True, True),
        ("100.64.0.1", True, False),
        ("192.168.0.1", True, False),
        ("::1", True, False),
        ("fe80::1%eth0", True, True),
        ("fd00::1", True, False),
        ("::ffff:169.254.169.254", True, True),
        ("64:ff9b::a9fe:a9fe", True, True),
        ("2001:4860:4860::8888", False, False),
    ],
)
def test_private_addresses(address: str, private: bool, link_local: bool) -> None:
    """In every form that leads there."""
    assert (is_private(address), is_link_local(address)) == (private, link_local)


def test_redirects_within_a_private_network_are_allowed_but_to_link_local_ones() -> None:
    """An archive in a hospital may move; the services of a cloud's machines are never an archive's."""
    refuse_private(URL("http://10.0.0.2/"), base_is_private=True, base_is_link_local=False)
    for url in ("http://169.254.169.254/latest", "http://[::ffff:169.254.169.254]/"):
        with pytest.raises(UnexpectedReplyError, match="private address"):
            refuse_private(URL(url), base_is_private=True, base_is_link_local=False)


class Names(AbstractResolver):
    """Gives `archive.example` an address that counts as public, and the others this machine's."""

    def __init__(self, names: Mapping[str, str]) -> None:
        self._names = names

    async def resolve(self, host: str, port: int = 0, family: int = socket.AF_INET) -> list[ResolveResult]:
        address = self._names[host]
        return [ResolveResult(hostname=host, host=address, port=port, family=family, proto=0, flags=socket.AI_NUMERICHOST)]

    async def close(self) -> None:
        """Nothing is held."""


@pytest.mark.parametrize("host", ["127.0.0.1", "inside.example", "localhost"])
async def test_a_public_archive_cannot_redirect_into_this_network(host: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """By address or by a name that leads there; nothing is sent. What is reached through a proxy counts as public."""
    names = Names({"inside.example": "127.0.0.1", "localhost": "127.0.0.1"})
    async with serve_raw(lambda _: reply(b"secret of the network")) as inside:
        async with serve_raw(lambda _: redirect(f"http://{host}:{inside.port}/latest/meta-data")) as proxy:
            monkeypatch.setenv("http_proxy", proxy.url)
            monkeypatch.setenv("no_proxy", "inside.example")
            async with open_transport(TransportSettings(), SystemClock(), names) as transport:
                with pytest.raises(UnexpectedReplyError, match="redirects to a private address") as caught:
                    async with transport.get("http://archive.example/getSeries"):
                        pass
        assert urlsplit(proxy.url).port
        assert inside.requests == []
        assert "secret of the network" not in str(caught.value)
