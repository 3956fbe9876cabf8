"""In which order a series reaches the disk, as strace sees it: nothing is renamed, and nothing called complete, too early."""

import re
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from downloader.library.receipt import RECEIPT_NAME
from tests.acceptance.archives import serve_archive, small_catalogue
from tests.acceptance.command import COMMAND, clean_environment
from tests.acceptance.crashes import Mirror, mirror_of
from tests.acceptance.test_crash_points import LARGE_SIDE

SERIES = 3
ONE_BY_ONE = ("--concurrency", "1")

pytestmark = [
    pytest.mark.acceptance,
    pytest.mark.long,
    pytest.mark.needs("strace"),
]

_LINE = re.compile(r"\d+ +(?P<call>\w+)\((?P<arguments>.*)\) += \d+(?:<(?P<opened>[^>]*)>)?")
_BEGUN = re.compile(r"(?P<thread>\d+) +(?P<text>.*) <unfinished \.\.\.>")
_ENDED = re.compile(r"(?P<thread>\d+) +<\.\.\. \w+ resumed>(?P<text>.*)")
_PATH = re.compile(r'(?:(?:\d+|AT_FDCWD)<([^>]*)>, )?"([^"]*)"')
_DESCRIPTOR = re.compile(r"\A\d+<([^>]*)>")


def whole_calls(trace: str) -> Iterator[str]:
    """The lines of a trace, each call where it ended: strace splits one that another thread's came into."""
    begun: dict[str, str] = {}
    for line in trace.splitlines():
        if half := _BEGUN.match(line):
            begun[half["thread"]] = half["text"]
        elif half := _ENDED.match(line):
            yield f"{half['thread']} {begun.pop(half['thread'])}{half['text']}"
        else:
            yield line


def paths_of(arguments: str) -> list[Path]:
    """The paths that a call names, absolute."""
    return [Path(folder) / name for folder, name in _PATH.findall(arguments)]


@dataclass
class Disk:
    """What has reached the disk so far, by the calls of one run. Paths are absolute."""

    library: Path
    waiting: set[Path] = field(default_factory=set)
    """Files, and folders whose names, were changed and not synced since."""
    series: list[Path] = field(default_factory=list)
    """Folders that were renamed into the library."""
    told: int = 0
    """How many of those had been renamed when the store was synced last."""
    left: set[Path] = field(default_factory=set)
    """Folders that hold names which a killed run may have left off the disk."""
    met: bool = False
    """Whether a series was found in the library, or renamed into it."""

    def replay(self, trace: str) -> None:
        """Every call of the trace, in its order."""
        for text in whole_calls(trace):
            line = _LINE.match(text)
            if line is None:
                continue  # a call that failed
            call, arguments = line["call"], line["arguments"]
            if call in {"openat", "open"} and line["opened"]:
                self._open(Path(line["opened"]), is_new="O_CREAT" in arguments)
            elif call == "mkdir":
                self._make(*paths_of(arguments), is_file=False)
            elif call in {"fsync", "fdatasync"}:
                self._sync(Path(_DESCRIPTOR.findall(arguments)[0]))
            elif call.startswith("rename"):
                self._rename(*paths_of(arguments))

    def _open(self, path: Path, *, is_new: bool) -> None:
        if is_new:
            self._make(path, is_file=True)
        self.met |= path.name == RECEIPT_NAME and not is_new

    def _make(self, path: Path, *, is_file: bool) -> None:
        if not path.is_relative_to(self.library) or path == self.library / ".tciad":
            return
        self.waiting.add(path.parent)
        if is_file:
            self.waiting.add(path)

    def _sync(self, path: Path) -> None:
        if path.name.startswith("state.db"):
            assert not self._of_the_tree(), "the store was synced before the names of a series were"
            assert not (self.met and self.left), "the store was synced before names that a killed run made"
            self.told = len(self.series)
        self.waiting.discard(path)
        self.left.discard(path)

    def _rename(self, old: Path, new: Path) -> None:
        if old in self.waiting:
            self.waiting.remove(old)
            self.waiting.add(new)
        if old.parent.name != "staging" or old.name.partition("@")[0] != new.name:
            return
        below = {path for path in self.waiting if path == old or path.is_relative_to(old)}
        assert not below, f"{new.name} was renamed before these were on the disk: {below}"
        self.series.append(new)
        self.met = True
        self.waiting.add(new.parent)

    def _of_the_tree(self) -> set[Path]:
        """What waits and lies where series end up."""
        return {path for path in self.waiting if not path.is_relative_to(self.library / ".tciad") and path != self.library.parent}


def trace_of(mirror: Mirror, folder: Path, *more: str) -> str:
    """The calls of one run that concern what reaches the disk when; `more` are further options of strace."""
    calls = "openat,open,mkdir,fsync,fdatasync,rename,renameat,renameat2,fadvise64"
    trace = folder / "trace"
    traced = ["strace", "-f", "-qq", "-y", "-s", "4096", "-e", "signal=none", "-e", f"trace={calls}", *more, "-o", str(trace)]
    subprocess.run(
        [*traced, *COMMAND, "run", str(mirror.manifest), "-o", str(mirror.library), *ONE_BY_ONE],
        env=clean_environment(),
        capture_output=True,
        check=True,
    )
    return trace.read_text()


@pytest.mark.parametrize("side", [16, LARGE_SIDE], ids=["stored in one step", "by way of staging"])
def test_files_before_the_name_and_names_before_the_word(tmp_path: Path, side: int) -> None:
    """Each image, the receipt and their folder are synced before the rename; each folder that got a name, before the store."""
    with serve_archive(small_catalogue(SERIES, side=side)) as archive:
        mirror = mirror_of(archive, tmp_path)
        trace = trace_of(mirror, tmp_path)
        mirror.assert_whole()
    disk = Disk(mirror.library)
    disk.replay(trace)
    assert {path.name for path in disk.series} == set(archive.public_series())
    assert disk.told == SERIES


@pytest.mark.parametrize("is_there", [True, False], ids=["with the series", "without it"])
def test_what_a_killed_run_left_of_the_tree_is_synced_before_it_is_relied_on(tmp_path: Path, is_there: bool) -> None:
    """A killed run may not have synced the names that it made: neither the series' own nor those of the folders above."""
    with serve_archive(small_catalogue(1)) as archive:
        mirror = mirror_of(archive, tmp_path)
        assert mirror.run().exit_code == 0
        (receipt,) = mirror.library.rglob(RECEIPT_NAME)
        folders = {path for path in receipt.parent.parents if path.is_relative_to(mirror.library)}
        for part in (mirror.library / ".tciad").glob("state.db*"):
            part.unlink()
        if not is_there:
            shutil.rmtree(receipt.parent)
        trace = trace_of(mirror, tmp_path)
        mirror.assert_whole()
    disk = Disk(mirror.library, left=folders)
    disk.replay(trace)
    assert disk.met
    assert len(disk.series) == (not is_there)
    assert not disk.left


def test_a_file_system_that_takes_no_advice_is_none_the_worse(tmp_path: Path) -> None:
    """To begin writing early, and to forget what was read once, is asked and not needed."""
    with serve_archive(small_catalogue(SERIES)) as archive:
        mirror = mirror_of(archive, tmp_path)
        trace = trace_of(mirror, tmp_path, "-e", "inject=fadvise64:error=ENOSYS")
        assert "ENOSYS (Function not implemented) (INJECTED)" in trace
        mirror.assert_whole()
