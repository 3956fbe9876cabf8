"""Proxies and certificates come from the environment."""

import ssl
import subprocess
from pathlib import Path

import pytest
from yarl import URL

from downloader.clock import SystemClock
from downloader.errors import ArchiveUnreachableError, SettingsError
from downloader.transport.client import TransportSettings, open_transport
from downloader.transport.proxies import choose_proxy
from tests.transport.raw_server import reply, serve_raw

pytestmark = pytest.mark.anyio


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A key and a certificate for 127.0.0.1 that no authority has signed, in one PEM file."""
    folder = tmp_path_factory.mktemp("tls")
    kind = ["-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2"]
    names = ["-subj", "/CN=archive", "-addext", "subjectAltName=IP:127.0.0.1"]
    subprocess.run(
        ["openssl", "req", *kind, *names, "-keyout", folder / "key.pem", "-out", folder / "certificate.pem"],
        check=True,
        capture_output=True,
    )
    both = folder / "both.pem"
    both.write_bytes((folder / "key.pem").read_bytes() + (folder / "certificate.pem").read_bytes())
    return both


def server_tls(certificate: Path) -> ssl.SSLContext:
    """The server's side of TLS."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(certificate)
    return context


@pytest.mark.needs("openssl")
async def test_an_untrusted_certificate_is_refused(certificate: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """There is no way to switch this off; the advice names the way out."""
    monkeypatch.delenv("SSL_CERT_FILE", raising=False)
    async with (
        serve_raw(lambda _: reply(), server_tls(certificate)) as server,
        open_transport(TransportSettings(), SystemClock()) as transport,
    ):
        with pytest.raises(ArchiveUnreachableError, match=r"not trusted .*SSL_CERT_FILE"):
            async with transport.get(server.url):
                pass


@pytest.mark.needs("openssl")
async def test_ssl_cert_file_adds_an_authority(certificate: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With the certificate named there, the same server is trusted."""
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    async with (
        serve_raw(lambda _: reply(b"trusted"), server_tls(certificate)) as server,
        open_transport(TransportSettings(), SystemClock()) as transport,
        transport.get(server.url) as answer,
    ):
        assert await answer.text(10) == "trusted"


@pytest.mark.parametrize("content", [None, "no certificate"])
async def test_a_bad_ssl_cert_file_is_refused(content: str | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file that is missing or holds something else is reported at the start, not as a TLS error later."""
    authorities = tmp_path / "authorities.pem"
    if content is not None:
        authorities.write_text(content)
    monkeypatch.setenv("SSL_CERT_FILE", str(authorities))
    with pytest.raises(SettingsError, match="SSL_CERT_FILE"):
        async with open_transport(TransportSettings(), SystemClock()):
            pass


async def test_plain_requests_go_through_the_proxy_of_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """The proxy is asked for the whole address and told user name and password."""
    async with serve_raw(lambda _: reply(b"by proxy")) as proxy:
        monkeypatch.setenv("http_proxy", f"http://me:p%40ss@127.0.0.1:{proxy.port}")
        monkeypatch.delenv("no_proxy", raising=False)
        async with (
            open_transport(TransportSettings(), SystemClock()) as transport,
            transport.get("http://archive.test/x") as answer,
        ):
            assert await answer.text(10) == "by proxy"
        assert proxy.requests[0].startswith("GET http://archive.test/x HTTP/1.1")
        assert "\r\nProxy-Authorization: Basic bWU6cEBzcw==\r\n" in proxy.requests[0]


async def test_a_proxy_that_refuses_is_told_as_such(monkeypatch: pytest.MonkeyPatch) -> None:
    """An https address needs a tunnel, and the proxy's status is in the message."""
    async with serve_raw(lambda _: reply(status="407 Proxy Authentication Required")) as proxy:
        monkeypatch.setenv("https_proxy", f"me:pw@127.0.0.1:{proxy.port}")
        monkeypatch.delenv("no_proxy", raising=False)
        async with open_transport(TransportSettings(), SystemClock()) as transport:
            with pytest.raises(ArchiveUnreachableError, match=r"the proxy refused the connection \(407\)"):
                async with transport.get("https://archive.test/x"):
                    pass
        assert proxy.requests[0].startswith("CONNECT archive.test:443")
        assert "\r\nProxy-Authorization: Basic bWU6cHc=\r\n" in proxy.requests[0]


PROXIES = {"http": "http://proxy:3128", "https": "http://proxy:3129", "no": "internal.test,10.0.0.5:8080"}


@pytest.mark.parametrize(
    ("url", "port"),
    [
        ("http://archive.test/", 3128),
        ("https://archive.test/", 3129),
        ("https://host.internal.test/", None),
        ("http://10.0.0.5:8080/", None),
        ("http://10.0.0.5/", 3128),
        ("http://127.0.0.1:8042/", None),
        ("http://[::1]:8042/", None),
        ("http://localhost/", None),
    ],
)
def test_the_proxy_depends_on_scheme_and_host(url: str, port: int | None) -> None:
    """NO_PROXY and this machine itself are reached directly."""
    proxy, _ = choose_proxy(URL(url), PROXIES)
    assert (proxy.port if proxy else None) == port


@pytest.mark.parametrize("address", ["socks5://proxy:1080", "http://", "http://pass@word:x:y/"])
def test_a_proxy_that_cannot_be_used_is_refused_without_telling_it(address: str) -> None:
    """The address may hold a password, so the message does not repeat it."""
    with pytest.raises(SettingsError, match="HTTPS_PROXY") as caught:
        choose_proxy(URL("https://archive.test/"), {"https": address})
    assert "word" not in str(caught.value)
