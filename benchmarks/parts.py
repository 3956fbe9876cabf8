"""The parts of a benchmark run. Each measures, and returns tables for the report."""

import json
import os
import shutil
import sys
import time
import uuid
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from benchmarks.archive import CAP_BYTES_PER_SECOND, FIRST_BYTE_SECONDS, STREAM_BYTES_PER_SECOND
from benchmarks.corpus import IMAGE_CORPORA, SLOW_CORPUS, Corpus, ready_catalogue, ready_corpus
from benchmarks.marking import complete_everything, lay_receipts
from benchmarks.measuring import BenchmarkError, Cost, Spread, ask_figures, run, serve
from benchmarks.peers import Peer, Task, fetch_by_tciad, quiet, tciad, write_manifest

CONCURRENCY = {"huge": 1}
USUAL_CONCURRENCY = 4
SLOW_CONCURRENCY = 32
REAL_SERIES, MANY_SERIES = 492_204, 1_000_000
_MIB = 1024 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """The options of a benchmark run. `scale` shrinks everything, for a quick try."""

    place: Path
    scale: float
    rounds: int

    @property
    def work(self) -> Path:
        """The folder for the output of runs."""
        folder = self.place / "work"
        folder.mkdir(parents=True, exist_ok=True)
        return folder

    def fresh(self, name: str) -> Path:
        """Create an empty folder."""
        folder = self.work / name
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir()
        return folder

    def set_aside(self, folder: Path) -> None:
        """Move a folder away and truncate its files; `clear` removes it later.

        For minutes after files are removed, ext4 skips their inodes whenever a file is created: that would cost the next
        contestant up to a third of its time on small files.
        """
        for path in folder.rglob("*"):
            if path.is_file():
                os.truncate(path, 0)
        aside = self.work / "aside"
        aside.mkdir(exist_ok=True)
        folder.rename(aside / uuid.uuid4().hex)

    def clear(self) -> None:
        """Remove the folders that were moved away."""
        shutil.rmtree(self.work / "aside", ignore_errors=True)


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """A table of the report; `wall` has the data of the chart: seconds of each contestant on each corpus."""

    title: str
    text: str = ""
    header: Sequence[str] = ()
    rows: Sequence[Sequence[str]] = ()
    wall: dict[str, float] = field(default_factory=dict)


def compare_peers(plan: Plan, peers: Sequence[Peer], corpora: Sequence[str]) -> list[Table]:
    """Run every contestant on every corpus in turn, so that changes of the machine's speed affect all of them."""
    try:
        return [_compare(plan, peers, ready_corpus(name, plan.place, plan.scale)) for name in corpora]
    finally:
        plan.clear()


def _compare(plan: Plan, peers: Sequence[Peer], corpus: Corpus) -> Table:
    concurrency = CONCURRENCY.get(corpus.name, USUAL_CONCURRENCY)
    costs: dict[str, list[Cost]] = {peer.name: [] for peer in peers}
    with serve(Path(corpus.folder)) as address:
        for number in range(plan.rounds):
            for peer in peers:
                cost = _compete(plan, peer, corpus, address, concurrency)
                costs[peer.name].append(cost)
                figures = f"{cost.wall_seconds:.2f} s, CPU {cost.cpu_seconds:.2f} s"
                _say(f"{corpus.name} {number + 1}/{plan.rounds} {peer.name}: {figures}")
    first = costs[peers[0].name]
    rows = [[peer.name, *_cells(costs[peer.name], first, corpus, is_first=peer is peers[0])] for peer in peers]
    return Table(
        title=f"{corpus.name}, {concurrency} at once",
        text=f"{corpus.description}.",
        header=("", "wall s", "CPU s", "CPU s per GB", "peak MiB", "wall, times tciad", "tciad's CPU, times"),
        rows=rows,
        wall={name: Spread.of([cost.wall_seconds for cost in runs]).median for name, runs in costs.items()},
    )


def _compete(plan: Plan, peer: Peer, corpus: Corpus, address: str, concurrency: int) -> Cost:
    target = plan.fresh("target")
    before = ask_figures(address)
    task = Task(corpus=corpus, address=address, target=target, concurrency=concurrency, log=plan.work / f"{peer.name}.log")
    cost = peer.compete(task).cost
    plan.set_aside(target)
    return replace(cost, archive_cpu_seconds=ask_figures(address).cpu_seconds - before.cpu_seconds)


def _cells(runs: Sequence[Cost], first: Sequence[Cost], corpus: Corpus, *, is_first: bool) -> list[str]:
    """Medians, and ratios to tciad by round."""
    cpu = Spread.of([cost.cpu_seconds for cost in runs])
    pairs = list(zip(runs, first, strict=True))
    wall_ratio = Spread.of([run.wall_seconds / own.wall_seconds for run, own in pairs])
    cpu_ratio = Spread.of([own.cpu_seconds / run.cpu_seconds for run, own in pairs])
    return [
        Spread.of([cost.wall_seconds for cost in runs]).text(),
        cpu.text(),
        f"{cpu.median / corpus.file_bytes * 1e9:.2f}",
        f"{max(cost.peak_bytes for cost in runs) / _MIB:.0f}",
        "1" if is_first else wall_ratio.text(),
        "1" if is_first else cpu_ratio.text(),
    ]


