"""`adopt`: what other programs downloaded is taken over without a download, once it is proven, and never believed before."""

import io
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path
from random import Random
from urllib.request import urlopen

import pytest

from downloader.sandbox import Fault, FaultKind, SandboxSeries
from tests.acceptance.archives import ServedArchive, assert_mirrors, receipts_of, serve_archive, small_catalogue
from tests.acceptance.command import Ended, clean_environment, run_command
from tests.acceptance.crashes import mirror_of

pytestmark = [pytest.mark.acceptance, pytest.mark.long]

SERIES = 4
IMAGES = 3
# Its addresses are fixed in setApiUrl: the sandbox's take their place, and no other connection is let through.
TCIA_UTILS = """
import socket, sys
connect = socket.socket.connect
def local_only(self, address):
    assert address[0] in ("127.0.0.1", "localhost"), f"the test must not leave this machine: {address}"
    return connect(self, address)
socket.socket.connect = local_only
from tcia_utils import nbia
nbia.setApiUrl = lambda endpoint, api_url="": f"{sys.argv[1]}/v4/"
"""


@pytest.fixture
def archive() -> Iterator[ServedArchive]:
    with serve_archive(small_catalogue(SERIES, images=IMAGES)) as served:
        yield served


def adopt(archive: ServedArchive, tree: Path, library: Path, *flags: str) -> Ended:
    return run_command("adopt", tree, "--archive", archive.sandbox.base_url, "-o", library, "--json", *flags)


def zip_of(archive: ServedArchive, series_instance_uid: str) -> bytes:
    """What getImage sends, the way other programs ask."""
    address = f"{archive.sandbox.base_url}/v4/getImage?SeriesInstanceUID={series_instance_uid}&NewFileNames=Yes"
    with urlopen(address) as reply:  # noqa: S310 - our own sandbox
        content: bytes = reply.read()
    return content


def series_of(archive: ServedArchive) -> list[SandboxSeries]:
    return [holding.series for holding in archive.sandbox.catalogue.holdings.values()]


def unpack_all(archive: ServedArchive, tree: Path, shape: str) -> None:
    """A tree as other programs make it: one folder for each series, named after it in their way."""
    for number, series in enumerate(series_of(archive)):
        name = series.series_instance_uid
        folder = {
            "tcia_utils": tree / name,
            "NBIA Data Retriever, classic": tree / "Sandbox" / "SB-0001" / "1.2.3" / name,
            "NBIA Data Retriever, descriptive": tree
            / "m"
            / "Sandbox"
            / "SB-0001"
            / "01-02-2000-NA-CT-12345"
            / f"{number}.000000-AX-{name[-5:]}",
            "everything in one folder": tree,
        }[shape]
        with zipfile.ZipFile(io.BytesIO(zip_of(archive, name))) as content:
            for member in content.namelist():
                target = folder / (member if folder != tree or member == "LICENSE" else f"{number}-{member}")
                target.parent.mkdir(parents=True, exist_ok=True)
                target.write_bytes(content.read(member))
    (tree / "metadata.csv").write_text("Series UID,Collection\n")


def contents_of(tree: Path) -> dict[Path, bytes]:
    return {path: path.read_bytes() for path in sorted(tree.rglob("*")) if path.is_file()}


@pytest.mark.parametrize(
    "shape", ["tcia_utils", "NBIA Data Retriever, classic", "NBIA Data Retriever, descriptive", "everything in one folder"]
)
@pytest.mark.parametrize("flags", [(), ("--copy",)])
def test_a_whole_tree_is_adopted_without_a_download(
    archive: ServedArchive, tmp_path: Path, shape: str, flags: tuple[str, ...]
) -> None:
    """The library is as a run would have made it; the tree is as it was; a run afterwards has nothing to do."""
    tree = tmp_path / "tree"
    unpack_all(archive, tree, shape)
    before, downloads = contents_of(tree), archive.downloads

    ended = adopt(archive, tree, tmp_path / "m" / "library", *flags)

    assert ended.exit_code == 0, ended.stdout + ended.stderr
    assert ended.document["series"] == {"adopted": SERIES, "already_complete": 0, "left": 0}
    assert ended.document["images"] == SERIES * IMAGES
    mirror = mirror_of(archive, tmp_path / "m")
    assert_mirrors(mirror.library, archive)
    assert contents_of(tree) == before
    image = next(mirror.library.rglob("*.dcm"))
    assert (image.stat().st_nlink == 1) == bool(flags)
    after = mirror.run()
    assert after.document["series"]["already_complete"] == SERIES
    assert archive.downloads == downloads
    assert len((mirror.library / "metadata.csv").read_text().splitlines()) == SERIES + 1


