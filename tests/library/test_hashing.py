"""What verifying asks of a library: what lies in its folders, what files hash to, and a place for what is wrong."""

from datetime import UTC, datetime
from pathlib import Path, PurePosixPath

import pytest

from downloader.errors import DamagedReceiptError, LibraryError
from downloader.library.local.library import LocalLibrary
from downloader.library.receipt import RECEIPT_NAME
from downloader.model import Receipt
from tests.library.series_streams import SERIES, md5_of, store

AT = datetime(2026, 11, 23, 12, 30, 15, tzinfo=UTC)


def test_damaged_receipts_are_told(tmp_path: Path) -> None:
    """They are folders of series all the same."""
    library = LocalLibrary(tmp_path)
    folder = store(library, SERIES)
    ((found, receipt),) = library.folders()
    assert found == folder
    assert isinstance(receipt, Receipt)
    assert library.receipt_in(folder) == receipt
    (tmp_path / folder / RECEIPT_NAME).write_bytes(b"{")
    ((found, damage),) = library.folders()
    assert found == folder
    assert isinstance(damage, DamagedReceiptError)
    with pytest.raises(DamagedReceiptError):
        library.receipt_in(folder)
    assert library.receipt_in(folder.parent) is None
    assert library.receipt_in(PurePosixPath("not/there")) is None


def test_contents_of_a_folder(tmp_path: Path) -> None:
    """Files by size, everything else by name; what is absent holds nothing."""
    library = LocalLibrary(tmp_path)
    folder = store(library, SERIES)
    (tmp_path / folder / "notes").mkdir()
    (tmp_path / folder / "lost").symlink_to("nowhere")
    ((_, receipt),) = library.receipts()
    sizes = {image.name: image.size_bytes for image in receipt.images}
    assert library.contents(folder) == {**sizes, "notes": None, "lost": None}
    assert library.contents(PurePosixPath("not/there")) == {}
    assert library.contents(folder / receipt.images[0].name) == {}


def test_images_are_hashed_from_the_disk(tmp_path: Path) -> None:
    """Whatever their size; one that cannot be read is an error."""
    library = LocalLibrary(tmp_path)
    folder = store(library, SERIES)
    ((_, receipt),) = library.receipts()
    assert [library.hash_image(folder, image.name) for image in receipt.images] == [image.md5 for image in receipt.images]
    large = bytes(range(256)) * 10_000
    (tmp_path / folder / "large").write_bytes(large)
    assert library.hash_image(folder, "large") == md5_of(large)
    with pytest.raises(LibraryError, match="not-there"):
        library.hash_image(folder, "not-there")


def test_what_is_wrong_is_set_aside(tmp_path: Path) -> None:
    """A folder whole, a file in a folder of its own; two of one second lie beside each other, and nothing is lost."""
    library = LocalLibrary(tmp_path)
    folder = store(library, SERIES)
    (tmp_path / folder / "notes.txt").write_text("mine")
    uid = SERIES.series_instance_uid
    assert library.quarantine(folder / "notes.txt", uid, AT) == PurePosixPath(
        f".tciad/quarantine/20261123T123015Z-{uid}/notes.txt"
    )
    moved = library.quarantine(folder, uid, AT)
    assert moved == PurePosixPath(f".tciad/quarantine/20261123T123015Z-{uid}-2")
    assert len(list((tmp_path / moved).iterdir())) == 4
    assert list(library.folders()) == []
    assert not (tmp_path / folder).exists()
    with pytest.raises(LibraryError):
        library.quarantine(folder, "../../x", AT)
