"""A month in a minute: an archive that changes, fails and lies over 60 cycles, and a library that follows it."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from random import Random
from typing import Any

import pytest

from downloader.sandbox import EVERY, Catalogue, Fault, FaultKind, catalogue_of, generated_series, serve_sandbox
from tests.service.scene import ServiceScene, TurnedClock, running_service, write_manifest

pytestmark = [pytest.mark.anyio, pytest.mark.month, pytest.mark.timeout(300)]
CYCLES = 60
GRACE = timedelta(hours=45)
HEADINGS = ("new", "changed", "returned", "withdrawn", "removed", "failed")
OUTAGE = Fault(kind=FaultKind.STATUS, status=503, endpoints=(EVERY,))
NOTHING = Fault(kind=FaultKind.EMPTY, endpoints=("getSeries", "getCollectionValues"))


def uid(seed: int) -> str:
    """Of the series made with that seed; another count of images is a new version of it."""
    return generated_series(seed=seed, images=1, rows=8, columns=8).series_instance_uid


def hold(versions: dict[int, int]) -> Catalogue:
    """A catalogue of series by seed, each with this many images."""
    return catalogue_of([generated_series(seed=seed, images=images, rows=8, columns=8) for seed, images in versions.items()])


@dataclass(slots=True)
class Script:
    """What happens to the archive, and what a mirror has to say of it. `held` and `gone` are versions by seed."""

    random: Random
    held: dict[int, int] = field(default_factory=lambda: dict.fromkeys(range(12), 2))
    gone: dict[int, int] = field(default_factory=dict)
    gone_since: dict[int, datetime] = field(default_factory=dict)
    removed: set[int] = field(default_factory=set)
    last: int = 12

    def change(self) -> dict[str, set[str]]:
        """Some series come, change, go and come back."""
        new = [self.last + number for number in range(self.random.randint(0, 2))]
        self.last += len(new)
        changed = self._some(self.held, 1)
        withdrawn = self._some(set(self.held) - set(changed), 1)
        returned = self._some(self.gone, 1) if self.random.random() < 0.3 else []
        self.held |= dict.fromkeys(new, 2) | {seed: self.held[seed] + 1 for seed in changed}
        for seed in returned:
            self.held[seed] = self.gone.pop(seed)
            self.gone_since.pop(seed)
            self.removed.discard(seed)
        for seed in withdrawn:
            self.gone[seed] = self.held.pop(seed)
        return {
            "new": set(map(uid, new)),
            "changed": set(map(uid, changed)),
            "returned": set(map(uid, returned)),
            "withdrawn": set(map(uid, withdrawn)),
        }

    def pass_grace(self, now: datetime) -> set[str]:
        """A cycle resolved the catalogue at `now`: what was gone for long enough is removed in it."""
        for seed in self.gone:
            self.gone_since.setdefault(seed, now)
        due = {seed for seed, since in self.gone_since.items() if now - since >= GRACE} - self.removed
        self.removed |= due
        return set(map(uid, due))

    def stored(self) -> set[str]:
        """What the library holds then: what the archive does, and what is gone but not for long enough."""
        return set(map(uid, [*self.held, *(set(self.gone) - self.removed)]))

    def _some(self, seeds: Iterable[int], most: int) -> list[int]:
        known = sorted(seeds)
        return self.random.sample(known, min(self.random.randint(0, most), len(known)))


def named(listed: list[Any]) -> set[str]:
    """The series under a heading; some headings say more of each."""
    return {each["series_instance_uid"] if isinstance(each, dict) else each for each in listed}


async def next_cycle(scene: ServiceScene) -> tuple[datetime, dict[str, Any]]:
    """When the next cycle began, and its change report."""
    due_at = (await scene.manifest("m")).next_run_at
    assert due_at
    # moments are reported to the microsecond, clocks are not
    await scene.clock.pass_time((due_at - scene.clock.now()).total_seconds() + 1)
    await scene.cycle_of("m")
    return due_at, scene.records("changes")[-1]


@pytest.mark.parametrize("policy", ["delete", "quarantine"])
async def test_a_month_of_an_archive(tmp_path: Path, policy: str) -> None:
    """The library is the catalogue, and each change report is what was scripted; outages and lies change nothing."""
    script = Script(Random(20261124))
    clock = TurnedClock()
    happened: Counter[str] = Counter()
    async with serve_sandbox(hold(script.held)) as sandbox:
        write_manifest(
            tmp_path / "manifests",
            sandbox.base_url,
            "m",
            "schedule: {every: 6h}",
            f"withdrawn: {policy}",
            "withdrawn_grace: 45h",
            "max_shrink: 40%",
        )
        async with running_service(tmp_path, sandbox, clock) as scene:
            await scene.cycle_of("m")
            for cycle in range(1, CYCLES):
                kind = {7: "outage", 3: "nothing", 5: "shrunken"}.get(cycle % 9, "change")
                happened[kind] += 1
                if kind == "change":
                    expected = script.change()
                    sandbox.replace_catalogue(hold(script.held))
                    began_at, report = await next_cycle(scene)
                    expected |= {"removed": script.pass_grace(began_at), "failed": set()}
                    assert {name: named(report[name]) for name in HEADINGS} == expected, cycle
                    assert (report["outcome"], report["doubted"]) == ("complete", False)
                    happened.update({name: len(found) for name, found in expected.items()})
                else:
                    spoil(scene, script, kind)
                    _, report = await next_cycle(scene)
                    assert report["outcome"] != "complete"
                    assert not any(report[name] for name in HEADINGS), (cycle, report)
                    sandbox.faults.clear()
                    sandbox.replace_catalogue(hold(script.held))
                assert scene.stored() == script.stored(), cycle
            status = await scene.manifest("m")
            assert (status.tally.complete, status.tally.failed) == (len(script.held), 0)
            assert len(scene.records("changes")) == CYCLES
    assert min(happened[name] for name in ("outage", "nothing", "shrunken", *HEADINGS[:-1])) >= 3, happened


def spoil(scene: ServiceScene, script: Script, kind: str) -> None:
    """The archive is out, says that it has nothing, or has lost most of what it had."""
    match kind:
        case "outage":
            scene.sandbox.faults.add(OUTAGE)
        case "nothing":
            scene.sandbox.faults.add(NOTHING)
        case _:
            scene.sandbox.replace_catalogue(hold(dict(list(script.held.items())[:2])))