@pytest.mark.peer
@pytest.mark.needs("tcia_utils")
def test_what_the_real_tcia_utils_made_is_adopted(archive: ServedArchive, tmp_path: Path) -> None:
    """Folders and ZIPs, as its current release leaves them."""
    names = [series.series_instance_uid for series in series_of(archive)]
    program = TCIA_UTILS + (
        "nbia.downloadSeries(sys.argv[3:5], path=sys.argv[2] + '/folders', input_type='list')\n"
        "nbia.downloadSeries(sys.argv[5:], path=sys.argv[2] + '/zips', input_type='list', as_zip=True)\n"
    )
    tree = tmp_path / "tree"
    tree.mkdir()
    made = subprocess.run(
        [sys.executable, "-c", program, archive.sandbox.base_url, tree, *names],
        env=clean_environment(),
        capture_output=True,
        text=True,
        check=False,
    )
    assert made.returncode == 0, made.stderr
    assert len(list(tree.rglob("*.zip"))) == 2, made.stderr
    downloads = archive.downloads

    ended = adopt(archive, tree, tmp_path / "library")

    assert ended.exit_code == 0, ended.stdout + ended.stderr
    assert ended.document["series"]["adopted"] == SERIES
    assert archive.downloads == downloads
    assert_mirrors(tmp_path / "library", archive)


def test_zips_are_adopted_as_zips_where_the_library_keeps_them(archive: ServedArchive, tmp_path: Path) -> None:
    """Byte by byte; what lies there in folders is adopted as images all the same."""
    first, *others = (series.series_instance_uid for series in series_of(archive))
    tree = tmp_path / "tree"
    tree.mkdir()
    for name in others:
        (tree / f"{name}.zip").write_bytes(zip_of(archive, name))
    with zipfile.ZipFile(io.BytesIO(zip_of(archive, first))) as content:
        content.extractall(tree / first)

    ended = run_command(
        *("adopt", tree, "--archive", archive.sandbox.base_url, "-o", tmp_path / "library", "--json"),
        environment={"TCIAD_FORMAT": "zip"},
    )

    assert ended.exit_code == 0, ended.stdout + ended.stderr
    assert ended.document["series"]["adopted"] == SERIES
    receipts = receipts_of(tmp_path / "library")
    assert {name for name, (_, receipt) in receipts.items() if receipt["zip"]} == set(others)
    for name in others:
        folder, _ = receipts[name]
        assert (folder / f"{name}.zip").read_bytes() == (tree / f"{name}.zip").read_bytes()


def test_what_is_not_proven_is_left_and_said(archive: ServedArchive, tmp_path: Path) -> None:
    """Half a series, a flipped bit, and one that the archive does not have: each with its reason; the rest is adopted."""
    tree = tmp_path / "tree"
    unpack_all(archive, tree, "tcia_utils")
    half, rotten, *whole = sorted(path for path in tree.iterdir() if path.is_dir())
    min(half.glob("*.dcm")).unlink()
    image = min(rotten.glob("*.dcm"))
    content = bytearray(image.read_bytes())
    content[-Random(1).randrange(2, 200)] ^= 1
    image.write_bytes(content)
    with serve_archive(small_catalogue(SERIES + 1, images=IMAGES)) as larger:
        stranger = min(set(larger.public_series()) - set(archive.public_series()))
        with zipfile.ZipFile(io.BytesIO(zip_of(larger, stranger))) as unknown:
            unknown.extractall(tree / stranger)

    ended = adopt(archive, tree, tmp_path / "library")

    assert ended.exit_code == 3
    assert ended.document["series"] == {"adopted": len(whole), "already_complete": 0, "left": 3}
    assert {(left["kind"], left["series_instance_uid"]) for left in ended.document["left"]} == {
        ("IncompleteSeries", half.name),
        ("DigestMismatch", rotten.name),
        ("SeriesWithdrawn", stranger),
    }
    assert sorted(receipts_of(tmp_path / "library")) == [path.name for path in whole]


