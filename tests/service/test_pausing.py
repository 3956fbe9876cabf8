"""Pauses and libraries that cannot be used: each order reaches what it can, and no library harms another."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from itertools import permutations
from pathlib import Path

import anyio
import pytest

from tests.service.scene import HOUR_SECONDS, ServiceScene, open_scene, write_manifest
from tests.waiting import LONGEST_WAIT_SECONDS

pytestmark = pytest.mark.anyio
Step = Callable[[ServiceScene], Awaitable[object]]


def block(scene: ServiceScene) -> None:
    """A file lies where a library should."""
    (scene.root / "blocked").write_text("in the way")


async def add(scene: ServiceScene) -> None:
    """A manifest whose library cannot be opened."""
    write_manifest(scene.folder, scene.sandbox.base_url, "b", "output: {directory: blocked}")
    await scene.look()


async def remove(scene: ServiceScene) -> None:
    """That manifest goes, if it is there."""
    path = scene.folder / "b.yaml"
    if path.exists():
        path.unlink()
        await scene.look()


async def pause(scene: ServiceScene) -> None:
    await scene.service.pause()
    assert (await scene.service.status()).paused


async def resume(scene: ServiceScene) -> None:
    await scene.service.resume()
    assert not (await scene.service.status()).paused


@asynccontextmanager
async def mirrored(root: Path) -> AsyncIterator[ServiceScene]:
    """A service whose manifest m has had its first cycle, and a place for a library that cannot be used."""
    async with open_scene(root, 1) as scene:
        await scene.cycle_of("m")
        block(scene)
        yield scene


def names_of(steps: tuple[Step, ...]) -> str:
    return "-".join(step.__name__ for step in steps)


@pytest.mark.parametrize("steps", list(permutations([add, remove, pause, resume])), ids=names_of)
async def test_a_library_that_cannot_be_used_harms_no_other(tmp_path: Path, steps: tuple[Step, ...]) -> None:
    """In whatever order it is paused, resumed, added and removed: the service lives, and the other manifest goes on."""
    async with mirrored(tmp_path) as scene:
        for step in steps:
            await step(scene)
        await scene.service.resume()
        await scene.clock.pass_time(6 * HOUR_SECONDS)
        assert (await scene.cycle_of("m")).summary.outcome == "complete"


async def test_a_pause_says_what_became_of_it_in_each_library(tmp_path: Path) -> None:
    """The usable one is marked, the other is named with the reason; so it is with going on."""
    async with mirrored(tmp_path) as scene:
        await add(scene)
        for order in (scene.service.pause, scene.service.resume):
            told = {Path(library.directory).name: library.problem for library in await order()}
            assert told.keys() == {"blocked", "library"}
            assert told["library"] == ""
            assert "blocked" in told["blocked"]
        await scene.service.pause()
        assert (scene.library / ".tciad" / "paused").exists()
        assert all(library.paused for library in (await scene.service.status()).libraries)


async def test_an_order_holds_for_a_library_that_comes_back(tmp_path: Path) -> None:
    """Nothing is fetched for it until the service is resumed."""
    async with mirrored(tmp_path) as scene:
        await add(scene)
        await scene.service.pause()
        (scene.root / "blocked").unlink()
        await scene.clock.pass_time(2 * HOUR_SECONDS)
        with anyio.fail_after(LONGEST_WAIT_SECONDS):
            while not (scene.root / "blocked" / ".tciad" / "paused").exists():
                await anyio.wait_all_tasks_blocked()
        await scene.assert_idle()
        await scene.service.resume()
        assert (await scene.cycle_of("b")).summary.outcome == "complete"
        assert scene.stored(scene.root / "blocked") == scene.held()


async def test_a_manifest_that_is_added_while_all_is_paused_waits(tmp_path: Path) -> None:
    """Its library is made, and is paused as the others are."""
    async with open_scene(tmp_path, 1) as scene:
        await scene.cycle_of("m")
        await scene.service.pause()
        await add(scene)
        await scene.clock.pass_time(HOUR_SECONDS)
        with anyio.fail_after(LONGEST_WAIT_SECONDS):
            while not (scene.root / "blocked" / ".tciad" / "paused").exists():
                await anyio.wait_all_tasks_blocked()
        await scene.assert_idle()
        await scene.service.resume()
        assert (await scene.cycle_of("b")).summary.outcome == "complete"
