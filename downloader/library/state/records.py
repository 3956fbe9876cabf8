"""Records of a library, one JSON file each: `.tciad/runs/<began>.json`, `.tciad/changes/<began>.json`."""

import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import structlog

from downloader.library.local.filesystem import FileSystemErrors
from downloader.library.model import Record
from downloader.own_folder import OWN_FOLDER, OwnFolder, open_own_folder

MOST_RECORDS: Final = 1000
"""Per kind; the oldest are removed."""

_log = structlog.get_logger(__name__)


def write_record(root: Path, kind: str, began_at: datetime, document: Mapping[str, Any]) -> None:
    """Store the record of a run that began then; a second one of the same time replaces it. Blocks.

    Raises:
        LibraryError, NoSpaceError: it cannot be written.
    """
    name = began_at.astimezone(UTC).strftime("%Y%m%dT%H%M%S.%fZ.json")
    content = f"{json.dumps(document, indent=2)}\n".encode()
    with (
        FileSystemErrors(root, place=f"{OWN_FOLDER}/{kind}/{name}"),
        open_own_folder(root) as own,
        own.folder(kind, make=True) as records,
    ):
        records.write(name, content, durable=False)
        for old in _names(records.names())[MOST_RECORDS:]:
            records.remove(old)


def read_records(
    root: Path, kind: str, *, manifest: str | None = None, before: str | None = None, limit: int = 20
) -> Sequence[Record]:
    """At most `limit` records, newest first: of one manifest or all, and older than the record named `before`. Blocks.

    Unreadable records are left out, with a warning in the log: a record proves nothing.

    Raises:
        LibraryError: the folder of the records cannot be read.
    """
    with FileSystemErrors(root, place=f"{OWN_FOLDER}/{kind}"):
        try:
            with open_own_folder(root, to_read=True) as own, own.folder(kind) as records:
                return _read_newest(records, manifest=manifest, before=before, limit=limit)
        except (FileNotFoundError, NotADirectoryError):
            return []


def _read_newest(records: OwnFolder, *, manifest: str | None, before: str | None, limit: int) -> Sequence[Record]:
    found: list[Record] = []
    for name in _names(records.names()):
        if len(found) >= limit:
            break
        stem = name.removesuffix(".json")
        if before is not None and stem >= before:
            continue
        document = _read(records, name)
        if document is not None and manifest in {None, document.get("manifest")}:
            found.append(Record(name=stem, document=document))
    return found


def _names(listed: Sequence[str]) -> list[str]:
    """The records among these files, newest first."""
    return sorted((name for name in listed if name.endswith(".json")), reverse=True)


def _read(records: OwnFolder, name: str) -> Mapping[str, Any] | None:
    try:
        document = json.loads(records.read(name))
    except FileNotFoundError:
        return None  # removed as the oldest meanwhile
    except ValueError as error:
        _log.warning("unreadable record", file=str(records.path / name), message=str(error))
        return None
    return document if isinstance(document, dict) else None
