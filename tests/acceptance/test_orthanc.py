"""An outside judge: a DICOM server stores every image of a mirrored library."""

import json
import socket
import subprocess
from collections.abc import Iterator
from http.client import HTTPConnection
from pathlib import Path

import pytest

from tests.acceptance.archives import serve_archive, write_manifest
from tests.acceptance.command import run_command, wait_until
from tests.waiting import LONGEST_WAIT_SECONDS

pytestmark = [
    pytest.mark.acceptance,
    pytest.mark.peer,
    pytest.mark.needs("orthanc"),
]


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


def answers(port: int) -> bool:
    with socket.socket() as client:
        return client.connect_ex(("127.0.0.1", port)) == 0


@pytest.fixture
def orthanc_port(tmp_path: Path) -> Iterator[int]:
    """An empty Orthanc on loopback."""
    port = free_port()
    configuration = tmp_path / "orthanc.json"
    configuration.write_text(
        json.dumps(
            {
                "HttpPort": port,
                "DicomPort": free_port(),
                "StorageDirectory": str(tmp_path / "orthanc"),
                "RemoteAccessAllowed": False,
                "AuthenticationEnabled": False,
            }
        )
    )
    with subprocess.Popen(["Orthanc", configuration], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        try:
            wait_until(lambda: answers(port))
            yield port
        finally:
            process.terminate()


def store_in_orthanc(port: int, content: bytes) -> int:
    """The status that Orthanc answers."""
    connection = HTTPConnection("127.0.0.1", port, timeout=LONGEST_WAIT_SECONDS)
    try:
        connection.request("POST", "/instances", body=content)
        return connection.getresponse().status
    finally:
        connection.close()


def test_orthanc_stores_every_image_of_the_library(tmp_path: Path, orthanc_port: int) -> None:
    """And refuses one that was cut, so that its word means something."""
    with serve_archive() as archive:
        manifest = write_manifest(tmp_path / "m.yaml", archive.sandbox.base_url)
        ended = run_command("run", manifest, "-o", tmp_path / "library", "--json")
    assert ended.exit_code == 0, ended.stderr
    images = sorted((tmp_path / "library").rglob("*.dcm"))
    assert len(images) == ended.document["images"]
    refused = [str(path) for path in images if store_in_orthanc(orthanc_port, path.read_bytes()) != 200]
    assert refused == []
    whole = images[0].read_bytes()
    assert store_in_orthanc(orthanc_port, whole[:200]) == 400
