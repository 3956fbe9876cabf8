"""The contents of a benchmark's archive, and where they are stored. Imports nothing large: see `measuring.run`."""

import json
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

IMAGE_CORPORA = ("normal", "tiny", "huge", "real")
SLOW_CORPUS = "slow"


@dataclass(frozen=True, slots=True)
class Corpus:
    """The contents of a folder of replies; `file_bytes` are those of the images, `body_bytes` those of the ZIPs."""

    name: str
    folder: str
    series: dict[str, int]
    image_count: int
    file_bytes: int
    body_bytes: int

    @property
    def description(self) -> str:
        """One line for the report."""
        sizes = f"{self.file_bytes / 1e9:.2f} GB, deflated to {self.body_bytes / self.file_bytes:.2f}"
        return f"{len(self.series):,} series, {self.image_count:,} images, {sizes}"


def ready_corpus(name: str, place: Path, scale: float) -> Corpus:
    """One of IMAGE_CORPORA, or SLOW_CORPUS, created below `place` if it does not exist."""
    folder = place / f"{name}-{scale:g}"
    told = folder / "corpus.json"
    if not told.exists():
        shutil.rmtree(folder, ignore_errors=True)
        _make("benchmarks.making", name, str(folder), str(scale))
    return Corpus(**json.loads(told.read_text()))


def ready_catalogue(place: Path, series_count: int) -> Path:
    """The folder with the replies for that many real series, created below `place` if it does not exist."""
    folder = place / f"catalogue-{series_count}"
    if not (folder / "catalogue.json").exists():
        shutil.rmtree(folder, ignore_errors=True)
        _make("benchmarks.real_catalogue", str(folder), str(series_count))
    return folder


def _make(*program: str) -> None:
    subprocess.run([sys.executable, "-m", *program], check=True)
