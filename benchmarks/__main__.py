"""`make bench`: measures tciad and its peers, and writes the report.

python -m benchmarks [PART ...] [--scale 0.1] [--rounds 5] [--corpus-dir DIR] [--report FILE] [--against CHECKOUT]
"""

import argparse
import subprocess
import sys
import tempfile
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path

from benchmarks.corpus import IMAGE_CORPORA
from benchmarks.parts import (
    Plan,
    Table,
    compare_peers,
    measure_catalogue,
    measure_memory,
    measure_slow,
    measure_start,
    measure_store,
)
from benchmarks.peers import Peer, fetch_by_shell, fetch_by_tcia_utils, fetch_by_tciad, receive_only, tciad_of
from benchmarks.report import write_report

PARTS: dict[str, Callable[[Plan], list[Table]]] = {
    "memory": measure_memory,
    "start": measure_start,
    "store": measure_store,
    "catalogue": measure_catalogue,
    "slow": measure_slow,
}


def main() -> None:
    """Run the parts that the command line names, by default all."""
    arguments = _parse()
    plan = Plan(place=arguments.corpus_dir.absolute(), scale=arguments.scale, rounds=arguments.rounds)
    plan.work.mkdir(parents=True, exist_ok=True)
    peers, notes = _find_peers(arguments.against)
    wanted = arguments.parts or [*IMAGE_CORPORA, *PARTS]
    tables = compare_peers(plan, peers, [name for name in IMAGE_CORPORA if name in wanted])
    for name, measure in PARTS.items():
        if name in wanted:
            print(name, file=sys.stderr, flush=True)
            tables += measure(plan)
    report = arguments.report or plan.place / "report.md"
    write_report(report, plan, peers, tables, notes)
    print(report.read_text())


def _parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=main.__doc__)
    parser.add_argument("parts", nargs="*", choices=[[], *IMAGE_CORPORA, *PARTS], help="corpora and parts; all by default")
    parser.add_argument("--scale", type=float, default=1.0, help="size of the corpora; 0.05 for a quick look")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--corpus-dir", type=Path, default=Path(tempfile.gettempdir()) / "tciad-bench", help="kept between runs")
    parser.add_argument(
        "--against",
        type=Path,
        metavar="CHECKOUT",
        help="compare with tciad of this checkout, in pairs, and with no other program",
    )
    parser.add_argument("--report", type=Path, help="where to write; by default into the corpus directory")
    return parser.parse_args()


def _find_peers(against: Path | None) -> tuple[list[Peer], list[str]]:
    """The peers that can run here, tciad first; and a note for each that cannot."""
    tciad = Peer(name="tciad", version=version("tciad"), fetch=fetch_by_tciad)
    if against is not None:
        return [tciad, Peer(name="before", version=f"tciad of {against.name}", fetch=tciad_of(against))], []
    peers = [
        tciad,
        Peer(name="shell", version=_shell_versions(), fetch=fetch_by_shell, needs=("curl", "bsdtar", "xargs", "sed", "md5sum")),
        Peer(name="tcia_utils", version=version("tcia_utils"), fetch=fetch_by_tcia_utils),
        Peer(name="floor", version="curl to /dev/null", fetch=receive_only, needs=("curl",), stores=False),
    ]
    notes = [f"{peer.name} did not run: there is no {peer.missing()}" for peer in peers if peer.missing()]
    return [peer for peer in peers if not peer.missing()], notes


def _shell_versions() -> str:
    try:
        lines = [
            subprocess.run([name, "--version"], check=True, capture_output=True, text=True).stdout for name in ("curl", "bsdtar")
        ]
    except FileNotFoundError:
        return ""
    return "`curl | bsdtar`, `md5sum -c`, `xargs -P`; " + ", ".join(" ".join(line.split()[:2]) for line in lines)


if __name__ == "__main__":
    main()
