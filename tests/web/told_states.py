"""States of a service that the page is photographed in."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from downloader.model import SeriesTally
from downloader.pacing import BreakerState
from downloader.service.port import (
    ActiveSeries,
    ArchiveFailure,
    ArchiveStatus,
    LibraryStatus,
    ManifestState,
    ManifestStatus,
    RunPhase,
    RunProgress,
)
from downloader.store.records import FailureGroup
from tests.web.figures import cycle_summary, manifest_status, status_of_everything
from tests.web.told_service import LIBRARY, SERIES_IN_A_MILLION, ToldService

TERABYTE = 10**12
GIGABYTE = 10**9
LIDC = SeriesTally(
    complete=812,
    pending=200,
    claimed=6,
    images=151_204,
    stored_bytes=79 * GIGABYTE,
    expected_images=189_310,
    expected_bytes=101 * GIGABYTE,
)
NLST = SeriesTally(
    complete=20_411,
    images=2_310_044,
    stored_bytes=1210 * GIGABYTE,
    expected_images=2_310_044,
    expected_bytes=1210 * GIGABYTE,
)


def now() -> datetime:
    """The page tells times from now."""
    return datetime.now(UTC)


def active(place: int) -> ActiveSeries:
    """One of several series under way."""
    return ActiveSeries(
        series_instance_uid=f"1.3.6.1.4.1.14519.5.2.1.6279.6001.{179049373636438705059720603192 + place}",
        collection="LIDC-IDRI",
        patient_id=f"LIDC-IDRI-{813 + place:04}",
        modality="CT",
        attempt=1 + place // 5,
        began_at=now(),
        images=30 * place + 12,
        image_count=240 if place % 3 else None,
        received_bytes=10**7,
        file_size_bytes=10**8,
    )


def run(**figures: Any) -> RunProgress:  # noqa: ANN401
    """The cycle of a large manifest, in its middle."""
    progress = RunProgress(
        started_at=now() - timedelta(hours=3),
        phase=RunPhase.FETCHING,
        completed=310,
        set_back=4,
        images=62_000,
        received_bytes=31 * GIGABYTE,
        stored_bytes=11 * GIGABYTE,
        bytes_per_second=3.4e6,
        concurrency=8,
        concurrency_ceiling=16,
        active=tuple(active(place) for place in range(6)),
    )
    return replace(progress, **figures)


def library(**changes: Any) -> LibraryStatus:  # noqa: ANN401
    """A disk of four terabytes."""
    status, _ = status_of_everything()
    usual = replace(
        status.libraries[0], directory=LIBRARY, capacity_bytes=4 * TERABYTE, free_bytes=2 * TERABYTE, min_free_bytes=2 * GIGABYTE
    )
    return replace(usual, **changes)


def archive(**changes: Any) -> ArchiveStatus:  # noqa: ANN401
    """It answered a moment ago."""
    usual = ArchiveStatus(
        name="tcia",
        base_url="https://services.cancerimagingarchive.net/nbia-api/services",
        reached_at=now() - timedelta(seconds=40),
        reachable=True,
    )
    return replace(usual, **changes)


def told(*manifests: ManifestStatus, archives: tuple[ArchiveStatus, ...] = (), **changes: Any) -> ToldService:  # noqa: ANN401
    """A service with these manifests; `changes` are of the fake, or of the status."""
    status, _ = status_of_everything()
    own = {name: changes.pop(name) for name in list(changes) if name in ToldService.__dataclass_fields__}
    tallies = [manifest.tally for manifest in manifests]
    summed = SeriesTally(**{name: sum(getattr(tally, name) for tally in tallies) for name in SeriesTally.__dataclass_fields__})
    libraries = changes.pop("libraries", (library(tally=summed),))
    status = replace(status, told_at=now(), archives=archives or (archive(),), libraries=libraries, **changes)
    return ToldService(status_now=status, manifests_now=manifests, **own)


def manifest(name: str, tally: SeriesTally, **changes: Any) -> ManifestStatus:  # noqa: ANN401
    """With times that are near."""
    usual = manifest_status(
        name,
        tally=tally,
        library=LIBRARY,
        concurrency_ceiling=16,
        next_run_at=now() + timedelta(hours=4, minutes=2),
        last_success_at=now() - timedelta(hours=2),
        last_cycle=replace(cycle_summary(), began_at=now() - timedelta(hours=2, minutes=25), ended_at=now() - timedelta(hours=2)),
    )
    return replace(usual, **changes)


def past_cycles(*outcomes: str) -> tuple[dict[str, Any], ...]:
    """Change reports, newest first."""
    reports = []
    for place, outcome in enumerate(outcomes):
        began_at = now() - timedelta(hours=2 + 6 * place)
        failed = [{"series_instance_uid": "1.3.6.1.4.1.14519.5.2.1.99.1", "error": "CutTransferError", "message": "cut"}]
        reports.append(
            {
                "name": began_at.strftime("%Y%m%dT%H%M%S.%fZ"),
                "library": LIBRARY,
                "manifest": "lidc" if place % 2 else "nlst",
                "began_at": began_at.isoformat(),
                "ended_at": (began_at + timedelta(minutes=25)).isoformat(),
                "outcome": outcome,
                "error": "the archive does not answer" if outcome == "failed" else "",
                "counts": {"new": 12 * (place % 3), "changed": place % 2, "withdrawn": 0, "failed": int(outcome == "incomplete")},
                "new": [{"series_instance_uid": f"1.3.6.1.4.1.14519.5.2.1.99.{n}"} for n in range(12 * (place % 3))],
                "failed": failed if outcome == "incomplete" else [],
            }
        )
    return tuple(reports)


def empty() -> ToldService:
    """Just started, with a folder without manifests."""
    return told(archives=(archive(reached_at=None, reachable=False),), libraries=())


def running() -> ToldService:
    """One manifest is fetched under a bandwidth limit, another one is complete."""
    return told(
        manifest("lidc", LIDC, state=ManifestState.RUNNING, bandwidth_bytes_per_second=4_000_000, next_run_at=None),
        manifest("nlst", NLST),
        running={"lidc": run()},
        cycles=past_cycles("complete", "complete", "incomplete", "complete"),
    )


def failing() -> ToldService:
    """A broken manifest, and thousands of failures of few kinds; the disk is too small."""
    retry_at = now() + timedelta(minutes=42)
    return told(
        manifest("lidc", replace(LIDC, failed=3936, pending=40, claimed=6), state=ManifestState.RUNNING, next_run_at=None),
        manifest(
            "typo",
            SeriesTally(),
            problem="/srv/mirror/manifests/typo.yaml:2: archive: 'tcai' is no archive (did you mean 'tcia'?)",
            in_force=False,
            state=ManifestState.BROKEN,
            next_run_at=None,
            last_cycle=None,
            last_success_at=None,
        ),
        running={"lidc": run(failed=3936)},
        series_count=3936,
        libraries=(library(tally=replace(LIDC, pending=900), free_bytes=14 * GIGABYTE),),
        cycles=past_cycles("incomplete", "failed", "complete"),
        groups=[
            group("CutTransferError", "LIDC-IDRI", 3120, "the reply ended after 18,874,368 of 68,263,912 bytes", retry_at),
            group("IncompleteSeriesError", "NSCLC-Radiomics-Interobserver1", 811, "119 of 120 images came", retry_at),
            group("CorruptZipError", "", 5, "image 3: its CRC-32 is wrong", None),
        ],
    )


def group(error: str, collection: str, series: int, message: str, retry_at: datetime | None) -> FailureGroup:
    """Failures of one kind."""
    return FailureGroup(
        error=error, collection=collection, series=series, message=message, first_retry_at=retry_at, last_retry_at=retry_at
    )


def out() -> ToldService:
    """The archive stopped answering an hour ago, in the middle of a cycle."""
    since_at = now() - timedelta(hours=1)
    waiting = run(
        phase=RunPhase.WAITING, waiting_since_at=since_at, archives_out=("tcia",), breaker=BreakerState.OPEN, active=(),
        bytes_per_second=0.0,
    )  # fmt: skip
    failing = archive(
        reachable=False,
        reached_at=since_at,
        failed_at=now(),
        failing_since_at=since_at,
        failure=ArchiveFailure.UNREACHABLE,
        problem="the archive does not answer; it is probed from time to time",
    )
    return told(
        manifest("lidc", LIDC, state=ManifestState.RUNNING, next_run_at=None),
        manifest("nlst", NLST),
        archives=(failing,),
        running={"lidc": waiting},
        cycles=past_cycles("complete"),
    )


def paused() -> ToldService:
    """Paused while an archive is out: the sentence has both."""
    service = out()
    service.status_now = replace(service.status_now, paused=True, libraries=(library(paused=True, tally=LIDC),))
    service.manifests_now = [replace(each, state=ManifestState.PAUSED) for each in service.manifests_now]
    service.running = {}
    return service


def complete() -> ToldService:
    """Nothing is left to do."""
    return told(manifest("nlst", NLST), cycles=past_cycles("complete", "complete"))


def large() -> ToldService:
    """A million series."""
    tally = SeriesTally(
        complete=SERIES_IN_A_MILLION - 58_201,
        pending=58_201,
        images=181_422_801,
        stored_bytes=93 * TERABYTE,
        expected_images=193_000_118,
        expected_bytes=99 * TERABYTE,
    )
    disk = library(tally=tally, capacity_bytes=120 * TERABYTE, free_bytes=27 * TERABYTE)
    return told(
        *[manifest(f"collection-{place:02}", replace(NLST, complete=20_000 + place)) for place in range(11)],
        manifest("everything", tally, state=ManifestState.RUNNING, next_run_at=None),
        running={"everything": run(bytes_per_second=1.1e8, stored_bytes=350 * GIGABYTE)},
        libraries=(disk,),
        series_count=SERIES_IN_A_MILLION,
        cycles=past_cycles(*["complete"] * 40),
    )
