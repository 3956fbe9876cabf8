"""tcia_utils, the client that most users have today, works against the sandbox as it does against the archive."""

import json
import subprocess
import sys
from pathlib import Path

import anyio.to_thread
import pytest

from downloader.sandbox import builtin_catalogue, serve_sandbox

pytestmark = [pytest.mark.anyio, pytest.mark.peer, pytest.mark.needs("tcia_utils")]

# Its addresses are fixed in setApiUrl: the script puts the sandbox's in their place, and lets no other connection through.
SCRIPT = """
import json, socket, sys
base_url, folder = sys.argv[1:]
connect = socket.socket.connect
def local_only(self, address):
    assert address[0] in ("127.0.0.1", "localhost"), f"the test must not leave this machine: {address}"
    return connect(self, address)
socket.socket.connect = local_only
from tcia_utils import nbia
def api_url(endpoint, api_url=""):
    return f"{base_url}/{'v1' if endpoint == 'getContentsByName' else 'v4'}/"
nbia.setApiUrl = api_url
series = nbia.getSeries(collection="Sandbox Brain")
wanted = [row for row in series if row["ImageCount"] < 20]
frame = nbia.downloadSeries(wanted, path=folder + "/plain", format="df")
nbia.downloadSeries(wanted[:1], path=folder + "/hashed", hash="y")
nbia.downloadSeries(["1.2.3"], path=folder + "/refused", input_type="list")
sops = nbia.getSopInstanceUids(wanted[0]["SeriesInstanceUID"])
nbia.downloadImage(wanted[0]["SeriesInstanceUID"], sops[0]["SOPInstanceUID"], path=folder + "/single")
print(json.dumps({
    "collections": [row["Collection"] for row in nbia.getCollections()],
    "modalities": nbia.getModality(collection="Sandbox-Therapy"),
    "parts": nbia.getBodyPart(collection="Sandbox-Lung"),
    "makers": nbia.getManufacturer(),
    "patients": nbia.getPatient(collection="Sandbox Brain"),
    "studies": nbia.getStudy(collection="Sandbox Brain"),
    "updated": nbia.getUpdatedSeries("2024/01/01"),
    "size": nbia.getSeriesSize(wanted[0]["SeriesInstanceUID"]),
    "counts": nbia.getModalityCounts(),
    "cart": nbia.getSharedCart("nbia-1000"),
    "none": nbia.getSeries(collection="none such"),
    "descriptions": nbia.getCollectionDescriptions(),
    "tags": nbia.getDicomTags(wanted[0]["SeriesInstanceUID"]).to_dict("records"),
    "doi": nbia.getDoiMetadata("https://sandbox.invalid/lung", "series"),
    "search": nbia.getSimpleSearch(collections=["Sandbox Brain"], modalities=["MR"]),
    "frame": [int(frame["ImageCount"].sum()), len(frame)],
    "wanted": {row["SeriesInstanceUID"]: row["ImageCount"] for row in wanted},
}))
"""


async def test_it_lists_and_downloads(tmp_path: Path) -> None:
    """Every list it asks for comes as it expects, and what it downloads and unpacks is all there."""
    async with serve_sandbox(builtin_catalogue()) as sandbox:
        command = [sys.executable, "-c", SCRIPT, sandbox.base_url, str(tmp_path)]
        done = await anyio.to_thread.run_sync(
            lambda: subprocess.run(command, capture_output=True, text=True, check=False, cwd=tmp_path)
        )
        refused = sandbox.count("getImage", series_instance_uid="1.2.3")
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout.splitlines()[-1])
    assert told["collections"] == sorted(one.name for one in builtin_catalogue().collections)
    assert [row["Modality"] for row in told["modalities"]] == ["CT", "ECG", "RTDOSE", "RTPLAN", "SR"]
    assert told["parts"][0] == {}
    assert told["none"] is None
    assert told["search"]["resultSet"][0]["project"] == "Sandbox Brain"
    assert {"(0008,0060)"} <= {tag["element"] for tag in told["tags"]}
    for name in ("makers", "patients", "studies", "updated", "size", "counts", "cart", "descriptions", "doi"):
        assert told[name], name
    assert told["frame"] == [sum(told["wanted"].values()), len(told["wanted"])]
    for uid, count in told["wanted"].items():
        files = sorted(path.name for path in (tmp_path / "plain" / uid).iterdir())
        assert (len(files), files[-1]) == (count + 1, "LICENSE")
    (hashed,) = (tmp_path / "hashed").iterdir()
    assert (hashed / "md5hashes.csv").exists()
    assert len(list((tmp_path / "single").rglob("*.dcm"))) == 1
    assert not list((tmp_path / "refused").iterdir())
    assert refused == 1
