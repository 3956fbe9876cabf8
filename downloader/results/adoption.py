"""The result of adopting a tree of another program."""

from collections import Counter
from dataclasses import asdict, dataclass, field
from typing import Any

from downloader.errors import ExitCode
from downloader.model import Digests, Receipt


@dataclass(frozen=True, slots=True, kw_only=True)
class LeftSeries:
    """A series that was not adopted, where its images are, and why."""

    kind: str
    series_instance_uid: str
    path: str
    sentence: str


@dataclass(slots=True)
class AdoptionTally:
    """Counts of an adoption so far. `ignored_files` are not DICOM, such as lists and licences."""

    adopted: int = 0
    already: int = 0
    images: int = 0
    stored_bytes: int = 0
    ignored_files: int = 0
    left: list[LeftSeries] = field(default_factory=list)
    strengths: Counter[Digests] = field(default_factory=Counter)

    def take(self, receipt: Receipt) -> None:
        """Count an adopted series."""
        self.adopted += 1
        self.strengths[receipt.proof.digests] += 1
        self.images += len(receipt.images)
        self.stored_bytes += receipt.stored_bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class AdoptionReport:
    """The result of `tciad adopt`."""

    source: str
    library: str
    tally: AdoptionTally
    elapsed_seconds: float

    @property
    def exit_code(self) -> ExitCode:
        """0 if every series that was found is in the library now."""
        return ExitCode.INCOMPLETE if self.tally.left else ExitCode.SUCCESS

    def as_json(self) -> dict[str, Any]:
        """The document of `adopt --json`."""
        tally = self.tally
        return {
            "source": self.source,
            "library": self.library,
            "exit_code": self.exit_code.value,
            "series": {"adopted": tally.adopted, "already_complete": tally.already, "left": len(tally.left)},
            "images": tally.images,
            "stored_bytes": tally.stored_bytes,
            "ignored_files": tally.ignored_files,
            "elapsed_seconds": round(self.elapsed_seconds, 3),
            "proof": {digests.value: tally.strengths[digests] for digests in Digests},
            "left": [asdict(one) for one in tally.left],
        }
