"""nbiatoolkit, the other client of the field, works against the sandbox: signed in as the guest, through v2."""

import json
import subprocess
import sys
import venv
from pathlib import Path

import anyio.to_thread
import pytest

from downloader.sandbox import builtin_catalogue, serve_sandbox
from tests.tools import SYSTEM_ENVIRONMENT, skip_for_want

pytestmark = [pytest.mark.anyio, pytest.mark.peer, pytest.mark.timeout(600)]

# It pins older pandas, pyarrow and pydicom than tciad uses, so it gets a place of its own.
REQUIREMENT = "nbiatoolkit==1.3.1"
# It knows two addresses only. The setter that is meant for the second of them takes the sandbox's.
SCRIPT = """
import json, socket, sys
from types import SimpleNamespace
base_url, folder = sys.argv[1:]
connect = socket.socket.connect
def local_only(self, address):
    assert address[0] in ("127.0.0.1", "localhost"), f"the test must not leave this machine: {address}"
    return connect(self, address)
socket.socket.connect = local_only
from nbiatoolkit import NBIAClient
client = NBIAClient(log_level="ERROR")
client.base_url = SimpleNamespace(value=base_url + "/")
client.OAuth_client.base_url = base_url + "/"
series = client.getSeries(Collection="Sandbox Brain")
wanted = {row["SeriesInstanceUID"]: row["ImageCount"] for row in series if row["ImageCount"] < 20}
print(json.dumps({
    "collections": [row["Collection"] for row in client.getCollections()],
    "counts": client.getCollectionPatientCount(),
    "modalities": client.getModalityValues(Collection="Sandbox-Therapy"),
    "modality_counts": client.getModalityValues(Counts=True),
    "part_counts": client.getBodyPartCounts(Collection="Sandbox Brain"),
    "patients": client.getPatients(Collection="Sandbox Brain"),
    "mr_patients": client.getPatientsByCollectionAndModality(Collection="Sandbox Brain", Modality="MR"),
    "new_patients": client.getNewPatients(Collection="Sandbox Brain", Date="2000-01-01"),
    "studies": client.getStudies(Collection="Sandbox Brain"),
    "metadata": client.getSeriesMetadata(list(wanted)),
    "updated": client.getNewSeries(Date="2000-01-02"),
    "frame": len(client.getSeries(Collection="Sandbox Brain", return_type="dataframe")),
    "series": len(series),
    "wanted": wanted,
    "downloaded": client.downloadSeries(list(wanted), downloadDir=folder, nParallel=2,
                                        filePattern="%SeriesInstanceUID/%SOPInstanceUID.dcm"),
}))
"""


@pytest.fixture(scope="module")
def interpreter(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A Python with nbiatoolkit in it."""
    place = tmp_path_factory.mktemp("nbiatoolkit")
    venv.create(place, with_pip=True)
    command = [str(place / "bin" / "pip"), "install", "--quiet", "--disable-pip-version-check", REQUIREMENT]
    installed = subprocess.run(command, capture_output=True, text=True, check=False, env=SYSTEM_ENVIRONMENT)
    if installed.returncode:
        skip_for_want(f"{REQUIREMENT} cannot be installed for Python {sys.version.split()[0]}: {installed.stderr.strip()[-300:]}")
    return place / "bin" / "python"


async def test_it_signs_in_lists_and_downloads(tmp_path: Path, interpreter: Path) -> None:
    """Every list that it asks for comes as it expects, and every image that it downloads matches the hash sent with it."""
    async with serve_sandbox(builtin_catalogue()) as sandbox:
        command = [str(interpreter), "-c", SCRIPT, sandbox.base_url, str(tmp_path / "images")]
        done = await anyio.to_thread.run_sync(
            lambda: subprocess.run(command, capture_output=True, text=True, check=False, cwd=tmp_path)
        )
        asked = {(request.generation, request.endpoint) for request in sandbox.requests}
        grants = set(sandbox.tokens.grants)
        downloads = sandbox.count("getImageWithMD5Hash")
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout.splitlines()[-1])
    names = sorted(one.name for one in builtin_catalogue().collections)
    assert told["collections"] == sorted(row["Collection"] for row in told["counts"]) == names
    assert [row["Modality"] for row in told["modalities"]] == ["CT", "ECG", "RTDOSE", "RTPLAN", "SR"]
    assert {row["Modality"] for row in told["modality_counts"]} > {"CT", "MR"}
    for name in ("part_counts", "patients", "mr_patients", "new_patients", "studies", "updated"):
        assert told[name], name
    assert [row["Series UID"] for row in told["metadata"]] == list(told["wanted"])
    assert told["frame"] == told["series"]
    assert told["downloaded"]
    assert downloads == len(told["wanted"])
    assert len(list((tmp_path / "images").rglob("*.dcm"))) == sum(told["wanted"].values())
    assert {generation for generation, _ in asked} == {"v1", "v2", "advanced"}
    assert grants == {"password"}
