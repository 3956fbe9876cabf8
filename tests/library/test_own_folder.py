"""The library's own folder is opened without following links, belongs to somebody trusted, and is as shared as its library."""

import os
import stat
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

import anyio
import pytest

from downloader.config.options import RunOptions
from downloader.engine.state_store import open_state
from downloader.errors import LibraryError
from downloader.library.local.library import LocalLibrary
from downloader.library.model import CHANGES, RUNS, LibraryConfig
from downloader.library.state.config import read_config, write_config
from downloader.library.state.descriptions import read_descriptions, write_descriptions
from downloader.library.state.lock import lock_library
from downloader.library.state.pause import is_paused, pause_library, resume_library
from downloader.library.state.records import read_records, write_record
from downloader.own_folder import OWN_FOLDER, has_own_folder, open_own_folder

AT = datetime(2026, 11, 27, tzinfo=UTC)
STRANGER = 4242
GROUP = 4343
TREASURE = b"somebody else's\n"

needs_root = pytest.mark.needs("root")


def lock(root: Path) -> None:
    with lock_library(root, AT):
        pass


def open_and_close(root: Path) -> None:
    async def work() -> None:
        async with open_state(RunOptions(output=root)) as store:
            await store.tally()

    anyio.run(work)


def record(kind: str) -> Callable[[Path], object]:
    return lambda root: write_record(root, kind, AT, {})


@pytest.fixture
def treasure(tmp_path: Path) -> Iterator[Path]:
    """A folder with a folder and a file in it, outside of the library, which must stay as it is."""
    folder = tmp_path / "treasure"
    (folder / "deep").mkdir(parents=True)
    for path in (folder / "file", folder / "deep" / "file", folder / "state.db"):
        path.write_bytes(TREASURE)
    before = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    yield folder
    assert {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()} == before


@pytest.mark.parametrize(
    ("name", "work"),
    [
        ("staging", LocalLibrary),
        ("staging", lambda root: anyio.run(_opened_before(root).leftovers.clear_staging)),
        ("quarantine", LocalLibrary),
        ("runs", LocalLibrary),
        ("runs", record(RUNS)),
        ("runs", lambda root: read_records(root, RUNS)),
        ("changes", record(CHANGES)),
    ],
)
def test_a_link_in_place_of_a_folder_is_not_followed(
    tmp_path: Path, treasure: Path, name: str, work: Callable[[Path], object]
) -> None:
    """It is refused by its name, with what to do; nothing is made or removed where it leads."""
    root = tmp_path / "library"
    LocalLibrary(root)
    path = root / OWN_FOLDER / name
    if path.exists():
        path.rmdir()
    path.symlink_to(treasure)
    with pytest.raises(LibraryError, match=f"{OWN_FOLDER}/{name} is a link, which tciad does not follow; check its target"):
        work(root)


def _opened_before(root: Path) -> LocalLibrary:
    """A library that was opened before the link came."""
    link = root / OWN_FOLDER / "staging"
    target = link.readlink()
    link.unlink()
    library = LocalLibrary(root)
    link.rmdir()
    link.symlink_to(target)
    return library


@pytest.mark.parametrize(
    ("name", "work"),
    [
        ("lock", lock),
        ("form.json", read_config),
        ("descriptions.json", read_descriptions),
        ("state.db", open_and_close),
    ],
)
def test_a_link_in_place_of_a_file_is_not_followed(
    tmp_path: Path, treasure: Path, name: str, work: Callable[[Path], object]
) -> None:
    """A lock that is a link would cut off the file that it leads to."""
    root = tmp_path / "library"
    LocalLibrary(root)
    (root / OWN_FOLDER / name).symlink_to(treasure / "file")
    with pytest.raises(LibraryError, match=f"{OWN_FOLDER}/{name} is a link"):
        work(root)


@pytest.mark.parametrize(
    ("name", "work"),
    [
        ("form.json", lambda root: write_config(root, LibraryConfig())),
        ("form.json.new", lambda root: write_config(root, LibraryConfig())),
        ("descriptions.json", lambda root: write_descriptions(root, ())),
        ("descriptions.json.new", lambda root: write_descriptions(root, ())),
        ("paused.new", lambda root: pause_library(root, AT)),
        ("paused", resume_library),
    ],
)
def test_a_file_is_written_in_place_of_a_link(tmp_path: Path, treasure: Path, name: str, work: Callable[[Path], object]) -> None:
    """The link itself is replaced or removed; what it leads to stays."""
    root = tmp_path / "library"
    LocalLibrary(root)
    (root / OWN_FOLDER / name).symlink_to(treasure / "file")
    work(root)
    assert not (root / OWN_FOLDER / name).is_symlink()


@pytest.mark.parametrize(
    "work",
    [
        LocalLibrary,
        lock,
        read_config,
        is_paused,
        open_and_close,
        has_own_folder,
        lambda root: pause_library(root, AT),
        record(RUNS),
    ],
)
def test_an_own_folder_that_is_a_link_is_refused(tmp_path: Path, treasure: Path, work: Callable[[Path], object]) -> None:
    """Whatever is to be done with the library."""
    root = tmp_path / "library"
    root.mkdir()
    (root / OWN_FOLDER).symlink_to(treasure)
    with pytest.raises(LibraryError, match=r"\.tciad is a link") as refused:
        work(root)
    assert refused.value.exit_code == 5


