"""`python -m tests.campaign --iterations 500 --seed 1`: runs iterations, prints findings, exits 1 if there are any."""

import argparse
import logging
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from pathlib import Path

from tests.campaign.iteration import REPOSITORY, Result, play_iteration


def main() -> int:
    """Run the iterations of the command line."""
    parser = argparse.ArgumentParser(prog="python -m tests.campaign", description=__doc__)
    parser.add_argument("--iterations", type=int, default=500, help="how many (500)")
    parser.add_argument("--seed", type=int, default=1, help="the seed of the first; each of the others has the next number (1)")
    parser.add_argument("--only", type=int, help="play the iteration of this seed alone, and show its steps")
    parser.add_argument("--keep", type=Path, help="keep the folders of iterations with findings below this one")
    parser.add_argument("--jobs", type=int, default=2, help="how many at once (2)")
    parser.add_argument("--steps", default="", help="draw from these steps only: 'run, relayout'")
    parser.add_argument("--code", type=Path, default=REPOSITORY, help="the tree whose `downloader` is judged (this one)")
    asked = parser.parse_args()
    # broken connections of killed clients are expected
    logging.getLogger("aiohttp.server").setLevel(logging.CRITICAL)
    seeds = [asked.only] if asked.only is not None else range(asked.seed, asked.seed + asked.iterations)
    steps = {name.strip() for name in asked.steps.split(",") if name.strip()}
    play = partial(play_iteration, code=asked.code.resolve(), keep=asked.keep, steps=steps)
    tally: Counter[str] = Counter()
    with_findings = 0
    for result in _results(play, seeds, asked.jobs):
        tally += result.tally
        if asked.only is not None:
            _say("\n".join(result.log))
        sys.stderr.write(f"{result.seed}: {'FOUND' if result.findings else 'ok'}\n")
        if result.findings:
            with_findings += 1
            _tell(result, shows_steps=asked.only is None)
    _say("")
    _say("\n".join(f"{count:7,} {what}" for what, count in sorted(tally.items())))
    _say(f"{len(seeds)} iterations, {with_findings} with findings")
    return 1 if with_findings else 0


def _results(play: partial[Result], seeds: Sequence[int], jobs: int) -> Iterator[Result]:
    if len(seeds) == 1 or jobs == 1:
        yield from map(play, seeds)
        return
    with ProcessPoolExecutor(max_workers=jobs) as pool:
        yield from pool.map(play, seeds)


def _tell(result: Result, *, shows_steps: bool) -> None:
    for finding in result.findings:
        _say(f"--only {result.seed}: {finding}")
    if shows_steps:
        _say("\n".join(f"    {line}" for line in result.log))


def _say(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
