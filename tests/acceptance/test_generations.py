"""`tciad run` with each generation of the API: credentials from environment and files, and none of them ever shown."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from downloader.sandbox import Access
from tests.acceptance.archives import ServedArchive, assert_mirrors, receipts_of, serve_archive, small_catalogue
from tests.acceptance.command import Ended, run_command

pytestmark = [pytest.mark.acceptance, pytest.mark.long]
KEY, WRONG_KEY = "k3y-of-the-Test", "an0ther-kEy"
USER, PASSWORD, WRONG_PASSWORD = "mirror-me", "pa55/w0rd of+Test&=%", "n0t-the-pa55word"
SECRETS = (KEY, WRONG_KEY, PASSWORD, WRONG_PASSWORD, "k3y", "pa55")


@dataclass(frozen=True, slots=True, kw_only=True)
class Way:
    """How one manifest asks: `archive` with the sandbox's addresses to be filled in, environment, and files beside it."""

    archive: str
    environment: Mapping[str, str] = field(default_factory=dict)
    files: Mapping[str, str] = field(default_factory=dict)
    generation: str
    advice: str = "check user name and password"


V1 = "{{base_url: '{base}', api: v1}}"
V2 = "{{base_url: '{base}', api: v2}}"
V4 = "{{base_url: '{base}', api: v4}}"
SIGNED = "{{base_url: '{base}', api: %s, auth: {{username: mirror-me, password_file: secret.txt}}}}"
KEYCLOAK = "{{base_url: '{base}', api: v2, auth: {{username: mirror-me, password_file: secret.txt, token_url: '{keycloak}'}}}}"
FROM_ENVIRONMENT = "{{base_url: '{base}', api: v4, auth: {{}}}}"
BINDAAS = "{{base_url: '{bindaas}', api: bindaas}}"
KEY_FILE = "{{base_url: '{bindaas}', api: bindaas, auth: {{api_key_file: secret.txt, api_key_header: X-Gateway-Key}}}}"
KEY_IN_ADDRESS = "{{base_url: '{bindaas}', api: bindaas, auth: {{api_key_in: query}}}}"
ACCOUNT = {"TCIAD_USERNAME": USER, "TCIAD_PASSWORD": PASSWORD}

WAYS = {
    "v1": Way(archive=V1, generation="v1"),
    "v4": Way(archive=V4, generation="v4"),
    "v4-signed-in": Way(archive=FROM_ENVIRONMENT, environment=ACCOUNT, generation="v4"),
    "v2-environment": Way(archive=V2, environment=ACCOUNT, generation="v2"),
    "v2-file": Way(archive=SIGNED % "v2", files={"secret.txt": f"{PASSWORD}\n"}, generation="v2"),
    "v2-keycloak": Way(archive=KEYCLOAK, files={"secret.txt": PASSWORD}, generation="v2"),
    "v2-guest": Way(archive=V2, generation="v2"),
    "bindaas-environment": Way(archive=BINDAAS, environment={"TCIAD_API_KEY": KEY}, generation="bindaas"),
    "bindaas-file": Way(archive=KEY_FILE, files={"secret.txt": KEY}, generation="bindaas"),
    "bindaas-address": Way(archive=KEY_IN_ADDRESS, environment={"TCIAD_API_KEY": KEY}, generation="bindaas"),
}
WRONG = {
    "v4-signed-in": Way(archive=FROM_ENVIRONMENT, environment={**ACCOUNT, "TCIAD_PASSWORD": WRONG_PASSWORD}, generation="v4"),
    "v2-environment": Way(archive=V2, environment={**ACCOUNT, "TCIAD_PASSWORD": WRONG_PASSWORD}, generation="v2"),
    "v2-file": Way(archive=SIGNED % "v2", files={"secret.txt": WRONG_PASSWORD}, generation="v2"),
    "bindaas-environment": Way(
        archive=BINDAAS, environment={"TCIAD_API_KEY": WRONG_KEY}, generation="bindaas", advice="check the API key"
    ),
    "bindaas-address": Way(
        archive=KEY_IN_ADDRESS, environment={"TCIAD_API_KEY": WRONG_KEY}, generation="bindaas", advice="check the API key"
    ),
    "bindaas-none": Way(archive=BINDAAS, generation="bindaas", advice="no API key was given"),
}


