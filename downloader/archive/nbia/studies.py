"""Adds study attributes that only getPatientStudy has to rows of getSeries.

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
"""Study attributes of a series, and the columns of getSeries that have them."""
_STUDIES_REMEMBERED: Final = 1_000
_log = structlog.get_logger(__name__)

Details = Mapping[str, str | date]
"""The known attributes of one study; missing ones are absent."""


@dataclass(frozen=True, slots=True)
class KnownStudies:
    """The studies of one query. `by_uid` is None if no attributes are needed or available."""

    needs: StudyNeeds
    by_uid: Mapping[str, Details] | None

    def complete(self, series: Series) -> Series:
        """The row with its missing study attributes added. Called for up to a million rows.

        Raises:
            ArchiveFaultError: the archive lists the series and not its required study.
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
    """Requests getPatientStudy for attributes that the rows of one archive lack; sends nothing if they lack none.

    `are_asked`: whether `find` sends a request.

    Args:
        archive: the archive's name, for the log.
        asker: sends the requests.
        query: the generation's getPatientStudy.
        needs: the attributes that are wanted and that getSeries lacks.
    """

    def __init__(self, archive: str, *, asker: Asker, query: QueryEndpoint, needs: StudyNeeds) -> None:
        self._archive = archive
        self._asker = asker
        self._query = query
        self._needs = needs
        self._nothing = KnownStudies(needs, None)
        # the studies of series that were requested singly
        self._remembered: dict[str, Details] = {}
        # an attribute, not a property: every attempt at a series reads it
        self.are_asked = bool(needs.all)
        # also from the last query: a resolve compares each list with these counts
        self._counted: tuple[_Asked, Sequence[StudyCount]] | None = None

    @property
    def told(self) -> frozenset[str]:
        """The attributes that series get from their studies."""
        return self._needs.all if self.are_asked else frozenset()

    async def count(self, query: SeriesQuery) -> Sequence[StudyCount]:
        """The number of series of each study of the query; without a request if `find` has just requested the same studies.

        Raises:
            UnexpectedReplyError: this deployment has no such counts.
        """
        if self._counted is None or self._counted[0] != _asked(query):
            self._counted = None
            await self._read(query)
        counts = self._counted[1] if self._counted else ()
        # the next resolve requests them again
        self._counted = None
        return counts

    async def find(self, query: SeriesQuery) -> KnownStudies:
        """The studies of all series of the query, requested with those of its filters that studies have.

        Raises:
            ArchiveError: the archive cannot provide what is required.
        """
        if not self.are_asked:
            return self._nothing
        return KnownStudies(self._needs, await self._ask(query))

    async def complete(self, rows: Sequence[Series]) -> Sequence[Series]:
        """Rows that were requested singly, with study attributes; each study is requested once.

        Raises:
            ArchiveError: as `find` and `KnownStudies.complete`.
        """
        incomplete = [series for series in rows if not all(getattr(series, name) for name in self._needs.all)]
        wanted = dict.fromkeys(series.study_instance_uid for series in incomplete if series.study_instance_uid)
        if not wanted or not self.are_asked:
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
        """The studies by UID; None if they are only wished for and the archive provides none."""
        try:
            return await self._read(query)
        except (UnexpectedReplyError, CredentialsRejectedError) as error:
            if self._needs.required:
                raise
            self.are_asked = False
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
                        # other rows are still used; a series that needs this study raises an error when it arrives
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
        """Refuse a row that does not match the query: the archive ignored the filter (docs/faults.md, trap 10)."""
        for name, parameter in self._query.filters.items():
            asked, told = getattr(query, name), attributes.get(parameter)
            if asked and isinstance(told, str) and fold(asked) != fold(told):
                raise UnexpectedReplyError(
                    f"{self._archive} ignored the filter {parameter} and lists studies that do not match it",
                    next_step="check api",
                )


_Asked = tuple[str | None, str | None, str | None]


def _asked(query: SeriesQuery) -> _Asked:
    """The attributes of a query that are filters of studies."""
    return query.collection, query.patient_id, query.study_instance_uid


def lacking(needs: StudyNeeds, columns: Collection[str]) -> StudyNeeds:
    """The attributes that rows with these columns lack."""

    def untold(names: Iterable[str]) -> frozenset[str]:
        return frozenset(name for name in names if COLUMNS[name] not in columns)

    return StudyNeeds(required=untold(needs.required), wished=untold(needs.wished))
