"""Walks the tree of a library with several threads, some folders at a time."""

import os
import resource
import threading
import time
from collections.abc import Sequence
from pathlib import Path, PurePosixPath
from typing import Final

from downloader.errors import DamagedReceiptError
from downloader.library.local.filesystem import FileSystemErrors
from downloader.library.local.nested_folders import may_hold_folders
from downloader.library.model import FoundSeries
from downloader.library.receipt import RECEIPT_NAME, read_receipt_file
from downloader.model import Receipt
from downloader.own_folder import OWN_FOLDER

LONGEST_PAGE_SECONDS: Final = 0.5
"""The time after which a page is returned even if it is short, so that interruptions are prompt."""

_FOLDERS_OF_A_WAIT: Final = 4
# macOS only counts for the whole process, in which other threads wait too: there several threads start at once
_THREAD: Final = getattr(resource, "RUSAGE_THREAD", resource.RUSAGE_SELF)


def _waits() -> int:
    """How often this thread has waited, for example for the disk, while no other thread runs (getrusage(2))."""
    return resource.getrusage(_THREAD).ru_nvcsw


class TreeWalk:
    """Returns the folders of a library that have a receipt, each once, to any number of threads.

    Links to folders outside of the library are followed, each once; folders inside those of series are walked as well. With one
    thread the order is that of the names; with several it is not fixed.

    Args:
        root: the library.
        with_contents: also return the sizes of the files.

    `is_slow` tells whether the last page had to wait for disk or network, so that several threads are faster than one.
    """

    def __init__(self, root: Path, *, with_contents: bool) -> None:
        self._root = str(root)
        self._faults_root = root
        self._with_contents = with_contents
        self._waiting = [""]
        self._busy = 0
        self._changed = threading.Condition()
        self._followed = {root.resolve()}
        self.is_slow = False

    def take(self, most: int) -> Sequence[FoundSeries]:
        """The next folders, at most `most`, for at most half a second; empty at the end. Blocks.

        Raises:
            LibraryError: a folder or a receipt cannot be read.
        """
        found: list[FoundSeries] = []
        looked_at, waits_before = 0, _waits()
        give_up_at = time.monotonic() + LONGEST_PAGE_SECONDS
        while len(found) < most and not (found and time.monotonic() > give_up_at):
            folder = self._next(may_wait=not found)
            if folder is None:
                break
            below: Sequence[str] = ()
            try:
                below = self._look(folder, found)
            finally:
                self._return(below)
            looked_at += 1
        self.is_slow = (_waits() - waits_before) * _FOLDERS_OF_A_WAIT > looked_at
        return found

    def _next(self, *, may_wait: bool) -> str | None:
        with self._changed:
            while not self._waiting:
                if not self._busy or not may_wait:
                    return None
                # another thread lists a folder now, and may find more
                self._changed.wait()
            self._busy += 1
            return self._waiting.pop()

    def _return(self, below: Sequence[str]) -> None:
        with self._changed:
            self._busy -= 1
            self._waiting.extend(below)
            self._changed.notify_all()

    def _look(self, folder: str, found: list[FoundSeries]) -> Sequence[str]:
        """List one folder: a receipt is appended to `found`, the subfolders are returned."""
        with FileSystemErrors(self._faults_root, place=folder or "."):
            try:
                return self._look_closely(folder, found) if self._with_contents else self._look_briefly(folder, found)
            except (FileNotFoundError, NotADirectoryError):
                return ()  # another thread or a run replaced it since its parent was read

    def _look_closely(self, folder: str, found: list[FoundSeries]) -> Sequence[str]:
        """List a folder, which shows whether it has a receipt."""
        folders, contents, has_receipt = self._list(folder)
        receipt = self._receipt_in(folder) if has_receipt else None
        if receipt is not None:
            found.append(FoundSeries(folder=PurePosixPath(folder), receipt=receipt, contents=contents))
        return folders

    def _look_briefly(self, folder: str, found: list[FoundSeries]) -> Sequence[str]:
        """Check for a receipt first: a folder of images with one need not be listed, which takes long if there are many."""
        receipt = self._receipt_in(folder)
        if receipt is not None:
            found.append(FoundSeries(folder=PurePosixPath(folder), receipt=receipt))
            if not may_hold_folders(Path(self._root, folder)):
                return ()
        return self._list(folder)[0]

    def _list(self, folder: str) -> tuple[list[str], dict[str, int | None], bool]:
        """The subfolders of a folder, in the order to take them from the end, its contents, and whether it has a receipt."""
        folders: list[str] = []
        contents: dict[str, int | None] = {}
        has_receipt = False
        with os.scandir(f"{self._root}/{folder}") as items:
            for item in items:
                name = item.name
                if name == RECEIPT_NAME:
                    has_receipt = True
                    continue
                is_folder = item.is_dir()
                if self._with_contents:
                    contents[name] = None if is_folder else _size_of(item)
                if is_folder and (folder or name != OWN_FOLDER) and self._is_to_be_walked(item):
                    folders.append(f"{folder}/{name}" if folder else name)
        folders.sort(reverse=True)
        return folders, contents, has_receipt

    def _receipt_in(self, folder: str) -> Receipt | DamagedReceiptError | None:
        try:
            return read_receipt_file(f"{self._root}/{folder}/{RECEIPT_NAME}")
        except DamagedReceiptError as error:
            return error

    def _is_to_be_walked(self, item: "os.DirEntry[str]") -> bool:
        """Whether the walk would not reach it otherwise; targets of links are remembered."""
        if not item.is_symlink():
            return True
        linked = Path(item.path).resolve()
        with self._changed:
            if any(linked == known or known in linked.parents or linked in known.parents for known in self._followed):
                return False
            self._followed.add(linked)
            return True


def _size_of(item: "os.DirEntry[str]") -> int | None:
    try:
        return item.stat().st_size if item.is_file() else None
    except FileNotFoundError:
        return None  # a dangling link
