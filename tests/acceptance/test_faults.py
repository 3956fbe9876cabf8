"""An archive that fails in every way of docs/faults.md: nothing of it is ever taken for complete, and what can heal does."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from downloader.sandbox import Fault, FaultKind
from tests.acceptance.archives import (
    assert_mirrors,
    assert_nothing_staged,
    assert_series_whole,
    receipts_of,
    serve_archive,
    small_catalogue,
    write_manifest,
)
from tests.acceptance.command import run_command

pytestmark = [pytest.mark.acceptance, pytest.mark.long]

# A stalled reply stands still for ever, so how long the run listens decides how long the test takes.
IMPATIENT = {"TCIAD_IDLE_TIMEOUT": "1s"}
ATTEMPTS = 2
# Half of the last image is within its pixels: it parses, its CRC holds, and the count is right.
IMAGES = 3
SIDE = 64


@dataclass(frozen=True, slots=True)
class Trouble:
    """A fault of one series, and the error that tells of it."""

    fault: Fault
    error: str


TROUBLES = (
    Trouble(Fault(kind=FaultKind.SHORT_ZIP), "IncompleteSeriesError"),
    Trouble(Fault(kind=FaultKind.HALF_IMAGE, images=IMAGES), "IncompleteSeriesError"),
    Trouble(Fault(kind=FaultKind.NO_MD5_LIST), "IncompleteSeriesError"),
    Trouble(Fault(kind=FaultKind.LICENSE_ONLY), "IncompleteSeriesError"),
    Trouble(Fault(kind=FaultKind.EMPTY_LICENSE), "IncompleteSeriesError"),
    Trouble(Fault(kind=FaultKind.EMPTY_ZIP), "IncompleteSeriesError"),
    Trouble(Fault(kind=FaultKind.EXTRA_IMAGE), "IncompleteSeriesError"),
    Trouble(Fault(kind=FaultKind.WRONG_HASH), "DigestMismatchError"),
    Trouble(Fault(kind=FaultKind.CUT, at_bytes=500), "CutTransferError"),
    Trouble(Fault(kind=FaultKind.CLEAN_CUT, at_bytes=500), "TruncatedZipError"),
    Trouble(Fault(kind=FaultKind.FLIPPED_BYTE, at_bytes=400), "CorruptZipError"),
    Trouble(Fault(kind=FaultKind.WRONG_CRC), "CorruptZipError"),
    Trouble(Fault(kind=FaultKind.WRONG_SIZE), "CorruptZipError"),
    Trouble(Fault(kind=FaultKind.WRONG_SERIES), "WrongSeriesError"),
    Trouble(Fault(kind=FaultKind.DUPLICATE_IMAGE), "WrongSeriesError"),
    Trouble(Fault(kind=FaultKind.NOT_DICOM), "IncompleteSeriesError"),
    Trouble(Fault(kind=FaultKind.STALL, at_bytes=300), "StalledTransferError"),
    Trouble(Fault(kind=FaultKind.EMPTY), "ArchiveFaultError"),
    Trouble(Fault(kind=FaultKind.HTML), "ArchiveFaultError"),
    Trouble(Fault(kind=FaultKind.JSON_TEXT), "ArchiveFaultError"),
    Trouble(Fault(kind=FaultKind.DENIED), "AccessDeniedError"),
    Trouble(Fault(kind=FaultKind.BOMB), "UnsafeMemberError"),
    Trouble(Fault(kind=FaultKind.UNSAFE_NAME), "UnsafeMemberError"),
    Trouble(Fault(kind=FaultKind.DUPLICATE_MEMBER), "UnsafeMemberError"),
    Trouble(Fault(kind=FaultKind.STATUS, status=206), "ArchiveFaultError"),
    Trouble(Fault(kind=FaultKind.STATUS, status=400), "UnexpectedReplyError"),
    Trouble(Fault(kind=FaultKind.STATUS, status=422), "UnexpectedReplyError"),
)
SOUND_SERIES = 3


def each_on_its_series(faults: Sequence[Fault], series: Sequence[str], times: int | None) -> list[Fault]:
    """The first fault on the first series, and so on."""
    return [
        replace(fault, series_instance_uid=series_instance_uid, times=times)
        for fault, series_instance_uid in zip(faults, series, strict=False)
    ]


def test_no_lasting_fault_ever_makes_a_complete_series(tmp_path: Path) -> None:
    """Every fault for ever on a series of its own: exit 3, those series are named with their error, the others are whole."""
    catalogue = small_catalogue(len(TROUBLES) + SOUND_SERIES, images=IMAGES, side=SIDE)
    series = list(catalogue.holdings)
    expected = dict(zip(series, TROUBLES, strict=False))
    faults = each_on_its_series([trouble.fault for trouble in TROUBLES], series, None)
    with serve_archive(catalogue, faults) as archive:
        manifest = write_manifest(tmp_path / "m.yaml", archive.sandbox.base_url)
        library = tmp_path / "library"
        ended = run_command("run", manifest, "-o", library, "--attempts", str(ATTEMPTS), "--json", environment=IMPATIENT)
        report = ended.document
        receipts = receipts_of(library)
        for uid, (folder, receipt) in receipts.items():
            assert_series_whole(archive, uid, folder, receipt)

    assert (ended.exit_code, report["exit_code"], report["outcome"]) == (3, 3, "incomplete")
    assert (report["series"]["completed"], report["series"]["failed"]) == (SOUND_SERIES, len(TROUBLES))
    told = {failure["series_instance_uid"]: failure for failure in report["failures"]}
    assert {uid: failure["error"] for uid, failure in told.items()} == {uid: one.error for uid, one in expected.items()}
    for uid, failure in told.items():
        assert list(failure) == ["series_instance_uid", "error", "message", "attempts"]
        assert uid in failure["message"]
        assert failure["attempts"] == ATTEMPTS
    assert sorted(receipts) == sorted(set(series) - set(expected))
    for uid in expected:
        assert not [path for path in library.rglob(f"{uid}*") if ".tciad" not in path.parts]
    assert not list(tmp_path.rglob("escaped.dcm"))


def test_every_passing_fault_heals_within_the_run(tmp_path: Path) -> None:
    """The same faults once each: the next attempt brings the series, and in the end nothing is missing."""
    passing = [trouble.fault for trouble in TROUBLES]
    catalogue = small_catalogue(len(passing), images=IMAGES, side=SIDE)
    faults = each_on_its_series(passing, list(catalogue.holdings), 1)
    with serve_archive(catalogue, faults) as archive:
        manifest = write_manifest(tmp_path / "m.yaml", archive.sandbox.base_url)
        ended = run_command("run", manifest, "-o", tmp_path / "library", "--json", environment=IMPATIENT)

        assert ended.exit_code == 0, ended.stdout
        assert_mirrors(tmp_path / "library", archive)
    assert ended.document["failures"] == []


def test_what_archives_may_do_is_no_fault(tmp_path: Path) -> None:
    """Blank and unpadded hashes, names that differ in case only, and a stale count in the catalogue do not stop a series."""
    sound = [
        Fault(kind=FaultKind.BLANK_HASH),
        Fault(kind=FaultKind.SHORT_HASH),
        Fault(kind=FaultKind.CASE_COLLISION),
        Fault(kind=FaultKind.EMPTY_ROWS, endpoints=("getSOPInstanceUIDs",)),
    ]
    catalogue = small_catalogue(len(sound), images=3)
    with serve_archive(catalogue, each_on_its_series(sound, list(catalogue.holdings), None)) as archive:
        manifest = write_manifest(tmp_path / "m.yaml", archive.sandbox.base_url)
        ended = run_command("run", manifest, "-o", tmp_path / "library", "--json")

        assert ended.exit_code == 0, ended.stdout
        assert_nothing_staged(tmp_path / "library")
        assert sorted(receipts_of(tmp_path / "library")) == sorted(archive.public_series())


def test_a_broken_series_is_told_by_every_command(tmp_path: Path) -> None:
    """One series answers 500 for ever: run, failures and status agree, and a run after its recovery completes the library."""
    catalogue = small_catalogue(5)
    broken = list(catalogue.holdings)[2]
    faults = [Fault(kind=FaultKind.STATUS, status=500, series_instance_uid=broken)]
    library = tmp_path / "library"
    with serve_archive(catalogue, faults) as archive:
        manifest = write_manifest(tmp_path / "m.yaml", archive.sandbox.base_url)
        ended = run_command("run", manifest, "-o", library, "--attempts", str(ATTEMPTS), "--json")
        failures = run_command("failures", "-o", library, "--json")
        status = run_command("status", "-o", library, "--json")
        archive.sandbox.faults.clear()
        healed = run_command("run", manifest, "-o", library, "--json")

        assert_mirrors(library, archive)

    assert ended.exit_code == 3
    (failure,) = ended.document["failures"]
    assert (failure["series_instance_uid"], failure["error"], failure["attempts"]) == (broken, "ArchiveFaultError", ATTEMPTS)
    assert "500" in failure["message"]
    assert failures.exit_code == status.exit_code == 0
    assert failures.document == [failure]
    assert status.document["series"] == {
        "selected": 5,
        "complete": 4,
        "pending": 0,
        "claimed": 0,
        "failed": 1,
        "withdrawn": 0,
    }
    assert [tally["manifest"] for tally in status.document["manifests"]] == ["m"]
    assert healed.exit_code == 0, healed.stdout
    assert (healed.document["series"]["completed"], healed.document["series"]["already_complete"]) == (1, 4)
    assert_nothing_staged(library)
