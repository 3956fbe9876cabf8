"""The steps of an iteration: each is drawn from the seed, runs commands, and yields them to the judge."""

import shutil
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from random import Random
from typing import Final

from downloader.sandbox import Fault, FaultKind
from tests.campaign.catalogue import change_world, images_of, withdraw
from tests.campaign.commands import UNDISTURBED, Disturbance, Happening, draw_disturbance
from tests.campaign.faults import Script, draw_script
from tests.campaign.harm import break_the_store, copy_and_harm, harm_a_series
from tests.campaign.manifests import LAYOUTS, MOST_CAREFUL_FIRST, Wish, change_wish, draw_wish
from tests.campaign.scene import Deed, Scene

Step = Callable[[Scene], Iterator[Deed]]


def run_wish(scene: Scene, wish: Wish, disturbance: Disturbance = UNDISTURBED, happenings: tuple[Happening, ...] = ()) -> Deed:
    """Run one manifest."""
    scene.ran[wish.name] = wish
    path = scene.manifest(wish)
    return scene.command("run", path, "--json", "-q", disturbance=disturbance, happenings=happenings, wish=wish)


def run(scene: Scene) -> Iterator[Deed]:
    """A run with a faulty archive, often disturbed, sometimes while the archive changes."""
    wish = _some_wish(scene)
    scene.play(draw_script(scene.random, scene.world, wish, scene.shown_by(wish)))
    disturbance = draw_disturbance(scene.random, asks_archive=True) if scene.random.random() < 0.45 else UNDISTURBED
    happenings: tuple[Happening, ...] = ()
    if scene.random.random() < 0.15:
        happenings = (Happening(after_requests=scene.random.randint(1, 12), do=lambda: _change(scene)),)
    yield run_wish(scene, wish, disturbance, happenings)


def run_in_peace(scene: Scene) -> Iterator[Deed]:
    """An undisturbed run; if it ends complete, another run right after it downloads nothing."""
    scene.play(Script())
    wish = _some_wish(scene)
    first = run_wish(scene, wish)
    yield first
    if first.succeeded:
        yield run_wish(scene, wish)


def change_archive(scene: Scene) -> Iterator[Deed]:
    """Series grow, shrink, move, vanish and return."""
    _change(scene)
    yield from ()


def change_archive_and_run(scene: Scene) -> Iterator[Deed]:
    """New versions replace old ones, with kills and failing calls; then some may be withdrawn."""
    before = dict(scene.world.listed())
    _change(scene)
    changed = [planned for uid, planned in scene.world.listed().items() if before.get(uid) != planned]
    scene.play(Script())
    wish = _some_wish(scene)
    if scene.random.random() < 0.3:
        # on file systems that cannot exchange two folders there is a moment between two renames
        number = scene.random.choice((1, 2, 2, 2, 3, 4))
        disturbance = Disturbance(call="rename", meddling="signal=KILL", when=str(number), no_exchange=True)
    else:
        disturbance = draw_disturbance(scene.random, asks_archive=True, moves=scene.random.random() < 0.7)
    yield run_wish(scene, wish, disturbance)
    if changed and scene.random.random() < 0.5:
        scene.log.append(f"archive: {', '.join(withdraw(scene.world, planned) for planned in changed)}")
        scene.serve()
    yield run_wish(scene, wish)


def recurate_in_mid_run(scene: Scene) -> Iterator[Deed]:
    """Between listing and download a series changes and gets one image more, and then the archive sends one image too few."""
    wish = replace(_some_wish(scene), md5=scene.random.choice(("off", "off", "auto")), withdrawn="keep")
    listed = list(scene.world.listed().values())
    chosen = [planned for planned in scene.random.sample(listed, min(4, len(listed))) if not planned.sample]

    def recurate() -> None:
        for planned in chosen:
            scene.world.put(replace(planned, images=planned.images + 1, pixels=planned.pixels + 1, edition=planned.edition + 2))
        scene.serve()

    # an intact series is new for the run as well
    for planned in chosen:
        scene.world.put(replace(planned, pixels=planned.pixels + 50, edition=planned.edition + 1))
    scene.serve()
    faults = [
        Fault(kind=FaultKind.SHORT_ZIP, images=planned.images, series_instance_uid=planned.series_instance_uid, times=2)
        for planned in chosen
    ]
    scene.play(Script(faults))
    yield run_wish(scene, wish, happenings=(Happening(after_requests=scene.random.randint(1, 7), do=recurate),))


