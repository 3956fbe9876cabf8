"""Moves series folders from one layout to another, by one rename each if possible. Raises OSError; see filesystem.py."""

import contextlib
import os
from collections.abc import Collection, Sequence
from pathlib import Path, PurePosixPath
from typing import Final

from downloader.errors import LibraryError
from downloader.library.local.filesystem import FileSystemErrors, made_folders, remove_empty_folders, sync_folder
from downloader.library.local.nested_folders import holds_series, series_above

MOVING_MARK: Final = "~moving"
"""The suffix of a folder that is renamed temporarily before it can go to its new place. No folder of a layout has it: names with
`~` end in eight digits (see names.py).
"""


def choose_place(
    root: Path, folder: PurePosixPath, candidates: Sequence[PurePosixPath], taken: Collection[PurePosixPath] = ()
) -> PurePosixPath:
    """The place of the series in `folder` among the candidates, otherwise the first free one.

    `taken` are places that are reserved for others.

    Raises:
        LibraryError: there is no free place, or the series cannot be moved.
    """
    if folder in candidates:
        return folder
    if _is_reached_by_link(root, folder):
        raise LibraryError(f"{folder} is reached through a link", next_step="move it by hand")
    if holds_series(root / folder):
        raise LibraryError(f"{folder} contains another series", next_step="move it elsewhere")
    for candidate in candidates:
        if candidate not in taken and _is_free(root, candidate, folder):
            return candidate
    raise LibraryError(f"{candidates[0]} in the library is in the way: it is not this series", next_step="move it elsewhere")


class MoveBatch:
    """Renames of series folders that become durable together, which takes hardly longer than one alone.

    A kill between two steps leaves each series intact, with a name that a walk through the library finds.
    """

    def __init__(self, root: Path) -> None:
        self._root = root
        self._changed: dict[Path, None] = {}
        self._left: dict[Path, None] = {}

    def move(self, folder: PurePosixPath, target: PurePosixPath) -> None:
        """Rename the folder of a series to a free place. It is not durable before `end`.

        Raises:
            LibraryError: it cannot be moved.
        """
        with FileSystemErrors(self._root, place=str(folder)):
            self._move(folder, target)

    def _move(self, folder: PurePosixPath, target: PurePosixPath) -> None:
        source, goal = self._root / folder, self._root / target
        aside = find_aside(folder, target)
        if aside is not None:
            # one of the two contains the other: earlier renames must be durable before this one
            self.end()
            source = _step_aside(self._root, folder, aside)
        self._make(goal.parent)
        source.rename(goal)
        self._changed[goal.parent] = None
        self._left[source.parent] = None
        if aside is not None:
            self.end()

    def end(self) -> None:
        """Make all renames durable, and remove empty folders. More renames may follow."""
        for path in sorted(self._changed, key=lambda path: len(path.parts), reverse=True):
            sync_folder(path)
        self._changed.clear()
        left, self._left = self._left, {}
        for path in dict.fromkeys(_remove_empty(path, self._root) for path in left):
            # a folder that another series left last is gone already; its parent shows it
            with contextlib.suppress(FileNotFoundError):
                sync_folder(path)

    def _make(self, folder: Path) -> None:
        missing: list[Path] = []
        while not folder.is_dir():
            missing.append(folder)
            folder = folder.parent
        for new in reversed(missing):
            new.mkdir(exist_ok=True)
            self._changed[new] = self._changed[new.parent] = None


def move_folder(root: Path, folder: PurePosixPath, target: PurePosixPath) -> None:
    """Rename the folder of a series to a free place; durable when this returns. Empty folders are removed.

    A kill between two steps leaves the series intact, with a name that a walk through the library finds.
    """
    batch = MoveBatch(root)
    batch.move(folder, target)
    batch.end()


def _remove_empty(folder: Path, root: Path) -> Path:
    """Remove the folder and its parents as far as they are empty; returns the first that stays."""
    while folder != root:
        try:
            folder.rmdir()
        except FileNotFoundError:
            pass  # another series left it last, and it was removed then
        except OSError:
            break  # not empty, or a link
        folder = folder.parent
    return folder


def move_paper(root: Path, name: str, old: PurePosixPath, new: PurePosixPath) -> None:
    """Move a file about a collection to the collection's new folder. If that has an equal file, the old one is removed."""
    source, goal = root / old / name, root / new / name
    if not source.is_file():
        return
    if not os.path.lexists(goal):
        with made_folders(goal.parent):
            source.rename(goal)
    elif goal.is_file() and goal.read_bytes() == source.read_bytes():
        source.unlink()
    sync_folder(source.parent)
    remove_empty_folders(source.parent, root)


def _is_reached_by_link(root: Path, folder: PurePosixPath) -> bool:
    path = str(root)
    for part in folder.parts:
        path = f"{path}/{part}"
        if os.path.islink(path):  # noqa: PTH114 - for each series
            return True
    return False


def _is_free(root: Path, candidate: PurePosixPath, folder: PurePosixPath) -> bool:
    path = root / candidate
    if series_above(root, candidate, but=folder) is not None:
        return False
    if not os.path.lexists(path):
        return True
    if path.is_symlink() or not path.is_dir():
        return False
    if not folder.is_relative_to(candidate):
        return not any(path.iterdir())
    # a folder above is free if nothing else is in it
    return all(
        [child.name for child in (root / above).iterdir()] == [below.name]
        for above, below in zip(folder.parents, (folder, *folder.parents), strict=False)
        if above.is_relative_to(candidate)
    )


def find_aside(folder: PurePosixPath, target: PurePosixPath) -> PurePosixPath | None:
    """The temporary place of a folder during its move, if one of the two places contains the other; None otherwise."""
    if not target.is_relative_to(folder) and not folder.is_relative_to(target):
        return None
    outer = min(folder, target, key=lambda path: len(path.parts))
    return outer.with_name(f"{outer.name}{MOVING_MARK}")


def _step_aside(root: Path, folder: PurePosixPath, place: PurePosixPath) -> Path:
    """Rename the folder to a place next to itself and its target, of which one contains the other."""
    aside = root / place
    source = root / folder
    source.rename(aside)
    sync_folder(aside.parent)
    if source.parent != aside.parent:
        remove_empty_folders(source.parent, aside.parent)
    return aside
