"""The status of a service of which everything is known."""

from datetime import UTC, datetime

from downloader.model import SeriesTally
from downloader.service.port import ArchiveStatus, LibraryStatus, ManifestState, ManifestStatus, ServiceStatus

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
    manifest = ManifestStatus(
        name="m",
        file="/manifests/m.yaml",
        problem="",
        in_force=True,
        state=ManifestState.IDLE,
        archive="tcia",
        library="/library",
        schedule="every 6h",
        next_run_at=NOW,
        last_cycle=None,
        last_success_at=NOW,
        tally=SeriesTally(complete=1),
        progress=None,
    )
    return status, [manifest]
