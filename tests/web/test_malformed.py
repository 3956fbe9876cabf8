"""Requests that no client should send: each is refused with 4xx, and none leaves more than that behind."""

import socket
from collections.abc import Iterator
from dataclasses import dataclass

import pytest
from anyio.from_thread import start_blocking_portal
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from structlog.testing import capture_logs

from tests.waiting import LONGEST_WAIT_SECONDS
from tests.web.scene import TOKEN, served

HEADERS = ("Host", "Origin", "Authorization", "Cookie", "Sec-Fetch-Site", "Accept", "Content-Type", "Content-Length", "Expect")
HEADERS_OF_TRANSPORT = ("Transfer-Encoding", "Content-Encoding", "Connection", "Upgrade", "Last-Event-ID", "Range")
PATHS = ("/", "/healthz", "/metrics", "/page/page.js", "/api/v1/series", "/api/v1/status")
PARAMETERS = ("state", "manifest", "collection", "text", "after", "before", "limit", "series_instance_uid", "x")
ANY_BYTES = st.binary(max_size=40).map(lambda value: value.replace(b"\r", b"").replace(b"\n", b""))
OFTEN = settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


@dataclass(frozen=True, slots=True)
class Door:
    """A service that asks for a token, reached by raw bytes."""

    port: int

    def status_of(self, request: bytes, *, ends: bool = False) -> int:
        """The status of the reply, 0 for none; the log of the service must have neither an error nor a traceback."""
        with capture_logs() as logs, socket.create_connection(("127.0.0.1", self.port), LONGEST_WAIT_SECONDS) as connection:
            connection.sendall(request)
            if ends:
                connection.shutdown(socket.SHUT_WR)
            reply = b""
            while b"\r\n" not in reply and (more := connection.recv(65_536)):
                reply += more
        assert not [entry for entry in logs if entry["log_level"] in {"error", "critical"} or "exc_info" in entry], logs
        return int(reply.split(b" ", 2)[1]) if reply else 0


@pytest.fixture(scope="module")
def door(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Door]:
    """One service for all requests, with a token and a series."""
    with start_blocking_portal() as portal:
        root = tmp_path_factory.mktemp("door")
        with portal.wrap_async_context_manager(served(root, token=TOKEN)) as http:
            port = http.client._base_url.port  # type: ignore[union-attr]
            assert port is not None
            yield Door(port)


def request(*headers: tuple[bytes, bytes], method: bytes = b"GET", target: bytes = b"/api/v1/status", body: bytes = b"") -> bytes:
    """A request with these headers, and the others that it needs."""
    given_names = {name.lower() for name, _ in headers}
    needed = [(b"Host", b"127.0.0.1"), (b"Connection", b"close"), (b"Content-Length", b"%d" % len(body))]
    lines = [*headers, *[pair for pair in needed if pair[0].lower() not in given_names]]
    head = b"%s %s HTTP/1.1\r\n" % (method, target) + b"".join(b"%s: %s\r\n" % line for line in lines)
    return head + b"\r\n" + body


BEARER = (b"Authorization", b"Bearer " + TOKEN.encode())


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("Host", b"[::1"),
        ("Host", b"a:b:c"),
        ("Host", b"user@127.0.0.1"),
        ("Host", b"\xff"),
        ("Origin", b"http://[x"),
        ("Origin", b"http://\xff"),
        ("Authorization", b"Bearer \xff"),
        ("Cookie", b"tciad=\xff"),
        ("Cookie", b"tciad=a\xc2\x85b"),
    ],
)
def test_a_malformed_header_is_refused_as_such(name: str, value: bytes, door: Door) -> None:
    """Before any token is looked at."""
    assert door.status_of(request((name.encode(), value), method=b"POST", target=b"/api/v1/resume")) == 400


def test_a_header_that_may_be_there_once_is_refused_twice(door: Door) -> None:
    """Two readers could each believe another one of them."""
    assert door.status_of(request((b"Host", b"127.0.0.1"), (b"Host", b"evil.example"))) == 400
    assert door.status_of(request(BEARER, BEARER)) == 400
    assert door.status_of(b"GET /healthz HTTP/1.1\r\nConnection: close\r\n\r\n") == 400


def test_cookies_of_other_services_do_not_matter(door: Door) -> None:
    """A browser sends them along, whatever is in them."""
    assert door.status_of(request(BEARER, (b"Cookie", b"other=\xff\xfe; more={[}"))) == 200


