"""The journal of changes under way: what is about to be moved, replaced or removed in the library, written before it is.

A record is one file in `.tciad/intents`. It is on the disk before the change begins and goes after the change is over, store
included. What a killed process leaves there tells the next start what to finish or to undo (changes.py). An ordinary fetch of a
new series writes none: one rename is a transaction by itself.
"""

import json
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path, PurePosixPath
from typing import Any, Final
from uuid import uuid4

from downloader.errors import LibraryError
from downloader.library.changes import Change, ChangeKind, ChangeRecord
from downloader.own_folder import OWN_FOLDER, OwnFolder, open_own_folder

INTENTS_NAME: Final = "intents"
_FORMAT: Final = 1
_SUFFIX: Final = ".json"


class ChangeJournal:
    """The records in `.tciad/intents` of the library at `root`. For any number of threads. Raises OSError; see filesystem.py."""

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
        f"{OWN_FOLDER}/{INTENTS_NAME}/{name} records a change that this tciad cannot finish",
        next_step="use the tciad that began it, or remove the record and run `tciad verify --repair`",
    )
