"""An archive, or a proxy before it, echoes what it was sent: no secret gets into anything that the process writes."""

import base64
import html
import json
import threading
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import quote, quote_plus, urlsplit

import pytest

from tests.acceptance.command import run_command, start_command
from tests.waiting import LONGEST_WAIT_SECONDS

pytestmark = [pytest.mark.acceptance, pytest.mark.long]
USERNAME = "the-researcher"
PASSWORD = 'Xq7&w"rt/9z + <Kd3>'
CLIENT_SECRET = "Vm4-0hT2-Zr8y-Lc6"
API_KEY = "0f1e2d3c4b5a69788796a5b4c3d2e1f0"
ACCESS_TOKEN = "eyJhbGciOiJub25lIn0.YWNjZXNzLXRva2Vu.c2lnbmF0dXJlLW9uZQ"
REFRESH_TOKEN = "eyJhbGciOiJub25lIn0.cmVmcmVzaC10b2tlbg.c2lnbmF0dXJlLXR3bw"
SERVE_TOKEN = "Jw5n-Ue1b-Qs9f-Gx7k"
PROXY_USER = "gatekeeper"
PROXY_PASSWORD = "Bt3-Hy6.Np0-Rf2"
SECRETS = (USERNAME, PASSWORD, CLIENT_SECRET, API_KEY, ACCESS_TOKEN, REFRESH_TOKEN, SERVE_TOKEN, PROXY_PASSWORD)
LEAST_CHARACTERS = 8
"""A piece of a secret as short as this may not be found anywhere."""

ECHOES: Mapping[str, Callable[[str], str]] = {
    "raw": str,
    "percent": lambda text: quote(text, safe=""),
    "form": quote_plus,
    "JSON": lambda text: json.dumps({"error": "invalid_grant", "error_description": text}),
    "HTML": lambda text: f"<html><body><h1>Bad request</h1><pre>{html.escape(text)}</pre></body></html>",
    "Base64": lambda text: " ".join(base64.b64encode(word.encode()).decode() for word in (text, *text.split("\n"))),
}


@dataclass
class Echo:
    """A server that answers what it was sent where `statuses` has the last part of the path; other paths get an empty list."""

    encode: Callable[[str], str]
    statuses: Mapping[str, int]
    base_url: str = ""
    asked: list[str] = field(default_factory=list)

    def answer(self, method: str, target: str, headers: str, body: str) -> tuple[int, bytes]:
        """Status and body for one request."""
        path = urlsplit(target).path.rpartition("/")[2]
        self.asked.append(path)
        if path in self.statuses:
            return self.statuses[path], self.encode(f"{method} {target}\n{headers}\n{body}").encode()
        if path == "token":
            grant = {"access_token": ACCESS_TOKEN, "refresh_token": REFRESH_TOKEN, "expires_in": 3600}
            return 200, json.dumps(grant).encode()
        return 200, b"[]"


