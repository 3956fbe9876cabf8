"""What a cycle that ended means for the next one."""

from dataclasses import replace

import pytest

from downloader.errors import (
    ArchiveUnreachableError,
    CredentialsRejectedError,
    ExitCode,
    LibraryError,
    ManifestError,
    SettingsError,
    StoreError,
    TciadError,
    WrongLibraryError,
)
from downloader.model import SeriesTally
from downloader.results.run import Outcome, empty_report
from downloader.service.setback import IN_DOUBT, NOTHING_SELECTED, Setback
from downloader.store.records import CycleNote
from tests.fakes.clock import START_AT

FAILED = empty_report("m", ExitCode.FAULT, "it failed")
INCOMPLETE = replace(FAILED, outcome=Outcome.INCOMPLETE, tally=SeriesTally(complete=1), error="")


@pytest.mark.parametrize("error", [ArchiveUnreachableError("x"), LibraryError("x"), StoreError("x"), None])
def test_time_may_help_against_most_errors(error: TciadError | None) -> None:
    """They add up, and need no person."""
    assert Setback(failed_cycles=2).after(FAILED, error) == Setback(failed_cycles=3)


@pytest.mark.parametrize(
    ("error", "needs"),
    [
        (CredentialsRejectedError("x"), "credentials"),
        (ManifestError("x"), "manifest"),
        (SettingsError("x"), "settings"),
        (WrongLibraryError("x"), "disk"),
    ],
)
def test_what_needs_a_person_is_named(error: TciadError, needs: str) -> None:
    """In one sentence."""
    setback = Setback().after(FAILED, error)
    assert setback.failed_cycles == 1
    assert needs in setback.needs


def test_a_catalogue_in_doubt_is_a_setback_and_failed_series_are_none() -> None:
    """Nor is an interruption, which changes nothing."""
    before = Setback(failed_cycles=2)
    assert before.after(replace(INCOMPLETE, unproven=True), None) == Setback(failed_cycles=3, needs=IN_DOUBT)
    assert before.after(replace(INCOMPLETE, tally=SeriesTally()), None) == Setback(failed_cycles=3, needs=NOTHING_SELECTED)
    assert before.after(INCOMPLETE, None) == Setback()
    assert before.after(replace(FAILED, outcome=Outcome.INTERRUPTED), None) == before


@pytest.mark.parametrize(
    ("outcome", "error", "failed_cycles"),
    [("complete", "", 0), ("incomplete", "", 0), ("incomplete", IN_DOUBT, 1), ("interrupted", "", 0), ("failed", "x", 1)],
)
def test_a_store_tells_that_the_last_cycle_failed(outcome: str, error: str, failed_cycles: int) -> None:
    """Not how many did before it, and not why."""
    note = CycleNote(began_at=START_AT, ended_at=START_AT, outcome=outcome, exit_code=3, error=error)
    assert Setback.of_note(note) == Setback(failed_cycles=failed_cycles)
    assert Setback.of_note(None) == Setback()
