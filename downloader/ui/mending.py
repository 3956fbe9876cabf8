"""What verifying, repairing, rebuilding and adopting have to say: as JSON for programs, as a few lines for people."""

from collections import Counter
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import PurePosixPath
from typing import Any

from downloader.errors import ExitCode
from downloader.maintenance.findings import Finding
from downloader.maintenance.verification import CheckedSeries
from downloader.model import Digests, Failure, Identity, Receipt, SeriesTally
from downloader.ui.texts import count_text, duration_text, printable, size_text


@dataclass(frozen=True, slots=True, kw_only=True)
class WeakSeries:
    """A series of which the archive's MD5 does not vouch for every image. `path` is its folder, relative to the library."""

    series_instance_uid: str
    digests: Digests
    path: str


@dataclass(slots=True)
class RepairTally:
    """What a repair did. `left` are findings that it could do nothing about, and why; `quarantined` are paths below `.tciad`."""

    fetched: int = 0
    restored: int = 0
    quarantined: list[str] = field(default_factory=list)
    left: list[Finding] = field(default_factory=list)
    failures: list[Failure] = field(default_factory=list)

    @property
    def is_whole(self) -> bool:
        """Whether nothing is left to be done."""
        return not self.left and not self.failures

    def as_lines(self) -> list[str]:
        """The same for people."""
        lines = [
            (
                f"  repair: {self.fetched:,} fetched again, {self.restored:,} told to the store, "
                f"{count_text(len(self.quarantined), 'path')} in quarantine"
            )
        ]
        lines += [f"    {finding_text(finding)}" for finding in self.left]
        lines += [f"    {failure.error}: {printable(failure.message)}" for failure in self.failures]
        return lines


@dataclass(slots=True)
class VerificationReport:
    """What a verification found so far. Findings are told one by one to `tell`, and counted here by kind.

    So are series that are proven by less than the archive's MD5 of every image, to `tell_weak`, and all by their strength.
    Memory does not grow with the library unless `tell` or `tell_weak` keeps what it is told.
    """

    library: str
    deep: bool
    upstream: bool
    tell: Callable[[Finding], None]
    tell_weak: Callable[[WeakSeries], None] = lambda _weak: None
    series: int = 0
    images: int = 0
    stored_bytes: int = 0
    read_bytes: int = 0
    elapsed_seconds: float = 0.0
    kinds: Counter[str] = field(default_factory=Counter)
    strengths: Counter[Digests] = field(default_factory=Counter)
    unread_series: int = 0
    repair: RepairTally | None = None

    def take(self, checked: CheckedSeries) -> None:
        """Count one series, and tell what is wrong with it."""
        if checked.receipt is not None:
            self.series += 1
            self.images += len(checked.receipt.images)
            self.stored_bytes += checked.receipt.stored_bytes
            self._take_proof(checked.receipt, checked.folder)
        self.read_bytes += checked.read_bytes
        for finding in checked.findings:
            self.kinds[finding.kind.value] += 1
            self.tell(finding)

    def _take_proof(self, receipt: Receipt, folder: PurePosixPath) -> None:
        digests = receipt.proof.digests
        self.strengths[digests] += 1
        self.unread_series += receipt.proof.identity is Identity.UNREAD
        if digests is not Digests.ALL:
            self.tell_weak(WeakSeries(series_instance_uid=receipt.series.series_instance_uid, digests=digests, path=str(folder)))

    @property
    def outcome(self) -> str:
        """`sound`, `mended` where a repair left nothing, or `unsound`."""
        if not self.kinds and (self.repair is None or self.repair.is_whole):
            return "sound"
        return "mended" if self.repair is not None and self.repair.is_whole else "unsound"

    @property
    def exit_code(self) -> ExitCode:
        """0 where the library is as it should be now."""
        return ExitCode.INCOMPLETE if self.outcome == "unsound" else ExitCode.SUCCESS

    def as_json(self, findings: list[Finding], weak: list[WeakSeries]) -> dict[str, Any]:
        """The document of `verify --json`, with what `tell` and `tell_weak` were told."""
        return {
            "library": self.library,
            "outcome": self.outcome,
            "exit_code": self.exit_code.value,
            "deep": self.deep,
            "upstream": self.upstream,
            "series": self.series,
            "images": self.images,
            "stored_bytes": self.stored_bytes,
            "read_bytes": self.read_bytes,
            "elapsed_seconds": round(self.elapsed_seconds, 3),
            "kinds": dict(self.kinds),
            "findings": [asdict(finding) for finding in findings],
            "proof": {digests.value: self.strengths[digests] for digests in Digests},
            "weak": [asdict(one) for one in weak],
            "unread_series": self.unread_series,
            "repair": None if self.repair is None else asdict(self.repair),
        }

    def as_text(self) -> str:
        """The same for people, who have seen the findings already."""
        how = "read and hashed" if self.deep else "checked by name and size"
        if self.upstream:
            how += ", and compared with the archive,"
        lines = [
            f"{printable(self.library)}: {self.outcome}",
            (
                f"  {count_text(self.series, 'series', 'series')}, {count_text(self.images, 'image')}, "
                f"{size_text(self.stored_bytes)} {how} in {duration_text(self.elapsed_seconds)}"
            ),
        ]
        if self.series:
            lines.append(strengths_line(self.strengths))
        if self.unread_series:
            lines.append(f"  {count_text(self.unread_series, 'series', 'series')} with images that no reader can identify")
        lines += [f"  {kind}: {count:,}" for kind, count in sorted(self.kinds.items())]
        lines += self.repair.as_lines() if self.repair is not None else []
        if self.repair is None and self.kinds:
            lines.append("  mend it with `tciad verify --repair`")
        return "\n".join(lines)


