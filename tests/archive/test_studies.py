"""What getSeries does not tell of a study is asked of getPatientStudy: where it is needed, and nowhere else."""

import json
from collections.abc import AsyncIterator, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from datetime import date

import pytest
from structlog.testing import capture_logs

from downloader.archive.port import Source, StudyNeeds
from downloader.archive.registry import GENERATIONS, open_archive
from downloader.errors import ArchiveBusyError, ArchiveFaultError, UnexpectedReplyError
from downloader.fetching.recheck import ask_again
from downloader.model import Series, SeriesQuery
from downloader.transport.client import TransportSettings, open_transport
from tests.fakes.clock import FakeClock
from tests.fakes.scripted_archive import Script, ScriptedArchive, ScriptedReply, ScriptedRequest, serve_script

pytestmark = pytest.mark.anyio
LABEL = frozenset({"study_id", "study_date", "study_description"})
DATED = frozenset({"study_date", "study_description"})
SERIES = {"SeriesInstanceUID": "1.2.1", "StudyInstanceUID": "1.2", "Collection": "C"}
STUDY = {"StudyInstanceUID": "1.2", "Collection": "C", "StudyID": "7", "StudyDate": "02-03-2019", "StudyDescription": "of study"}


def rows(*rows: Mapping[str, object]) -> ScriptedReply:
    """A list of rows; nothing at all for none, as archives answer (docs/archives.md#empty-replies)."""
    return ScriptedReply(body=json.dumps(rows).encode() if rows else b"")


@asynccontextmanager
async def served(
    script: Script, *, api: str = "v4", required: frozenset[str] = LABEL, wished: frozenset[str] = frozenset()
) -> AsyncIterator[tuple[Source, ScriptedArchive]]:
    """A client that needs so much of studies."""
    clock = FakeClock()
    async with serve_script(script) as server, open_transport(TransportSettings(), clock) as transport:
        needs = StudyNeeds(required=required, wished=wished)
        yield open_archive("test", server.base_url, api=api, transport=transport, clock=clock, needs=needs), server


def scripted(
    answers: Mapping[str, ScriptedReply],
    *,
    api: str = "v4",
    required: frozenset[str] = LABEL,
    wished: frozenset[str] = frozenset(),
) -> AbstractAsyncContextManager[tuple[Source, ScriptedArchive]]:
    """The same for `answers` by endpoint, which may change as the test goes on."""
    return served(lambda request: answers[request.path.rpartition("/")[2]], api=api, required=required, wished=wished)


async def list_all(archive: Source, **attributes: str) -> list[Series]:
    return [series async for series in archive.find_series(SeriesQuery(**attributes))]


def asked(server: ScriptedArchive, endpoint: str = "getPatientStudy") -> list[dict[str, str]]:
    """The parameters of each request to the endpoint, but for the format."""
    found = [request.parameters for request in server.requests if request.path.endswith(f"/{endpoint}")]
    return [{name: value for name, value in parameters.items() if name != "format"} for parameters in found]


@pytest.mark.parametrize("api", GENERATIONS)
async def test_one_query_for_each_of_get_series(api: str) -> None:
    """With those of its filters that studies have; what getSeries has a column for it tells itself."""
    answers = {
        "getSeries": rows(SERIES | {"Modality": "CT", "PatientID": "P"}),
        "getPatientStudy": rows(STUDY | {"PatientID": "P"}),
    }
    async with scripted(answers, api=api) as (archive, server):
        (found,) = await list_all(archive, collection="C", patient_id="P", modality="CT")
    untold = (date(2019, 2, 3), "of study") if api == "bindaas" else (None, "")
    assert (found.study_id, found.study_date, found.study_description) == ("7", *untold)
    assert asked(server) == [{"Collection": "C", "PatientID": "P"}]


@pytest.mark.parametrize("api", GENERATIONS)
async def test_a_run_that_needs_nothing_of_studies_does_not_pay_for_it(api: str) -> None:
    """Nor one that needs what getSeries tells itself: only the API of 2013 leaves out date and description."""
    answers = {"getSeries": rows(SERIES), "getPatientStudy": rows(STUDY)}
    for wished, count in ((frozenset[str](), 0), (DATED, int(api == "bindaas"))):
        async with scripted(answers, api=api, required=frozenset(), wished=wished) as (archive, server):
            await list_all(archive, collection="C")
        assert len(asked(server)) == count


async def test_what_a_row_says_itself_wins() -> None:
    """Of two answers the one about the series."""
    said = {"StudyDesc": "of series", "StudyDate": "01-01-2001"}
    async with scripted({"getSeries": rows(SERIES | said), "getPatientStudy": rows(STUDY)}, api="bindaas") as (archive, _):
        (found,) = await list_all(archive, collection="C")
    assert (found.study_id, found.study_description, found.study_date) == ("7", "of series", date(2001, 1, 1))


async def test_a_study_without_the_attribute_is_none_the_worse() -> None:
    """Not every study has a StudyID."""
    bare = {"StudyInstanceUID": "1.2", "StudyDate": "02-30-2019"}
    with capture_logs() as logs:
        async with scripted({"getSeries": rows(SERIES), "getPatientStudy": rows(bare)}, api="bindaas") as (archive, _):
            (found,) = await list_all(archive, collection="C")
    assert (found.study_id, found.study_date) == ("", None)
    assert [(log["event"], log["first"]) for log in logs] == [("unreadable catalogue dates", 'StudyDate "02-30-2019"')]


