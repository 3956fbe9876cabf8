"""The journal of changes under way: what is about to be moved, replaced or removed in the library, written before it is.

A record is one file in `.tciad/intents`. It is on the disk before the change begins and goes after the change is over, store
included. What a killed process leaves there tells the next start what to finish or to undo (finishing.py). An ordinary fetch of a
new series writes none: one rename is a transaction by itself.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from pathlib import Path, PurePosixPath
from typing import Any, Final, Protocol
from uuid import uuid4

from downloader.errors import LibraryError
from downloader.model import Series
from downloader.own_folder import OwnFolder, open_own_folder

INTENTS_NAME: Final = "intents"
_FORMAT: Final = 1
_SUFFIX: Final = ".json"


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


class LibraryChanges(Protocol):
    """Changes of the tree that survive a kill: each is written down, carried out, told to the store, and then ended."""

    def plan_quarantine(
        self, folder: PurePosixPath, series_instance_uid: str, label: str, at: datetime, keeper: PurePosixPath | None = None
    ) -> Change:
        """The change that moves a folder into `.tciad/quarantine/<time>-<label>`; `keeper` is the copy that stays.

        A quarantine with a keeper is finished after a kill, one without is undone where the folder is still in its place.
        """
        ...

    def plan_deletion(self, folder: PurePosixPath, series_instance_uid: str) -> Change:
        """The change that deletes a folder. It is undone after a kill that left the folder in its place."""
        ...

    def plan_doubt(self, folder: PurePosixPath, series_instance_uid: str) -> Change:
        """The change that sets the receipt in a folder aside. After a kill it touches no receipt that came later."""
        ...

    def plan_move(self, folder: PurePosixPath, series: Series, completed_at: datetime) -> Change | None:
        """The change that moves a folder to where the layout wants the series; None where it lies there.

        `completed_at` is the time in the receipt of the version that moves.
        It is carried out by `Library.move`. Which of the places the series got, a kill does not hide.
        """
        ...

    def begin(self, changes: Sequence[Change]) -> ChangeRecord:
        """Write changes down; durable when this returns."""
        ...

    def carry_out(self, change: Change) -> None:
        """Quarantine, delete, clear or doubt; durable when this returns.

        Raises:
            LibraryError: something else lies there.
        """
        ...

    def end(self, record: ChangeRecord) -> None:
        """Forget the record: the changes are over, and the store knows."""
        ...

    def keep(self, record: ChangeRecord, changes: Sequence[Change]) -> None:
        """Let the record name only these of its changes: the others are over. Durable when this returns."""
        ...

    def unfinished(self) -> Sequence[ChangeRecord]:
        """The records that a process left which was killed."""
        ...

    def finish(self, change: Change) -> Finished:
        """Finish what was left half done, or undo it. Safe to call again."""
        ...


class ChangeJournal:
    """The records in `.tciad/intents` of the library at `root`. For any number of threads. Raises OSError; see errors.py."""

    def __init__(self, root: Path) -> None:
        self._root = root

    def begin(self, changes: Sequence[Change]) -> ChangeRecord:
        """Write the changes down; on the disk when this returns."""
        record = ChangeRecord(name=f"{uuid4().hex}{_SUFFIX}", changes=tuple(changes))
        with open_own_folder(self._root) as own:
            is_new = not own.has(INTENTS_NAME)
            with own.folder(INTENTS_NAME, make=True) as intents:
                intents.write(record.name, _written(changes))
            if is_new:
                own.sync()
        return record

    def keep(self, record: ChangeRecord, changes: Sequence[Change]) -> None:
        """Let the record name only these changes; on the disk when this returns. A kill leaves the old text or the new."""
        with open_own_folder(self._root) as own, own.folder(INTENTS_NAME, make=True) as intents:
            intents.write(record.name, _written(changes))

    def end(self, record: ChangeRecord) -> None:
        """The changes are over, and all that there was to say of them is said. Does nothing the second time."""
        with open_own_folder(self._root) as own, own.folder(INTENTS_NAME, make=True) as intents:
            intents.remove(record.name)
            intents.sync()

    def unfinished(self) -> Sequence[ChangeRecord]:
        """The records of changes that never came to their end. One that was not written whole stands for none, and goes.

        Raises:
            LibraryError: a record that this tciad cannot read.
        """
        try:
            with open_own_folder(self._root) as own, own.folder(INTENTS_NAME) as intents:
                return [self._read(intents, name) for name in sorted(intents.names()) if _is_record(intents, name)]
        except FileNotFoundError:
            return ()

    def _read(self, intents: OwnFolder, name: str) -> ChangeRecord:
        try:
            document = json.loads(intents.read(name).decode("utf-8", "surrogateescape"))
            if document["format"] != _FORMAT:
                raise _unknown(name)
            changes = tuple(map(_decode, document["changes"]))
        except (KeyError, TypeError, ValueError) as error:
            raise _unknown(name) from error
        if not all(map(_can_be_true, changes)):
            raise _unknown(name)
        return ChangeRecord(name=name, changes=changes)


def _is_record(intents: OwnFolder, name: str) -> bool:
    if name.endswith(_SUFFIX):
        return True
    intents.remove(name)  # a record that was being written when the process died: the change never began
    return False


def _written(changes: Sequence[Change]) -> bytes:
    text = json.dumps({"format": _FORMAT, "changes": list(map(_encode, changes))}, ensure_ascii=False)
    return text.encode("utf-8", "surrogateescape") + b"\n"


def _encode(change: Change) -> dict[str, object]:
    return {
        "kind": change.kind.value,
        "series_instance_uid": change.series_instance_uid,
        "folder": str(change.folder),
        "targets": list(map(str, change.targets)),
        "keeper": None if change.keeper is None else str(change.keeper),
        "completed_at": None if change.completed_at is None else change.completed_at.isoformat(),
    }


def _decode(written: dict[str, Any]) -> Change:
    return Change(
        kind=ChangeKind(written["kind"]),
        series_instance_uid=str(written["series_instance_uid"]),
        folder=PurePosixPath(written["folder"]),
        targets=tuple(map(PurePosixPath, written["targets"])),
        keeper=None if written["keeper"] is None else PurePosixPath(written["keeper"]),
        completed_at=datetime.fromisoformat(written["completed_at"]) if written.get("completed_at") else None,
    )


def _can_be_true(change: Change) -> bool:
    """Whether a record that was read names what its kind needs, and nothing outside of the library."""
    needs_target = change.kind not in {ChangeKind.CLEAR, ChangeKind.DOUBT}
    needs_keeper = change.kind in {ChangeKind.CLEAR, ChangeKind.REPLACE}
    if (needs_target and not change.targets) or (needs_keeper and change.keeper is None):
        return False
    return all(place.parts and not place.is_absolute() and ".." not in place.parts for place in change.places)


def _unknown(name: str) -> LibraryError:
    return LibraryError(
        f".tciad/{INTENTS_NAME}/{name} tells of a change that this tciad cannot finish",
        next_step="use the tciad that began it, or remove the record and run `tciad verify --repair`",
    )
