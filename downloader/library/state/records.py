"""Records that are kept with a library, one JSON file each: `.tciad/runs/<began>.json`, `.tciad/changes/<began>.json`."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import anyio.to_thread
import structlog

from downloader.library.local.errors import LibraryFaults
from downloader.own_folder import OWN_FOLDER, OwnFolder, open_own_folder

RUNS: Final = "runs"
CHANGES: Final = "changes"
MOST_RECORDS: Final = 1000
"""Of each kind; the oldest go."""

_log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class KeptRecord:
    """A record and the name that it is kept by, which sorts by time."""

    name: str
    document: Mapping[str, Any]


async def write_record(root: Path, kind: str, began_at: datetime, document: Mapping[str, Any]) -> Path:
    """Keep what a run that began then has to say; a second one of the same instant replaces it.

    Raises:
        LibraryError, NoSpaceError: it cannot be written.
    """
    name = began_at.astimezone(UTC).strftime("%Y%m%dT%H%M%S.%fZ.json")
    await anyio.to_thread.run_sync(_write, root, kind, name, f"{json.dumps(document, indent=2)}\n".encode())
    return root / OWN_FOLDER / kind / name


def _write(root: Path, kind: str, name: str, content: bytes) -> None:
    with (
        LibraryFaults(root, place=f"{OWN_FOLDER}/{kind}/{name}"),
        open_own_folder(root) as own,
        own.folder(kind, make=True) as records,
    ):
        records.write(name, content, durable=False)
        for old in _names(records.names())[MOST_RECORDS:]:
            records.remove(old)


def read_records(
    root: Path, kind: str, *, manifest: str | None = None, before: str | None = None, limit: int = 20
) -> Sequence[KeptRecord]:
    """Up to `limit` records, newest first: those of one manifest or all, those older than the one named `before`. Blocks.

    One that cannot be read is left out, with a warning in the log: a record is no proof of anything.

    Raises:
        LibraryError: the folder of the records cannot be read.
    """
    with LibraryFaults(root, place=f"{OWN_FOLDER}/{kind}"):
        try:
            with open_own_folder(root, to_read=True) as own, own.folder(kind) as records:
                return _read_newest(records, manifest=manifest, before=before, limit=limit)
        except (FileNotFoundError, NotADirectoryError):
            return []


def _read_newest(records: OwnFolder, *, manifest: str | None, before: str | None, limit: int) -> Sequence[KeptRecord]:
    found: list[KeptRecord] = []
    for name in _names(records.names()):
        if len(found) >= limit:
            break
        stem = name.removesuffix(".json")
        if before is not None and stem >= before:
            continue
        document = _read(records, name)
        if document is not None and manifest in {None, document.get("manifest")}:
            found.append(KeptRecord(name=stem, document=document))
    return found


def _names(listed: Sequence[str]) -> list[str]:
    """The records among these files, newest first."""
    return sorted((name for name in listed if name.endswith(".json")), reverse=True)


def _read(records: OwnFolder, name: str) -> Mapping[str, Any] | None:
    try:
        document = json.loads(records.read(name))
    except FileNotFoundError:
        return None  # went as the oldest meanwhile
    except ValueError as error:
        _log.warning("a record cannot be read", file=str(records.path / name), message=str(error))
        return None
    return document if isinstance(document, dict) else None
