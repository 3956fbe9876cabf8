"""Where the service listens."""

import pytest

from downloader.errors import SettingsError
from downloader.web.address import ListenAddress, parse_listen


@pytest.mark.parametrize(
    ("text", "host", "port", "is_loopback"),
    [
        ("127.0.0.1:8642", "127.0.0.1", 8642, True),
        ("127.9.9.9:1", "127.9.9.9", 1, True),
        ("localhost:0", "localhost", 0, True),
        ("[::1]:8642", "::1", 8642, True),
        ("0.0.0.0:8642", "0.0.0.0", 8642, False),  # noqa: S104 - told, not listened on
        ("[::]:8642", "::", 8642, False),
        ("mirror.example.org:80", "mirror.example.org", 80, False),
    ],
)
def test_a_host_and_a_port(text: str, host: str, port: int, is_loopback: bool) -> None:
    """Only this machine's own addresses count as loopback; the address reads as it was written."""
    address = parse_listen(text, "--listen")
    assert address == ListenAddress(host=host, port=port)
    assert address.is_loopback is is_loopback
    assert str(address) == text


@pytest.mark.parametrize("text", ["", "8642", "host", ":8642", "host:", "host:65536", "host:-1", "::1:8642", "host:8e2", "h:٣"])
def test_what_is_no_address(text: str) -> None:
    """Named with the flag or the variable that said it."""
    with pytest.raises(SettingsError, match=r"TCIAD_LISTEN: .* is not HOST:PORT"):
        parse_listen(text, "TCIAD_LISTEN")
