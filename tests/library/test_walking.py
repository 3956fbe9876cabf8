"""The walk through a library: each series once, for any number of threads, with the content of its folder."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path, PurePosixPath

import pytest

from downloader.errors import DamagedReceiptError, LibraryError
from downloader.library.local.library import LocalLibrary
from downloader.library.local.walking import TreeWalk
from downloader.library.receipt import RECEIPT_NAME
from downloader.model import Series
from tests.library.series_streams import SERIES, store

pytestmark = pytest.mark.anyio

MANY = [replace(SERIES, series_instance_uid=f"1.2.{number}", patient_id=f"P-{number % 7}") for number in range(60)]


def fill(root: Path, series: list[Series]) -> dict[str, PurePosixPath]:
    """A library of these; the folder of each."""
    library = LocalLibrary(root)
    return {one.series_instance_uid: store(library, one) for one in series}


@pytest.mark.parametrize("with_contents", [True, False])
def test_one_thread_finds_every_series_in_the_order_of_the_names(with_contents: bool, tmp_path: Path) -> None:
    """Page by page; then nothing more, however often it is asked."""
    folders = fill(tmp_path, MANY)
    walk = TreeWalk(tmp_path, with_contents=with_contents)
    found = []
    while page := walk.take(7):
        assert len(page) <= 7
        found += [one.folder for one in page]
    assert found == sorted(folders.values(), key=lambda folder: folder.parts)
    assert list(walk.take(7)) == []


def test_threads_side_by_side_find_each_series_once(tmp_path: Path) -> None:
    """None ends before the others have found everything, and none twice."""
    folders = fill(tmp_path, MANY)
    walk = TreeWalk(tmp_path, with_contents=True)

    def take_all(_number: int) -> list[PurePosixPath]:
        taken = []
        while page := walk.take(3):
            taken += [one.folder for one in page]
        return taken

    with ThreadPoolExecutor(8) as threads:
        found = [folder for taken in threads.map(take_all, range(8)) for folder in taken]
    assert sorted(found) == sorted(folders.values())


async def test_what_lies_in_a_folder_is_told_as_the_library_tells_it(tmp_path: Path) -> None:
    """Sizes of files, by way of links too; nothing for folders and for links that lead nowhere."""
    (folder,) = fill(tmp_path, [SERIES]).values()
    path = tmp_path / folder
    (path / "folder").mkdir()
    (path / "lost").symlink_to("nowhere")
    (path / "link").symlink_to(next(path.glob("*.dcm")))
    (found,) = TreeWalk(tmp_path, with_contents=True).take(9)
    assert found.contents == await LocalLibrary(tmp_path).reader.contents(folder)
    assert {name for name, size_bytes in found.contents.items() if size_bytes is None} == {"folder", "lost"}


def test_a_receipt_that_cannot_be_believed_is_told(tmp_path: Path) -> None:
    """With its folder."""
    (folder,) = fill(tmp_path, [SERIES]).values()
    (tmp_path / folder / RECEIPT_NAME).write_text("{")
    (found,) = TreeWalk(tmp_path, with_contents=True).take(9)
    assert found.folder == folder
    assert isinstance(found.receipt, DamagedReceiptError)


def test_a_receipt_that_cannot_be_read_keeps_no_other_thread_waiting(tmp_path: Path) -> None:
    """The thread that met it raises; the others find the rest."""
    folders = fill(tmp_path, MANY)
    unreadable = tmp_path / folders["1.2.30"] / RECEIPT_NAME
    unreadable.unlink()
    unreadable.mkdir()
    walk = TreeWalk(tmp_path, with_contents=True)

    def take_all(_number: int) -> int:
        taken = 0
        try:
            while page := walk.take(1):
                taken += len(page)
        except LibraryError:
            return taken - 1000
        return taken

    with ThreadPoolExecutor(4) as threads:
        assert sum(threads.map(take_all, range(4))) == len(MANY) - 1 - 1000
