"""What verifying asks of a library: what lies in its folders, what files hash to, and a place for what is wrong."""

from datetime import UTC, datetime
from pathlib import Path, PurePosixPath

import pytest

from downloader.errors import DamagedReceiptError, LibraryError
from downloader.library.local.library import LocalLibrary
from downloader.library.receipt import RECEIPT_NAME
from downloader.model import Receipt
from tests.library.series_streams import SERIES, folders_of, md5_of, receipts_of, store

pytestmark = pytest.mark.anyio

AT = datetime(2026, 11, 23, 12, 30, 15, tzinfo=UTC)


async def test_damaged_receipts_are_told(tmp_path: Path) -> None:
    """They are folders of series all the same."""
    library = LocalLibrary(tmp_path)
    folder = store(library, SERIES)
    ((found, receipt),) = await folders_of(library)
    assert found == folder
    assert isinstance(receipt, Receipt)
    assert await library.reader.receipt_in(folder) == receipt
    (tmp_path / folder / RECEIPT_NAME).write_bytes(b"{")
    ((found, damage),) = await folders_of(library)
    assert found == folder
    assert isinstance(damage, DamagedReceiptError)
    with pytest.raises(DamagedReceiptError):
        await library.reader.receipt_in(folder)
    assert await library.reader.receipt_in(folder.parent) is None
    assert await library.reader.receipt_in(PurePosixPath("not/there")) is None


async def test_contents_of_a_folder(tmp_path: Path) -> None:
    """Files by size, everything else by name; what is absent holds nothing."""
    library = LocalLibrary(tmp_path)
    folder = store(library, SERIES)
    (tmp_path / folder / "notes").mkdir()
    (tmp_path / folder / "lost").symlink_to("nowhere")
    ((_, receipt),) = await receipts_of(library)
    sizes = {image.name: image.size_bytes for image in receipt.images}
    assert await library.reader.contents(folder) == {**sizes, "notes": None, "lost": None}
    assert await library.reader.contents(PurePosixPath("not/there")) == {}
    assert await library.reader.contents(folder / receipt.images[0].name) == {}


async def test_images_are_hashed_from_the_disk(tmp_path: Path) -> None:
    """Whatever their size; of one that cannot be read the reason is given."""
    library = LocalLibrary(tmp_path)
    folder = store(library, SERIES)
    ((_, receipt),) = await receipts_of(library)
    hashed = await library.reader.hash_images(folder, [image.name for image in receipt.images])
    assert [(one.name, one.md5) for one in hashed] == [(image.name, image.md5) for image in receipt.images]
    large = bytes(range(256)) * 10_000
    (tmp_path / folder / "large").write_bytes(large)
    found, lost = await library.reader.hash_images(folder, ["large", "not-there"])
    assert (found.md5, found.unreadable, lost.md5) == (md5_of(large), "", "")
    assert "not-there" in lost.unreadable


async def test_what_is_wrong_is_set_aside(tmp_path: Path) -> None:
    """A folder whole, a file in a folder of its own; two of one second lie beside each other, and nothing is lost."""
    library = LocalLibrary(tmp_path)
    folder = store(library, SERIES)
    (tmp_path / folder / "notes.txt").write_text("mine")
    uid = SERIES.series_instance_uid
    assert await library.maintenance.quarantine(folder / "notes.txt", uid, AT) == PurePosixPath(
        f".tciad/quarantine/20261123T123015Z-{uid}/notes.txt"
    )
    moved = await library.maintenance.quarantine(folder, uid, AT)
    assert moved == PurePosixPath(f".tciad/quarantine/20261123T123015Z-{uid}-2")
    assert len(list((tmp_path / moved).iterdir())) == 4
    assert await folders_of(library) == []
    assert not (tmp_path / folder).exists()
    with pytest.raises(LibraryError):
        await library.maintenance.quarantine(folder, "../../x", AT)
