"""Records that are kept with a library, one JSON file each: `.tciad/runs/<began>.json`, `.tciad/changes/<began>.json`."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import aiofiles
import aiofiles.os
import structlog

from downloader.library.faults import LibraryFaults
from downloader.library.shelf import OWN_FOLDER

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
    target = root / OWN_FOLDER / kind / name
    temporary = target.with_suffix(".new")
    with LibraryFaults(root, place=f"{OWN_FOLDER}/{kind}/{name}"):
        await aiofiles.os.makedirs(target.parent, exist_ok=True)
        async with aiofiles.open(temporary, "w", encoding="utf-8") as file:
            await file.write(json.dumps(document, indent=2) + "\n")
        await aiofiles.os.replace(temporary, target)
        for old in _names(await aiofiles.os.listdir(target.parent))[MOST_RECORDS:]:
            await aiofiles.os.unlink(target.parent / old)
    return target


def read_records(
    root: Path, kind: str, *, manifest: str | None = None, before: str | None = None, limit: int = 20
) -> Sequence[KeptRecord]:
    """Up to `limit` records, newest first: those of one manifest or all, those older than the one named `before`. Blocks.

    One that cannot be read is left out, with a warning in the log: a record is no proof of anything.

    Raises:
        LibraryError: the folder of the records cannot be read.
    """
    folder = root / OWN_FOLDER / kind
    found: list[KeptRecord] = []
    with LibraryFaults(root, place=f"{OWN_FOLDER}/{kind}"):
        names = _names([path.name for path in folder.iterdir()]) if folder.is_dir() else []
        for name in names:
            if len(found) >= limit:
                break
            stem = name.removesuffix(".json")
            if before is not None and stem >= before:
                continue
            document = _read(folder / name)
            if document is not None and manifest in {None, document.get("manifest")}:
                found.append(KeptRecord(name=stem, document=document))
    return found


def _names(listed: Sequence[str]) -> list[str]:
    """The records among these files, newest first."""
    return sorted((name for name in listed if name.endswith(".json")), reverse=True)


def _read(path: Path) -> Mapping[str, Any] | None:
    try:
        document = json.loads(path.read_bytes())
    except FileNotFoundError:
        return None  # went as the oldest meanwhile
    except ValueError as error:
        _log.warning("a record cannot be read", file=str(path), message=str(error))
        return None
    return document if isinstance(document, dict) else None
