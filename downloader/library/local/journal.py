"""The journal of an attempt in staging, for later attempts, also of other processes; and the images in it.

The journal is next to the staging folder, so that it never gets into the library. A line is appended per complete image, without
a sync: after a power failure the journal may have images that the disk lacks, so each is hashed again before it is trusted.
Raises OSError; see filesystem.py.
"""

import errno
import hashlib
import json
import os
import stat
from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Final

from pydantic import TypeAdapter, ValidationError

from downloader.errors import DamagedReceiptError
from downloader.library.local.filesystem import remove_folder, write_all
from downloader.library.receipt import RECEIPT_NAME, decode_receipt
from downloader.model import VERSION_ATTRIBUTES, Series, StagedImage

JOURNAL_SUFFIX = ".jsonl"
_APPEND = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW | os.O_CLOEXEC


@dataclass(frozen=True, slots=True, kw_only=True)
class _Line:
    """A line has one of these. Absent ones have no meaning."""

    series: Series | None = None
    image: StagedImage | None = None
    license_text: str | None = None
    received_bytes: int = 0
    broken_streams: int = 0


_LINE: Final = TypeAdapter(_Line)
_SERIES: Final = TypeAdapter(Series)
_IMAGE_ATTRIBUTES: Final = tuple(attribute.name for attribute in fields(StagedImage))
# text of any bytes, stored unchanged
_LICENSE_ENCODING = "latin-1"


@dataclass(frozen=True, slots=True, kw_only=True)
class Staged:
    """The content of a journal: the series with its figures in the catalogue, and the results of earlier attempts.

    `images` are by SOP Instance UID; `received_bytes` and `broken_streams` are sums over attempts that recorded them.
    """

    series: Series
    images: Mapping[str, StagedImage] = field(default_factory=dict)
    license_text: bytes | None = None
    received_bytes: int = 0
    broken_streams: int = 0

    @property
    def is_empty(self) -> bool:
        """Whether there is nothing that a later attempt could use."""
        return not (self.images or self.received_bytes or self.broken_streams)


def journal_path(folder: Path) -> Path:
    """The path of the journal of a staging folder."""
    return folder.with_name(f"{folder.name}{JOURNAL_SUFFIX}")


class Journal:
    """Appends to the journal at `path`, which begins with its first line. Raises OSError; see filesystem.py."""

    __slots__ = ("_descriptor", "_path", "_series")

    def __init__(self, path: Path, series: Series) -> None:
        self._path = path
        self._series = series
        self._descriptor = -1

    def note_image(self, image: StagedImage) -> None:
        """Record a complete image. It replaces an earlier one with the same SOP Instance UID."""
        self._append({"image": {name: getattr(image, name) for name in _IMAGE_ATTRIBUTES}})

    def note_license(self, text: bytes) -> None:
        """Record the licence."""
        self._append({"license_text": text.decode(_LICENSE_ENCODING)})

    def note_attempt(self, *, received_bytes: int, broken_streams: int) -> None:
        """Record the end of an incomplete attempt."""
        if received_bytes or broken_streams:
            self._append({"received_bytes": received_bytes, "broken_streams": broken_streams})

    def rewrite(self, staged: Staged) -> None:
        """Replace the content, without a torn end. Call it only before anything is recorded."""
        new = self._path.with_suffix(".new")
        new.unlink(missing_ok=True)
        writer = Journal(new, staged.series)
        try:
            for image in staged.images.values():
                writer.note_image(image)
            if staged.license_text is not None:
                writer.note_license(staged.license_text)
            writer.note_attempt(received_bytes=staged.received_bytes, broken_streams=staged.broken_streams)
        finally:
            writer.close()
        new.replace(self._path)

    def close(self) -> None:
        """Close the file. Safe to call twice."""
        if self._descriptor >= 0:
            descriptor, self._descriptor = self._descriptor, -1
            os.close(descriptor)

    def remove(self) -> None:
        """Close and remove the file, if it exists."""
        self.close()
        self._path.unlink(missing_ok=True)

    def _append(self, line: dict[str, object]) -> None:
        if self._descriptor < 0:
            self._descriptor = os.open(self._path, _APPEND, 0o666)
            if not os.fstat(self._descriptor).st_size:
                figures = _SERIES.dump_python(_figures(self._series), mode="json", exclude_defaults=True)
                write_all(self._descriptor, _encode({"series": figures}))
        write_all(self._descriptor, _encode(line))


def read_journal(path: Path) -> Staged | None:
    """The content of the journal, up to the first torn or unknown line; None if there is no readable journal."""
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        return None
    first, *lines = content.split(b"\n")
    series = _series_in(first)
    if series is None:
        return None
    return _add_up(Staged(series=series), lines[:-1])


def read_series(path: Path) -> Series | None:
    """The series of the journal; None if it cannot be read."""
    with os.fdopen(os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC), "rb") as file:
        return _series_in(file.readline())


def _series_in(line: bytes) -> Series | None:
    try:
        return _LINE.validate_json(line, strict=True).series
    except ValidationError:
        return None


def _add_up(staged: Staged, lines: list[bytes]) -> Staged:
    images: dict[str, StagedImage] = {}
    for content in lines:
        try:
            line = _LINE.validate_json(content, strict=True)
        except ValidationError:
            break
        if line.image is not None:
            # removed first, so that the newest is the last
            images.pop(line.image.sop_instance_uid, None)
            images[line.image.sop_instance_uid] = line.image
        if line.license_text is not None:
            staged = replace(staged, license_text=line.license_text.encode(_LICENSE_ENCODING, "replace"))
        staged = replace(
            staged,
            received_bytes=staged.received_bytes + line.received_bytes,
            broken_streams=staged.broken_streams + line.broken_streams,
        )
    return replace(staged, images=images)


def _figures(series: Series) -> Series:
    """The values that distinguish versions of a series."""
    figures = {name: getattr(series, name) for name in VERSION_ATTRIBUTES}
    return Series(series_instance_uid=series.series_instance_uid, **figures)


def _encode(line: dict[str, object]) -> bytes:
    # a lone surrogate cannot be encoded in UTF-8; such a name only comes from a broken ZIP, and is never a path
    return json.dumps(line, ensure_ascii=False).encode("utf-8", "replace") + b"\n"


def part_name(position: int) -> str:
    """The name of a staged image: never the archive's name."""
    return f"{position:08d}.part"


def salvage(folder: Path, series: Series) -> Staged:
    """Keep the images of `folder` that are unchanged since the journal recorded them, and remove the rest.

    Nothing is kept if the catalogue has another version of the series now. Without a journal there is nothing to keep, and
    nothing is done: the code that creates the folder removes old content.
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
    """The images whose files have the recorded content."""
    final_names = _final_names(folder)
    images = {}
    for sop_instance_uid, image in noted.images.items():
        part = folder / part_name(image.position)
        if sop_instance_uid in final_names and not os.path.lexists(part):
            # killed while it was renamed for the library
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
        return False  # a bad sector: the image is fetched again, to another one
    return digest.hexdigest() == image.md5


def _remove_others(folder: Path, kept: set[str]) -> None:
    for path in list(folder.iterdir()):
        if path.name in kept:
            continue
        if path.is_dir() and not path.is_symlink():
            remove_folder(path)
        else:
            path.unlink()
