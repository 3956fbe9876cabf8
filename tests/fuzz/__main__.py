"""Feeds one target with bytes for a bounded time: `python -m tests.fuzz TARGET SECONDS`. A finding ends it with a traceback."""

import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final

import atheris

with atheris.instrument_imports(include=["downloader"]):
    from tests.fuzz.targets import read_catalogue, read_dicom, read_manifest, read_zip

TARGETS: Final[Mapping[str, Callable[[bytes], None]]] = {
    "zip": read_zip,
    "dicom": read_dicom,
    "catalogue": read_catalogue,
    "manifest": read_manifest,
}
LONGEST_INPUT_BYTES: Final = 65_536

FINDINGS: Final = Path(__file__).parents[2] / "build" / "fuzz"

target, seconds = sys.argv[1], int(sys.argv[2])
FINDINGS.mkdir(parents=True, exist_ok=True)
flags = [f"-max_total_time={seconds}", f"-max_len={LONGEST_INPUT_BYTES}", "-timeout=10", f"-artifact_prefix={FINDINGS}/{target}-"]
atheris.Setup([sys.argv[0], *flags], TARGETS[target])
atheris.Fuzz()
