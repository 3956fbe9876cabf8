"""Changes of series folders, as they are recorded before they are made (docs/decisions/0024)."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from pathlib import PurePosixPath

from downloader.errors import LibraryError


class ChangeKind(StrEnum):
    """The kinds of changes of a series folder.

    `replace`: a finished folder replaces it. `clear`: it is removed, because a newer version of the series is in another folder.
    `quarantine`: it is moved to quarantine. `delete`: it is deleted. `move`: it is renamed within the tree. `doubt`: its receipt
    is renamed, so that it is invalid until the series has been fetched again.
    """

    REPLACE = "replace"
    CLEAR = "clear"
    QUARANTINE = "quarantine"
    DELETE = "delete"
    MOVE = "move"
    DOUBT = "doubt"


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """A change of one folder. All paths are relative to the library.

    Attributes:
        folder: the folder of the series before the change.
        targets: the new path of the folder; for a move, all paths that it may get.
        keeper: the folder of the copy that stays; for a replacement, the finished folder. None if there is none.
        completed_at: the time in the receipt of the affected version: for a replacement the new one, otherwise the one in
            `folder`. None if there was no readable receipt, or in the record of an earlier tciad.
    """

    kind: ChangeKind
    series_instance_uid: str
    folder: PurePosixPath
    targets: tuple[PurePosixPath, ...] = ()
    keeper: PurePosixPath | None = None
    completed_at: datetime | None = None

    @property
    def stays(self) -> PurePosixPath:
        """The keeper, for kinds of changes that have one."""
        if self.keeper is None:
            raise LibraryError(f"a record of a change of {self.folder} does not tell what stays")
        return self.keeper

    @property
    def places(self) -> tuple[PurePosixPath, ...]:
        """All paths of the change."""
        return (self.folder, *self.targets, *((self.keeper,) if self.keeper is not None else ()))


@dataclass(frozen=True, slots=True, kw_only=True)
class ChangeRecord:
    """Changes that were recorded together; `name` is the name of their file."""

    name: str
    changes: tuple[Change, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Finished:
    """The state of a series after a change of its folder was finished or undone.

    Attributes:
        lies_in: the new folder of the series, relative to the library; None if it did not change.
        is_gone: the library no longer has the series.
        is_doubted: the receipt is invalid: the series must be fetched again.
    """

    series_instance_uid: str
    lies_in: PurePosixPath | None = None
    is_gone: bool = False
    is_doubted: bool = False
