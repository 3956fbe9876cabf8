"""Library and store know each other: a store never counts as complete what lies in another library, or nowhere."""

import fcntl
import json
import os
import shutil
import sqlite3
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from downloader.clock import SystemClock
from downloader.config.options import RunOptions
from downloader.engine.holding import hold_library, open_records
from downloader.engine.maintenance import open_adoption, open_verification, rebuild_store, relayout_library
from downloader.errors import ArchiveUnreachableError, LibraryError, StoreLockedError, WrongLibraryError
from downloader.library.state.lock import lock_library
from downloader.manifest import PROFILES
from downloader.ui.counting import SilentCount
from tests.faults.scene import ATTEMPTS, OWN_FOLDER, Scene, open_scene

pytestmark = pytest.mark.anyio

AT = datetime(2026, 11, 27, tzinfo=UTC)


@pytest.fixture
def state(tmp_path: Path) -> Path:
    """A store on another disk than the library."""
    return tmp_path / "state" / "state.db"


@pytest.fixture
async def scene(tmp_path: Path) -> AsyncIterator[Scene]:
    (tmp_path / "scene").mkdir()
    async with open_scene(tmp_path / "scene") as opened:
        yield opened


def options(state: Path | None) -> RunOptions:
    return RunOptions(attempts=ATTEMPTS, state=state)


def marker(library: Path) -> str:
    return str(json.loads((library / OWN_FOLDER / "library.json").read_text())["id"])


def bound(state: Path) -> list[str]:
    with closing(sqlite3.connect(state)) as database:
        return [identity for (identity,) in database.execute("SELECT id FROM library")]


def forget_library(state: Path) -> None:
    """Make it a store as tciad 0.1.0 left it, brought up to date: it knows no library."""
    with closing(sqlite3.connect(state)) as database:
        database.execute("DELETE FROM library")
        database.commit()


async def test_library_and_store_get_one_identity(scene: Scene, state: Path) -> None:
    """With the first run, and it stays theirs."""
    for _ in range(2):
        scene.assert_complete(await scene.run(options=options(state)))
        assert bound(state) == [marker(scene.library)]


async def test_a_disk_that_is_not_mounted_is_refused(scene: Scene, state: Path) -> None:
    """Nothing is written below the mount point, whether it is empty or gone; once the disk is back, all is as before."""
    scene.assert_complete(await scene.run(options=options(state)))
    disk = scene.root.parent / "disk"
    scene.library.rename(disk)
    for has_mount_point in (False, True):
        if has_mount_point:
            scene.library.mkdir()
        with pytest.raises(WrongLibraryError, match=r"counts 2 series as complete.*mount the disk") as refused:
            await scene.run(options=options(state))
        assert refused.value.exit_code == 5
        assert "to start over, remove or rename the state file, or name a new one with --state" in str(refused.value)
        assert list(scene.library.rglob("*")) == []
    scene.library.rmdir()
    disk.rename(scene.library)
    before = scene.sandbox.count("getImage")
    scene.assert_complete(await scene.run(options=options(state)))
    assert scene.sandbox.count("getImage") == before


async def test_a_store_over_another_library_is_refused(scene: Scene, state: Path) -> None:
    """Which stays as it is, as the store does."""
    scene.assert_complete(await scene.run(options=options(state)))
    first = scene.root.parent / "first"
    scene.library.rename(first)
    scene.assert_complete(await scene.run(options=options(None)))
    other = marker(scene.library)
    with pytest.raises(
        WrongLibraryError, match=r"is not the library of the state store.*or name the library that belongs to this store with -o"
    ):
        await scene.run(options=options(state))
    assert marker(scene.library) == other != marker(first)
    assert bound(state) == [marker(first)]


@pytest.mark.parametrize("verb", ["ask", "verify", "repair", "relayout"])
async def test_no_verb_works_on_a_library_that_is_not_there(scene: Scene, state: Path, verb: str) -> None:
    """Not only run: also those that ask, prove and move."""
    scene.assert_complete(await scene.run(options=options(state)))
    scene.library.rename(scene.root.parent / "disk")
    scene.library.mkdir()
    here = replace(options(state), output=scene.library)
    with pytest.raises(WrongLibraryError):
        await use(verb, here)
    assert list(scene.library.rglob("*")) == []


async def use(verb: str, here: RunOptions) -> None:
    if verb == "ask":
        async with open_records(here.output, here.state):
            pass
    elif verb == "relayout":
        await relayout_library(replace(here, layout="flat"), SilentCount(), dry_run=False)
    else:
        async with open_verification(here, (), deep=False, upstream=False, repair=verb == "repair"):
            pass


async def test_a_library_and_a_store_of_before_are_bound_after_a_look(scene: Scene, state: Path) -> None:
    """Where a series of the store is in the folder they get their identity; where none is, they are refused."""
    scene.assert_complete(await scene.run(options=options(state)))
    (scene.library / OWN_FOLDER / "library.json").unlink()
    forget_library(state)
    scene.assert_complete(await scene.run(options=options(state)))
    assert bound(state) == [marker(scene.library)]

    (scene.library / OWN_FOLDER / "library.json").unlink()
    forget_library(state)
    scene.library.rename(scene.root.parent / "disk")
    with pytest.raises(WrongLibraryError, match="has none of the 2 series"):
        await scene.run(options=options(state))
    assert not scene.library.exists()