def change_manifest(scene: Scene) -> Iterator[Deed]:
    """Change one key of a manifest, or add a second manifest."""
    if len(scene.wishes) < 3 and scene.random.random() < 0.35:
        wish = draw_wish(scene.random, scene.world, f"m{len(scene.wishes) + 1}", is_old=scene.is_old)
        told = f"another manifest {wish.name}: {wish.api}, withdrawn {wish.withdrawn}"
    else:
        wish, told = change_wish(scene.random, scene.world, _some_wish(scene))
    scene.wishes[wish.name] = wish
    scene.log.append(f"manifest: {told}")
    yield from run(scene) if scene.random.random() < 0.5 else run_in_peace(scene)


def nest_layouts(scene: Scene) -> Iterator[Deed]:
    """A layout that is nested in another one, and series of both."""
    wish = replace(_some_wish(scene), layout=LAYOUTS[4])
    yield run_wish(scene, wish)
    _change(scene)
    scene.log.append("manifest: layout within the former")
    scene.wishes[wish.name] = replace(wish, layout=LAYOUTS[5])
    yield run_wish(scene, scene.wishes[wish.name])
    yield from scene.random.choice((rebuild, repair))(scene)


def withdraw_and_run(scene: Scene) -> Iterator[Deed]:
    """The archive withdraws a series, and each manifest applies its policy."""
    scene.play(Script())
    if len(scene.wishes) == 1 and scene.random.random() < 0.6:
        only = next(iter(scene.wishes.values()))
        other = replace(only, name="m2", withdrawn=scene.random.choice(MOST_CAREFUL_FIRST))
        scene.wishes["m2"] = other
        scene.log.append(f"another manifest m2: the same, withdrawn {other.withdrawn}")
        yield run_wish(scene, other)
    planned = scene.random.choice(list(scene.world.listed().values()))
    scene.log.append(f"archive: {withdraw(scene.world, planned)}")
    scene.serve()
    for name in scene.random.sample(sorted(scene.wishes), len(scene.wishes)):
        yield run_wish(scene, scene.wishes[name])


def verify(scene: Scene) -> Iterator[Deed]:
    """Verify, by names and sizes or every byte."""
    deep = ["--deep"] if scene.random.random() < 0.5 else []
    yield scene.command("verify", *_manifests(scene), "--json", "-q", *deep)


def repair(scene: Scene) -> Iterator[Deed]:
    """Verify every byte, and repair; often disturbed."""
    if scene.random.random() < 0.7:
        scene.play(Script())
    if scene.random.random() < 0.25:
        # between the move of a folder and the update of the store
        call, number = scene.random.choice(("pwrite64", "fdatasync", "fsync", "mkdir", "unlinkat")), scene.random.randint(1, 6)
        disturbance = Disturbance(call=call, meddling="signal=KILL", when=str(number))
    else:
        disturbance = _mending_disturbance(scene.random, asks_archive=True)
    yield scene.command("verify", *_manifests(scene), "--json", "-q", "--deep", "--repair", disturbance=disturbance)


def harm_and_repair(scene: Scene) -> Iterator[Deed]:
    """Damage a series; then repair, run, or both. The archive may have withdrawn the series."""
    scene.log.append(f"hands: {scene.random.choice((harm_a_series, copy_and_harm))(scene)}")
    for uid in scene.random.sample(sorted(scene.ledger.harmed), len(scene.ledger.harmed)):
        if scene.random.random() < 0.35 and uid in scene.world.listed():
            scene.log.append(f"archive: {withdraw(scene.world, scene.world.series[uid])}")
            scene.serve()
    for step in scene.random.choice(
        ((repair,), (repair, run_in_peace), (run_in_peace,), (verify, run_in_peace), (repair, repair))
    ):
        yield from step(scene)


def relayout(scene: Scene) -> Iterator[Deed]:
    """Move everything to another layout; often disturbed."""
    layout = scene.random.choice(LAYOUTS)
    scene.log.append(f"relayout to {layout}")
    yield scene.command("relayout", layout, "--json", disturbance=_mending_disturbance(scene.random))
    scene.wishes = {name: replace(wish, layout="") for name, wish in scene.wishes.items()}


def rebuild(scene: Scene) -> Iterator[Deed]:
    """Rebuild the store, often after damaging it; often disturbed."""
    if scene.random.random() < 0.6:
        scene.log.append(f"hands: {break_the_store(scene)}")
    deed = scene.command("store rebuild", "--json", disturbance=_mending_disturbance(scene.random))
    yield deed
    if deed.ended.disturbance.is_any and not deed.succeeded:
        scene.ledger.store_is_stale = True