@contextmanager
def serve_echo(encoding: str, **statuses: int) -> Iterator[Echo]:
    """The server in a thread of its own."""
    echo = Echo(encode=ECHOES[encoding], statuses=statuses)

    class Handler(BaseHTTPRequestHandler):
        def _answer(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", 0))).decode()
            # what proves who asks comes first, so that it stands within the characters that are quoted
            names = [name for name in self.headers if name.lower() in {"authorization", "proxy-authorization", "api_key"}]
            headers = "\n".join(f"{name}: {self.headers[name]}" for name in names)
            status, content = echo.answer(self.command, self.path, headers, body)
            self.send_response(status)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        do_GET = do_POST = _answer  # noqa: N815 - the names that the standard library wants

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    echo.base_url = f"http://127.0.0.1:{server.server_port}/nbia-api/services"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield echo
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def traces_of(content: bytes) -> set[str]:
    """The secrets of which a piece is in the content, in any of the ways that they were echoed in."""
    text = content.decode("utf-8", "replace")
    found = set()
    for secret in SECRETS:
        encoded = base64.b64encode(secret.encode()).decode().rstrip("=")
        forms = {secret, quote(secret, safe=""), quote_plus(secret), html.escape(secret), json.dumps(secret)[1:-1], encoded}
        pieces = {form[at : at + LEAST_CHARACTERS] for form in forms for at in range(len(form) - LEAST_CHARACTERS + 1)}
        found |= {secret for piece in pieces if piece in text}
    return found


def assert_no_traces(root: Path, *texts: str) -> None:
    """Neither in what was printed nor in any file but those that hold the secrets on purpose."""
    for text in texts:
        assert traces_of(text.encode()) == set(), text
    for path in root.rglob("*"):
        if path.is_file() and path.parent.name not in {"secrets", "manifests"}:
            assert traces_of(path.read_bytes()) == set(), path


def write_secret(root: Path, name: str, secret: str) -> Path:
    """A file that holds a secret."""
    path = root / "secrets" / name
    path.parent.mkdir(exist_ok=True)
    path.write_text(secret, encoding="utf-8")
    return path


def write_manifest(root: Path, archive: Mapping[str, object]) -> Path:
    """A manifest that wants one collection. JSON is YAML."""
    path = root / "manifests" / "m.yaml"
    path.parent.mkdir(exist_ok=True)
    document = {"version": 1, "archive": archive, "select": [{"collection": "LIDC-IDRI"}], "download": {"attempts": 1}}
    path.write_text(json.dumps(document), encoding="utf-8")
    return path


def account(root: Path) -> dict[str, str]:
    """Who signs in."""
    return {
        "username": USERNAME,
        "password_file": str(write_secret(root, "password", PASSWORD)),
        "client_secret_file": str(write_secret(root, "client_secret", CLIENT_SECRET)),
    }


def run_and_ask(root: Path, manifest: Path, **environment: str) -> None:
    """Run with every kind of log, then ask what became of it; none of it, and no file, has a trace of a secret."""
    said = []
    for verb, log_format in ((("run", manifest, "--json"), "json"), (("run", manifest), "console")):
        more = {"TCIAD_LOG_FORMAT": log_format, "TCIAD_LOG_LEVEL": "debug", **environment}
        ended = run_command(*verb, "-o", root / "library", environment=more)
        assert ended.exit_code in {3, 4}, ended.stderr
        assert "***" in ended.stdout + ended.stderr
        said += [ended.stdout, ended.stderr]
    ended = run_command("status", "-o", root / "library", "--json", environment=environment)
    assert_no_traces(root, *said, ended.stdout, ended.stderr)


@pytest.mark.parametrize(("encoding", "status"), [("raw", 401), ("JSON", 400), ("HTML", 400), ("Base64", 400)])
def test_a_token_endpoint_that_echoes_the_form(tmp_path: Path, encoding: str, status: int) -> None:
    """With user name, password and client secret."""
    with serve_echo(encoding, token=status) as echo:
        archive = {"base_url": echo.base_url, "api": "v2", "auth": account(tmp_path)}
        run_and_ask(tmp_path, write_manifest(tmp_path, archive))
        assert "token" in echo.asked


@pytest.mark.parametrize("encoding", ["form", "Base64"])
def test_an_archive_that_echoes_the_token(tmp_path: Path, encoding: str) -> None:
    """The one that was issued a moment ago, in the reply to a list."""
    with serve_echo(encoding, getSeries=400, getCollectionValues=400) as echo:
        archive = {"base_url": echo.base_url, "api": "v2", "auth": account(tmp_path)}
        run_and_ask(tmp_path, write_manifest(tmp_path, archive))
        assert "getSeries" in echo.asked


@pytest.mark.parametrize(("encoding", "place"), [("Base64", "header"), ("raw", "query"), ("percent", "query")])
def test_an_archive_that_echoes_the_api_key(tmp_path: Path, encoding: str, place: str) -> None:
    """Which came in a header, or in the address."""
    with serve_echo(encoding, getSeries=400, getCollectionValues=400) as echo:
        auth = {"api_key_file": str(write_secret(tmp_path, "key", API_KEY)), "api_key_in": place}
        archive = {"base_url": echo.base_url, "api": "bindaas", "auth": auth}
        run_and_ask(tmp_path, write_manifest(tmp_path, archive))
        assert "getSeries" in echo.asked


@pytest.mark.parametrize("encoding", ["raw", "Base64"])
def test_a_proxy_that_echoes_its_own_credentials(tmp_path: Path, encoding: str) -> None:
    """As `Basic` of user and password."""
    with serve_echo(encoding, getSeries=400, getCollectionValues=400) as echo:
        proxy = f"http://{PROXY_USER}:{PROXY_PASSWORD}@{urlsplit(echo.base_url).netloc}"
        archive = {"base_url": "http://archive.invalid/nbia-api/services", "api": "v1"}
        run_and_ask(tmp_path, write_manifest(tmp_path, archive), HTTP_PROXY=proxy, NO_PROXY="")
        assert "getSeries" in echo.asked


def test_the_service_tells_no_secret_either(tmp_path: Path) -> None:
    """Neither its API nor its log nor what it stores."""
    with serve_echo("HTML", getSeries=400, getCollectionValues=400) as echo:
        auth = {"api_key_file": str(write_secret(tmp_path, "key", API_KEY))}
        manifest = write_manifest(tmp_path, {"base_url": echo.base_url, "api": "bindaas", "auth": auth})
        token_file = write_secret(tmp_path, "token", SERVE_TOKEN)
        environment = {"TCIAD_LOG_FORMAT": "json", "TCIAD_LISTEN": "127.0.0.1:0"}
        options = ("-o", tmp_path / "library", "--token-file", token_file)
        with start_command("serve", manifest.parent, *options, environment=environment) as process:
            assert process.stderr is not None
            lines, url = [], ""
            for line in process.stderr:
                lines.append(line)
                entry = json.loads(line)
                url = entry.get("address", url)
                if entry["event"] == "run ended":
                    break
            answers = [ask(url, path) for path in ("/api/v1/status", "/api/v1/manifests", "/metrics", "/")]
            process.terminate()
            rest, stderr = process.communicate(timeout=LONGEST_WAIT_SECONDS)
        assert any("***" in answer for answer in (*answers, *lines))
        assert_no_traces(tmp_path, *lines, *answers, rest, stderr)


def ask(url: str, path: str) -> str:
    """What the service answers to somebody who has its token."""
    request = urllib.request.Request(f"{url.rstrip('/')}{path}", headers={"Authorization": f"Bearer {SERVE_TOKEN}"})  # noqa: S310
    with urllib.request.urlopen(request, timeout=LONGEST_WAIT_SECONDS) as reply:  # noqa: S310
        answer: bytes = reply.read()
    return answer.decode()
