"""`.tciad/runs/<started>.json`: what each run reported, kept with the library."""

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import aiofiles
import aiofiles.os

from downloader.library.faults import LibraryFaults
from downloader.library.shelf import OWN_FOLDER


async def write_run_record(root: Path, started_at: datetime, document: Mapping[str, Any]) -> Path:
    """Keep the report of a run that started then; a second one of the same instant replaces it.

    Raises:
        LibraryError, NoSpaceError: it cannot be written.
    """
    name = started_at.astimezone(UTC).strftime("%Y%m%dT%H%M%S.%fZ.json")
    target = root / OWN_FOLDER / "runs" / name
    temporary = target.with_suffix(".new")
    with LibraryFaults(root, place=f"{OWN_FOLDER}/runs/{name}"):
        async with aiofiles.open(temporary, "w", encoding="utf-8") as file:
            await file.write(json.dumps({"started_at": started_at.isoformat(), **document}, indent=2) + "\n")
        await aiofiles.os.replace(temporary, target)
    return target
