"""Completes rows of getSeries with what only getPatientStudy tells of their studies.

Source: docs/archives.md#patients-and-studies, #series-queries.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date
from typing import Any, Final

import structlog

from downloader.archive.nbia.decoding import Oddities, read_study, read_study_count
from downloader.archive.nbia.endpoints import QueryEndpoint, fold
from downloader.archive.nbia.fan_out import ask_each
from downloader.archive.nbia.json_rows import RowReader
from downloader.archive.nbia.requests import Asker
from downloader.archive.port import StudyCount, StudyNeeds
from downloader.errors import ArchiveFaultError, CredentialsRejectedError, UnexpectedReplyError
from downloader.model import Series, SeriesQuery

COLUMNS: Final[Mapping[str, str]] = {"study_id": "StudyID", "study_date": "StudyDate", "study_description": "StudyDesc"}
"""Attributes of a study that a series has, and the columns by which getSeries tells them."""
_STUDIES_REMEMBERED: Final = 1_000
_log = structlog.get_logger(__name__)

Details = Mapping[str, str | date]
"""What is known of one study, by attribute; what it does not have is absent."""


@dataclass(frozen=True, slots=True)
class KnownStudies:
    """The studies that one query is about. `by_uid` is None where nothing of them is needed, or nothing can be had."""

    needs: StudyNeeds
    by_uid: Mapping[str, Details] | None

    def complete(self, series: Series) -> Series:
        """The row with what it does not say itself. Made for a million rows.

        Raises:
            ArchiveFaultError: the archive lists the series and not its study, which it needs.
        """
        if self.by_uid is None or not series.study_instance_uid:
            return series
        details = self.by_uid.get(series.study_instance_uid)
        if details is not None:
            absent: dict[str, Any] = {name: value for name, value in details.items() if not getattr(series, name)}
            return replace(series, **absent) if absent else series
        if all(getattr(series, name) for name in self.needs.required):
            return series
        raise ArchiveFaultError(
            f"getPatientStudy does not list the study {series.study_instance_uid}, of which getSeries lists a series",
            series_instance_uid=series.series_instance_uid,
            next_step="its database may be failing; if this persists, choose a layout without study_id and study_label",
        )


class Studies:
    """Asks getPatientStudy for what the rows of one archive lack; nothing is asked where they lack nothing.

    Args:
        archive: the archive's name, for the log.
        asker: what sends the requests.
        query: getPatientStudy as the generation has it.
        needs: what is wanted of each study, beyond what getSeries tells.
    """

    def __init__(self, archive: str, *, asker: Asker, query: QueryEndpoint, needs: StudyNeeds) -> None:
        self._archive = archive
        self._asker = asker
        self._query = query
        self._needs = needs
        self._nothing = KnownStudies(needs, None)
        # the studies of series that were asked for singly
        self._remembered: dict[str, Details] = {}
        self._is_offered = True
        # what the last question also told: a resolve compares each list with these counts
        self._counted: tuple[_Asked, Sequence[StudyCount]] | None = None

    @property
    def told(self) -> frozenset[str]:
        """What series get of their studies."""
        return self._needs.all if self._is_offered else frozenset()

    @property
    def are_asked(self) -> bool:
        """Whether `find` asks."""
        return bool(self._needs.all) and self._is_offered

    async def count(self, query: SeriesQuery) -> Sequence[StudyCount]:
        """How many series each study of the query has; not asked where `find` has just asked for the same studies.

        Raises:
            UnexpectedReplyError: this deployment does not tell.
        """
        if self._counted is None or self._counted[0] != _asked(query):
            self._counted = None
            await self._read(query)
        counts = self._counted[1] if self._counted else ()
        # the next resolve asks anew
        self._counted = None
        return counts

    async def find(self, query: SeriesQuery) -> KnownStudies:
        """The studies of all series that the query finds, asked with those of its filters that studies have.

        Raises:
            ArchiveError: the archive cannot be asked for what is required.
        """
        if not self._needs.all or not self._is_offered:
            return self._nothing
        return KnownStudies(self._needs, await self._ask(query))

    async def complete(self, rows: Sequence[Series]) -> Sequence[Series]:
        """Rows that were asked for singly, each study asked for once.

        Raises:
            ArchiveError: as `find` and `KnownStudies.complete`.
        """
        incomplete = [series for series in rows if not all(getattr(series, name) for name in self._needs.all)]
        wanted = dict.fromkeys(series.study_instance_uid for series in incomplete if series.study_instance_uid)
        if not wanted or not self._is_offered:
            return rows
        for found in (await ask_each([study for study in wanted if study not in self._remembered], self._ask_one)).values():
            self._remembered.update(found)
        completed = [KnownStudies(self._needs, self._remembered).complete(series) for series in rows]
        while len(self._remembered) > _STUDIES_REMEMBERED:
            del self._remembered[next(iter(self._remembered))]
        return completed

    async def _ask_one(self, study_instance_uid: str) -> Mapping[str, Details]:
        return await self._ask(SeriesQuery(study_instance_uid=study_instance_uid)) or {}

    async def _ask(self, query: SeriesQuery) -> Mapping[str, Details] | None:
        """The studies by their UIDs; None where they are only wished for and the archive does not tell of any."""
        try:
            return await self._read(query)
        except (UnexpectedReplyError, CredentialsRejectedError) as error:
            if self._needs.required:
                raise
            self._is_offered = False
            _log.warning(
                "the archive does not describe studies, so metadata.csv has no study dates and descriptions",
                archive=self._archive,
                answer=error.what,
            )
            return None

    async def _read(self, query: SeriesQuery) -> Mapping[str, Details]:
        endpoint = self._query.endpoint
        reader = RowReader(endpoint.name)
        oddities = Oddities()
        found: dict[str, Details] = {}
        counts: dict[tuple[str, str], StudyCount] = {}
        async with self._asker.ask(endpoint, self._query.values_of(query)) as reply:
            await self._asker.expect_answer(reply)
            async for chunk in reply.chunks():
                for row in reader.feed(chunk):
                    self._expect_fit(query, row.attributes)
                    try:
                        study_instance_uid, told = read_study(row, oddities)
                        counted = read_study_count(row)
                    except ArchiveFaultError as error:
                        # one row hides no other; a series that needs this study is told when it comes
                        _log.warning("unreadable study", archive=self._archive, message=error.what)
                        continue
                    counts[study_instance_uid, fold(counted.patient_id)] = counted
                    details = {name: value for name, value in told.items() if name in self._needs.all and value}
                    found[study_instance_uid] = {**details, **found.get(study_instance_uid, {})}
        reader.finish()
        oddities.tell(self._archive)
        self._counted = _asked(query), list(counts.values())
        return found

    def _expect_fit(self, query: SeriesQuery, attributes: Mapping[str, object]) -> None:
        """Refuse a row that does not fit what was asked: the archive passed over the filter (docs/faults.md, trap 10)."""
        for name, parameter in self._query.filters.items():
            asked, told = getattr(query, name), attributes.get(parameter)
            if asked and isinstance(told, str) and fold(asked) != fold(told):
                raise UnexpectedReplyError(
                    f"{self._archive} ignored the filter {parameter} and lists studies that do not match it",
                    next_step="check api",
                )


_Asked = tuple[str | None, str | None, str | None]


def _asked(query: SeriesQuery) -> _Asked:
    """What of a query studies can be asked by."""
    return query.collection, query.patient_id, query.study_instance_uid


def lacking(needs: StudyNeeds, columns: Collection[str]) -> StudyNeeds:
    """What rows of these columns do not tell."""

    def untold(names: Iterable[str]) -> frozenset[str]:
        return frozenset(name for name in names if COLUMNS[name] not in columns)

    return StudyNeeds(required=untold(needs.required), wished=untold(needs.wished))
