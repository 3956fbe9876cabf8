"""The result of a run of one manifest."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Any, Final

from downloader.errors import ExitCode
from downloader.model import Failure, SeriesTally
from downloader.results.amounts import count_text
from downloader.results.counter import RunCounter
from downloader.results.presence import Presence
from downloader.results.strength import StrengthSummary

NOTHING_PROVEN: Final = StrengthSummary()


class Outcome(StrEnum):
    """How a run ended."""

    COMPLETE = "complete"
    INCOMPLETE = "incomplete"
    INTERRUPTED = "interrupted"
    FAILED = "failed"


@dataclass(frozen=True, slots=True, kw_only=True)
class RunReport:
    """The result of running one manifest.

    `tally` is the store's count after the run; `already_complete` were complete before it. `images` and `stored_bytes` are the
    library's for the manifest; `received_bytes` are this run's. `presence` is the check of the complete series, None if the run
    ended before it. `unproven`: the list of selected series may be incomplete.
    """

    manifest: str
    outcome: Outcome
    exit_code: ExitCode
    tally: SeriesTally
    completed: int
    already_complete: int
    received_bytes: int
    elapsed_seconds: float
    failures: tuple[Failure, ...]
    proof: StrengthSummary = NOTHING_PROVEN
    warnings: tuple[str, ...] = ()
    error: str = ""
    presence: Presence | None = None
    unproven: bool = False

    def as_json(self) -> dict[str, Any]:
        """The document of `run --json` (docs/commands.md)."""
        return {
            "manifest": self.manifest,
            "outcome": self.outcome.value,
            "exit_code": self.exit_code.value,
            "series": {
                "selected": self.tally.selected,
                "completed": self.completed,
                "already_complete": self.already_complete,
                "failed": self.tally.failed,
                "withdrawn": self.tally.withdrawn,
                "pending": self.tally.pending + self.tally.claimed,
            },
            "images": self.tally.images,
            "stored_bytes": self.tally.stored_bytes,
            "received_bytes": self.received_bytes,
            "elapsed_seconds": round(self.elapsed_seconds, 3),
            "failures": [asdict(failure) for failure in self.failures],
            "proof": self.proof.as_json(),
            "warnings": list(self.warnings),
            "error": self.error,
            "presence": asdict(self.presence) if self.presence else None,
        }

    def as_log(self) -> dict[str, Any]:
        """The values of the run's single log line."""
        return {
            "manifest": self.manifest,
            "outcome": self.outcome.value,
            "exit_code": self.exit_code.value,
            "selected": self.tally.selected,
            "completed": self.completed,
            "images": self.tally.images,
            "stored_bytes": self.tally.stored_bytes,
            "received_bytes": self.received_bytes,
            "elapsed_seconds": round(self.elapsed_seconds, 3),
            "warnings": list(self.warnings),
            "error": self.error,
        }


def judge(
    *,
    manifest: str,
    tally: SeriesTally,
    counter: RunCounter,
    failures: Sequence[Failure],
    elapsed_seconds: float,
    warnings: Sequence[str],
    unproven: bool,
    presence: Presence | None = None,
    proof: StrengthSummary = NOTHING_PROVEN,
) -> RunReport:
    """The report of a run that was not interrupted: complete only if every wanted series is complete and there is no doubt.

    `unproven`: the catalogue gave reason to think that the list of selected series is incomplete.
    """
    whole = tally.selected > 0 and tally.complete == tally.selected and not unproven
    return RunReport(
        manifest=manifest,
        outcome=Outcome.COMPLETE if whole else Outcome.INCOMPLETE,
        exit_code=ExitCode.SUCCESS if whole else ExitCode.INCOMPLETE,
        tally=tally,
        completed=counter.completed,
        already_complete=max(0, tally.complete - counter.completed),
        received_bytes=counter.received_bytes,
        elapsed_seconds=elapsed_seconds,
        failures=tuple(failures),
        proof=proof,
        warnings=tuple(warnings),
        presence=presence,
        unproven=unproven,
    )


def folder_warnings(counter: RunCounter) -> list[str]:
    """The warning about folders with a longer name than the layout gives, if there are any."""
    if not counter.stepped_aside:
        return []
    several = counter.stepped_aside > 1
    has = f"{count_text(counter.stepped_aside, 'series', 'series')} {'have' if several else 'has'} a longer folder name"
    return [f"{has}, because another series has the shorter one: {counter.first_aside}{' and others' if several else ''}"]


def unread_image_warnings(counter: RunCounter) -> list[str]:
    """The warning about images without readable identifiers, which are kept because the archive's MD5 matches."""
    if not counter.unread_series:
        return []
    images = count_text(counter.unread_images, "image")
    others = " and others" if counter.unread_series > 1 else ""
    sentence = f"no reader can identify {images} of series {counter.first_unread}{others} may be"
    return [f"{sentence}; the archive's own MD5 matches, so they are kept, and the receipt notes identity: unread"]


def empty_report(manifest: str, exit_code: ExitCode, error: str) -> RunReport:
    """The report of a run that failed before it began."""
    return RunReport(
        manifest=manifest,
        outcome=Outcome.FAILED,
        exit_code=exit_code,
        tally=SeriesTally(),
        completed=0,
        already_complete=0,
        received_bytes=0,
        elapsed_seconds=0.0,
        failures=(),
        error=error,
    )
