"""Reads the folders of series. Implements LibraryReader."""

from collections.abc import Mapping, Sequence
from pathlib import Path, PurePosixPath

from downloader.errors import LibraryError, TciadError
from downloader.library.local.filesystem import FileSystemErrors
from downloader.library.local.hashing import hash_file, list_folder
from downloader.library.local.nested_folders import is_or_holds_series
from downloader.library.local.stored_zip import StoredZipFile
from downloader.library.local.threads import LibraryThreads
from downloader.library.local.tree import SeriesTree, has_files
from downloader.library.local.walking import TreeWalk
from downloader.library.model import FoundSeries, HashedMember, ImageDigest
from downloader.model import Receipt
from downloader.zipstream import LONGEST_TEXT_BYTES, ZipLimits


class LocalReader:
    """Reads the tree of the library at `root`."""

    def __init__(self, root: Path, tree: SeriesTree, threads: LibraryThreads) -> None:
        self._root = root
        self._tree = tree
        self._threads = threads

    def walk(self, *, with_contents: bool) -> "ThreadedWalk":
        """See the port."""
        return ThreadedWalk(TreeWalk(self._root, with_contents=with_contents), self._threads)

    async def receipt_in(self, folder: PurePosixPath) -> Receipt | None:
        """See the port."""
        return await self._threads.run(self._tree.receipt_in, folder)

    async def doubted_receipt(self, folder: PurePosixPath) -> Receipt | None:
        """See the port."""
        with FileSystemErrors(self._root, place=str(folder)):
            return await self._threads.run(self._tree.doubted_receipt, folder)

    async def contents(self, folder: PurePosixPath) -> Mapping[str, int | None]:
        """See the port."""
        with FileSystemErrors(self._root, place=str(folder)):
            return await self._threads.run(list_folder, self._root / folder)

    async def hash_images(self, folder: PurePosixPath, names: Sequence[str]) -> Sequence[ImageDigest]:
        """See the port."""
        return await self._threads.run(self._hash_each, folder, names)

    async def open_zip(self, folder: PurePosixPath, receipt: Receipt) -> "ThreadedZip":
        """See the port."""
        return ThreadedZip(await self._threads.run(self._open_zip, folder, receipt), self._threads)

    async def is_whole(self, folder: PurePosixPath, series_instance_uid: str) -> bool:
        """See the port."""
        return await self._threads.run(self._is_whole, folder, series_instance_uid)

    async def proves(self, folder: PurePosixPath, receipt: Receipt) -> bool:
        """See the port."""
        return await self._threads.run(self._proves, folder, receipt)

    async def holds(self, folder: PurePosixPath, series_instance_uid: str) -> bool:
        """See the port."""
        return await self._threads.run(self._holds, folder, series_instance_uid)

    async def has_series_in(self, folder: PurePosixPath) -> bool:
        """See the port."""
        with FileSystemErrors(self._root, place=str(folder)):
            return await self._threads.run(is_or_holds_series, self._root / folder)

    async def is_one_folder(self, folder: PurePosixPath, other: PurePosixPath) -> bool:
        """See the port."""
        with FileSystemErrors(self._root, place=str(folder)):
            return await self._threads.run(_is_one, self._root / folder, self._root / other)

    def _hash_each(self, folder: PurePosixPath, names: Sequence[str]) -> Sequence[ImageDigest]:
        return [self._hash(folder, name) for name in names]

    def _hash(self, folder: PurePosixPath, name: str) -> ImageDigest:
        try:
            with FileSystemErrors(self._root, place=str(folder / name)):
                return ImageDigest(name=name, md5=hash_file(self._root / folder / name))
        except LibraryError as error:
            return ImageDigest(name=name, unreadable=error.what)

    def _open_zip(self, folder: PurePosixPath, receipt: Receipt) -> StoredZipFile:
        if receipt.zip is None:
            raise TciadError("the series is not kept as a ZIP", series_instance_uid=receipt.series.series_instance_uid)
        place = folder / receipt.zip.name
        limits = ZipLimits(
            member_count=len(receipt.images) + len(LONGEST_TEXT_BYTES),
            member_bytes=max([*LONGEST_TEXT_BYTES.values(), *(image.size_bytes for image in receipt.images)]),
            total_bytes=receipt.stored_bytes + sum(LONGEST_TEXT_BYTES.values()),
        )
        return StoredZipFile(self._root / place, limits, FileSystemErrors(self._root, place=str(place)))

    def _is_whole(self, folder: PurePosixPath, series_instance_uid: str) -> bool:
        receipt = self._tree.read_receipt(folder)
        if receipt is None or receipt.series.series_instance_uid != series_instance_uid:
            return False
        with FileSystemErrors(self._root, place=str(folder)):
            return has_files(self._root / folder, receipt)

    def _proves(self, folder: PurePosixPath, receipt: Receipt) -> bool:
        with FileSystemErrors(self._root, place=str(folder)):
            if not has_files(self._root / folder, receipt):
                return False
        md5s = {receipt.zip.name: receipt.zip.md5} if receipt.zip else {image.name: image.md5 for image in receipt.images}
        # an unreadable file has no MD5
        return all(self._hash(folder, name).md5 == md5 for name, md5 in md5s.items())

    def _holds(self, folder: PurePosixPath, series_instance_uid: str) -> bool:
        with FileSystemErrors(self._root, place=str(folder)):
            receipt = self._tree.receipt_in(folder) or self._tree.doubted_receipt(folder)
            if receipt is None and not list_folder(self._root / folder):
                return False
        if receipt is None or receipt.series.series_instance_uid != series_instance_uid:
            raise LibraryError(
                f"{folder} in the library contains something else",
                series_instance_uid=series_instance_uid,
                next_step="run `tciad verify`, which reports what it is",
            )
        return True


class ThreadedWalk:
    """Implements FolderWalk."""

    __slots__ = ("_threads", "_walk")

    def __init__(self, walk: TreeWalk, threads: LibraryThreads) -> None:
        self._walk = walk
        self._threads = threads

    @property
    def is_slow(self) -> bool:
        """See the port."""
        return self._walk.is_slow

    async def take(self, most: int) -> Sequence[FoundSeries]:
        """See the port."""
        return await self._threads.run(self._walk.take, most)


class ThreadedZip:
    """Implements ZipContents."""

    __slots__ = ("_file", "_threads")

    def __init__(self, file: StoredZipFile, threads: LibraryThreads) -> None:
        self._file = file
        self._threads = threads

    @property
    def md5(self) -> str:
        """See the port."""
        return self._file.md5

    async def next_images(self, enough_bytes: int) -> Sequence[HashedMember]:
        """See the port."""
        return await self._threads.run(self._file.next_images, enough_bytes)


def _is_one(folder: Path, other: Path) -> bool:
    try:
        return folder.samefile(other)
    except (FileNotFoundError, NotADirectoryError):
        return False
