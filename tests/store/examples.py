"""Series, receipts and moments for tests of the store, and the few steps that most of them begin with."""

import subprocess
import sys
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

from downloader.model import Claim, FetchOrder, Image, Proof, Receipt, Series
from downloader.store.port import Queue, Store
from downloader.store.records import Enqueued, Session
from tests.fakes.clock import FakeClock

START_AT = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)
ARCHIVE = "tcia"


def after(seconds: float) -> datetime:
    """That long after the start."""
    return START_AT + timedelta(seconds=seconds)


def uid(number: int) -> str:
    """The SeriesInstanceUID of the example series of that number."""
    return f"1.2.840.99999.{number}"


SUBMITTED_AT = datetime(2015, 7, 20, 8, 30, tzinfo=UTC)


def series(
    number: int,
    *,
    image_count: int | None = 3,
    file_size_bytes: int | None = 3000,
    submitted_at: datetime | None = SUBMITTED_AT,
) -> Series:
    """An example series."""
    return Series(
        series_instance_uid=uid(number),
        collection="LIDC-IDRI",
        image_count=image_count,
        file_size_bytes=file_size_bytes,
        date_released=date(2015, 7, 21),
        submitted_at=submitted_at,
    )


def whole_series() -> Series:
    """One with every attribute present, each with another value."""
    return Series(
        series_instance_uid=uid(1),
        study_instance_uid="1.2.840.99999.0.1",
        collection="LIDC-IDRI",
        patient_id="LIDC IDRI/0001",
        modality="CT",
        body_part_examined="CHEST",
        manufacturer="SIEMENS",
        manufacturer_model_name="Sensation 16",
        software_versions="VA70C",
        series_number="2",
        series_description="10 µm² \x00 axial / 1.0",
        protocol_name="Thorax",
        series_date=date(2000, 1, 2),
        study_date=date(2000, 1, 1),
        study_description="CT thorax",
        study_id="17",
        annotations_flag="Y",
        third_party_analysis="NO",
        license_name="CC BY 3.0",
        license_uri="https://creativecommons.org/licenses/by/3.0/",
        data_description_uri="https://doi.org/10.7937/K9/TCIA.2015.LO9QL9SX",
        image_count=133,
        file_size_bytes=70_029_516,
        date_released=date(2015, 7, 21),
        submitted_at=datetime(2015, 7, 20, 8, 30, 0, 125_000, tzinfo=UTC),
        released_status="Yes",
    )


CT = "1.2.840.10008.5.1.4.1.1.2"


def receipt(of: Series, *, images: int = 3, archive: str = ARCHIVE) -> Receipt:
    """A receipt of that many images of 1000 bytes."""
    return Receipt(
        series=of,
        archive=archive,
        generation="v4",
        completed_at=after(60),
        tool_version="1.0",
        images=tuple(
            Image(name=f"1-{number}.dcm", sop_instance_uid=f"1.2.{number}", size_bytes=1000, md5="0" * 32, sop_class_uid=CT)
            for number in range(images)
        ),
        proof=Proof(size=True, md5_images=images, md5_blank=0),
        received_bytes=1234,
    )


async def enqueue(store: Store, manifest: str, *batch: Series, archive: str = ARCHIVE, resolve: int | None = None) -> Enqueued:
    """Resolve the manifest to these series; or go on with the resolve that is given."""
    if resolve is None:
        resolve = await store.begin_resolve(manifest, START_AT)
    return await store.enqueue(manifest, resolve, archive, batch)


CLOCK = FakeClock()
"""The clock of every store that a test opens; begins at `START_AT` in each test."""


def turn_to(at: datetime) -> None:
    """Let it be that time for the store."""
    CLOCK.elapsed_seconds = (at - START_AT).total_seconds()


def session(name: str) -> Session:
    """A session of that id."""
    return Session(session_id=name, host="host", pid=1, tool_version="1.0")


async def claim(
    store: Queue,
    manifest: str = "m",
    *,
    owner: str = "w1",
    at: datetime = START_AT,
    limit: int = 100,
    order: FetchOrder = FetchOrder.ARCHIVE,
    archives: Collection[str] | None = None,
) -> Sequence[Claim]:
    """Claim with a lease of a minute, at that time."""
    turn_to(at)
    return await store.claim(manifest, session_id=owner, lease_seconds=60, limit=limit, order=order, archives=archives)


async def drop_wishes(
    store: Store, manifest: str, resolve: int, is_wanted: Callable[[Series], bool] = lambda _series: False
) -> int:
    """Drop the wishes for series that vanished from the manifest, but for those that it still wants."""
    vanished = [row.series async for row in store.find_vanished(manifest, resolve)]
    return await store.drop_wishes(manifest, resolve, [one.series_instance_uid for one in vanished if not is_wanted(one)])


async def complete_all(store: Store, manifest: str = "m") -> None:
    """Claim and complete everything that is due."""
    for held in await claim(store, manifest):
        await complete(store, held)


async def complete(store: Store, held: Claim) -> None:
    """Complete what was claimed."""
    await store.complete(held, receipt(held.series), folder_of(held))


def folder_of(held: Claim) -> str:
    """Where the library would put it."""
    return f"LIDC-IDRI/{held.series.series_instance_uid}"


async def fail_all(store: Store, manifest: str = "m") -> None:
    """Claim and fail everything that is due."""
    for held in await claim(store, manifest):
        await store.fail(held, error="CorruptZipError", message="no ZIP")


def uids(claims: Iterable[Claim]) -> list[str]:
    """Which series were claimed, in order."""
    return [held.series.series_instance_uid for held in claims]


async def states(store: Store, manifest: str | None = None) -> dict[str, str]:
    """The state of each series by its UID."""
    return {row.series.series_instance_uid: str(row.state) async for row in store.find(manifest)}


def start_python(program: str, *arguments: str) -> subprocess.Popen[str]:
    """Another Python process that runs `program` and may import what tests may."""
    return subprocess.Popen(
        [sys.executable, "-c", program, *arguments],
        stdout=subprocess.PIPE,
        text=True,
        cwd=Path(__file__).parents[2],
    )


def grown(of: Series) -> Series:
    """The same series with one image more in the catalogue."""
    return replace(of, image_count=(of.image_count or 0) + 1)
