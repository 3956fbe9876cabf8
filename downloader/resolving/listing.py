"""What one question for a list of series brought, and what other counts of the archive say is missing from it."""

from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from enum import Enum

from downloader.archive.port import StudyCount, UnreadableRow
from downloader.model import Series


@dataclass(slots=True)
class RowCount:
    """Rows that came, those that are wanted, and those that would be but for `exclude`."""

    listed: int = 0
    matched: int = 0
    excluded: int = 0
    annotated: int = 0
    misfits: Counter[str] = field(default_factory=Counter)

    def add(self, other: "RowCount") -> None:
        """Both together."""
        self.listed += other.listed
        self.matched += other.matched
        self.excluded += other.excluded
        self.annotated += other.annotated
        self.misfits += other.misfits


@dataclass(frozen=True, slots=True, kw_only=True)
class Shortfall:
    """What a list leaves out by the archive's own counts.

    `studies` have more series than the list has rows of them; `patients` have series of the modality that was asked for, and no
    row.
    `is_empty`: a collection that the archive names has no row, and no count that says more.
    """

    studies: tuple[StudyCount, ...] = ()
    patients: tuple[str, ...] = ()
    is_empty: bool = False

    def __bool__(self) -> bool:
        return bool(self.studies or self.patients or self.is_empty)


class Comparison(Enum):
    """What of the archive's counts a list can be compared with: series of each study, patients with any series, or nothing."""

    STUDIES = "study_instance_uid"
    PATIENTS = "patient_id"
    NONE = ""


@dataclass(slots=True)
class Listing:
    """The rows of one list; `rows_of` counts them by study or patient, as the comparison needs.

    Series are remembered by 64 bits of hash, unless nothing is compared.
    """

    comparison: Comparison
    count: RowCount = field(default_factory=RowCount)
    unreadable: list[UnreadableRow] = field(default_factory=list)
    rows_of: dict[str, int] = field(default_factory=dict)
    _seen: set[int] = field(default_factory=set)

    def note(self, series: Series) -> bool:
        """Take one row in; whether it is the first of its series. Made for a million rows."""
        if self.comparison is Comparison.NONE:
            return True
        mark = hash(series.series_instance_uid)
        if mark in self._seen:
            return False
        self._seen.add(mark)
        of = series.study_instance_uid if self.comparison is Comparison.STUDIES else series.patient_id.casefold()
        self.rows_of[of] = self.rows_of.get(of, 0) + 1
        return True

    @property
    def is_empty(self) -> bool:
        """Whether no row came at all, not even one that cannot be read."""
        return not self.count.listed and not self.unreadable

    def compare_with_studies(self, counted: Sequence[StudyCount]) -> Shortfall:
        """The studies of which rows are missing. Rows that tell no study, or cannot be read, may be of any."""
        expected: Counter[str] = Counter()
        for study in counted:
            expected[study.study_instance_uid] += study.series
        missing = sum(max(0, series - self.rows_of.get(name, 0)) for name, series in expected.items())
        if missing <= self.rows_of.get("", 0) + len(self.unreadable):
            return Shortfall()
        return Shortfall(studies=tuple(one for one in counted if self.rows_of.get(one.study_instance_uid, 0) < one.series))

    def compare_with_patients(self, named: Collection[str]) -> Shortfall:
        """The patients that have no row. A row that cannot be read may be of any."""
        missing = tuple(name for name in named if name.casefold() not in self.rows_of)
        return Shortfall(patients=missing) if len(missing) > len(self.unreadable) else Shortfall()