def measure_memory(plan: Plan) -> list[Table]:
    """Peak memory of tciad with 16 concurrent series, on every corpus."""
    rows = []
    for name in IMAGE_CORPORA:
        corpus = ready_corpus(name, plan.place, plan.scale)
        with serve(Path(corpus.folder)) as address:
            cost = _compete(plan, Peer(name="tciad", version="", fetch=fetch_by_tciad), corpus, address, 16)
        rows.append([name, f"{cost.peak_bytes / _MIB:.0f}", f"{cost.wall_seconds:.2f}"])
    plan.clear()
    return [Table(title="Memory at concurrency 16", header=("corpus", "peak MiB", "wall s"), rows=rows)]


def measure_start(plan: Plan) -> list[Table]:
    """The time until the first effect, and a run in which everything is complete."""
    log = plan.work / "start.log"
    programs = {
        "python -c pass": [sys.executable, "-c", "pass"],
        "tciad --version": tciad("--version"),
        "import tcia_utils": [sys.executable, "-c", "import tcia_utils.nbia"],
    }
    rows = []
    for name, command in programs.items():
        costs = [run(command, log=log).cost for _ in range(plan.rounds + 1)][1:]
        rows.append([name, Spread.of([cost.wall_seconds for cost in costs]).text(), f"{costs[-1].peak_bytes / _MIB:.0f}"])
    corpus = ready_corpus("tiny", plan.place, plan.scale)
    target = plan.fresh("target")
    with serve(Path(corpus.folder)) as address:
        task = Task(corpus=corpus, address=address, target=target, concurrency=USUAL_CONCURRENCY, log=log)
        fetch_by_tciad(task)
        manifest = write_manifest(plan.work / "again.yaml", address, [corpus.name], USUAL_CONCURRENCY)
        again = [
            run(tciad("run", str(manifest), "-o", str(target), "--json"), log=log, environment=quiet()).cost
            for _ in range(plan.rounds)
        ]
    shutil.rmtree(target)
    name = f"tciad run, all {len(corpus.series):,} series complete"
    rows.append([name, Spread.of([cost.wall_seconds for cost in again]).text(), f"{again[-1].peak_bytes / _MIB:.0f}"])
    return [Table(title="Start", header=("", "wall s", "peak MiB"), rows=rows)]


def measure_store(plan: Plan) -> list[Table]:
    """The store alone, with a million series."""
    count = round(MANY_SERIES * plan.scale)
    folder = plan.fresh("store")
    program = [sys.executable, "-m", "benchmarks.store_figures", str(folder / "state.db"), str(count)]
    finished = run(program, log=plan.work / "store.log")
    figures = json.loads(finished.output)
    rows = [
        [f"enqueue {count:,} new series", f"{figures['enqueue_seconds']:.1f} s"],
        [f"enqueue {count:,} series again, all complete", f"{figures['enqueue_complete_seconds']:.1f} s"],
        ["claim and complete one of 2,000", f"{figures['settle_few_ms']:.2f} ms"],
        [f"claim and complete one of {count:,}", f"{figures['settle_many_ms']:.2f} ms"],
        ["the same, without the way to the store's thread and back", f"{figures['settle_alone_ms']:.2f} ms"],
        ["claim and complete eight at once, each", f"{figures['settle_together_ms']:.2f} ms"],
        ["find that nothing is left to claim", f"{figures['claim_none_ms']:.1f} ms"],
        ["tally", f"{figures['tally_ms']:.1f} ms"],
        ["page: the first 100 series", f"{figures['page_first_ms']:.0f} ms"],
        ["page: the failed ones, of which there are none", f"{figures['page_failed_ms']:.0f} ms"],
        ["page: one collection in the middle", f"{figures['page_collection_ms']:.0f} ms"],
        ["page: search for a patient", f"{figures['page_search_ms']:.0f} ms"],
        ["page: search for what is not there", f"{figures['page_nothing_ms']:.0f} ms"],
        ["file", f"{(folder / 'state.db').stat().st_size / 1e6:.0f} MB"],
        ["peak memory", f"{finished.cost.peak_bytes / _MIB:.0f} MiB"],
    ]
    shutil.rmtree(folder)
    return [Table(title="Store", header=("", "figure"), rows=rows)]


