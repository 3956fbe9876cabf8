"""The records of runs in `.tciad/runs/<started>.json`."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from downloader.library.model import Record


@dataclass(frozen=True, slots=True, kw_only=True)
class RunRecord:
    """The report of one run, as far as reports of a library need it."""

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
        """The average download rate over the whole run."""
        return self.received_bytes / self.elapsed_seconds if self.elapsed_seconds > 0 else 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class RunRecords:
    """Runs of a library, oldest first, and the names of invalid records."""

    runs: tuple[RunRecord, ...] = ()
    unreadable: tuple[str, ...] = ()


def read_runs(records: Sequence[Record]) -> RunRecords:
    """The reports in these records, which are newest first. Invalid records are named, and not an error: they prove nothing."""
    runs: list[RunRecord] = []
    unreadable: list[str] = []
    for kept in reversed(records):
        try:
            runs.append(_record_of(kept.document))
        except (ValueError, KeyError, TypeError, OverflowError):
            unreadable.append(kept.name)
    return RunRecords(runs=tuple(runs), unreadable=tuple(unreadable))


def run_document(started_at: datetime, report: Mapping[str, Any]) -> Mapping[str, Any]:
    """The record of a run that started then."""
    return {"started_at": started_at.isoformat(), **report}


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
