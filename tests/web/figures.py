"""The status of a service of which everything is known."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from downloader.model import SeriesTally
from downloader.service.port import (
    ArchiveStatus,
    CycleSummary,
    LibraryStatus,
    ManifestState,
    ManifestStatus,
    RunPhase,
    RunProgress,
    ServiceStatus,
)

NOW = datetime(2026, 11, 24, 12, tzinfo=UTC)


def status_of_everything() -> tuple[ServiceStatus, list[ManifestStatus]]:
    """One manifest, one library, one archive."""
    library = LibraryStatus(
        directory="/library",
        store="/state/state.db",
        problem="",
        paused=False,
        short_of_room=False,
        free_bytes=10**12,
        min_free_bytes=10**9,
        tally=SeriesTally(complete=1),
        queued_since_at=NOW,
    )
    status = ServiceStatus(
        version="1.0",
        told_at=NOW,
        started_at=NOW,
        beat_at=NOW,
        paused=False,
        draining=False,
        folder="/manifests",
        folder_problem="",
        parts=(),
        libraries=(library,),
        archives=(ArchiveStatus(name="tcia", base_url="https://archive.example.org", reached_at=NOW),),
    )
    return status, [manifest_status("m", tally=SeriesTally(complete=1))]


def manifest_status(name: str, **changes: Any) -> ManifestStatus:  # noqa: ANN401
    """A manifest that waits for its next cycle."""
    manifest = ManifestStatus(
        name=name,
        file=f"/manifests/{name}.yaml",
        problem="",
        in_force=True,
        state=ManifestState.IDLE,
        archive="tcia",
        library="/library",
        schedule="every 6h",
        next_run_at=NOW,
        last_cycle=None,
        last_success_at=NOW,
        tally=SeriesTally(),
        progress=None,
    )
    return replace(manifest, **changes)


def cycle_summary(outcome: str = "complete", error: str = "") -> CycleSummary:
    """A cycle of half an hour that ended an hour ago."""
    ended_at = NOW - timedelta(hours=1)
    exit_code = 0 if outcome == "complete" else 3
    return CycleSummary(
        began_at=ended_at - timedelta(minutes=30), ended_at=ended_at, outcome=outcome, exit_code=exit_code, error=error
    )


def run_progress(**figures: Any) -> RunProgress:  # noqa: ANN401
    """A cycle that fetches since an hour."""
    return replace(RunProgress(started_at=NOW - timedelta(hours=1), phase=RunPhase.FETCHING), **figures)