def measure_catalogue(plan: Plan) -> list[Table]:
    """Resolve the real catalogue by one manifest, then run it with everything complete."""
    rows: list[tuple[str, str, Cost | None]] = []
    for count in (round(REAL_SERIES * plan.scale), round(MANY_SERIES * plan.scale)):
        folder = ready_catalogue(plan.place, count)
        library = plan.fresh("library")
        state = library / ".tciad" / "state.db"
        state.parent.mkdir()
        with serve(folder) as address:
            manifest = write_manifest(plan.work / "all.yaml", address, ["*"], USUAL_CONCURRENCY)
            program = [sys.executable, "-m", "benchmarks.resolve_figures", str(manifest), str(state)]
            finished = run(program, log=plan.work / "resolve.log")
            figures = json.loads(finished.output)
            if figures["series"] != count:
                raise BenchmarkError(f"{figures['series']} of {count} series were resolved")
            rows.append((f"read and enqueue {count:,} series", f"{figures['seconds']:.1f} s", finished.cost))
            rows.append((f"of that, the store with {count:,}", f"{figures['enqueue_seconds']:.1f} s", None))
            rows += _run_again(plan, library, manifest, address, count)
        shutil.rmtree(library)
    cells = [[name, figure, "" if cost is None else f"{cost.peak_bytes / _MIB:.0f}"] for name, figure, cost in rows]
    return [Table(title="Catalogue", header=("", "figure", "peak MiB"), rows=cells)]


def _run_again(plan: Plan, library: Path, manifest: Path, address: str, count: int) -> list[tuple[str, str, Cost | None]]:
    complete_everything(library / ".tciad" / "state.db")
    lay_receipts(library / ".tciad" / "state.db", library)
    again = run(tciad("run", str(manifest), "-o", str(library), "--json"), log=plan.work / "again.log", environment=quiet())
    ended = time.monotonic()
    after_seconds = ended - ask_figures(address).catalogue_ended_at
    asked = {
        "status": tciad("status", "-o", str(library), "--json"),
        "report, as a page": tciad("report", "-o", str(library), "--to", str(plan.work / "report.html")),
        "report, its series as CSV": tciad(
            "report", "-o", str(library), "--format", "csv", "--to", str(plan.work / "report.csv")
        ),
        "plan": tciad("plan", str(manifest), "-o", str(library), "--json"),
    }
    costs = {name: run(command, log=plan.work / "asked.log", environment=quiet()).cost for name, command in asked.items()}
    return [
        (f"run again, all {count:,} complete", f"{again.cost.wall_seconds:.1f} s", again.cost),
        ("of that, after the last reply was sent", f"{after_seconds:.2f} s", None),
        *((f"{name} of {count:,}", f"{cost.wall_seconds:.2f} s", cost) for name, cost in costs.items()),
    ]


def measure_slow(plan: Plan) -> list[Table]:
    """A typical archive: slow streams, a shared link, late first bytes, some 503s."""
    corpus = ready_corpus(SLOW_CORPUS, plan.place, plan.scale)
    least_seconds = max(
        corpus.body_bytes / CAP_BYTES_PER_SECOND,
        max(corpus.series.values()) / STREAM_BYTES_PER_SECOND + FIRST_BYTE_SECONDS[0],
    )
    rows = []
    for order in ("archive", "largest-first", "balanced"):
        with serve(Path(corpus.folder), "--slow") as address:
            manifest = write_manifest(plan.work / "slow.yaml", address, [corpus.name], SLOW_CONCURRENCY, order)
            target = plan.fresh("target")
            cost = run(
                tciad("run", str(manifest), "-o", str(target), "--json"), log=plan.work / "slow.log", environment=quiet()
            ).cost
            figures = ask_figures(address)
        shutil.rmtree(target)
        seconds = figures.images_ended_at - figures.images_began_at
        rows.append(
            [
                order,
                f"{seconds:.1f}",
                f"{seconds / least_seconds:.2f}",
                f"{figures.images_bytes / seconds / CAP_BYTES_PER_SECOND:.0%}",
                f"{figures.busy_share(CAP_BYTES_PER_SECOND):.0%}",
                str(figures.most_streams),
                str(figures.refused),
                f"{cost.cpu_seconds:.1f}",
            ]
        )
    stream, cap = STREAM_BYTES_PER_SECOND / 1e6, CAP_BYTES_PER_SECOND / 1e6
    text = (
        f"{corpus.description}; {stream:g} MB/s for a stream, {cap:g} MB/s for all, first byte after {FIRST_BYTE_SECONDS[0]:g} "
        f"to {FIRST_BYTE_SECONDS[1]:g} s, later under load, 1 in 100 refused. Ceiling: {SLOW_CONCURRENCY} at once. "
        f"No client can need less than {least_seconds:.1f} s."
    )
    header = (
        "order",
        "seconds",
        "times the least",
        "of the cap, mean",
        "of the cap, middle half",
        "most streams",
        "503",
        "CPU s",
    )
    return [Table(title="Slow archive", text=text, header=header, rows=rows)]


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)
