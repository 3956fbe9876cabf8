"""The image, built and run as its files say: any user, a read-only root file system, no capabilities, 256 MiB.

The sandbox and tciad share the loopback of a pod, which has no other network.
"""

import json
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest

from downloader import __version__
from tests.acceptance.archives import receipts_of
from tests.acceptance.command import wait_until
from tests.container.image import BASE, IMAGE, RESTRICTIONS, ROOT, Podman, build, build_image, read_locked, storage

pytestmark = [
    pytest.mark.acceptance,
    pytest.mark.timeout(500),
    pytest.mark.xdist_group("container"),
    pytest.mark.container,
    pytest.mark.needs("root", "podman", "mmdebstrap"),
]
POD = "mirror"
ASK = """
import sys, urllib.request as ask
print(ask.urlopen(ask.Request(sys.argv[1], headers={"Authorization": sys.argv[2]})).read().decode())
"""
BASE_URL = "http://127.0.0.1:8742/nbia-api/services"


@pytest.fixture(scope="module")
def podman(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Podman]:
    """With the image, and a pod without a network in which a sandbox runs."""
    with storage(tmp_path_factory.mktemp("podman")) as podman:
        build_image(podman)
        podman("pod", "create", "--name", POD, "--network", "none")
        podman("run", "-d", "--pod", POD, "--name", "archive", *RESTRICTIONS, "--health-interval", "disable", IMAGE, "sandbox")
        podman.wait_for_log("archive", "8742")
        yield podman


@pytest.fixture
def volumes(tmp_path: Path) -> tuple[str, ...]:
    """Manifests, library and state, where anybody may write to the last two."""
    for name in ("manifests", "library", "state"):
        (tmp_path / name).mkdir()
    for name in ("library", "state"):
        (tmp_path / name).chmod(0o777)
    for folder in (tmp_path, *tmp_path.parents):
        if not folder.stat().st_mode & stat.S_IXOTH:
            # pytest keeps its folders to their owner, and the container's user is another
            folder.chmod(0o755)
    lines = ["version: 1", f"archive: {{base_url: {BASE_URL!r}, api: v4}}", "select: [{collection: '*'}]"]
    (tmp_path / "manifests" / "m.yaml").write_text("\n".join([*lines, "schedule: {every: 6h}", ""]))
    modes = {"manifests": "ro", "library": "rw", "state": "rw"}
    return tuple(word for name, mode in modes.items() for word in ("-v", f"{tmp_path / name}:/{name}:{mode}"))


def in_pod(*options: str) -> tuple[str, ...]:
    """Options of `podman run` that every container here has."""
    return ("--pod", POD, "--health-interval", "disable", *RESTRICTIONS, *options)


def test_a_run_mirrors_into_the_volume(podman: Podman, volumes: tuple[str, ...], tmp_path: Path) -> None:
    """Nothing else is written; a second run has nothing to do; a wrong manifest ends with 2."""
    ran = podman("run", "--rm", *in_pod(*volumes), IMAGE, "run", "/manifests/m.yaml", "--json")
    report = json.loads(ran.stdout)
    assert (report["outcome"], report["series"]["failed"]) == ("complete", 0)
    assert len(receipts_of(tmp_path / "library")) == report["series"]["completed"] > 0
    again = podman("run", "--rm", *in_pod(*volumes), IMAGE, "run", "/manifests/m.yaml", "--json")
    assert json.loads(again.stdout)["series"]["completed"] == 0
    (tmp_path / "manifests" / "m.yaml").write_text("version: 2\n")
    assert podman("run", "--rm", *in_pod(*volumes), IMAGE, "run", "/manifests/m.yaml", check=False).returncode == 2


