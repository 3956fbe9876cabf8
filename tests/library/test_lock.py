"""One run per library: who holds it is known, and the dead hold nothing."""

import errno
import fcntl
import json
import os
import socket
import stat
from contextlib import AbstractContextManager
from datetime import UTC, datetime
from pathlib import Path

import pytest

from downloader.errors import LibraryError, NoSpaceError, StoreLockedError
from downloader.library.state.lock import lock_library
from tests.store.examples import START_AT, start_python

HOST = socket.gethostname()


def no_flock(descriptor: int, operation: int) -> None:
    """The flock(2) of a file system that has none."""
    raise OSError(errno.EOPNOTSUPP, os.strerror(errno.EOPNOTSUPP))


def lock_without_flock(library: Path, at: datetime = START_AT) -> AbstractContextManager[None]:
    return lock_library(library, at, flock=no_flock)


def word(pid: int, host: str = HOST) -> str:
    return json.dumps({"pid": pid, "host": host, "started_at": "2026-01-01T00:00:00+00:00"})


def write_word(library: Path, content: str) -> Path:
    path = library / ".tciad" / "lock"
    path.parent.mkdir(exist_ok=True)
    path.write_text(content)
    return path


def dead_pid() -> int:
    with start_python("") as child:
        child.wait()
    return child.pid


def test_the_file_tells_who_holds_the_library(tmp_path: Path) -> None:
    """Process, host and start, while it is held; nothing after."""
    with lock_library(tmp_path / "library", datetime(2026, 11, 23, 12, tzinfo=UTC)):
        told = json.loads((tmp_path / "library" / ".tciad" / "lock").read_text())
        assert told == {"pid": os.getpid(), "host": HOST, "started_at": "2026-11-23T12:00:00+00:00"}
    assert (tmp_path / "library" / ".tciad" / "lock").read_text() == ""


def test_a_second_run_is_refused_and_told_by_whom(tmp_path: Path) -> None:
    """Exit code 6, and the message names the holder; the holder keeps it."""
    with lock_library(tmp_path, START_AT):
        for _ in range(2):
            with pytest.raises(StoreLockedError) as refused, lock_library(tmp_path, START_AT):
                pytest.fail("held twice")
            assert f"process {os.getpid()} on {HOST}" in str(refused.value)
            assert refused.value.exit_code == 6


def test_a_lock_that_was_given_back_can_be_had(tmp_path: Path) -> None:
    """As often as needed, also after an error inside."""
    with pytest.raises(ZeroDivisionError), lock_library(tmp_path, START_AT):
        raise ZeroDivisionError
    with lock_library(tmp_path, START_AT):
        pass


def test_two_libraries_are_two_locks(tmp_path: Path) -> None:
    """Runs on different libraries do not meet."""
    with lock_library(tmp_path / "a", START_AT), lock_library(tmp_path / "b", START_AT):
        pass


def test_the_lock_dies_with_its_process(tmp_path: Path) -> None:
    """After kill -9 the next run takes over, whatever the file says."""
    with start_python(HOLD, str(tmp_path)) as child:
        assert child.stdout is not None
        assert child.stdout.readline() == "held\n"
        with pytest.raises(StoreLockedError, match=f"process {child.pid}"), lock_library(tmp_path, START_AT):
            pytest.fail("held twice")
        child.kill()
    assert str(child.pid) in (tmp_path / ".tciad" / "lock").read_text()
    with lock_library(tmp_path, START_AT):
        assert json.loads((tmp_path / ".tciad" / "lock").read_text())["pid"] == os.getpid()


HOLD = """
import sys, time
from datetime import datetime, UTC
from pathlib import Path
from downloader.library.state.lock import lock_library

with lock_library(Path(sys.argv[1]), datetime.now(UTC)):
    print("held", flush=True)
    time.sleep(60)
"""


@pytest.mark.parametrize("content", ["", "{", "[]", '{"pid": "x", "host": "h", "started_at": ""}', "\x00\xff"])
def test_what_the_file_said_before_does_not_matter(tmp_path: Path, content: str) -> None:
    """With flock or without, nonsense holds nothing."""
    write_word(tmp_path, content)
    with lock_library(tmp_path, START_AT):
        pass
    write_word(tmp_path, content)
    with lock_without_flock(tmp_path):
        pass


def test_a_library_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    """Exit code 5."""
    (tmp_path / "library").write_text("a file")
    with pytest.raises(LibraryError, match="cannot be locked") as refused, lock_library(tmp_path / "library", START_AT):
        pytest.fail("locked a file")
    assert refused.value.exit_code == 5


def test_everybody_may_read_who_holds_it(tmp_path: Path) -> None:
    """The word is for people."""
    with lock_library(tmp_path, START_AT):
        mode = (tmp_path / ".tciad" / "lock").stat().st_mode
    assert stat.S_IMODE(mode) & 0o133 == 0


def test_without_flock_a_living_process_holds_the_library(tmp_path: Path) -> None:
    """Its word in the file is believed."""
    with start_python("input()") as child:
        write_word(tmp_path, word(child.pid))
        with pytest.raises(StoreLockedError, match=f"process {child.pid}"), lock_without_flock(tmp_path):
            pytest.fail("held twice")
        child.kill()


def test_without_flock_the_dead_hold_nothing(tmp_path: Path) -> None:
    """Nor does an earlier run of this number, as in a container that was started again."""
    for pid in (dead_pid(), os.getpid()):
        path = write_word(tmp_path, word(pid))
        with lock_without_flock(tmp_path):
            assert json.loads(path.read_text())["started_at"].startswith("2026-11-23")
        assert path.read_text() == ""


def test_without_flock_another_host_is_believed(tmp_path: Path) -> None:
    """Whether its process lives cannot be seen from here; the message says what to do if not."""
    path = write_word(tmp_path, word(dead_pid(), "elsewhere"))
    with pytest.raises(StoreLockedError, match=f"if that process is dead, remove {path}"), lock_without_flock(tmp_path):
        pytest.fail("held twice")
    path.unlink()
    with lock_without_flock(tmp_path):
        pass


def test_a_full_disk_is_told_as_one(tmp_path: Path) -> None:
    """To make the library writable would not help."""

    def full(descriptor: int, operation: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with pytest.raises(NoSpaceError, match="; free some space"), lock_library(tmp_path, START_AT, flock=full):
        pytest.fail("locked")


def test_another_fault_of_the_file_system_is_told(tmp_path: Path) -> None:
    """It is not taken for a lock, nor for the lack of one."""

    def broken(descriptor: int, operation: int) -> None:
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    with pytest.raises(LibraryError, match="Input/output error"), lock_library(tmp_path, START_AT, flock=broken):
        pytest.fail("locked")


def test_a_lock_whose_file_was_removed_is_taken_anew(tmp_path: Path) -> None:
    """A process that removes the folder it made leaves a nameless lock to the process that waited; that one holds nothing."""
    own = tmp_path / ".tciad"
    calls: list[int] = []

    def flock_after_removal(descriptor: int, operation: int) -> None:
        if not calls:
            (own / "lock").unlink()
            own.rmdir()
        calls.append(descriptor)
        fcntl.flock(descriptor, operation)

    with lock_library(tmp_path, START_AT, flock=flock_after_removal):
        assert len(calls) == 2
        with pytest.raises(StoreLockedError), lock_library(tmp_path, START_AT):
            pass