@dataclass(frozen=True, slots=True, kw_only=True)
class RebuildReport:
    """What a new store was made of; `damaged` is where the old one lies now, empty where there was none."""

    library: str
    state: str
    damaged: str
    tally: SeriesTally
    findings: tuple[Finding, ...]

    @property
    def exit_code(self) -> ExitCode:
        """0 where every receipt was good."""
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

    def as_text(self) -> str:
        """The same for people."""
        lines = [
            f"{printable(self.state)}: rebuilt from receipts",
            (
                f"  {count_text(self.tally.complete, 'series', 'series')}, {count_text(self.tally.images, 'image')}, "
                f"{size_text(self.tally.stored_bytes)}"
            ),
        ]
        if self.damaged:
            lines.append(f"  the one before it is kept as {printable(self.damaged)}")
        lines += [f"  {finding_text(finding)}" for finding in self.findings]
        if self.findings:
            lines.append("  what was left out is fetched again by the next run, or mended by `tciad verify --repair`")
        return "\n".join(lines)


@dataclass(frozen=True, slots=True, kw_only=True)
class LeftSeries:
    """A series that was not adopted, where its images lie, and why."""

    kind: str
    series_instance_uid: str
    path: str
    sentence: str


@dataclass(slots=True)
class AdoptionReport:
    """What became of a tree. `ignored_files` are none of DICOM, such as lists and licences."""

    source: str
    library: str
    adopted: int = 0
    already: int = 0
    images: int = 0
    stored_bytes: int = 0
    ignored_files: int = 0
    left: list[LeftSeries] = field(default_factory=list)
    strengths: Counter[Digests] = field(default_factory=Counter)
    elapsed_seconds: float = 0.0

    @property
    def exit_code(self) -> ExitCode:
        """0 where everything that was found is in the library now."""
        return ExitCode.INCOMPLETE if self.left else ExitCode.SUCCESS

    def as_json(self) -> dict[str, Any]:
        """The document of `adopt --json`."""
        return {
            "source": self.source,
            "library": self.library,
            "exit_code": self.exit_code.value,
            "series": {"adopted": self.adopted, "already_complete": self.already, "left": len(self.left)},
            "images": self.images,
            "stored_bytes": self.stored_bytes,
            "ignored_files": self.ignored_files,
            "elapsed_seconds": round(self.elapsed_seconds, 3),
            "proof": {digests.value: self.strengths[digests] for digests in Digests},
            "left": [asdict(one) for one in self.left],
        }

    def as_text(self) -> str:
        """The same for people."""
        lines = [
            f"{printable(self.source)}: {count_text(self.adopted, 'series', 'series')} adopted into {printable(self.library)}",
            (
                f"  {count_text(self.images, 'image')}, {size_text(self.stored_bytes)} in {duration_text(self.elapsed_seconds)}; "
                f"{self.already:,} were complete before; {count_text(self.ignored_files, 'file')} of other kinds ignored"
            ),
        ]
        if self.adopted:
            lines.append(strengths_line(self.strengths))
        if self.left:
            lines.append(f"  not adopted, and left where they are: {count_text(len(self.left), 'series', 'series')}")
        lines += [f"    {one.kind}  {printable(one.path)}: {printable(one.sentence)}" for one in self.left]
        return "\n".join(lines)


def strengths_line(strengths: Counter[Digests]) -> str:
    """How many series are proven by how many of the archive's MD5s."""
    return (
        f"  proof: the archive's MD5 matches every image of {count_text(strengths[Digests.ALL], 'series', 'series')}, "
        f"some images of {strengths[Digests.SOME]:,}, none of {strengths[Digests.NONE]:,}"
    )


def weak_text(weak: WeakSeries) -> str:
    """One line about a series that is proven by less than all digests."""
    return f"proof-by-{weak.digests}  {printable(weak.path)}: {weak.series_instance_uid}"


def finding_text(finding: Finding) -> str:
    """One line about one finding."""
    return f"{finding.kind}  {printable(finding.path)}: {printable(finding.sentence)}"