def test_the_service_is_healthy_is_scraped_and_drains(podman: Podman, volumes: tuple[str, ...], tmp_path: Path) -> None:
    """Others need the token; SIGTERM reaches it as the first process, and it ends with 0."""
    (tmp_path / "manifests" / "token").write_text("a long random token\n")
    command = [
        "serve",
        "/manifests",
        "--state",
        "/state/state.db",
        "--listen",
        "0.0.0.0:8642",
        "--token-file",
        "/manifests/token",
    ]
    podman("run", "-d", "--name", "served", *in_pod(*volumes), IMAGE, *command)
    podman.wait_for_log("served", '"event": "run ended"')
    assert podman("healthcheck", "run", "served").returncode == 0
    address = "http://127.0.0.1:8642"
    refused = podman("exec", "served", "python3", "-c", ASK, f"{address}/metrics", "none", check=False)
    assert "401" in refused.stderr
    metrics = podman("exec", "served", "python3", "-c", ASK, f"{address}/metrics", "Bearer a long random token").stdout
    complete = len(receipts_of(tmp_path / "library"))
    assert f'tciad_series{{manifest="m",state="complete"}} {float(complete)}' in metrics
    assert "ok" in podman("exec", "served", "python3", "-c", ASK, f"{address}/readyz", "none").stdout
    assert (tmp_path / "state" / "state.db").exists()
    podman("stop", "--time", "20", "served")
    assert podman("inspect", "--format", "{{.State.ExitCode}}", "served").stdout.strip() == "0"
    assert '"event": "service ended"' in podman.log("served")


def test_a_service_that_hangs_is_unhealthy(podman: Podman, volumes: tuple[str, ...]) -> None:
    """The check has its own time limit."""
    podman("run", "-d", "--name", "stopped", *in_pod(*volumes), IMAGE, "serve", "/manifests", "--listen", "127.0.0.1:8699")
    podman.wait_for_log("stopped", '"event": "run ended"')
    podman("kill", "--signal", "STOP", "stopped")
    try:
        assert podman("healthcheck", "run", "stopped", check=False).returncode == 1
    finally:
        podman("kill", "--signal", "KILL", "stopped")
        wait_until(lambda: "false" in podman("inspect", "--format", "{{.State.Running}}", "stopped").stdout)


def test_a_base_without_a_digest_is_refused(podman: Podman) -> None:
    """A tag names another image tomorrow."""
    ended = build(podman, BASE, check=False)
    assert ended.returncode != 0
    assert "has no digest: name it as NAME@sha256:" in ended.stdout + ended.stderr


def test_the_image_tells_what_it_consists_of(podman: Podman) -> None:
    """Every package with the version that the lock has, tciad itself, and the base with its digest."""
    text = podman("run", "--rm", *in_pod(), "--entrypoint", "cat", IMAGE, "/opt/tciad/sbom.cdx.json").stdout
    document = json.loads(text)
    locked = read_locked((ROOT / "requirements" / "runtime.txt").read_text(encoding="utf-8"))
    told = {component["name"]: component["version"] for component in document["components"] if component["type"] == "library"}
    (base,) = [component for component in document["components"] if component["type"] == "container"]
    assert document["metadata"]["component"]["name"] == "tciad"
    assert base["version"].startswith("sha256:")
    assert told.items() <= {name: version for name, (version, _) in locked.items()}.items()
    assert {"aiohttp", "pydantic", "pydicom"} <= told.keys()
    assert "hatchling" not in told


def test_the_image_has_no_more_than_it_needs(podman: Podman) -> None:
    """No pip, no compiler, no secrets of the build, and a user that is not root."""
    assert podman("run", "--rm", *in_pod(), "--entrypoint", "id", IMAGE, "-u").stdout.strip() == "10001"
    for folder in ("/library", "/state"):
        told = podman("run", "--rm", *in_pod(), "--entrypoint", "stat", IMAGE, "-c", "%a %u %g", folder).stdout.split()
        assert told == ["2775", "10001", "0"], "only the image's user and group 0 may write there"
    # what was lent to the build leaves an empty file where it was
    assert podman("run", "--rm", *in_pod(), "--entrypoint", "cat", IMAGE, "/etc/pip.conf", check=False).stdout == ""
    for path in ("/opt/tciad/bin/pip", "/src", "/usr/bin/gcc"):
        assert podman("run", "--rm", *in_pod(), "--entrypoint", "ls", IMAGE, path, check=False).returncode != 0, path
    assert __version__ in podman("run", "--rm", *in_pod(), IMAGE, "--version").stdout
