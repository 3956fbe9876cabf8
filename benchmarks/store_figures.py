"""Measures the store with a million series. Prints JSON.

python -m benchmarks.store_figures FILE SERIES_COUNT
"""

import json
import random
import sys
import time
from collections import deque
from collections.abc import Awaitable, Iterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import anyio

from benchmarks.marking import complete_everything
from downloader.model import Claim, FetchOrder, Image, Proof, Receipt, Series, SeriesState
from downloader.store.records import SeriesFilter
from downloader.store.sqlite.claiming import Completion, claim, complete_waiting
from downloader.store.sqlite.connection import open_connection
from downloader.store.sqlite.store import SqliteStore, open_store

_MANIFEST, _ARCHIVE = "benchmark", "archive"
_BATCH_SERIES = 5_000
_CLAIMS = 1_000
_TOGETHER = 8
_AT = datetime(2026, 1, 1, tzinfo=UTC)
_LEASE_SECONDS = 600.0
_FOLDER = "a/b/c/d"
_IMAGES = tuple(Image(name=f"1-{number}.dcm", sop_instance_uid="1.2", size_bytes=50_000, md5="0" * 32) for number in range(3))
_PAGES = {
    "page_first_ms": SeriesFilter(manifest=_MANIFEST),
    "page_failed_ms": SeriesFilter(state=SeriesState.FAILED),
    "page_collection_ms": SeriesFilter(collection="collection 77"),
    "page_search_ms": SeriesFilter(text="Patient-060000"),
    "page_nothing_ms": SeriesFilter(text="nowhere to be found"),
}


def _batches(series_count: int) -> Iterator[list[Series]]:
    """The series in batches, with UIDs in random order, as an archive lists them."""
    dice = random.Random(1)
    for start in range(0, series_count, _BATCH_SERIES):
        yield [_series(dice, number) for number in range(start, min(start + _BATCH_SERIES, series_count))]


def _series(dice: random.Random, number: int) -> Series:
    return Series(
        series_instance_uid=f"1.3.6.1.4.1.14519.5.2.1.{dice.getrandbits(48)}.{number}",
        study_instance_uid=f"1.3.6.1.4.1.14519.5.2.1.{dice.getrandbits(48)}",
        collection=f"Collection {number // 7_000}",
        patient_id=f"Patient-{number // 8:06d}",
        modality="CT",
        body_part_examined="CHEST",
        manufacturer="SIEMENS",
        manufacturer_model_name="Sensation 16",
        series_description="Axial 5 mm soft tissue",
        image_count=60,
        file_size_bytes=33_000_000,
        study_date=date(2000, 1, 1),
        date_released=date(2020, 1, 1),
        license_name="Creative Commons Attribution 3.0 Unported License",
    )


async def _enqueue(store: SqliteStore, series_count: int) -> float:
    began = time.monotonic()
    number = await store.begin_resolve(_MANIFEST, _AT)
    making_seconds = 0.0
    batches = _batches(series_count)
    while True:
        asked = time.monotonic()
        batch = next(batches, None)
        making_seconds += time.monotonic() - asked
        if batch is None:
            return time.monotonic() - began - making_seconds
        await store.enqueue(_MANIFEST, number, _ARCHIVE, batch)


async def _claim_and_complete(store: SqliteStore, together: int) -> float:
    """Mean milliseconds per series, if `together` series are claimed at once and completed concurrently."""

    async def complete(claim: Claim) -> None:
        await store.complete(claim, _receipt(claim), _FOLDER)

    began = time.monotonic()
    for _ in range(_CLAIMS // together):
        claims = await store.claim(_MANIFEST, session_id="benchmark", lease_seconds=_LEASE_SECONDS, limit=together)
        async with anyio.create_task_group() as group:
            for claim in claims:
                group.start_soon(complete, claim)
    return (time.monotonic() - began) / (_CLAIMS // together * together) * 1000


def _claim_and_complete_alone(path: Path) -> float:
    """Milliseconds per series in the store itself, without the hops to its thread and back."""
    connection = open_connection(path)
    seconds = 0.0
    for _ in range(_CLAIMS):
        began = time.monotonic()
        (held,) = claim(
            connection,
            _MANIFEST,
            session_id="benchmark",
            at=_AT,
            lease_until_at=_AT + timedelta(seconds=_LEASE_SECONDS),
            limit=1,
            order=FetchOrder.ARCHIVE,
        )
        seconds += time.monotonic() - began
        completion = Completion(held=held, receipt=_receipt(held), folder=_FOLDER)
        began = time.monotonic()
        complete_waiting(connection, deque([completion]), completion)
        seconds += time.monotonic() - began
    connection.close()
    return seconds / _CLAIMS * 1000


def _receipt(held: Claim) -> Receipt:
    return Receipt(
        series=held.series,
        archive=_ARCHIVE,
        generation="v4",
        completed_at=_AT,
        tool_version="0",
        images=_IMAGES,
        proof=Proof(size=True, md5_images=3, md5_blank=0),
        received_bytes=1,
    )


async def _took_ms(work: Awaitable[object]) -> float:
    began = time.monotonic()
    await work
    return (time.monotonic() - began) * 1000


async def _measure(path: Path, series_count: int) -> dict[str, float]:
    figures: dict[str, float] = {}
    async with open_store(path) as store:
        await _enqueue(store, _CLAIMS * 2)
        figures["settle_few_ms"] = await _claim_and_complete(store, 1)
        figures["enqueue_seconds"] = await _enqueue(store, series_count)
        figures["settle_many_ms"] = await _claim_and_complete(store, 1)
        figures["settle_together_ms"] = await _claim_and_complete(store, _TOGETHER)
    figures["settle_alone_ms"] = _claim_and_complete_alone(path)
    complete_everything(path)
    async with open_store(path) as store:
        figures["enqueue_complete_seconds"] = await _enqueue(store, series_count)
        began = time.monotonic()
        await store.claim(_MANIFEST, session_id="benchmark", lease_seconds=0)
        await store.next_due_seconds(_MANIFEST)
        figures["claim_none_ms"] = (time.monotonic() - began) * 1000
        figures["tally_ms"] = await _took_ms(store.tally(_MANIFEST))
        for name, wanted in _PAGES.items():
            figures[name] = await _took_ms(store.find_page(wanted))
    return figures


if __name__ == "__main__":
    print(json.dumps(anyio.run(_measure, Path(sys.argv[1]), int(sys.argv[2]))))