async def test_a_kill_between_marker_and_store_is_made_up_for(scene: Scene, state: Path) -> None:
    """The marker comes first; the next start tells the store."""
    scene.assert_complete(await scene.run(options=options(state)))
    identity = marker(scene.library)
    with closing(sqlite3.connect(state)) as database:
        database.execute("DELETE FROM library")
        database.commit()
    scene.assert_complete(await scene.run(options=options(state)))
    assert bound(state) == [identity] == [marker(scene.library)]


async def test_a_lost_store_takes_the_identity_of_its_library(scene: Scene, state: Path) -> None:
    """What is there is found by its receipts, and not downloaded."""
    scene.assert_complete(await scene.run(options=options(state)))
    identity = marker(scene.library)
    shutil.rmtree(state.parent)
    before = scene.sandbox.count("getImage")
    scene.assert_complete(await scene.run(options=options(state)))
    assert bound(state) == [identity]
    assert scene.sandbox.count("getImage") == before


async def test_a_rebuilt_store_belongs_to_the_library(scene: Scene, state: Path) -> None:
    """The way out where a library has lost its marker."""
    scene.assert_complete(await scene.run(options=options(state)))
    shutil.rmtree(scene.library / OWN_FOLDER)
    with pytest.raises(WrongLibraryError, match="`tciad store rebuild` creates a store from the receipts there"):
        await scene.run(options=options(state))
    report = await rebuild_store(replace(options(state), output=scene.library), SilentCount())
    assert report.tally.complete == 2
    assert bound(state) == [marker(scene.library)]
    scene.assert_complete(await scene.run(options=options(state)))


async def test_no_library_is_made_of_any_folder(tmp_path: Path) -> None:
    """A rebuild of an empty folder, or of one with other things in it, is refused, and nothing is written."""
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "thesis.txt").write_text("mine")
    with pytest.raises(LibraryError, match="is not a library: it has no marker and no series with a receipt"):
        await rebuild_store(RunOptions(output=tmp_path / "folder"), SilentCount())
    assert [path.name for path in (tmp_path / "folder").iterdir()] == ["thesis.txt"]


async def test_one_store_serves_one_run_at_a_time(tmp_path: Path, state: Path) -> None:
    """Two runs over two libraries with one store: the second reports who holds it, and makes no library."""
    clock = SystemClock()
    second = hold_library(RunOptions(output=tmp_path / "two", state=state), clock)
    async with hold_library(RunOptions(output=tmp_path / "one", state=state), clock):
        with pytest.raises(StoreLockedError, match=r"another run \(process .*\) holds the state store"):
            await second.__aenter__()
    assert not (tmp_path / "two").exists()


@pytest.mark.parametrize("was_library", [False, True])
async def test_an_adoption_that_fails_leaves_no_library_where_none_was(tmp_path: Path, was_library: bool) -> None:
    """What was a library stays one."""
    (tmp_path / "tree").mkdir()
    library = tmp_path / "library"
    library.mkdir()
    (library / "thesis.txt").write_text("mine")
    if was_library:
        async with hold_library(RunOptions(output=library), SystemClock()):
            pass
    adoption = open_adoption(tmp_path / "tree", PROFILES["tcia"], RunOptions(output=library), SilentCount(), link=True)
    with pytest.raises(ArchiveUnreachableError):
        async with adoption:
            raise ArchiveUnreachableError("no archive")
    assert (library / OWN_FOLDER).exists() is was_library
    assert (library / "thesis.txt").read_text() == "mine"


async def test_an_adoption_that_finds_the_library_held_removes_nothing(tmp_path: Path) -> None:
    """The other process has only just made `.tciad`, and nothing but the lock is in it."""
    (tmp_path / "tree").mkdir()
    library = tmp_path / "library"
    adoption = open_adoption(tmp_path / "tree", PROFILES["tcia"], RunOptions(output=library), SilentCount(), link=True)
    with lock_library(library, AT):
        with pytest.raises(StoreLockedError):
            await adoption.__aenter__()
        assert (library / OWN_FOLDER / "lock").read_text() != ""


async def test_an_adoption_that_fails_removes_its_folder_while_it_holds_the_library(tmp_path: Path) -> None:
    """A process that waits for the lock gets it when the folder is gone already, so that nothing of its own is removed."""
    (tmp_path / "tree").mkdir()
    library = tmp_path / "library"
    adoption = open_adoption(tmp_path / "tree", PROFILES["tcia"], RunOptions(output=library), SilentCount(), link=True)
    await adoption.__aenter__()
    descriptor = os.open(library / OWN_FOLDER / "lock", os.O_RDWR)
    with ThreadPoolExecutor(1) as threads:
        is_there = threads.submit(wait_and_look, descriptor, library / OWN_FOLDER)
        error = ArchiveUnreachableError("no archive")
        assert not await adoption.__aexit__(type(error), error, None)
    assert not is_there.result()


def wait_and_look(descriptor: int, folder: Path) -> bool:
    """Whether the folder is there in the moment in which the lock is free."""
    fcntl.flock(descriptor, fcntl.LOCK_EX)
    try:
        return folder.exists()
    finally:
        os.close(descriptor)
