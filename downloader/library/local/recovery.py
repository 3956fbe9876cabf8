"""What an earlier attempt left in staging, as far as it can be believed. Raises OSError; see errors.py."""

import errno
import hashlib
import os
import stat
from dataclasses import replace
from pathlib import Path

from downloader.errors import DamagedReceiptError
from downloader.library.local.filesystem import remove_folder
from downloader.library.local.journal import Journal, Staged, journal_path, read_journal
from downloader.library.receipt import RECEIPT_NAME, decode_receipt
from downloader.model import Series, StagedImage


def part_name(position: int) -> str:
    """What a staged image is called: never what the archive calls it."""
    return f"{position:08d}.part"


def salvage(folder: Path, series: Series) -> Staged:
    """Keep of `folder` and its journal what is as it was noted, and nothing else.

    Nothing is kept of a series that the catalogue describes otherwise now. Without a journal nothing was left that could be kept,
    and nothing is done: whoever makes the folder removes what lies there.
    """
    if not os.path.lexists(journal_path(folder)):
        return Staged(series=series)
    journal = Journal(journal_path(folder), series)
    noted = read_journal(journal_path(folder))
    if noted is None or not _is_of(noted, series) or folder.is_symlink() or not folder.is_dir():
        remove_folder(folder)
        journal.remove()
        return Staged(series=series)
    images = _verified(folder, noted, series)
    _remove_others(folder, {part_name(image.position) for image in images.values()})
    staged = replace(noted, series=series, images=images)
    if staged.is_empty:
        journal.remove()
    else:
        journal.rewrite(staged)
    return staged


def _is_of(noted: Staged, series: Series) -> bool:
    is_same = noted.series.series_instance_uid == series.series_instance_uid
    return is_same and not noted.series.version.differs_from(series.version)


def _verified(folder: Path, noted: Staged, series: Series) -> dict[str, StagedImage]:
    """The images whose files hold what was noted."""
    final_names = _final_names(folder)
    images = {}
    for sop_instance_uid, image in noted.images.items():
        part = folder / part_name(image.position)
        if sop_instance_uid in final_names and not os.path.lexists(part):
            # killed while it was made ready for the library
            part = _renamed_back(folder / final_names[sop_instance_uid], part)
        if image.series_instance_uid == series.series_instance_uid and _holds(part, image):
            images[sop_instance_uid] = image
    return images


def _final_names(folder: Path) -> dict[str, str]:
    """The names that a killed commit has given, or was about to give, by SOP Instance UID."""
    try:
        receipt = decode_receipt((folder / RECEIPT_NAME).read_bytes())
    except (FileNotFoundError, IsADirectoryError, DamagedReceiptError):
        return {}
    return {image.sop_instance_uid: image.name for image in receipt.images}


def _renamed_back(final: Path, part: Path) -> Path:
    if os.path.lexists(final):
        final.rename(part)
    return part


def _holds(path: Path, image: StagedImage) -> bool:
    try:
        status = path.lstat()
    except FileNotFoundError:
        return False
    if not stat.S_ISREG(status.st_mode) or status.st_size != image.size_bytes:
        return False
    try:
        with path.open("rb", buffering=0) as file:
            digest = hashlib.file_digest(file, lambda: hashlib.md5(usedforsecurity=False))
    except OSError as error:
        if error.errno != errno.EIO:
            raise
        return False  # a bad sector: the image comes again, to another one
    return digest.hexdigest() == image.md5


def _remove_others(folder: Path, kept: set[str]) -> None:
    for path in list(folder.iterdir()):
        if path.name in kept:
            continue
        if path.is_dir() and not path.is_symlink():
            remove_folder(path)
        else:
            path.unlink()
