"""One run per library: a second one is refused, by name of the holder; a dead holder holds nothing."""

import signal
from pathlib import Path

import pytest

from downloader.sandbox import Fault, FaultKind
from tests.acceptance.archives import assert_mirrors, serve_archive, small_catalogue
from tests.acceptance.command import end_of, run_command, start_command
from tests.acceptance.crashes import mirror_of

pytestmark = [pytest.mark.acceptance, pytest.mark.long]


def test_a_second_run_is_refused(tmp_path: Path) -> None:
    """With exit 6 and the number of the process that holds the library; the first run does not notice."""
    stall = Fault(kind=FaultKind.STALL, at_bytes=0, times=1)
    with serve_archive(small_catalogue(3), faults=[stall]) as archive:
        mirror = mirror_of(archive, tmp_path)
        with start_command("run", mirror.manifest, "-o", mirror.library) as holder:
            archive.wait_for_stall()

            second = mirror.run()

            assert second.exit_code == 6
            assert (second.document["outcome"], second.document["exit_code"]) == ("failed", 6)
            assert f"process {holder.pid} on " in second.document["error"]
            assert "wait until it has ended, or stop it" in second.document["error"]
            for verb in ("status", "failures"):
                assert run_command(verb, "-o", mirror.library, "--json").exit_code == 0
            holder.send_signal(signal.SIGTERM)
            assert end_of(holder).exit_code == 143
        archive.release()
        mirror.assert_goes_on()


def test_a_dead_holder_holds_nothing(tmp_path: Path) -> None:
    """Its lock died with it, its claims are set back, and what it staged is used."""
    stall = Fault(kind=FaultKind.STALL, at_bytes=0, times=1)
    with serve_archive(small_catalogue(3), faults=[stall]) as archive:
        mirror = mirror_of(archive, tmp_path)
        with start_command("run", mirror.manifest, "-o", mirror.library) as holder:
            archive.wait_for_stall()
            holder.kill()
            end_of(holder)
        assert (mirror.library / ".tciad" / "lock").read_text() != ""

        mirror.assert_goes_on()


def test_two_runs_that_start_together(tmp_path: Path) -> None:
    """Exactly one of them runs, or they take turns: the library is right, and each series was downloaded once."""
    with serve_archive(small_catalogue(20)) as archive:
        mirror = mirror_of(archive, tmp_path)
        arguments = ("run", mirror.manifest, "-o", mirror.library, "--json")
        with start_command(*arguments) as one, start_command(*arguments) as other:
            codes = sorted([end_of(one).exit_code, end_of(other).exit_code])

        assert codes in ([0, 0], [0, 6])
        assert archive.downloads == 20
        assert_mirrors(mirror.library, archive)