@pytest.fixture
def archive(request: pytest.FixtureRequest) -> Iterator[ServedArchive]:
    """A sandbox that wants these credentials and no other."""
    header = "X-Gateway-Key" if "X-Gateway-Key" in request.getfixturevalue("way").archive else "api_key"
    access = Access(accounts={USER: PASSWORD}, api_keys=frozenset({KEY}), api_key_header=header)
    with serve_archive(small_catalogue(2), access=access) as served:
        yield served


def run(way: Way, archive: ServedArchive, folder: Path, *arguments: str) -> Ended:
    """Write what the way needs, and run."""
    sandbox = archive.sandbox
    where = way.archive.format(base=sandbox.base_url, bindaas=sandbox.bindaas_url, keycloak=sandbox.keycloak_url)
    for name, content in way.files.items():
        (folder / name).write_text(content, encoding="utf-8")
    manifest = folder / "m.yaml"
    manifest.write_text(f"version: 1\narchive: {where}\nselect:\n  - collection: '*'\n", encoding="utf-8")
    environment = {"TCIAD_LOG_LEVEL": "debug", **way.environment}
    return run_command("run", manifest, "-o", folder / "library", "--json", *arguments, environment=environment)


def assert_no_secret(ended: Ended, library: Path) -> None:
    """Neither on the terminal nor in a log, a store, a receipt or a report."""
    contents = {"stdout": ended.stdout.encode(), "stderr": ended.stderr.encode()}
    contents |= {str(path): path.read_bytes() for path in library.rglob("*") if path.is_file()}
    for place, content in contents.items():
        for secret in SECRETS:
            assert secret.encode() not in content, place


@pytest.mark.parametrize("way", WAYS.values(), ids=WAYS)
def test_a_run_in_every_generation(tmp_path: Path, way: Way, archive: ServedArchive) -> None:
    """Exit 0, everything mirrored and proven, and nothing secret left anywhere."""
    ended = run(way, archive, tmp_path)
    assert ended.exit_code == 0, ended.stderr
    assert ended.document["series"]["completed"] == 2
    assert_mirrors(tmp_path / "library", archive)
    assert {receipt["generation"] for _, receipt in receipts_of(tmp_path / "library").values()} == {way.generation}
    assert_no_secret(ended, tmp_path / "library")
    signs_in = bool(way.files or way.environment) and way.generation in {"v2", "v4"}
    assert archive.sandbox.tokens.grants == ["password"] * signs_in


@pytest.mark.parametrize("way", WRONG.values(), ids=WRONG)
def test_wrong_credentials_end_the_run(tmp_path: Path, way: Way, archive: ServedArchive) -> None:
    """Exit 4, one sentence that says what to check, no download, and neither the wrong secret nor a traceback in it."""
    ended = run(way, archive, tmp_path)
    assert ended.exit_code == 4
    assert ended.document["outcome"] == "failed"
    assert way.advice in ended.stdout + ended.stderr
    assert "Traceback" not in ended.stderr
    assert archive.downloads == 0
    assert_no_secret(ended, tmp_path / "library")


@pytest.mark.parametrize("way", [Way(archive=SIGNED % "v2", generation="v2")], ids=["v2"])
def test_a_secret_that_cannot_be_read_stops_before_the_archive_is_asked(tmp_path: Path, way: Way, archive: ServedArchive) -> None:
    """Exit 2, with the key of the manifest."""
    ended = run(way, archive, tmp_path)
    assert ended.exit_code == 2
    assert "archive.auth.password_file" in ended.stderr
    assert (archive.sandbox.requests, archive.sandbox.tokens.grants) == ([], [])
