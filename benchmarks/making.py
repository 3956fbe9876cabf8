"""Generates the corpora of the benchmarks: once, from a seed, as a folder of replies.

python -m benchmarks.making NAME FOLDER SCALE
"""

import json
import random
import sys
from collections.abc import Iterable, Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

from benchmarks.bodies import BLOCK_BYTES, BodyMaker, MadeSeries, SeriesPlan
from benchmarks.corpus import IMAGE_CORPORA, SLOW_CORPUS, Corpus
from benchmarks.replies import ReplyFile, catalogue_path, collections_path, images_path, write_rows

SEED = 20261124
_NAMES = (*IMAGE_CORPORA, SLOW_CORPUS)
_REAL_BYTES = 1_000_000_000
_REAL_SERIES = 160
# slow and fast archives differ only for series that take longer than the first byte
_SLOW_BYTES = 7_000_000_000
_SLOW_SERIES = 400


def make_images(name: str, folder: Path, scale: float) -> None:
    """Generate one of IMAGE_CORPORA; its only collection has the same name."""
    maker = BodyMaker(SEED)
    made: list[MadeSeries] = []
    for plan in _plans(name, scale):
        with ReplyFile(images_path(folder, plan.series_instance_uid), "application/octet-stream") as reply:
            made.append(maker.write(plan, reply.write))
    write_rows(collections_path(folder), [{"Collection": name}])
    write_rows(catalogue_path(folder, name), (_row(name, series) for series in made))
    corpus = Corpus(
        name=name,
        folder=str(folder),
        series={series.plan.series_instance_uid: series.body_bytes for series in made},
        image_count=sum(series.plan.image_count for series in made),
        file_bytes=sum(series.file_size_bytes for series in made),
        body_bytes=sum(series.body_bytes for series in made),
    )
    (folder / "corpus.json").write_text(json.dumps(asdict(corpus)))


def _plans(name: str, scale: float) -> Iterator[SeriesPlan]:
    dice = random.Random(SEED)
    shapes: Iterable[tuple[int, int]]
    if name == "normal":
        shapes = [(dice.randint(60, 200), BLOCK_BYTES) for _ in range(max(4, round(20 * scale)))]
    elif name == "tiny":
        shapes = [(dice.randint(1, 5), 50_000) for _ in range(max(4, round(1500 * scale)))]
    elif name == "huge":
        shapes = [(1, round(2048 * min(1.0, scale)) * BLOCK_BYTES)]
    elif name == SLOW_CORPUS:
        shapes = _real_shapes(round(_SLOW_SERIES * scale), _SLOW_BYTES * scale)
    else:
        shapes = _real_shapes(round(_REAL_SERIES * scale), _REAL_BYTES * scale)
    for number, (image_count, pixel_bytes) in enumerate(shapes, 1):
        yield SeriesPlan(f"1.3.6.1.4.1.14519.5.2.1.{_NAMES.index(name) + 1}.{number:06d}", image_count, pixel_bytes)


def _real_shapes(series_count: int, total_bytes: float) -> Iterator[tuple[int, int]]:
    """Series drawn from the real catalogue, scaled down by one factor: first to fewer images, then to smaller ones."""
    from benchmarks.real_catalogue import read_tcia_rows  # noqa: PLC0415 - pyarrow takes 200 MB

    figures = read_tcia_rows(["instanceCount", "series_size_MB"])
    drawn = random.Random(SEED).sample(figures, max(4, series_count))
    factor = total_bytes / sum(row["series_size_MB"] * 1e6 for row in drawn)
    for row in drawn:
        wanted_bytes = row["series_size_MB"] * 1e6 * factor
        image_count = max(1, round(row["instanceCount"] * factor))
        yield image_count, max(256, round(wanted_bytes / image_count / 2) * 2)


def _row(collection: str, series: MadeSeries) -> dict[str, Any]:
    """A row of getSeries in the form of v4 (docs/archives.md#series-queries)."""
    return {
        "SeriesInstanceUID": series.plan.series_instance_uid,
        "StudyInstanceUID": f"{series.plan.series_instance_uid}.1",
        "Modality": "CT",
        "SeriesDate": "01-01-2020",
        "SeriesDescription": "Made up for a benchmark",
        "BodyPartExamined": "CHEST",
        "SeriesNumber": 1,
        "Collection": collection,
        "PatientID": f"{collection}-{series.plan.series_instance_uid[-4:]}",
        "Manufacturer": "none",
        "ImageCount": series.plan.image_count,
        "FileSize": series.file_size_bytes,
        "DateReleased": "01-02-2020",
        "LicenseName": "Creative Commons Attribution 4.0 International License",
        "LicenseURI": "https://creativecommons.org/licenses/by/4.0/",
    }


if __name__ == "__main__":
    make_images(sys.argv[1], Path(sys.argv[2]), float(sys.argv[3]))
