"""A series that is adopted from a foreign tree: its images are linked or copied, never moved."""

import errno
import os
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from downloader.errors import DigestMismatchError
from downloader.library.local.filesystem import (
    FileSystemErrors,
    FreeSpace,
    make_new_folder,
    remove_folder,
    sync_files,
    sync_folder,
    write_new,
)
from downloader.library.local.hashing import hash_file
from downloader.library.local.tree import SeriesTree
from downloader.library.model import ForeignImage, SeriesLocation
from downloader.library.names import name_images, receipt_image
from downloader.library.receipt import RECEIPT_NAME, encode_receipt
from downloader.model import Image, Receipt, StagedImage

# another file system, one without links, links to files of others forbidden, or too many links
_NO_LINK: Final = frozenset({errno.EXDEV, errno.EPERM, errno.EACCES, errno.ENOTSUP, errno.ENOSYS, errno.EMLINK})


class AdoptedStaging:
    """The folder of one series under construction, filled from a foreign tree.

    Args:
        folder: a new folder in staging.
        images: all images of the series, each SOP instance once.
        link: share the files with the tree, by links, where the file system can.
    """

    def __init__(
        self,
        folder: Path,
        images: Sequence[ForeignImage],
        tree: SeriesTree,
        free_space: FreeSpace,
        errors: FileSystemErrors,
        *,
        link: bool,
    ) -> None:
        self._folder = folder
        self._tree = tree
        self._free_space = free_space
        self._errors = errors
        self._link = link
        by_sop_instance_uid = {image.staged.sop_instance_uid: image for image in images}
        named = name_images([image.staged for image in images])
        self._named = {name: by_sop_instance_uid[staged.sop_instance_uid] for name, staged in named.items()}

    def images(self) -> tuple[StagedImage, ...]:
        """All images, as they were hashed in the tree."""
        return tuple(image.staged for image in self._named.values())

    def named_images(self) -> tuple[Image, ...]:
        """The images with their future names in the library, sorted by name."""
        return tuple(receipt_image(name, image.staged) for name, image in self._named.items())

    def stored_zip(self) -> None:
        """See the port."""
        return

    def commit(self, receipt: Receipt) -> SeriesLocation:
        """Link or copy the images, sync them, write the receipt, and rename the folder into the library; see Staging.commit.

        Raises:
            DigestMismatchError: a file changed after it was hashed.
            NoSpaceError: a copy would leave less than `min_free_bytes`.
            LibraryError: see filesystem.py.
        """
        with self._errors:
            make_new_folder(self._folder)
            for name, image in self._named.items():
                self._bring(image, self._folder / name)
            write_new(self._folder / RECEIPT_NAME, encode_receipt(receipt))
            sync_files(self._folder, (*self._named, RECEIPT_NAME))
            sync_folder(self._folder)
            return self._tree.put(self._folder, receipt, None)

    def discard(self) -> None:
        """Remove the links and copies. Does nothing after `commit`."""
        with self._errors:
            remove_folder(self._folder)

    def _bring(self, image: ForeignImage, target: Path) -> None:
        if not (self._link and _try_link(image.path, target)):
            self._free_space.require(image.staged.series_instance_uid, image.staged.size_bytes)
            shutil.copyfile(image.path, target)
            if hash_file(target) != image.staged.md5:
                raise _changed(image)
            return
        status = target.stat()
        if (status.st_size, status.st_mtime_ns) != (image.staged.size_bytes, image.changed_at_ns):
            raise _changed(image)


def _try_link(source: Path, target: Path) -> bool:
    try:
        os.link(source, target, follow_symlinks=False)
    except OSError as error:
        if error.errno in _NO_LINK:
            return False
        raise
    return True


def _changed(image: ForeignImage) -> DigestMismatchError:
    return DigestMismatchError(
        f"{image.path} changed while it was adopted",
        series_instance_uid=image.staged.series_instance_uid,
        next_step="wait until no program writes there, and run it again",
    )
