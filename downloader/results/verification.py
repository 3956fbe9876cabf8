"""The results of verifying and repairing a library."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from downloader.errors import ExitCode
from downloader.model import Digests, Failure, Identity, Receipt
from downloader.results.findings import Finding


@dataclass(frozen=True, slots=True, kw_only=True)
class WeakSeries:
    """A series with images that have no matching MD5 of the archive. `path` is its folder, relative to the library."""

    series_instance_uid: str
    digests: Digests
    path: str


@dataclass(slots=True)
class RepairTally:
    """The result of a repair. `left` are findings that could not be repaired, and why; `quarantined` are paths below `.tciad`."""

    fetched: int = 0
    restored: int = 0
    quarantined: list[str] = field(default_factory=list)
    left: list[Finding] = field(default_factory=list)
    failures: list[Failure] = field(default_factory=list)

    @property
    def is_whole(self) -> bool:
        """Whether everything was repaired."""
        return not self.left and not self.failures


@dataclass(slots=True)
class VerificationTally:
    """Counts of a verification: findings by kind, and proofs by strength, in constant memory."""

    series: int = 0
    images: int = 0
    stored_bytes: int = 0
    read_bytes: int = 0
    kinds: Counter[str] = field(default_factory=Counter)
    strengths: Counter[Digests] = field(default_factory=Counter)
    unread_series: int = 0

    def take(self, receipt: Receipt | None, findings: Sequence[Finding], read_bytes: int) -> None:
        """Count one folder. `receipt` is None if there is no valid one."""
        self.read_bytes += read_bytes
        self.kinds.update(finding.kind.value for finding in findings)
        if receipt is None:
            return
        self.series += 1
        self.images += len(receipt.images)
        self.stored_bytes += receipt.stored_bytes
        self.strengths[receipt.proof.digests] += 1
        self.unread_series += receipt.proof.identity is Identity.UNREAD


@dataclass(frozen=True, slots=True, kw_only=True)
class VerificationReport:
    """The result of `tciad verify`. `repair` is None without `--repair`."""

    library: str
    deep: bool
    upstream: bool
    tally: VerificationTally
    elapsed_seconds: float = 0.0
    repair: RepairTally | None = None

    @property
    def outcome(self) -> str:
        """`sound`, `mended` if a repair fixed everything, or `unsound`."""
        if not self.tally.kinds and (self.repair is None or self.repair.is_whole):
            return "sound"
        return "mended" if self.repair is not None and self.repair.is_whole else "unsound"

    @property
    def exit_code(self) -> ExitCode:
        """0 if the library has no problems now."""
        return ExitCode.INCOMPLETE if self.outcome == "unsound" else ExitCode.SUCCESS

    def as_json(self, findings: Sequence[Finding], weak: Sequence[WeakSeries]) -> dict[str, Any]:
        """The document of `verify --json`. `findings` and `weak` were reported one by one and are not kept here."""
        tally = self.tally
        return {
            "library": self.library,
            "outcome": self.outcome,
            "exit_code": self.exit_code.value,
            "deep": self.deep,
            "upstream": self.upstream,
            "series": tally.series,
            "images": tally.images,
            "stored_bytes": tally.stored_bytes,
            "read_bytes": tally.read_bytes,
            "elapsed_seconds": round(self.elapsed_seconds, 3),
            "kinds": dict(tally.kinds),
            "findings": [asdict(finding) for finding in findings],
            "proof": {digests.value: tally.strengths[digests] for digests in Digests},
            "weak": [asdict(one) for one in weak],
            "unread_series": tally.unread_series,
            "repair": None if self.repair is None else asdict(self.repair),
        }
