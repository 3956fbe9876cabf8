"""The journal of changes in progress: moves, replacements and removals in the library are recorded before they start.

A record is one file in `.tciad/intents`. It is durable before the change begins, and removed after the change is finished and in
the store. After a kill, the next start finishes or undoes the recorded changes (changes.py). Fetching a new series needs no
record, because one rename is atomic.
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
    """The records in `.tciad/intents` of the library at `root`. Thread-safe. Raises OSError; see filesystem.py."""

    def __init__(self, root: Path) -> None:
        self._root = root

    def begin(self, changes: Sequence[Change]) -> ChangeRecord:
        """Record the changes; durable when this returns."""
        record = ChangeRecord(name=f"{uuid4().hex}{_SUFFIX}", changes=tuple(changes))
        with open_own_folder(self._root) as own:
            is_new = not own.has(INTENTS_NAME)
            with own.folder(INTENTS_NAME, make=True) as intents:
                intents.write(record.name, _written(changes))
            if is_new:
                own.sync()
        return record

    def keep(self, record: ChangeRecord, changes: Sequence[Change]) -> None:
        """Reduce the record to these changes; durable when this returns. A kill leaves the old record or the new one."""
        with open_own_folder(self._root) as own, own.folder(INTENTS_NAME, make=True) as intents:
            intents.write(record.name, _written(changes))

    def end(self, record: ChangeRecord) -> None:
        """Remove the record of finished changes. Does nothing the second time."""
        with open_own_folder(self._root) as own, own.folder(INTENTS_NAME, make=True) as intents:
            intents.remove(record.name)
            intents.sync()

    def unfinished(self) -> Sequence[ChangeRecord]:
        """The records of unfinished changes. A record that was not written completely is removed.

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
    intents.remove(name)  # the process died while it wrote the record: the change never began
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
    """Whether a record has everything that its kind needs, and no path outside of the library."""
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
