"""Changes of series folders, as they are written down before they are made (docs/decisions/0024)."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from pathlib import PurePosixPath

from downloader.errors import LibraryError


class ChangeKind(StrEnum):
    """What is done to the folder of a series.

    `replace`: a finished folder takes its place. `clear`: it goes, since a newer version of the series lies elsewhere.
    `quarantine`: it goes into quarantine. `delete`: it goes for good. `move`: it gets another name in the tree.
    `doubt`: its receipt is set aside, so that nothing believes it until the series has been fetched again.
    """

    REPLACE = "replace"
    CLEAR = "clear"
    QUARANTINE = "quarantine"
    DELETE = "delete"
    MOVE = "move"
    DOUBT = "doubt"


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """One change of one folder. All paths are relative to the library.

    Attributes:
        folder: the folder of the series before the change.
        targets: where the folder goes; of a move, each place that it may get.
        keeper: the folder of the copy that stays; of a replacement, the finished folder that comes. None where there is none.
        completed_at: the time in the receipt of the version that is meant: of a replacement the one that comes, else the one in
            `folder`. None where no receipt there could be read, or in the record of an earlier tciad.
    """

    kind: ChangeKind
    series_instance_uid: str
    folder: PurePosixPath
    targets: tuple[PurePosixPath, ...] = ()
    keeper: PurePosixPath | None = None
    completed_at: datetime | None = None

    @property
    def stays(self) -> PurePosixPath:
        """The keeper, where the kind of change has one."""
        if self.keeper is None:
            raise LibraryError(f"a record of a change of {self.folder} does not tell what stays")
        return self.keeper

    @property
    def places(self) -> tuple[PurePosixPath, ...]:
        """Every path that the change names."""
        return (self.folder, *self.targets, *((self.keeper,) if self.keeper is not None else ()))


@dataclass(frozen=True, slots=True, kw_only=True)
class ChangeRecord:
    """Changes that were written down together; `name` is that of their file."""

    name: str
    changes: tuple[Change, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Finished:
    """How things stand with a series after a change of its folder was finished or undone.

    Attributes:
        lies_in: where the series lies now, relative to the library; None where that did not change.
        is_gone: the library no longer has the series.
        is_doubted: the receipt is set aside: the series is to be fetched again.
    """

    series_instance_uid: str
    lies_in: PurePosixPath | None = None
    is_gone: bool = False
    is_doubted: bool = False