def test_the_rest_is_fetched_by_a_run(archive: ServedArchive, tmp_path: Path) -> None:
    """Adopt, then run: only what was not whole is downloaded."""
    tree = tmp_path / "tree"
    unpack_all(archive, tree, "tcia_utils")
    shutil.rmtree(min(path for path in tree.iterdir() if path.is_dir()))
    mirror = mirror_of(archive, tmp_path / "m")
    assert adopt(archive, tree, mirror.library).exit_code == 0
    downloads = archive.downloads

    assert mirror.run().exit_code == 0
    assert archive.downloads == downloads + 1
    assert_mirrors(mirror.library, archive)


def test_what_is_adopted_without_md5s_is_told_and_proven_by_the_next_run(tmp_path: Path) -> None:
    """The archive has MD5s in the lists of its ZIPs only: `--md5 auto` takes the tree, and the run fetches the lists."""
    no_single = Fault(kind=FaultKind.STATUS, status=404, endpoints=("getMD5HashForImage", "getMD5Hierarchy"))
    with serve_archive(small_catalogue(SERIES, images=IMAGES), [no_single]) as archive:
        tree, mirror = tmp_path / "tree", mirror_of(archive, tmp_path / "m")
        unpack_all(archive, tree, "tcia_utils")
        refused = adopt(archive, tree, mirror.library)
        assert (refused.exit_code, refused.document["series"]["left"]) == (3, SERIES)
        taken = adopt(archive, tree, mirror.library, "--md5", "auto")
        assert taken.exit_code == 0, taken.stdout + taken.stderr
        assert taken.document["proof"] == {"all": 0, "some": 0, "none": SERIES}
        proof = mirror.run().document["proof"]
        assert (proof["all"], proof["none"], proof["proven_again"]) == (SERIES, 0, SERIES)


def test_adopting_again_changes_nothing(archive: ServedArchive, tmp_path: Path) -> None:
    """What is complete is neither read whole nor asked for again."""
    tree = tmp_path / "tree"
    unpack_all(archive, tree, "tcia_utils")
    assert adopt(archive, tree, tmp_path / "library").exit_code == 0
    asked = archive.sandbox.count("getMD5Hierarchy")

    again = adopt(archive, tree, tmp_path / "library")

    assert (again.exit_code, again.document["series"]["already_complete"]) == (0, SERIES)
    assert archive.sandbox.count("getMD5Hierarchy") == asked


def test_a_broken_zip_is_left(archive: ServedArchive, tmp_path: Path) -> None:
    """A ZIP that was cut, and a file that is not a ZIP."""
    tree = tmp_path / "tree"
    tree.mkdir()
    cut, none = [series.series_instance_uid for series in series_of(archive)][:2]
    (tree / f"{cut}.zip").write_bytes(zip_of(archive, cut)[:-30])
    (tree / f"{none}.zip").write_bytes(b"<html>")

    ended = adopt(archive, tree, tmp_path / "library")

    assert ended.exit_code == 3
    assert {left["series_instance_uid"]: left["kind"] for left in ended.document["left"]} == {
        cut: "TruncatedZip",
        none: "CorruptZip",
    }
    assert receipts_of(tmp_path / "library") == {}


@pytest.mark.parametrize("tree", ["nothing", "file", "library"])
def test_a_tree_that_is_none_is_refused(archive: ServedArchive, tmp_path: Path, tree: str) -> None:
    """Exit 2 and a sentence: no such folder, a file, the library itself."""
    (tmp_path / "file").write_text("")
    (tmp_path / "library").mkdir()

    ended = adopt(archive, tmp_path / tree, tmp_path / "library")

    assert ended.exit_code == 2
    assert "Traceback" not in ended.stderr
    assert str(tmp_path / tree) in ended.stderr


def test_an_archive_that_is_not_there(tmp_path: Path) -> None:
    """Exit 4: nothing can be proven, so nothing is said of the series."""
    with serve_archive(small_catalogue(1)) as gone:
        unpack_all(gone, tmp_path / "tree", "tcia_utils")

    ended = adopt(gone, tmp_path / "tree", tmp_path / "library")

    assert ended.exit_code == 4
    assert receipts_of(tmp_path / "library") == {}
