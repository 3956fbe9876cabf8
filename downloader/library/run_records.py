"""`.tciad/runs/<started>.json`: what each run reported, kept with the library."""

from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

from downloader.library.records import RUNS, write_record


async def write_run_record(root: Path, started_at: datetime, document: Mapping[str, Any]) -> Path:
    """Keep the report of a run that started then; a second one of the same instant replaces it.

    Raises:
        LibraryError, NoSpaceError: it cannot be written.
    """
    return await write_record(root, RUNS, started_at, {"started_at": started_at.isoformat(), **document})