async def test_an_empty_answer_is_a_fault_and_no_other_folder() -> None:
    """The archive says so of a failed database as well: a second request gets the right rows.

    Source: docs/archives.md#empty-replies.
    """
    answers = {"getSeries": rows(SERIES), "getPatientStudy": rows()}
    async with scripted(answers) as (archive, _):
        with pytest.raises(ArchiveFaultError, match=r"does not list the study 1\.2, .*choose a layout without study_id"):
            await list_all(archive, collection="C")
        answers["getPatientStudy"] = rows(STUDY)
        (found,) = await list_all(archive, collection="C")
    assert found.study_id == "7"


async def test_an_empty_answer_for_single_studies_is_not_remembered() -> None:
    """v1 is asked study by study where series are wanted by name."""
    answers = {"getSeries": rows(SERIES), "getPatientStudy": rows()}
    async with scripted(answers, api="v1") as (archive, server):
        with pytest.raises(ArchiveFaultError, match="does not list the study"):
            await list_all(archive, series_instance_uid="1.2.1")
        answers["getPatientStudy"] = rows(STUDY)
        found = await list_all(archive, series_instance_uid="1.2.1")
        again = [row async for row in archive.find_listed_series(["1.2.1"])]
    assert [row.study_id for row in (*found, *again)] == ["7", "7"]
    assert asked(server) == [{"StudyInstanceUID": "1.2"}] * 2


async def test_nothing_of_series_that_are_none_is_asked() -> None:
    """An empty list of series has no studies, whatever getPatientStudy says."""
    async with scripted({"getSeries": rows(), "getPatientStudy": rows()}) as (archive, _):
        assert await list_all(archive, collection="C") == []


@pytest.mark.parametrize(("status", "error"), [(404, UnexpectedReplyError), (500, ArchiveFaultError), (503, ArchiveBusyError)])
async def test_a_refused_question_is_an_error(status: int, error: type[Exception]) -> None:
    """As for any query."""
    answers = {"getSeries": rows(SERIES), "getPatientStudy": ScriptedReply(status=status)}
    async with scripted(answers) as (archive, _):
        with pytest.raises(error):
            await list_all(archive, collection="C")


async def test_an_archive_without_the_query_costs_only_a_column() -> None:
    """Gateways need not have it: it is said once, and not asked again. A fault that may pass is one all the same."""
    answers = {"getSeries": rows(SERIES), "getPatientStudy": ScriptedReply(status=404)}
    with capture_logs() as logs:
        async with scripted(answers, api="bindaas", required=frozenset(), wished=DATED) as (archive, server):
            found = [*await list_all(archive, collection="C"), *await list_all(archive, collection="C")]
    assert [row.study_description for row in found] == ["", ""]
    assert len(asked(server)) == 1
    assert [log["event"] for log in logs] == [
        "the archive does not describe studies, so metadata.csv has no study dates and descriptions"
    ]
    answers["getPatientStudy"] = ScriptedReply(status=500)
    async with scripted(answers, api="bindaas", required=frozenset(), wished=DATED) as (archive, _):
        with pytest.raises(ArchiveFaultError):
            await list_all(archive, collection="C")


async def test_a_filter_that_is_passed_over_is_noticed() -> None:
    """The archive would tell of everything that it has (docs/faults.md, trap 10)."""
    answers = {"getSeries": rows(SERIES), "getPatientStudy": rows(STUDY, STUDY | {"Collection": "D"})}
    async with scripted(answers) as (archive, _):
        with pytest.raises(UnexpectedReplyError, match="ignored the filter Collection and lists studies"):
            await list_all(archive, collection="C")


async def test_a_study_is_asked_for_once_for_all_its_series() -> None:
    """However many of them are listed, and also for repeated requests."""
    wanted = [f"1.2.{number}" for number in range(150)]

    def answer(request: ScriptedRequest) -> ScriptedReply:
        if request.path.endswith("getPatientStudy"):
            return rows(STUDY)
        return rows(SERIES | {"ImageCount": 1} | dict(request.parameters))

    async with served(answer, api="v2") as (archive, server):
        listed = [row async for row in archive.find_listed_series(wanted)]
        again = await ask_again(listed[0], archive)
    assert [(row.series_instance_uid, row.study_id) for row in listed] == [(name, "7") for name in wanted]
    assert again == listed[0]
    assert len(asked(server)) == 1


async def test_what_was_told_before_stays_when_a_series_is_asked_for_again() -> None:
    """Except for the figures, which tell one version of a series from another."""
    async with scripted({"getSeries": rows(SERIES | {"ImageCount": 2})}, api="v1", required=frozenset()) as (archive, _):
        before = Series(series_instance_uid="1.2.1", study_id="7", modality="CT", image_count=1, file_size_bytes=10)
        again = await ask_again(before, archive)
    assert again is not None
    assert (again.study_id, again.modality, again.collection) == ("7", "CT", "C")
    assert (again.image_count, again.file_size_bytes) == (2, None)
