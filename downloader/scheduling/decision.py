"""What an error means for the attempt at a series that it ended. Pure: nothing is recorded here."""

from dataclasses import dataclass
from enum import Enum, auto
from typing import Final

from downloader.errors import ArchiveError, NoSpaceError, TciadError, Verdict

BRIEF_ATTEMPTS: Final = 3


class Ending(Enum):
    """How an attempt ends in the store.

    `SET_BACK`: it counts, and another one follows after a pause. `GIVE_BACK`: it had no chance, and does not count.
    `WAIT_FOR_SPACE`: it does not count, and the series waits for free space. `FAIL`: the series is not tried again in this run.
    `DROP`: the store knows already.
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
    """What follows from an error of this attempt.

    Args:
        error: what ended it.
        attempt: its number, from 1.
        attempts: how many the policy allows.
        waits_for_space: whether the run waits where there is no space, instead of ending.
        is_in_outage: whether the archive as a whole was known not to work when the error came.
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
