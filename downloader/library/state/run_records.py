"""`.tciad/runs/<started>.json`: what each run reported, kept with the library."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from downloader.library.state.records import RUNS, read_records, write_record


async def write_run_record(root: Path, started_at: datetime, document: Mapping[str, Any]) -> Path:
    """Keep the report of a run that started then; a second one of the same instant replaces it.

    Raises:
        LibraryError, NoSpaceError: it cannot be written.
    """
    return await write_record(root, RUNS, started_at, {"started_at": started_at.isoformat(), **document})


@dataclass(frozen=True, slots=True, kw_only=True)
class RunRecord:
    """What one run said when it ended, as far as reports of a library tell it."""

    started_at: datetime
    manifest: str
    outcome: str
    completed: int
    failed: int
    received_bytes: int
    elapsed_seconds: float
    error: str

    @property
    def bytes_per_second(self) -> float:
        """What came from the network, over the whole run."""
        return self.received_bytes / self.elapsed_seconds if self.elapsed_seconds > 0 else 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class RunRecords:
    """Runs of a library, oldest first, and the names of records among them that do not say what a run says."""

    runs: tuple[RunRecord, ...] = ()
    unreadable: tuple[str, ...] = ()


def read_run_records(root: Path, newest: int) -> RunRecords:
    """What the newest runs reported. Blocks.

    Raises:
        LibraryError: the folder of the records cannot be read.
    """
    runs: list[RunRecord] = []
    unreadable: list[str] = []
    for kept in reversed(read_records(root, RUNS, limit=newest)):
        try:
            runs.append(_record_of(kept.document))
        except (ValueError, KeyError, TypeError, OverflowError):
            # a record is no proof of anything: one that is broken is told, and that is all
            unreadable.append(kept.name)
    return RunRecords(runs=tuple(runs), unreadable=tuple(unreadable))


def _record_of(document: Mapping[str, Any]) -> RunRecord:
    elapsed_seconds = float(document["elapsed_seconds"])
    if not math.isfinite(elapsed_seconds):
        raise ValueError("no duration")
    return RunRecord(
        started_at=datetime.fromisoformat(document["started_at"]).astimezone(UTC),
        manifest=str(document["manifest"]),
        outcome=str(document["outcome"]),
        completed=int(document["series"]["completed"]),
        failed=int(document["series"]["failed"]),
        received_bytes=int(document["received_bytes"]),
        elapsed_seconds=elapsed_seconds,
        error=str(document["error"]),
    )
