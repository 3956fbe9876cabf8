"""One iteration: a world, a library, a sequence of steps with the judge after each, and a final recovery."""

import shutil
import tempfile
from collections import Counter
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from random import Random
from typing import Final

from anyio.from_thread import start_blocking_portal

from downloader.sandbox import Access, serve_sandbox
from tests.acceptance.archives import ServedArchive
from tests.campaign.catalogue import World, draw_world
from tests.campaign.commands import Commander
from tests.campaign.faults import Script
from tests.campaign.invariants import Judge
from tests.campaign.manifests import Wish, draw_wish
from tests.campaign.scene import Deed, Scene
from tests.campaign.steps import STEPS, Step, change_archive_and_run, name_of, run, run_wish

REPOSITORY: Final = Path(__file__).parents[2]
_RUNS_UNTIL_ALL_IS_WELL: Final = 4
_NOTHING_WANTED: Final = frozenset({0, 2, 3})


@dataclass(slots=True)
class Result:
    """The result of an iteration: violations, the steps before them, and counts of what was exercised."""

    seed: int
    findings: list[str] = field(default_factory=list)
    log: list[str] = field(default_factory=list)
    tally: Counter[str] = field(default_factory=Counter)


def play_iteration(
    seed: int, *, code: Path = REPOSITORY, keep: Path | None = None, steps: Collection[str] = frozenset()
) -> Result:
    """Run the iteration of this seed.

    Args:
        seed: determines every choice.
        steps: draw only from these steps, by name; by default from all.
        code: the tree with the `downloader` to test.
        keep: where to keep the folder of the iteration if there are violations.
    """
    folder = Path(tempfile.mkdtemp(prefix=f"campaign-{seed}-"))
    try:
        with _scene(Random(seed), folder, code) as scene:
            result = Result(seed=seed, log=scene.log, tally=scene.tally)
            for finding in _play(scene, {step: weight for step, weight in STEPS.items() if not steps or name_of(step) in steps}):
                result.findings.append(finding)
            scene.play(Script())
        if result.findings and keep is not None:
            kept = keep / str(seed)
            shutil.rmtree(kept, ignore_errors=True)
            shutil.copytree(folder, kept, symlinks=True)
            (kept / "steps.txt").write_text("\n".join([*result.log, "", *result.findings, ""]), encoding="utf-8")
        return result
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def _scene(random: Random, folder: Path, code: Path) -> Iterator[Scene]:
    world = draw_world(random)
    is_old = random.random() < 0.12
    key, password = (f"{random.getrandbits(64):016x}-{word}" for word in ("k3y", "pa55w0rd"))
    access = Access(accounts={"campaigner": password}, api_keys=frozenset({key}))
    serving = serve_sandbox(world.catalogue(), access=access, include_md5=random.random() < 0.8, seed=random.getrandbits(16))
    state = folder / "state" / "state.db" if random.random() < 0.45 else None
    (folder / "state").mkdir()
    environment = {
        "TCIAD_API_KEY": key,
        "TCIAD_USERNAME": "campaigner",
        "TCIAD_PASSWORD": password,
        "TCIAD_MIN_FREE_SPACE": "1MB",
        "TCIAD_IDLE_TIMEOUT": "2s",
    }
    wishes = {"m1": draw_wish(random, world, "m1", is_old=is_old)}
    if random.random() < 0.35:
        wishes["m2"] = draw_wish(random, world, "m2", is_old=is_old)
    with start_blocking_portal() as portal, portal.wrap_async_context_manager(serving) as sandbox:
        yield Scene(
            random=random,
            world=world,
            archive=ServedArchive(sandbox=sandbox, portal=portal),
            commander=Commander(code=code, folder=folder, environment=environment, requests=lambda: len(sandbox.requests)),
            folder=folder,
            state=state,
            wishes=wishes,
            secrets=(key, password),
            is_old=is_old,
        )


def _play(scene: Scene, steps: Mapping[Step, int]) -> Iterator[str]:
    """The violations of the first command that has any: later ones may be consequences."""
    for wish in scene.wishes.values():
        scene.log.append(f"manifest {wish.name}: {' / '.join(wish.as_yaml(scene.archive.sandbox).splitlines()[2:])}")
    for deed in _deeds(scene, steps):
        found = _judge(scene, deed)
        if found:
            yield from found
            return


def _judge(scene: Scene, deed: Deed) -> list[str]:
    judge = Judge(
        world=scene.world,
        ledger=scene.ledger,
        ran=scene.ran,
        library=scene.library,
        folder=scene.folder,
        secrets=scene.secrets,
        is_old=scene.is_old,
    )
    return judge.judge(deed)


def _deeds(scene: Scene, steps: Mapping[Step, int]) -> Iterator[Deed]:
    for step in [run, *scene.random.choices([*steps], [*steps.values()], k=scene.random.randint(4, 6))]:
        scene.log.append(name_of(step))
        scene.tally[f"step {name_of(step)}"] += 1
        yield from step(scene)
        if step is not change_archive_and_run:
            scene.play(Script())
    yield from _end_well(scene)


def _end_well(scene: Scene) -> Iterator[Deed]:
    """With a healthy archive, everything becomes complete and undamaged."""
    scene.log.append("end")
    scene.play(Script())
    for name in sorted(scene.wishes):
        yield from _run_until_complete(scene, name)
    arguments = [str(scene.manifest(wish)) for _, wish in sorted(scene.wishes.items())]
    # manually damaged series that the archive no longer has cannot be fetched
    is_lost = not scene.ledger.ever_harmed <= set(scene.world.listed())
    sound = {0, 3} if is_lost else {0}
    yield _expect(scene, scene.command("verify", *arguments, "--json", "-q", "--deep", "--repair"), sound)
    for _, wish in sorted(scene.wishes.items()):
        deed = run_wish(scene, wish)
        yield _expect(scene, deed, _NOTHING_WANTED if _wants_nothing(scene.world, wish) else {0})
    yield _expect(scene, scene.command("verify", "--json", "-q", "--deep"), sound)


def _run_until_complete(scene: Scene, name: str) -> Iterator[Deed]:
    """Run until the run ends complete, and follow the next steps that errors advise."""
    for attempt in range(_RUNS_UNTIL_ALL_IS_WELL):
        wish = scene.wishes[name]
        deed = run_wish(scene, wish)
        yield deed
        if deed.succeeded or _wants_nothing(scene.world, wish):
            return
        if deed.ended.exit_code in {5, 6}:
            yield scene.command("store rebuild", "--json")
        elif deed.ended.exit_code == 2:
            scene.tally["layout refused"] += 1
            scene.wishes[name] = replace(wish, layout="")
        elif any("max_shrink" in warning for document in deed.ended.documents() for warning in document.get("warnings", ())):
            scene.wishes[name] = replace(wish, max_shrink=100)
        elif attempt == _RUNS_UNTIL_ALL_IS_WELL - 1:
            yield _expect(scene, deed, {0})


def _expect(scene: Scene, deed: Deed, codes: set[int] | frozenset[int]) -> Deed:
    """The command, marked as unexpected if its exit code differs; series that the archive does not list may be missing."""
    failures = [failure for document in deed.ended.documents() for failure in document.get("failures", ())]
    is_only_lost = bool(failures) and not any(one["series_instance_uid"] in scene.world.listed() for one in failures)
    is_expected = deed.ended.exit_code in codes or (deed.ended.exit_code == 3 and is_only_lost)
    return deed if is_expected else replace(deed, unexpected=True)


def _wants_nothing(world: World, wish: Wish) -> bool:
    return not any(wish.wants(planned) for planned in world.listed().values())