def break_and_run(scene: Scene) -> Iterator[Deed]:
    """Delete or damage the store, then run."""
    scene.log.append(f"hands: {break_the_store(scene)}")
    yield from run_in_peace(scene)


def back_up_and_restore(scene: Scene) -> Iterator[Deed]:
    """Take a backup; the next time restore it, whatever happened between."""
    if scene.backup is not None and scene.backup.exists() and scene.random.random() < 0.7:
        scene.put_store(scene.backup)
        scene.log.append("hands: an older store is put back")
        yield from run_in_peace(scene)
        return
    target = scene.folder / "backup.db"
    if scene.store.exists():
        yield scene.command("store backup", target, "--json")
        scene.backup = target
        if scene.random.random() < 0.5:
            scene.log.append(f"hands: {harm_a_series(scene)}")
            yield from back_up_and_restore(scene)


def retry(scene: Scene) -> Iterator[Deed]:
    """Put failed series back into the queue."""
    if scene.store.exists():
        yield scene.command("retry", "--json")
        yield from run_in_peace(scene)


def pause(scene: Scene) -> Iterator[Deed]:
    """Pause the library, and resume it."""
    if scene.library.exists():
        yield scene.command("pause", "--json")
        yield scene.command("resume", "--json")


def adopt(scene: Scene) -> Iterator[Deed]:
    """Adopt a tree of another program, in which some series are complete and some are not."""
    source = scene.folder / f"foreign {scene.random.randint(1, 999)}"
    wish = _some_wish(scene)
    for planned in scene.random.sample(list(scene.world.listed().values()), min(3, len(scene.world.listed()))):
        folder = source / f"series {planned.number}"
        folder.mkdir(parents=True, exist_ok=True)
        images = list(images_of(planned))
        flaw = scene.random.choice(("", "", "short", "other byte"))
        if flaw == "other byte":
            images[0] = images[0][:-1] + bytes([images[0][-1] ^ 1])
        for number, content in enumerate(images[1:] if flaw == "short" else images):
            (folder / f"IM{number}").write_bytes(content)
    scene.log.append("another program's tree")
    disturbance = _mending_disturbance(scene.random, asks_archive=True)
    yield scene.command("adopt", source, "--manifest", scene.manifest(wish), "--json", "-q", disturbance=disturbance, wish=wish)


def lose_the_library(scene: Scene) -> Iterator[Deed]:
    """Move the library away before a run, and back afterwards; the store is outside of it."""
    if scene.state is None or not scene.store.exists() or not scene.library.exists():
        return
    away = scene.folder / "unmounted"
    scene.library.rename(away)
    scene.library.mkdir()
    scene.log.append("hands: the library's mount is gone")
    scene.play(Script())
    yield replace(run_wish(scene, _some_wish(scene)), elsewhere=True)
    shutil.rmtree(scene.library)
    away.rename(scene.library)
    scene.ledger.store_is_stale = True
    scene.log.append("hands: it is back")
    yield from run_in_peace(scene)


STEPS: Final[Mapping[Step, int]] = {
    run: 10,
    run_in_peace: 3,
    change_archive: 5,
    change_archive_and_run: 6,
    recurate_in_mid_run: 3,
    change_manifest: 5,
    nest_layouts: 2,
    withdraw_and_run: 4,
    verify: 2,
    repair: 2,
    harm_and_repair: 7,
    relayout: 3,
    rebuild: 3,
    break_and_run: 1,
    back_up_and_restore: 3,
    retry: 1,
    pause: 1,
    adopt: 2,
    lose_the_library: 3,
}


def name_of(step: Step) -> str:
    """The name of the step in logs and on the command line."""
    return getattr(step, "__name__", "").replace("_", " ")


def _some_wish(scene: Scene) -> Wish:
    return scene.wishes[scene.random.choice(sorted(scene.wishes))]


def _manifests(scene: Scene) -> list[str]:
    return [str(scene.manifest(wish)) for _, wish in sorted(scene.wishes.items())]


def _change(scene: Scene) -> None:
    told = change_world(scene.random, scene.world)
    scene.serve()
    scene.log.append(f"archive: {', '.join(told)}")


def _mending_disturbance(random: Random, *, asks_archive: bool = False) -> Disturbance:
    return draw_disturbance(random, asks_archive=asks_archive, moves=True) if random.random() < 0.45 else UNDISTURBED