def test_a_library_that_is_reached_through_a_link_is_used(tmp_path: Path) -> None:
    """The user names it, and may call it as he likes."""
    (tmp_path / "disk").mkdir()
    (tmp_path / "library").symlink_to(tmp_path / "disk")
    LocalLibrary(tmp_path / "library")
    assert (tmp_path / "disk" / OWN_FOLDER / "staging").is_dir()


@needs_root
@pytest.mark.parametrize(
    ("owner", "group", "mode", "is_good"),
    [
        (STRANGER, GROUP, 0o755, False),
        (STRANGER, GROUP, 0o777, False),
        (STRANGER, 0, 0o775, True),
        (STRANGER, 0, 0o777, False),
        (STRANGER, 0, 0o1777, True),
        (0, GROUP, 0o755, True),
    ],
)
def test_the_folder_of_a_stranger_is_refused(tmp_path: Path, owner: int, group: int, mode: int, is_good: bool) -> None:
    """That of this user is used, and that of a group of his unless everybody may write into it."""
    own = tmp_path / OWN_FOLDER
    own.mkdir()
    os.chown(own, owner, group)
    own.chmod(mode)
    if is_good:
        LocalLibrary(tmp_path)
        return
    with pytest.raises(LibraryError, match=f"belongs to user {owner}, and tciad runs as user 0; run tciad as the owner"):
        LocalLibrary(tmp_path)
    assert list(own.iterdir()) == []


@needs_root
def test_who_only_reads_may_read_what_the_owner_of_the_library_made(tmp_path: Path) -> None:
    """Such as root who looks at the library of a service; a folder that somebody else put there is refused."""
    own = tmp_path / OWN_FOLDER
    own.mkdir()
    os.chown(own, STRANGER, GROUP)
    with pytest.raises(LibraryError, match="belongs to user"):
        is_paused(tmp_path)
    os.chown(tmp_path, STRANGER, GROUP)
    assert not is_paused(tmp_path)


@needs_root
def test_root_may_use_the_library_of_another_user(tmp_path: Path) -> None:
    """Where `.tciad` belongs to the owner of the library; root may write there anyway, and no third person has a hand in it."""
    LocalLibrary(tmp_path)
    own = tmp_path / OWN_FOLDER
    os.chown(own, STRANGER, GROUP)
    with pytest.raises(LibraryError, match="belongs to user"):
        LocalLibrary(tmp_path)
    os.chown(tmp_path, STRANGER, GROUP)
    LocalLibrary(tmp_path)
    lock(tmp_path)
    open_and_close(tmp_path)


@needs_root
def test_a_user_who_is_not_root_may_only_read_the_library_of_another(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What that user would write there, its owner could exchange."""
    own = tmp_path / OWN_FOLDER
    own.mkdir()
    for path in (own, tmp_path):
        os.chown(path, STRANGER, GROUP)
        path.chmod(0o755)
    monkeypatch.chdir(tmp_path)  # the folders above are root's alone
    with as_user(STRANGER + 1):
        assert not is_paused(Path())
        with pytest.raises(LibraryError, match="belongs to user"), open_own_folder(Path()):
            pass


def test_a_library_that_is_opened_to_be_read_stays_as_it_is(tmp_path: Path) -> None:
    """No folder is made, and no file is tried, with or without a folder of ours."""
    LocalLibrary(tmp_path / "none", to_read=True)
    assert not (tmp_path / "none").exists()
    own = tmp_path / "library" / OWN_FOLDER
    own.mkdir(parents=True)
    before = own.stat().st_mtime_ns
    LocalLibrary(tmp_path / "library", to_read=True)
    assert (list(own.iterdir()), own.stat().st_mtime_ns) == ([], before)


@contextmanager
def as_user(user: int) -> Iterator[None]:
    """Be another user of no group but root's."""
    groups = os.getgroups()
    os.setgroups([])
    os.seteuid(user)
    try:
        yield
    finally:
        os.seteuid(0)
        os.setgroups(groups)


@pytest.mark.parametrize(("umask", "setgid", "file_mode"), [(0o022, False, 0o644), (0o002, False, 0o664), (0o077, True, 0o660)])
def test_state_is_as_shared_as_its_folder(tmp_path: Path, umask: int, setgid: bool, file_mode: int) -> None:
    """By the umask; and in a folder that is a group's (setgid) also for the group."""
    if setgid:
        tmp_path.chmod(0o2770)
    before = os.umask(umask)
    try:
        LocalLibrary(tmp_path)
        lock(tmp_path)
        write_config(tmp_path, LibraryConfig())
        open_and_close(tmp_path)
    finally:
        os.umask(before)
    own = tmp_path / OWN_FOLDER
    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in own.iterdir() if path.is_file()}
    assert modes == dict.fromkeys(("lock", "form.json", "state.db"), file_mode)
    if setgid:
        assert stat.S_IMODE((own / "staging").stat().st_mode) == 0o2770


def test_a_folder_in_place_of_a_file_is_refused_and_left_closed(tmp_path: Path) -> None:
    """By a sentence; a service that asks every few seconds must not run out of descriptors."""
    LocalLibrary(tmp_path)
    (tmp_path / OWN_FOLDER / "form.json").mkdir()
    before = len(os.listdir("/dev/fd"))  # noqa: PTH208 - of this process
    for _ in range(3):
        with pytest.raises(LibraryError, match=r"form\.json is not a file; remove it"):
            read_config(tmp_path)
    assert len(os.listdir("/dev/fd")) == before  # noqa: PTH208
