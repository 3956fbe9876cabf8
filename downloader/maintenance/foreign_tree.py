"""Trees of other programs: which files are images, and of which series. Reading changes nothing in them.

Only the content of a file counts, not its name. Links are not followed.
"""

import hashlib
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from downloader.dicomstream import HEAD_BYTES, DicomIdentity, DicomScanner, read_leniently
from downloader.errors import NotDicomError
from downloader.library.model import ForeignImage
from downloader.model import StagedImage, is_dicom_uid
from downloader.own_folder import OWN_FOLDER
from downloader.zipstream import LONGEST_TEXT_BYTES

FILES_AT_ONCE: Final = 256
BLOCK_BYTES: Final = 1024 * 1024
ZIP_SUFFIX: Final = ".zip"


@dataclass(frozen=True, slots=True, kw_only=True)
class ForeignFiles:
    """Files of one folder, or some of them."""

    folder: Path
    names: tuple[str, ...]
    is_whole_folder: bool

    @property
    def image_like(self) -> int:
        """The number of files that may be images: all except the texts that the archive puts into its ZIPs."""
        return sum(name not in LONGEST_TEXT_BYTES for name in self.names)


@dataclass(frozen=True, slots=True, kw_only=True)
class Unreadable:
    """A file or folder that could not be read, and why."""

    path: Path
    why: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Examined:
    """The content of some files. `zips` are paired with the series in their names; `ignored` counts all other files."""

    images: tuple[ForeignImage, ...]
    zips: tuple[tuple[str, Path], ...]
    unreadable: tuple[Unreadable, ...]
    ignored: int


class ForeignTree:
    """The tree under `root`. All methods block."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def files(self) -> Iterator[ForeignFiles | Unreadable]:
        """All files below the root, by folder, in groups of at most FILES_AT_ONCE."""
        waiting = [self.root]
        while waiting:
            folder = waiting.pop()
            names: list[str] = []
            try:
                with os.scandir(folder) as found:
                    items = sorted(found, key=lambda item: item.name)
                for item in items:
                    if item.is_dir(follow_symlinks=False):
                        waiting += [folder / item.name] if item.name != OWN_FOLDER else []
                    elif item.is_file(follow_symlinks=False):
                        names.append(item.name)
            except OSError as error:
                yield Unreadable(path=folder, why=error.strerror or str(error))
                continue
            for start in range(0, len(names), FILES_AT_ONCE):
                part = tuple(names[start : start + FILES_AT_ONCE])
                yield ForeignFiles(folder=folder, names=part, is_whole_folder=len(part) == len(names))

    def first_image(self, files: ForeignFiles) -> ForeignImage | None:
        """The first file that is an image, or None."""
        for position, name in enumerate(files.names):
            try:
                return _examine_image(files.folder / name, position)
            except (NotDicomError, OSError):
                continue
        return None

    def examine(self, files: ForeignFiles) -> Examined:
        """Read and hash these files."""
        images: list[ForeignImage] = []
        zips: list[tuple[str, Path]] = []
        unreadable: list[Unreadable] = []
        ignored = 0
        for position, name in enumerate(files.names):
            path = files.folder / name
            if path.suffix.lower() == ZIP_SUFFIX and is_dicom_uid(path.stem):
                zips.append((path.stem, path))
                continue
            try:
                images.append(_examine_image(path, position))
            except NotDicomError:
                ignored += 1
            except OSError as error:
                unreadable.append(Unreadable(path=path, why=error.strerror or str(error)))
        return Examined(images=tuple(images), zips=tuple(zips), unreadable=tuple(unreadable), ignored=ignored)

    def blocks(self, path: Path) -> Iterator[bytes]:
        """The content of a file, in blocks. Raises OSError."""
        with path.open("rb", buffering=0) as file:
            while block := file.read(BLOCK_BYTES):
                yield block


def _examine_image(path: Path, position: int) -> ForeignImage:
    """Identify and hash one file; reading stops early if the file does not begin like DICOM.

    An image that only pydicom can parse gets a `doubt`: the archive's own MD5 decides about it.

    Raises:
        NotDicomError: it is not an image, or has no readable identifiers.
        OSError: it cannot be read.
    """
    scanner, md5, size_bytes = DicomScanner(), hashlib.md5(usedforsecurity=False), 0
    with path.open("rb", buffering=0) as file:
        changed_at_ns = os.fstat(file.fileno()).st_mtime_ns
        while block := file.read(BLOCK_BYTES):
            scanner.feed(block)
            md5.update(block)
            size_bytes += len(block)
    doubt = ""
    try:
        identity = scanner.finish()
    except NotDicomError as error:
        doubt = f"{path}: {error.what}"
        identity = _read_leniently(path, size_bytes)
    staged = StagedImage(
        position=position,
        member_name=path.name,
        sop_instance_uid=identity.sop_instance_uid,
        series_instance_uid=identity.series_instance_uid,
        instance_number=identity.instance_number,
        acquisition_number=identity.acquisition_number,
        size_bytes=identity.size_bytes,
        md5=md5.hexdigest(),
        ends_whole=identity.ends_whole,
        sop_class_uid=identity.sop_class_uid,
        doubt=doubt,
    )
    return ForeignImage(path=path, staged=staged, changed_at_ns=changed_at_ns)


def _read_leniently(path: Path, size_bytes: int) -> DicomIdentity:
    with path.open("rb", buffering=0) as file:
        identity = read_leniently(file.read(HEAD_BYTES), size_bytes)
    if not identity.sop_instance_uid or not is_dicom_uid(identity.series_instance_uid):
        raise NotDicomError(f"{path} does not contain its SOP and series instance UIDs")
    return identity
