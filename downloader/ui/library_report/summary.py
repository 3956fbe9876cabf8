"""The figures of the page of a library."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from downloader.library.run_records import RunRecords
from downloader.model import Failure, SeriesState, SeriesTally
from downloader.store.holdings import HeldAmount, HeldGroup, HeldLicence, Holdings
from downloader.ui.library_report.growth import Growth, growth_of

# classes of sizes end at 1, 2 and 5 times each power of ten, from 10 kB to 50 GB
SIZE_LIMITS_BYTES: Final = tuple(step * 10**power for power in range(4, 11) for step in (1, 2, 5))


@dataclass(frozen=True, slots=True, kw_only=True)
class CollectionFigures:
    """One collection. `selected` are its series but for the withdrawn; patients, studies, images and bytes of complete ones."""

    collection: str
    modalities: tuple[str, ...]
    patients: int
    studies: int
    selected: int
    complete: int
    failed: int
    withdrawn: int
    images: int
    stored_bytes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ModalityFigures:
    """One modality's complete series."""

    modality: str
    series: int
    images: int
    stored_bytes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class SizeClass:
    """How many complete series are smaller than the limit and in no smaller class; None: those above all limits."""

    below_bytes: int | None
    series: int


@dataclass(frozen=True, slots=True, kw_only=True)
class LibrarySummary:
    """What the page shows. `left_behind` counts series in the library that are no longer complete, or withdrawn.

    `failures` are examples, `errors` counts all of them by name, the most frequent first. `runs` are the newest.
    """

    library: str
    made_at: datetime
    tool_version: str
    tally: SeriesTally
    left_behind: HeldAmount
    manifests: tuple[tuple[str, SeriesTally], ...]
    collections: tuple[CollectionFigures, ...]
    modalities: tuple[ModalityFigures, ...]
    sizes: tuple[SizeClass, ...]
    growth: Growth
    licences: tuple[HeldLicence, ...]
    errors: tuple[tuple[str, int], ...]
    failures: tuple[Failure, ...]
    records: RunRecords

    @property
    def name(self) -> str:
        """The library by its folder's name."""
        return self.library.rstrip("/").rpartition("/")[2] or self.library

    @property
    def patients(self) -> int:
        """Patients of all collections; a patient of two counts twice."""
        return sum(of.patients for of in self.collections)

    @property
    def studies(self) -> int:
        """Studies of all collections."""
        return sum(of.studies for of in self.collections)


def summarise(
    holdings: Holdings,
    *,
    library: str,
    made_at: datetime,
    tool_version: str,
    manifests: Mapping[str, SeriesTally],
    failures: Iterable[Failure],
    records: RunRecords,
) -> LibrarySummary:
    """Bring the figures of a library into the order in which people read them."""
    return LibrarySummary(
        library=library,
        made_at=made_at,
        tool_version=tool_version,
        tally=_tally(holdings),
        left_behind=_sum(of.amount for of in holdings.groups if of.state is not SeriesState.COMPLETE and of.amount.images),
        manifests=tuple(manifests.items()),
        collections=_collections(holdings),
        modalities=_modalities(holdings),
        sizes=_sizes(holdings),
        growth=growth_of(holdings.hours),
        licences=tuple(sorted(holdings.licences, key=lambda of: (of.collection.casefold(), -of.series, of.license_name))),
        errors=tuple(sorted(holdings.errors.items(), key=lambda of: (-of[1], of[0]))),
        failures=tuple(failures),
        records=records,
    )


def _sum(amounts: Iterable[HeldAmount]) -> HeldAmount:
    return sum(amounts, HeldAmount())


def _by_state(groups: Iterable[HeldGroup]) -> Mapping[SeriesState, HeldAmount]:
    sums: dict[SeriesState, HeldAmount] = defaultdict(HeldAmount)
    for group in groups:
        sums[group.state] += group.amount
    return sums


def _tally(holdings: Holdings) -> SeriesTally:
    """The counts of the store (`Inventory.tally`), of the same moment as all else."""
    states = _by_state(holdings.groups)
    complete = states.get(SeriesState.COMPLETE, HeldAmount())
    selected = _sum(amount for state, amount in states.items() if state is not SeriesState.WITHDRAWN)
    return SeriesTally(
        **{state.value: amount.series for state, amount in states.items()},
        images=complete.images,
        stored_bytes=complete.stored_bytes,
        expected_images=selected.expected_images,
        expected_bytes=selected.expected_bytes,
    )


def _collections(holdings: Holdings) -> tuple[CollectionFigures, ...]:
    """The largest first."""
    groups: dict[str, list[HeldGroup]] = defaultdict(list)
    for group in holdings.groups:
        groups[group.collection].append(group)
    figures = (_collection(name, of, holdings) for name, of in groups.items())
    return tuple(sorted(figures, key=lambda of: (-of.stored_bytes, of.collection.casefold(), of.collection)))


def _collection(name: str, groups: Sequence[HeldGroup], holdings: Holdings) -> CollectionFigures:
    states = defaultdict(HeldAmount, _by_state(groups))
    complete, withdrawn = states[SeriesState.COMPLETE], states[SeriesState.WITHDRAWN]
    return CollectionFigures(
        collection=name,
        modalities=tuple(sorted({group.modality for group in groups if group.state is SeriesState.COMPLETE})),
        patients=holdings.patients.get(name, 0),
        studies=holdings.studies.get(name, 0),
        selected=_sum(states.values()).series - withdrawn.series,
        complete=complete.series,
        failed=states[SeriesState.FAILED].series,
        withdrawn=withdrawn.series,
        images=complete.images,
        stored_bytes=complete.stored_bytes,
    )


def _modalities(holdings: Holdings) -> tuple[ModalityFigures, ...]:
    """The largest first."""
    sums: dict[str, HeldAmount] = defaultdict(HeldAmount)
    for group in holdings.groups:
        if group.state is SeriesState.COMPLETE:
            sums[group.modality] += group.amount
    figures = (
        ModalityFigures(modality=name, series=amount.series, images=amount.images, stored_bytes=amount.stored_bytes)
        for name, amount in sums.items()
    )
    return tuple(sorted(figures, key=lambda of: (-of.stored_bytes, of.modality)))


def _sizes(holdings: Holdings) -> tuple[SizeClass, ...]:
    """From the smallest class that has series to the largest, those between them included."""
    counts: dict[int | None, int] = defaultdict(int)
    for at_least_bytes, series in holdings.sizes.items():
        counts[next((limit for limit in SIZE_LIMITS_BYTES if at_least_bytes < limit), None)] += series
    classes = [SizeClass(below_bytes=limit, series=counts[limit]) for limit in (*SIZE_LIMITS_BYTES, None)]
    filled = [position for position, of in enumerate(classes) if of.series]
    return tuple(classes[filled[0] : filled[-1] + 1]) if filled else ()