@pytest.mark.parametrize(
    ("content_type", "body"),
    [
        (b"multipart/form-data", b"token=x"),
        (b"multipart/form-data; boundary=x", b"--x\r\nContent-Disposition: form-data; name=token; filename=f\r\n\r\nx"),
        (b"application/x-www-form-urlencoded", b"token=%ff"),
        (b"application/x-www-form-urlencoded", b"token=\xff"),
        (b"application/x-www-form-urlencoded; charset=none", b"\xff\xfe"),
        (b"application/x-www-form-urlencoded", b"token=a&token=b"),
        (b"application/x-www-form-urlencoded", b"&".join([b"a=b"] * 1000)),
        (b"text/plain", b"token=x"),
    ],
)
def test_a_form_that_is_none_is_refused_as_such(content_type: bytes, body: bytes, door: Door) -> None:
    """The log-in takes one kind of form, and no uploads."""
    assert door.status_of(request((b"Content-Type", content_type), method=b"POST", target=b"/login", body=body)) == 400


@OFTEN
@given(name=st.sampled_from(HEADERS + HEADERS_OF_TRANSPORT), value=ANY_BYTES, path=st.sampled_from(PATHS), knows=st.booleans())
@example(name="Accept", value=b"application/openmetrics-text; version=x; escaping=y", path="/metrics", knows=True)
@example(name="Accept", value=b"text/plain;version=1.0.0;escaping=", path="/metrics", knows=True)
def test_no_header_is_more_than_the_service_can_bear(name: str, value: bytes, path: str, knows: bool, door: Door) -> None:
    """Whatever bytes it has."""
    headers = [(name.encode(), value), *([BEARER] if knows and name != "Authorization" else [])]
    assert door.status_of(request(*headers, target=path.encode())) in range(200, 500)


@OFTEN
@given(target=ANY_BYTES, method=st.sampled_from([b"GET", b"POST", b"HEAD", b"OPTIONS", b"CONNECT", b"PRI"]))
@example(target=b"http://[::1/healthz", method=b"GET")
@example(target=b"//[x/healthz", method=b"GET")
def test_no_target_is_more_than_the_service_can_bear(target: bytes, method: bytes, door: Door) -> None:
    """Absolute ones and those that are no address included."""
    assert door.status_of(request(BEARER, method=method, target=target)) in range(200, 500)
    assert door.status_of(request(BEARER, method=method, target=b"/" + target)) in range(200, 500)


@OFTEN
@given(
    path=st.sampled_from(["series", "failures", "runs", "changes", "retry"]),
    name=st.sampled_from(PARAMETERS),
    value=st.one_of(ANY_BYTES, st.text(max_size=20).map(lambda text: text.encode("utf-8", "surrogatepass")), st.just(b"9" * 19)),
)
@example(path="series", name="after", value=b"9" * 19 + b":x")
@example(path="series", name="limit", value=b"1000000000")
@example(path="series", name="limit", value=b"9" * 5000)
@example(path="series", name="text", value=b"\x00")
@example(path="series", name="manifest", value=b"\xed\xa0\x80")
def test_no_parameter_is_more_than_the_service_can_bear(path: str, name: str, value: bytes, door: Door) -> None:
    """Percent-encoded, so that every byte arrives."""
    quoted = b"".join(b"%%%02X" % byte for byte in value)
    method = b"POST" if path == "retry" else b"GET"
    target = f"/api/v1/{path}?{name}=".encode() + quoted
    assert door.status_of(request(BEARER, method=method, target=target)) in range(200, 500)


@OFTEN
@given(form=st.binary(max_size=80), content_type=st.one_of(ANY_BYTES, st.just(b"application/x-www-form-urlencoded")))
def test_no_form_is_more_than_the_service_can_bear(form: bytes, content_type: bytes, door: Door) -> None:
    """Nor the type that it has."""
    asked = request((b"Content-Type", content_type), method=b"POST", target=b"/login", body=form)
    assert door.status_of(asked) in {400, 401, 413, 429}


@OFTEN
@given(sent=st.binary(max_size=200))
@example(sent=b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03")
def test_what_is_no_http_is_refused(sent: bytes, door: Door) -> None:
    """A browser that speaks TLS, a port scanner."""
    assert door.status_of(sent, ends=True) < 500
