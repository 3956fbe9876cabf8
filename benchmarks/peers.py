"""The programs that fetch the same series, each in its own process, and checked after every run."""

import json
import os
import shutil
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from benchmarks.corpus import Corpus
from benchmarks.measuring import BenchmarkError, Finished, run

IMAGES = "v4/getImage?IncludeMD5=Yes&NewFileNames=Yes&SeriesInstanceUID="
_PIPELINE = """
mkdir "$1/$2" && cd "$1/$2" &&
curl --silent --fail "$0$2" | bsdtar -xf - &&
sed -n '2,$s/\\(.*\\),\\(.*\\)/\\2  \\1/p' md5hashes.csv | md5sum --check --quiet -
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """A contestant's task: fetch all series of the corpus at `address` into the empty folder `target`."""

    corpus: Corpus
    address: str
    target: Path
    concurrency: int
    log: Path


@dataclass(frozen=True, slots=True, kw_only=True)
class Peer:
    """A contestant. `needs` are the programs that it requires; `stores` is false for the lower bound, which stores nothing."""

    name: str
    version: str
    fetch: Callable[[Task], Finished]
    needs: tuple[str, ...] = ()
    stores: bool = True

    def missing(self) -> str:
        """The first required program that is not installed; empty if none is missing."""
        return next((program for program in self.needs if shutil.which(program) is None), "")

    def compete(self, task: Task) -> Finished:
        """Fetch, and check that everything was stored.

        Raises:
            BenchmarkError: the program failed, or images are missing.
        """
        finished = self.fetch(task)
        if self.stores:
            count, size_bytes = count_images(task.target)
            if (count, size_bytes) != (task.corpus.image_count, task.corpus.file_bytes):
                raise BenchmarkError(f"{self.name} stored {count} images, {size_bytes} bytes, of {task.corpus.description}")
        return finished


def count_images(folder: Path) -> tuple[int, int]:
    """The number of images below a folder, and their bytes."""
    count = size_bytes = 0
    for place, _, names in os.walk(folder):
        for name in names:
            if name.endswith(".dcm"):
                count += 1
                size_bytes += os.stat(os.path.join(place, name)).st_size  # noqa: PTH116, PTH118 - thousands of them
    return count, size_bytes


def fetch_by_tciad(task: Task) -> Finished:
    """`tciad run`, as users start it: resolve, fetch, prove, sync, record."""
    return _fetch_by_tciad(task, quiet())


def tciad_of(checkout: Path) -> Callable[[Task], Finished]:
    """`tciad run` of another checkout with the same Python and packages: measures the effect of a change."""
    return partial(_fetch_by_tciad, environment={**quiet(), "PYTHONPATH": str(checkout.absolute()), "PYTHONSAFEPATH": "1"})


def _fetch_by_tciad(task: Task, environment: Mapping[str, str]) -> Finished:
    manifest = write_manifest(task.log.with_suffix(".yaml"), task.address, [task.corpus.name], task.concurrency)
    finished = run(tciad("run", str(manifest), "-o", str(task.target), "--json"), log=task.log, environment=environment)
    report = json.loads(finished.output)
    if report["outcome"] != "complete" or report["series"]["completed"] != len(task.corpus.series):
        raise BenchmarkError(f"tciad did not complete everything: {report}")
    return finished


def fetch_by_shell(task: Task) -> Finished:
    """A plain shell pipeline: no state, no retries, no sync, no checks of counts or identities."""
    uids = _write_lines(task, list(task.corpus.series))
    parallel = ["xargs", "-a", str(uids), "-P", str(task.concurrency), "-I", "{}"]
    return run([*parallel, "sh", "-c", _PIPELINE, f"{task.address}/{IMAGES}", str(task.target), "{}"], log=task.log)


def fetch_by_tcia_utils(task: Task) -> Finished:
    """`tcia_utils.nbia.downloadSeries` with the benchmark's archive."""
    uids = _write_lines(task, list(task.corpus.series))
    program = [sys.executable, "-m", "benchmarks.run_tcia_utils"]
    return run([*program, task.address, str(uids), str(task.target), str(task.concurrency)], log=task.log)


def receive_only(task: Task) -> Finished:
    """One curl that discards its input: the lower bound for every client."""
    lines = [f'url = "{task.address}/{IMAGES}{uid}"\noutput = "/dev/null"' for uid in task.corpus.series]
    command = ["curl", "--silent", "--fail", "--parallel", "--parallel-max", str(task.concurrency)]
    return run([*command, "--config", str(_write_lines(task, lines))], log=task.log)


def tciad(*arguments: str) -> list[str]:
    """The command, run by this Python."""
    return [sys.executable, "-m", "downloader", *arguments]


def quiet() -> Mapping[str, str]:
    """The environment without variables that change tciad's options."""
    return {name: value for name, value in os.environ.items() if not name.startswith("TCIAD_")}


def write_manifest(path: Path, address: str, collections: list[str], concurrency: int, order: str = "archive") -> Path:
    """Write a manifest (JSON is YAML) for all series of the collections."""
    manifest = {
        "version": 1,
        "name": "benchmark",
        "archive": {"base_url": address, "api": "v4"},
        "select": [{"collection": collections}],
        "download": {"concurrency": concurrency, "order": order},
    }
    path.write_text(json.dumps(manifest))
    return path


def _write_lines(task: Task, lines: list[str]) -> Path:
    path = task.log.with_suffix(".txt")
    path.write_text("\n".join(lines) + "\n")
    return path
