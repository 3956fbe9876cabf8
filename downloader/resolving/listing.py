"""The rows of one list, and what other counts of the archive show to be missing in it."""

from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from enum import Enum

from downloader.archive.port import StudyCount, UnreadableRow
from downloader.model import Series


@dataclass(slots=True)
class RowCount:
    """Numbers of listed rows, of wanted rows, and of rows that only `exclude` removed."""

    listed: int = 0
    matched: int = 0
    excluded: int = 0
    annotated: int = 0
    misfits: Counter[str] = field(default_factory=Counter)

    def add(self, other: "RowCount") -> None:
        """Add the other counts to these."""
        self.listed += other.listed
        self.matched += other.matched
        self.excluded += other.excluded
        self.annotated += other.annotated
        self.misfits += other.misfits


@dataclass(frozen=True, slots=True, kw_only=True)
class Shortfall:
    """What a list lacks according to the archive's own counts.

    `studies` have more series than the list has rows; `patients` have series of the requested modality, and no row. `is_empty`: a
    collection that the archive names has no row, and no count says otherwise.
    """

    studies: tuple[StudyCount, ...] = ()
    patients: tuple[str, ...] = ()
    is_empty: bool = False

    def __bool__(self) -> bool:
        return bool(self.studies or self.patients or self.is_empty)


class Comparison(Enum):
    """Which of the archive's counts a list can be compared with: series by study, patients with any series, or none."""

    STUDIES = "study_instance_uid"
    PATIENTS = "patient_id"
    NONE = ""


@dataclass(slots=True)
class Listing:
    """The rows of one list; `rows_of` counts them by study or patient, as the comparison needs.

    Series are remembered as 64-bit hashes, and not at all without a comparison: lists have up to a million rows.
    """

    comparison: Comparison
    count: RowCount = field(default_factory=RowCount)
    unreadable: list[UnreadableRow] = field(default_factory=list)
    rows_of: dict[str, int] = field(default_factory=dict)
    _seen: set[int] = field(default_factory=set)

    def note(self, series: Series) -> bool:
        """Count one row; whether it is the first of its series."""
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
        """Whether the list has no row at all, not even an unreadable one."""
        return not self.count.listed and not self.unreadable

    def compare_with_studies(self, counted: Sequence[StudyCount]) -> Shortfall:
        """The studies that lack rows. Unreadable rows and rows without a study may belong to any study."""
        expected: Counter[str] = Counter()
        for study in counted:
            expected[study.study_instance_uid] += study.series
        missing = sum(max(0, series - self.rows_of.get(name, 0)) for name, series in expected.items())
        if missing <= self.rows_of.get("", 0) + len(self.unreadable):
            return Shortfall()
        return Shortfall(studies=tuple(one for one in counted if self.rows_of.get(one.study_instance_uid, 0) < one.series))

    def compare_with_patients(self, named: Collection[str]) -> Shortfall:
        """The patients that have no row. An unreadable row may belong to any patient."""
        missing = tuple(name for name in named if name.casefold() not in self.rows_of)
        return Shortfall(patients=missing) if len(missing) > len(self.unreadable) else Shortfall()
