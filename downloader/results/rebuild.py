"""The result of `tciad store rebuild`."""

from dataclasses import asdict, dataclass
from typing import Any

from downloader.errors import ExitCode
from downloader.model import SeriesTally
from downloader.results.findings import Finding


@dataclass(frozen=True, slots=True, kw_only=True)
class RebuildReport:
    """The content of the new store; `damaged` is the new path of the old store, empty if there was none."""

    library: str
    state: str
    damaged: str
    tally: SeriesTally
    findings: tuple[Finding, ...]

    @property
    def exit_code(self) -> ExitCode:
        """0 if every receipt was valid."""
        return ExitCode.INCOMPLETE if self.findings else ExitCode.SUCCESS

    def as_json(self) -> dict[str, Any]:
        """The document of `store rebuild --json`."""
        return {
            "library": self.library,
            "state": self.state,
            "damaged": self.damaged or None,
            "exit_code": self.exit_code.value,
            "series": self.tally.complete,
            "images": self.tally.images,
            "stored_bytes": self.tally.stored_bytes,
            "findings": [asdict(finding) for finding in self.findings],
        }
