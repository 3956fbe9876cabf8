"""Measures the verbs that process a whole library, on a generated library of many small series.

python -m benchmarks.mending [--series 20000] [--images 4] [--against CHECKOUT] [--rounds 1] [VERB ...]
"""

import argparse
import hashlib
import os
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from downloader.library.layout import parse_layout
from downloader.library.receipt import RECEIPT_NAME, encode_receipt
from downloader.model import Image, Proof, Receipt, Series

HERE: Final = Path(__file__).parents[1]
CONTENT: Final = b"an image of this library: not one that could be shown, since only its size and its MD5 matter here\n"
SERIES_OF_A_PATIENT: Final = 10
COMPLETED_AT: Final = datetime(2026, 11, 23, 12, tzinfo=UTC)
VERBS: Final = {
    "rebuild": (("store", "rebuild", "--quiet"),),
    "verify": (("verify", "--quiet"),),
    "relayout": (("relayout", "flat", "--quiet"), ("relayout", "classic", "--quiet")),
}


def main() -> None:
    """Generate the library, then run each verb with each checkout in turn."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("verbs", nargs="*", choices=[[], *VERBS])
    parser.add_argument("--series", type=int, default=20_000)
    parser.add_argument("--images", type=int, default=4)
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--against", type=Path, metavar="CHECKOUT")
    parser.add_argument("--place", type=Path, default=Path(tempfile.gettempdir()) / "tciad-mending", help="kept between runs")
    arguments = parser.parse_args()
    checkouts = [HERE, *([arguments.against] if arguments.against else [])]
    # one library per checkout: an older tciad refuses the store of a newer one
    libraries = [arguments.place / f"{arguments.series}-{arguments.images}-{number}" for number in range(len(checkouts))]
    for library in libraries:
        if not library.exists():
            make_library(library, arguments.series, arguments.images)
    for verb in arguments.verbs or VERBS:
        for _ in range(arguments.rounds):
            measured = [run_verb(*pair, verb) for pair in zip(checkouts, libraries, strict=True)]
            told = "; before: ".join(f"{seconds:.1f} s, of the processor {busy:.1f} s" for seconds, busy in measured)
            ratio = f"; {measured[1][0] / measured[0][0]:.1f} times faster" if len(measured) > 1 else ""
            print(f"{verb}: {told}{ratio}", flush=True)


def make_library(library: Path, count: int, images: int) -> None:
    """Generate series with receipts and small files, in the default layout, and no store."""
    layout = parse_layout("classic")
    unfinished = library.with_suffix(".new")
    shutil.rmtree(unfinished, ignore_errors=True)
    (unfinished / ".tciad").mkdir(parents=True)
    md5 = hashlib.md5(CONTENT, usedforsecurity=False).hexdigest()
    for series in some_series(count, images):
        folder = unfinished / layout.folders(series)[0]
        folder.mkdir(parents=True)
        names = [f"1-{number:03d}.dcm" for number in range(1, images + 1)]
        for name in names:
            (folder / name).write_bytes(CONTENT)
        (folder / RECEIPT_NAME).write_bytes(encode_receipt(receipt_of(series, names, md5)))
    unfinished.rename(library)


def some_series(count: int, images: int) -> Iterator[Series]:
    """Series as an archive lists them."""
    for number in range(count):
        patient = number // SERIES_OF_A_PATIENT
        yield Series(
            series_instance_uid=f"1.3.6.1.4.1.14519.5.2.1.6279.6001.{number + 1:030d}",
            study_instance_uid=f"1.3.6.1.4.1.14519.5.2.1.6279.6002.{patient + 1:030d}",
            patient_id=f"Patient-{patient:06d}",
            collection=f"Collection-{patient % 20:02d}",
            modality="CT",
            series_description="thin, axial",
            image_count=images,
            file_size_bytes=images * len(CONTENT),
        )


def receipt_of(series: Series, names: list[str], md5: str) -> Receipt:
    """The receipt of files with that content."""
    return Receipt(
        series=series,
        archive="benchmark",
        generation="v4",
        completed_at=COMPLETED_AT,
        tool_version="0.1.0",
        images=tuple(
            Image(
                sop_instance_uid=f"{series.series_instance_uid}.{number}",
                name=name,
                size_bytes=len(CONTENT),
                md5=md5,
                sop_class_uid="1.2.840.10008.5.1.4.1.1.2",
            )
            for number, name in enumerate(names, 1)
        ),
        proof=Proof(size=True, md5_images=len(names), md5_blank=0),
        received_bytes=len(names) * len(CONTENT),
    )


def run_verb(checkout: Path, library: Path, verb: str) -> tuple[float, float]:
    """Seconds of wall time and of CPU time of the verb; for a relayout, half of moving there and back."""
    environment = {**os.environ, "PYTHONPATH": str(checkout)}
    if verb != "rebuild" and not (library / ".tciad" / "state.db").exists():
        run_verb(checkout, library, "rebuild")
    began, busy = time.monotonic(), _processor_seconds()
    for command in VERBS[verb]:
        order = [sys.executable, "-m", "downloader", *command, "-o", str(library)]
        subprocess.run(order, env=environment, cwd=checkout, check=True, capture_output=True)
    count = len(VERBS[verb])
    measured = (time.monotonic() - began) / count, (_processor_seconds() - busy) / count
    for aside in (library / ".tciad").glob("state.db.*.old*"):
        aside.unlink()
    return measured


def _processor_seconds() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


if __name__ == "__main__":
    main()
