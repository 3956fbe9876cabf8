"""Cycles of one manifest that failed in a row, and whether time alone can help."""

from dataclasses import dataclass
from typing import Final, Self

from downloader.errors import CredentialsRejectedError, ManifestError, NoSpaceError, SettingsError, TciadError, WrongLibraryError
from downloader.results.run import Outcome, RunReport
from downloader.store.records import CycleNote

IN_DOUBT: Final = "the catalogue is in doubt: look at the warnings of the last cycle"
NOTHING_SELECTED: Final = "the manifest selects no series: check its values, or the archive"
_NEEDS: Final[dict[type[TciadError], str]] = {
    CredentialsRejectedError: "the archive refuses the credentials: correct them",
    ManifestError: "the manifest cannot be resolved: correct it",
    SettingsError: "the settings cannot be used: correct them",
    WrongLibraryError: "the library is not there: mount its disk, or correct the manifest",
    NoSpaceError: "there is not enough space for the library: free some",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Setback:
    """`failed_cycles` failed in a row. `needs` is what a person has to do before another cycle can help; empty if time may."""

    failed_cycles: int = 0
    needs: str = ""

    @classmethod
    def of_note(cls, note: CycleNote | None) -> Self:
        """The setback that a store recorded for the last cycle of an earlier process.

        Neither the number of failed cycles nor the cause is stored: the first retry after a restart has the shortest pause, since
        a restart is what often follows a correction.
        """
        if note is None:
            return cls()
        # only a cycle that is in doubt is incomplete and has an error
        return cls(failed_cycles=int(note.outcome == Outcome.FAILED or (note.outcome == Outcome.INCOMPLETE and bool(note.error))))

    def after(self, report: RunReport, error: TciadError | None) -> "Setback":
        """After one more cycle, which `error` ended, if any did. Series that failed are no setback: each has its own back-off."""
        if report.outcome is Outcome.INTERRUPTED:
            return self
        needs = doubt_of(report) or next((text for kind, text in _NEEDS.items() if isinstance(error, kind)), "")
        if report.outcome is Outcome.FAILED or needs:
            return Setback(failed_cycles=self.failed_cycles + 1, needs=needs)
        return NO_SETBACK


NO_SETBACK: Final = Setback()


def doubt_of(report: RunReport) -> str:
    """Why the selection of a cycle that came to its end need not be right; empty if it is."""
    if report.outcome is not Outcome.INCOMPLETE:
        return ""
    if report.unproven:
        return IN_DOUBT
    return "" if report.tally.selected else NOTHING_SELECTED
