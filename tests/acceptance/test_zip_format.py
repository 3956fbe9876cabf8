"""A library of ZIPs, made and mended by the command."""

import csv
from collections.abc import Iterator
from pathlib import Path

import pytest

from downloader.sandbox import Fault, FaultKind
from tests.acceptance.archives import assert_mirrors_as_zips, receipts_of, serve_archive, small_catalogue
from tests.acceptance.command import run_command, start_command
from tests.acceptance.crashes import Mirror, mirror_of

pytestmark = pytest.mark.acceptance
SERIES = 4


@pytest.fixture
def mirror(tmp_path: Path) -> Iterator[Mirror]:
    """A manifest that wants ZIPs, and an archive."""
    with serve_archive(small_catalogue(SERIES, images=3)) as archive:
        yield mirror_of(archive, tmp_path, storage="zip")


def test_a_library_of_zips(mirror: Mirror, tmp_path: Path) -> None:
    """Made by the manifest's word or by the flag; metadata.csv and licence are there; a second run has nothing to do."""
    first, second = mirror.run(), mirror.run()
    assert (first.exit_code, second.exit_code) == (0, 0), first.stderr + second.stderr
    assert_mirrors_as_zips(mirror.library, mirror.archive)
    assert first.document["stored_bytes"] == sum(map(mirror.archive.sandbox.file_size_bytes, mirror.archive.public_series()))
    assert mirror.archive.downloads == SERIES
    header, *rows = csv.reader((mirror.library / "metadata.csv").read_text().splitlines())
    locations = [row[header.index("File Location")] for row in rows]
    assert all(any((mirror.library / location).glob("*.zip")) for location in locations)
    assert (mirror.library / "Sandbox" / "LICENSE").exists()

    flagged = run_command(
        "get", *mirror.archive.public_series(), "--archive", mirror.archive.sandbox.base_url, "-o", tmp_path / "i"
    )
    assert flagged.exit_code == 0, flagged.stderr
    assert not list((tmp_path / "i").rglob("*.zip"))


def test_a_killed_run_leaves_no_half_zip(mirror: Mirror) -> None:
    """Neither under a final name nor, after the next run, in staging."""
    with serve_archive(
        small_catalogue(1, images=16, side=512), faults=[Fault(kind=FaultKind.STALL, at_bytes=3_200_000, times=1)]
    ) as archive:
        killed = mirror_of(archive, mirror.manifest.parent / "killed", storage="zip")
        with start_command("run", killed.manifest, "-o", killed.library) as process:
            archive.wait_for_stall()
            process.kill()
            process.wait()
        assert receipts_of(killed.library) == {}
        assert killed.run().exit_code == 0
        assert_mirrors_as_zips(killed.library, archive)


def test_rot_in_a_zip_is_found_by_reading_and_mended(mirror: Mirror) -> None:
    """The series is set aside whole and fetched again."""
    mirror.run()
    damaged = min(mirror.library.rglob("*.zip"))
    content = bytearray(damaged.read_bytes())
    content[len(content) // 2] ^= 4
    damaged.write_bytes(content)

    found = run_command("verify", mirror.manifest, "-o", mirror.library, "--deep", "--json")
    mended = run_command("verify", mirror.manifest, "-o", mirror.library, "--deep", "--repair", "--json")

    assert found.exit_code == 3
    assert found.document["findings"][0]["path"].startswith(str(damaged.relative_to(mirror.library)))
    assert (mended.exit_code, mended.document["outcome"]) == (0, "mended"), mended.stdout
    assert run_command("verify", mirror.manifest, "-o", mirror.library, "--deep", "--json").document["outcome"] == "sound"


def test_a_lost_store_is_made_anew_from_the_receipts_of_zips(mirror: Mirror) -> None:
    """And nothing is fetched again."""
    mirror.run()
    for path in (mirror.library / ".tciad").glob("state.db*"):
        path.unlink()
    rebuilt = run_command("store", "rebuild", "-o", mirror.library, "--json")
    assert rebuilt.exit_code == 0, rebuilt.stdout + rebuilt.stderr
    assert mirror.run().document["series"]["already_complete"] == SERIES
    assert mirror.archive.downloads == SERIES
