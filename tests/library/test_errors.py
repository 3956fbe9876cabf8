"""The operating system's errors, and real disks that are full or read-only."""

import errno
import os
import resource
import subprocess
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from downloader.errors import LibraryError, NoSpaceError
from downloader.library.local.filesystem import FileSystemErrors
from downloader.library.local.library import LocalLibrary
from downloader.model import ImageStarted
from tests.library.series_streams import SERIES, dicom_file, members_of, receipt_of, store, take, take_all
from tests.tools import require_tool, skip_for_want

pytestmark = pytest.mark.anyio


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 256 kB."""
    folder = tmp_path / "disk"
    folder.mkdir()
    require_tool("root")
    require_tool("mount")
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=256k", "tmpfs", folder], capture_output=True, check=False)
    if mounted.returncode:
        skip_for_want(f"a small tmpfs cannot be mounted here: {mounted.stderr.decode().strip()}")
    yield folder
    subprocess.run(["umount", "-l", folder], check=True)


@pytest.mark.parametrize("number", sorted(errno.errorcode))
def test_every_error_of_the_system_becomes_ours(number: int) -> None:
    """With the place, the series, the system's reason, what to do, and the original as its cause."""
    root = Path("/library")
    with pytest.raises(LibraryError) as failed, FileSystemErrors(root, series_instance_uid="1.2"):
        raise OSError(number, os.strerror(number), "/library/a/b")
    assert isinstance(failed.value, NoSpaceError) == (number in (errno.ENOSPC, errno.EDQUOT))
    assert failed.value.series_instance_uid == "1.2"
    assert f"at a/b: {os.strerror(number)}" in failed.value.what
    assert failed.value.next_step
    assert isinstance(failed.value.__cause__, OSError)


@pytest.mark.parametrize("filename", [None, 7, "part"])
def test_an_error_without_a_path_names_the_place_of_work(filename: object) -> None:
    """Writing to an open file does not say which it was."""
    with (
        pytest.raises(LibraryError, match=r"at \.tciad/staging/1\.2: "),
        FileSystemErrors(Path("/l"), place=".tciad/staging/1.2"),
    ):
        raise OSError(errno.EIO, "Input/output error", filename)


def test_other_errors_pass() -> None:
    """Only the system's are translated."""
    with pytest.raises(KeyError), FileSystemErrors(Path("/l")):
        raise KeyError


async def test_a_disk_that_fills_up_is_said_to_be_full(small_disk: Path) -> None:
    """In mid-image; after the staging is discarded a small series fits again."""
    library = LocalLibrary(small_disk)
    assert await library.state.free_bytes() <= 256 * 1024
    staging = library.begin(SERIES)
    with pytest.raises(NoSpaceError, match=r"no space left, at \.tciad/staging"):
        take_all(staging, {"1-1.dcm": dicom_file(SERIES, 1) + bytes(300_000)}, chunk_bytes=50_000)
    staging.discard()
    store(library, SERIES)
    assert library.find_receipt(SERIES) is not None


async def test_a_full_disk_at_commit_leaves_the_old_series(small_disk: Path) -> None:
    """The receipt does not fit: what was in the library is still there, whole."""
    library = LocalLibrary(small_disk)
    store(library, SERIES)
    staging = library.begin(SERIES)
    take_all(staging, members_of(SERIES))
    with (small_disk / "filler").open("wb") as filler:
        os.posix_fallocate(filler.fileno(), 0, await library.state.free_bytes())
    with pytest.raises(NoSpaceError):
        staging.commit(receipt_of(SERIES, staging.named_images()))
    staging.discard()
    assert library.find_receipt(SERIES) is not None
    assert await library.leftovers.clear_staging() == 0


def test_a_series_that_would_not_leave_enough_is_not_begun(small_disk: Path) -> None:
    """Before its first byte, when the catalogue says how large it is."""
    library = LocalLibrary(small_disk, min_free_bytes=200_000)
    with pytest.raises(NoSpaceError, match=r"100,000 bytes more would not leave 200,000 of the .*min_free_space"):
        library.begin(replace(SERIES, file_size_bytes=100_000))
    library.begin(replace(SERIES, file_size_bytes=10_000)).discard()


def test_room_that_others_took_meanwhile_is_missed_at_the_next_image(small_disk: Path) -> None:
    """What must stay free stays free, whatever the catalogue said and whichever program writes beside tciad."""
    library = LocalLibrary(small_disk, min_free_bytes=200_000)
    staging = library.begin(SERIES)
    take_all(staging, {"1-1.dcm": dicom_file(SERIES, 1)})
    (small_disk / "another").write_bytes(bytes(60_000))
    with pytest.raises(NoSpaceError):
        take(staging, ImageStarted("1-2.dcm"))
    staging.discard()


def test_a_read_only_disk_is_said_when_the_library_is_opened(small_disk: Path) -> None:
    """And in mid-work, should it become one."""
    library = LocalLibrary(small_disk)
    staging = library.begin(SERIES)
    subprocess.run(["mount", "-o", "remount,ro", small_disk], check=True)
    with pytest.raises(LibraryError, match="Read-only file system; mount the file system so"):
        LocalLibrary(small_disk)
    with pytest.raises(LibraryError, match="Read-only file system"):
        take(staging, ImageStarted("1-1.dcm"))
    with pytest.raises(LibraryError, match="Read-only file system"):
        staging.discard()


def test_a_link_to_another_disk_is_said_to_be_one(small_disk: Path, tmp_path: Path) -> None:
    """A series is renamed into place, and that cannot cross to another file system."""
    library = LocalLibrary(tmp_path / "library")
    (tmp_path / "library" / "LIDC-IDRI").symlink_to(small_disk)
    with pytest.raises(LibraryError, match="keep the whole library on one file system"):
        store(library, SERIES)


def test_too_few_open_files_are_said_to_be_too_few(tmp_path: Path) -> None:
    """The advice is one that can be followed."""
    library = LocalLibrary(tmp_path)
    staging = library.begin(SERIES)
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (3, hard))
    try:
        with pytest.raises(LibraryError, match=r"ulimit -n"):
            take(staging, ImageStarted("1-1.dcm"))
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    staging.discard()
