"""Decides what an error means for the attempt that it ended. Pure functions: nothing is recorded here."""

from dataclasses import dataclass
from enum import Enum, auto
from typing import Final

from downloader.errors import ArchiveError, NoSpaceError, TciadError, Verdict

BRIEF_ATTEMPTS: Final = 3


class Ending(Enum):
    """How an attempt ends in the store.

    `SET_BACK`: it counts, and another attempt follows after a delay. `GIVE_BACK`: it does not count, because it had no chance.
    `WAIT_FOR_SPACE`: it does not count, and the series waits for free space. `FAIL`: no further attempt in this run. `DROP`:
    nothing to record, another worker has the series.
    """

    SET_BACK = auto()
    GIVE_BACK = auto()
    WAIT_FOR_SPACE = auto()
    FAIL = auto()
    DROP = auto()


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """How the attempt ends, and whether the error ends the whole run."""

    ending: Ending
    stops_run: bool = False


def decide(error: TciadError, attempt: int, *, attempts: int, waits_for_space: bool, is_in_outage: bool) -> Decision:
    """Decide about an attempt that ended with an error.

    Args:
        error: the error.
        attempt: the number of the attempt, from 1.
        attempts: the maximum number of attempts.
        waits_for_space: whether a full disk makes the run wait instead of ending it.
        is_in_outage: whether the archive had a known outage when the error was raised.
    """
    if is_in_outage and isinstance(error, ArchiveError) and error.verdict is Verdict.RETRY:
        return Decision(ending=Ending.GIVE_BACK)
    if isinstance(error, NoSpaceError) and waits_for_space:
        return Decision(ending=Ending.WAIT_FOR_SPACE)
    match error.verdict:
        case Verdict.DROP:
            return Decision(ending=Ending.DROP)
        case Verdict.STOP:
            return Decision(ending=Ending.GIVE_BACK, stops_run=True)
        case Verdict.RETRY if attempt < attempts:
            return Decision(ending=Ending.SET_BACK)
        case Verdict.RETRY_BRIEFLY if attempt < min(BRIEF_ATTEMPTS, attempts):
            return Decision(ending=Ending.SET_BACK)
        case _:
            return Decision(ending=Ending.FAIL)
