"""What each kind of error means for an attempt."""

import pytest

from downloader.errors import (
    ArchiveBusyError,
    CredentialsRejectedError,
    CutTransferError,
    LeaseLostError,
    LibraryError,
    NoSpaceError,
    StalledTransferError,
    TciadError,
    UnsafeMemberError,
)
from downloader.scheduling.decision import Decision, Ending, decide

STOPS = Decision(ending=Ending.GIVE_BACK, stops_run=True)


@pytest.mark.parametrize(
    ("error", "attempt", "expected"),
    [
        (CutTransferError("cut"), 1, Decision(ending=Ending.SET_BACK)),
        (CutTransferError("cut"), 4, Decision(ending=Ending.FAIL)),
        (StalledTransferError("stalled"), 1, Decision(ending=Ending.SET_BACK)),
        (UnsafeMemberError("bomb"), 2, Decision(ending=Ending.SET_BACK)),
        (UnsafeMemberError("bomb"), 3, Decision(ending=Ending.FAIL)),
        (LeaseLostError("lost"), 1, Decision(ending=Ending.DROP)),
        (CredentialsRejectedError("401"), 1, STOPS),
        (LibraryError("read-only"), 4, STOPS),
        (NoSpaceError("full"), 1, STOPS),
    ],
    ids=lambda one: type(one).__name__ if isinstance(one, TciadError) else None,
)
def test_the_verdict_and_the_attempts_decide(error: TciadError, attempt: int, expected: Decision) -> None:
    """With four attempts, on an archive in good health."""
    assert decide(error, attempt, attempts=4, waits_for_space=False, is_in_outage=False) == expected


def test_an_outage_is_no_fault_of_the_series() -> None:
    """Unless the error is not the archive's."""
    busy, cut = ArchiveBusyError("503"), CutTransferError("cut")
    assert decide(busy, 4, attempts=4, waits_for_space=False, is_in_outage=True) == Decision(ending=Ending.GIVE_BACK)
    assert decide(cut, 4, attempts=4, waits_for_space=False, is_in_outage=True) == Decision(ending=Ending.FAIL)


def test_a_service_waits_for_space() -> None:
    """However many attempts there were."""
    full = NoSpaceError("full")
    assert decide(full, 9, attempts=4, waits_for_space=True, is_in_outage=False) == Decision(ending=Ending.WAIT_FOR_SPACE)
