"""What the client of NBIA servers asks, and what it does with replies that are no answers."""

import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from weakref import WeakKeyDictionary

import pytest
from structlog.testing import capture_logs

from downloader.archive.nbia.authentication import Authentication, Guest
from downloader.archive.port import Source
from downloader.archive.registry import open_archive
from downloader.errors import (
    ArchiveBusyError,
    ArchiveError,
    ArchiveFaultError,
    CredentialsRejectedError,
    CutTransferError,
    TciadError,
    UnexpectedReplyError,
)
from downloader.model import Md5Mode, Series, SeriesQuery
from downloader.sandbox import Fault, FaultKind, Sandbox, catalogue_of, generated_series, serve_sandbox
from downloader.transport.client import TransportSettings, open_transport
from tests.archive.transfers import read_images, zip_of
from tests.fakes.clock import FakeClock
from tests.fakes.scripted_archive import Script, ScriptedArchive, ScriptedReply, ScriptedRequest, serve_script

pytestmark = pytest.mark.anyio
SERIES_UID = "1.3.6.1"
SERIES = Series(series_instance_uid=SERIES_UID)
ZIP_BYTES = zip_of({"1-1.dcm": b"pixels", "md5hashes.csv": b"Filename,MD5Hash\n1-1.dcm,\n"})
ZIP = ScriptedReply(body=ZIP_BYTES, content_type="application/octet-stream")
MISSING = ScriptedReply(status=404, body=b"<html>Not Found</html>", content_type="text/html")
PAGE = ScriptedReply(body=b"<html><body>Maintenance</body></html>", content_type="text/html")
_CLOCKS: WeakKeyDictionary[Source, FakeClock] = WeakKeyDictionary()
both_generations = pytest.mark.parametrize("api", ["v1", "v4"])


@asynccontextmanager
async def client_of(base_url: str, api: str, authentication: Authentication | None = None) -> AsyncIterator[Source]:
    """A client on a transport of its own."""
    clock = FakeClock()
    async with open_transport(TransportSettings(), clock) as transport:
        archive = open_archive(
            "test", base_url, api=api, transport=transport, clock=clock, authentication=authentication or Guest()
        )
        _CLOCKS[archive] = clock
        yield archive


def clock_of(archive: Source) -> FakeClock:
    """The clock that the client goes by."""
    return _CLOCKS[archive]


@asynccontextmanager
async def scripted(
    script: Script, api: str = "v4", authentication: Authentication | None = None
) -> AsyncIterator[tuple[Source, ScriptedArchive]]:
    """A client of a scripted archive."""
    async with serve_script(script) as server, client_of(server.base_url, api, authentication) as archive:
        yield archive, server


@asynccontextmanager
async def sandboxed(api: str, *faults: Fault, include_md5: bool = True) -> AsyncIterator[tuple[Source, Sandbox]]:
    """A client of a sandbox that holds one series of two images."""
    catalogue = catalogue_of([generated_series(seed=1, images=2, rows=8, columns=8, series_instance_uid=SERIES_UID)])
    async with (
        serve_sandbox(catalogue, faults=faults, include_md5=include_md5) as sandbox,
        client_of(sandbox.base_url, api) as archive,
    ):
        yield archive, sandbox


async def list_all(archive: Source, **attributes: str) -> list[Series]:
    """Every row of a query."""
    return [series async for series in archive.find_series(SeriesQuery(**attributes))]


async def open_and_read(archive: Source, md5: Md5Mode = Md5Mode.AUTO) -> bytes:
    """The whole body of one series."""
    async with archive.open_series(SERIES, md5) as transfer:
        return b"".join([b"".join(portion.original) async for portion in transfer.portions()])


def rows(*rows: Mapping[str, object]) -> ScriptedReply:
    """A list of rows."""
    return ScriptedReply(body=json.dumps(rows).encode())


# What is asked


@both_generations
async def test_get_series_sends_the_filters_and_nothing_else(api: str) -> None:
    """Not even a format: JSON is what comes without one (docs/archives.md#reply-formats)."""
    async with scripted(lambda _: ScriptedReply(), api) as (archive, server):
        await list_all(archive, collection="A b ", patient_id="P", manufacturer_model_name="M/1")
        (request,) = server.requests
        assert (request.method, request.path) == ("GET", f"{api}/getSeries")
        assert request.parameters == {"Collection": "A b ", "PatientID": "P", "ManufacturerModelName": "M/1"}


async def test_v4_asks_a_thousand_series_in_one_form() -> None:
    """JSON must be asked for there, or CSV comes (docs/archives.md#series-queries)."""
    asked = [f"1.2.{number}" for number in range(2_500)]

    def script(request: ScriptedRequest) -> ScriptedReply:
        return rows(*({"SeriesInstanceUID": name} for name in request.parameters["list"].split(",")))

    async with scripted(script) as (archive, server):
        found = [series.series_instance_uid async for series in archive.find_listed_series(asked)]
        assert found == asked
        assert [len(request.parameters["list"].split(",")) for request in server.requests] == [1000, 1000, 500]
        assert {(request.method, request.path) for request in server.requests} == {("POST", "v4/getSeriesMetadata")}
        assert {request.parameters["format"] for request in server.requests} == {"json"}


async def test_v1_asks_series_one_by_one_and_gives_them_in_order() -> None:
    """Several at a time, without mixing them up."""
    asked = [f"1.2.{number}" for number in range(150)]
    async with scripted(lambda request: rows({**request.parameters}), "v1") as (archive, server):
        assert [series.series_instance_uid async for series in archive.find_listed_series(asked)] == asked
        assert len(server.requests) == 150


async def test_an_error_among_single_queries_comes_bare() -> None:
    """Callers catch our errors, not groups of them; no further part is asked."""
    asked = [f"1.2.{number}" for number in range(500)]
    async with scripted(lambda _: ScriptedReply(status=500), "v1") as (archive, server):
        with pytest.raises(ArchiveFaultError):
            _ = [series async for series in archive.find_listed_series(asked)]
        assert len(server.requests) <= 100


@both_generations
@pytest.mark.parametrize("md5", list(Md5Mode))
async def test_image_urls_are_never_asked_with_head(api: str, md5: Md5Mode) -> None:
    """HEAD makes the archive read the whole series (docs/faults.md, trap 29)."""
    async with sandboxed(api) as (archive, sandbox):
        await open_and_read(archive, md5)
        assert sandbox.count(method="HEAD") == 0
        assert len(sandbox.requests) == 1


# Rows that were not asked for


@both_generations
async def test_a_filter_that_is_passed_over_is_found_out_at_the_first_row(api: str) -> None:
    """Otherwise the whole archive would be taken for one collection (docs/faults.md, trap 10)."""
    strange = rows({"SeriesInstanceUID": "1.1", "Collection": "A"}, {"SeriesInstanceUID": "1.2", "Collection": "B"})
    async with scripted(lambda _: strange, api) as (archive, _server):
        with pytest.raises(UnexpectedReplyError, match="ignored the filter Collection"):
            await list_all(archive, collection="A")


async def test_a_listed_series_that_was_not_asked_for_is_refused() -> None:
    """The same for lists."""
    async with scripted(lambda _: rows({"SeriesInstanceUID": "1.9"})) as (archive, _server):
        with pytest.raises(UnexpectedReplyError, match=r"lists 1\.9, which was not requested"):
            _ = [series async for series in archive.find_listed_series(["1.1"])]


async def test_dates_that_cannot_be_read_are_logged_once() -> None:
    """One line for the whole reply."""
    odd = [{"SeriesInstanceUID": f"1.{number}", "StudyDate": "0000-00-00"} for number in range(9)]
    async with scripted(lambda _: rows(*odd)) as (archive, _server):
        with capture_logs() as lines:
            assert len(await list_all(archive)) == 9
    assert [(line["log_level"], line["count"], line["first"]) for line in lines] == [("warning", 9, 'StudyDate "0000-00-00"')]


# Faults of queries


@both_generations
@pytest.mark.parametrize(
    ("fault", "kind"),
    [
        (Fault(kind=FaultKind.STATUS, status=503, retry_after_seconds=30, endpoints=("getSeries",)), ArchiveBusyError),
        (Fault(kind=FaultKind.STATUS, status=429, endpoints=("getSeries",)), ArchiveBusyError),
        (Fault(kind=FaultKind.STATUS, status=500, endpoints=("getSeries",)), ArchiveFaultError),
        (Fault(kind=FaultKind.STATUS, status=404, endpoints=("getSeries",)), UnexpectedReplyError),
        (Fault(kind=FaultKind.STATUS, status=401, endpoints=("getSeries",)), CredentialsRejectedError),
        (Fault(kind=FaultKind.HTML, endpoints=("getSeries",)), ArchiveFaultError),
        (Fault(kind=FaultKind.JSON_TEXT, endpoints=("getSeries",)), ArchiveFaultError),
        (Fault(kind=FaultKind.UNMAPPABLE), ArchiveFaultError),
        (Fault(kind=FaultKind.CUT, endpoints=("getSeries",)), CutTransferError),
        (Fault(kind=FaultKind.CUT_LIST), ArchiveFaultError),
        (Fault(kind=FaultKind.BAD_UID), ArchiveFaultError),
    ],
)
async def test_faults_of_a_query(api: str, fault: Fault, kind: type[TciadError]) -> None:
    """What the archive says in place of rows becomes the error that tells what to do."""
    async with sandboxed(api, fault) as (archive, _sandbox):
        with pytest.raises(TciadError) as caught:
            await list_all(archive)
    assert type(caught.value) is kind


@both_generations
async def test_retry_after_reaches_the_error(api: str) -> None:
    """In seconds."""
    fault = Fault(kind=FaultKind.STATUS, status=503, retry_after_seconds=30, endpoints=("getSeries",))
    async with sandboxed(api, fault) as (archive, _sandbox):
        with pytest.raises(ArchiveBusyError) as caught:
            await list_all(archive)
    assert caught.value.retry_after_seconds == 30


@both_generations
@pytest.mark.parametrize(
    ("kind", "counts"), [(FaultKind.NUMBERS_AS_TEXT, [2]), (FaultKind.ESCAPE_TEXT, [2]), (FaultKind.EMPTY_ROWS, [])]
)
async def test_odd_rows_that_are_no_faults(api: str, kind: FaultKind, counts: list[int]) -> None:
    """Numbers as text, control characters, which pass as they are for the views to escape, and rows without anything."""
    async with sandboxed(api, Fault(kind=kind)) as (archive, _sandbox):
        assert [series.image_count for series in await list_all(archive)] == counts


@both_generations
async def test_no_content_is_no_rows(api: str) -> None:
    """204 says what an empty 200 says (docs/archives.md#empty-replies)."""
    async with scripted(lambda _: ScriptedReply(status=204), api) as (archive, _server):
        assert await list_all(archive) == []


# Faults of downloads


@both_generations
@pytest.mark.parametrize(
    ("reply", "message"),
    [
        (PAGE, '"Maintenance"'),
        (ScriptedReply(body=b'{"error":"x"}'), "application/json"),
        (ScriptedReply(body=b"Server was not able", content_type="text/plain;charset=utf-8"), "Server was not able"),
        (ScriptedReply(content_type="application/octet-stream"), "an empty reply"),
        (ScriptedReply(status=204), "an empty reply"),
        (ScriptedReply(status=500, body=b"oops"), 'responded with 500: "oops"'),
    ],
)
async def test_what_cannot_be_images_is_refused_before_it_is_read(api: str, reply: ScriptedReply, message: str) -> None:
    """HTTP 200 proves nothing (docs/faults.md, traps 3 and 6); the error names the series and quotes the reply."""
    async with scripted(lambda _: reply, api) as (archive, _server):
        with pytest.raises(ArchiveFaultError) as caught:
            await open_and_read(archive)
        with pytest.raises(ArchiveFaultError):
            async with archive.open_image(SERIES_UID, "1.2"):
                pass
    assert message in str(caught.value)
    assert caught.value.series_instance_uid == SERIES_UID


# Ways to get images


def not_offering(*missing: str) -> Script:
    """An archive without these endpoints or parameters; it answers to everything else with images."""

    def script(request: ScriptedRequest) -> ScriptedReply:
        if request.path in missing:
            return MISSING
        unknown = [name for name in request.parameters if name in missing]
        return ScriptedReply(status=400, body=f"Invalid query parameter: '{unknown[0]}'.".encode()) if unknown else ZIP

    return script


ALL_V4 = ("IncludeMD5", "v4/getImageWithMD5Hash")
V1_LIST = ("v1/getImageWithMD5Hash",)


async def opened(archive: Source, series: Series = SERIES, md5: Md5Mode = Md5Mode.AUTO) -> bool:
    """Whether a list comes with the images, all of which are read."""
    async with archive.open_series(series, md5) as transfer:
        await read_images(transfer)
        return transfer.brings_digests


@pytest.mark.parametrize(
    ("api", "md5", "missing", "path", "has_list"),
    [
        ("v4", Md5Mode.AUTO, (), "v4/getImage", True),
        ("v4", Md5Mode.AUTO, ("IncludeMD5",), "v4/getImageWithMD5Hash", True),
        ("v4", Md5Mode.REQUIRE, ("IncludeMD5",), "v4/getImageWithMD5Hash", True),
        ("v4", Md5Mode.OFF, (), "v4/getImage", False),
        ("v1", Md5Mode.AUTO, (), "v1/getImageWithMD5Hash", True),
        ("v1", Md5Mode.REQUIRE, (), "v1/getImageWithMD5Hash", True),
        ("v1", Md5Mode.OFF, (), "v1/getImage", False),
    ],
)
async def test_the_best_way_that_is_offered_is_taken_and_remembered(
    api: str, md5: Md5Mode, missing: tuple[str, ...], path: str, has_list: bool
) -> None:
    """A step that loses no proof costs no attempt; after three series the way that was refused is not asked for."""
    async with scripted(not_offering(*missing), api) as (archive, server):
        for number in range(5):
            series = Series(series_instance_uid=f"1.3.{number}")
            assert await opened(archive, series, md5) == has_list
        assert len(server.requests) == 5 + 3 * len(missing)
        assert {request.path for request in server.requests[-2:]} == {path}
        assert server.requests[-1].parameters.get("IncludeMD5") == ("Yes" if has_list and path == "v4/getImage" else None)


@pytest.mark.parametrize(("api", "missing"), [("v4", ALL_V4), ("v1", V1_LIST)])
async def test_a_list_that_is_refused_must_be_refused_often_before_less_is_taken(api: str, missing: tuple[str, ...]) -> None:
    """One series comes without a list after three attempts that were refused; after three series none is asked for."""
    async with scripted(not_offering(*missing), api) as (archive, server):
        for number in range(3):
            series = Series(series_instance_uid=f"1.3.{number}")
            for _ in range(2):
                with pytest.raises(ArchiveFaultError, match="it is retried before images are accepted without a list"):
                    await opened(archive, series)
                clock_of(archive).elapsed_seconds += 2.0
            assert await opened(archive, series) is False
        before = len(server.requests)
        assert await opened(archive, Series(series_instance_uid="1.3.9")) is False
        assert len(server.requests) == before + 1


@pytest.mark.parametrize(("api", "missing"), [("v4", ALL_V4), ("v1", V1_LIST)])
async def test_refusals_of_one_moment_count_once(api: str, missing: tuple[str, ...]) -> None:
    """However often a series is asked for while a fault passes."""
    async with scripted(not_offering(*missing), api) as (archive, _server):
        for _ in range(9):
            with pytest.raises(ArchiveFaultError):
                await opened(archive)


@pytest.mark.parametrize(("api", "missing"), [("v4", ALL_V4), ("v1", V1_LIST)])
@pytest.mark.parametrize("status", [404, 405])
async def test_an_archive_that_sent_a_list_is_held_to_it(api: str, missing: tuple[str, ...], status: int) -> None:
    """From then on a refusal is a fault, for any series and for good."""
    refusing: list[bool] = []

    def script(request: ScriptedRequest) -> ScriptedReply:
        reply = not_offering(*missing)(request)
        return ScriptedReply(status=status) if refusing and reply.status != 200 else ZIP

    async with scripted(script, api) as (archive, _server):
        assert await opened(archive) is True
        refusing.append(True)
        for number in range(20):
            with pytest.raises(ArchiveFaultError, match=r"sent MD5 lists before.*md5: off"):
                await opened(archive, Series(series_instance_uid=f"1.3.{number % 4}"))
            clock_of(archive).elapsed_seconds += 3_600.0
        assert await opened(archive, md5=Md5Mode.OFF) is False


async def test_a_way_that_is_not_offered_is_logged_once() -> None:
    """With the request and the archive's answer."""
    async with scripted(not_offering("IncludeMD5")) as (archive, _server):
        with capture_logs() as lines:
            for number in range(5):
                await opened(archive, Series(series_instance_uid=f"1.3.{number}"))
    assert [line["endpoint"] for line in lines] == ["v4/getImage&NewFileNames=Yes&IncludeMD5=Yes"]
    assert "Invalid query parameter" in lines[0]["answer"]


@pytest.mark.parametrize(("api", "missing"), [("v4", ALL_V4), ("v1", V1_LIST)])
async def test_a_required_list_that_is_not_offered_is_refused(api: str, missing: tuple[str, ...]) -> None:
    """Once that has shown itself, also by another mode."""
    async with scripted(not_offering(*missing), api) as (archive, _server):
        for _ in range(2):
            with pytest.raises(ArchiveFaultError):
                await open_and_read(archive, Md5Mode.REQUIRE)
            clock_of(archive).elapsed_seconds += 2.0
        for _ in range(2):
            with pytest.raises(UnexpectedReplyError, match=r"offers no MD5 list.*md5: auto") as caught:
                await open_and_read(archive, Md5Mode.REQUIRE)
            assert caught.value.series_instance_uid == SERIES_UID
            await open_and_read(archive, Md5Mode.AUTO)


@both_generations
async def test_an_archive_that_offers_nothing_is_the_wrong_address(api: str) -> None:
    """That must show itself, too, and nothing is remembered of it: the next series may find it mended."""
    healthy: list[bool] = []
    async with scripted(lambda _: ZIP if healthy else MISSING, api) as (archive, _server):
        for _ in range(2):
            with pytest.raises(ArchiveFaultError):
                await open_and_read(archive)
            clock_of(archive).elapsed_seconds += 2.0
        with pytest.raises(UnexpectedReplyError, match=r"404.*check base_url"):
            await open_and_read(archive)
        healthy.append(True)
        async with archive.open_series(SERIES, Md5Mode.AUTO) as transfer:
            assert transfer.brings_digests


@both_generations
async def test_a_fault_is_no_reason_to_try_another_way(api: str) -> None:
    """A busy archive is asked once, and later."""
    async with scripted(lambda _: ScriptedReply(status=503), api) as (archive, server):
        with pytest.raises(ArchiveBusyError):
            await open_and_read(archive)
        assert len(server.requests) == 1


# Who asks


@dataclass
class Tokens:
    """Gives a new token for each renewal, as long as there are any."""

    left: list[str]
    renewed: list[str] = field(default_factory=list)
    token: str = "old"
    parameters: Mapping[str, str] = field(default_factory=dict)
    advice: str = "sign in again"

    async def headers(self) -> Mapping[str, str]:
        return {"Authorization": f"Bearer {self.token}"}

    @property
    def can_renew(self) -> bool:
        return bool(self.left)

    async def renew(self, refused: Mapping[str, str]) -> None:
        self.renewed.append(refused["Authorization"])
        self.token = self.left.pop(0)


def taking(token: str) -> Script:
    """An archive that takes one token only."""

    def script(request: ScriptedRequest) -> ScriptedReply:
        return ZIP if request.headers.get("Authorization") == f"Bearer {token}" else ScriptedReply(status=401)

    return script


async def test_a_token_that_expired_is_renewed_once() -> None:
    """The attempt goes on as if nothing had been (docs/archives.md#tokens)."""
    tokens = Tokens(left=["new", "newer"])
    async with scripted(taking("new"), authentication=tokens) as (archive, server):
        assert await open_and_read(archive) == ZIP_BYTES
        assert await open_and_read(archive) == ZIP_BYTES
    assert tokens.renewed == ["Bearer old"]
    assert len(server.requests) == 3


@pytest.mark.parametrize(("left", "renewed"), [([], []), (["new", "newer"], ["Bearer old"])])
async def test_a_token_that_is_refused_again_ends_it(left: list[str], renewed: list[str]) -> None:
    """There is no second renewal for one request."""
    tokens = Tokens(left=left)
    async with scripted(taking("never"), authentication=tokens) as (archive, server):
        with pytest.raises(CredentialsRejectedError):
            await open_and_read(archive)
    assert tokens.renewed == renewed
    assert len(server.requests) == 1 + len(renewed)


@both_generations
async def test_a_hash_that_is_none_is_a_fault(api: str) -> None:
    """A page in place of a hash."""
    async with scripted(lambda _: PAGE, api) as (archive, _server):
        with pytest.raises(ArchiveFaultError, match="instead of an MD5"):
            await archive.find_image_md5("1.2")


@both_generations
@pytest.mark.parametrize(("text", "md5"), [(b" ABC\n", "abc".rjust(32, "0")), (b"", ""), (b"\n", "")])
async def test_hashes_that_lost_their_zeros_get_them_back(api: str, text: bytes, md5: str) -> None:
    """Hashes stored before 2021 may be short (docs/archives.md#md5s)."""
    async with scripted(lambda _: ScriptedReply(body=text, content_type="text/plain"), api) as (archive, _server):
        assert await archive.find_image_md5("1.2") == md5


@both_generations
@pytest.mark.parametrize("status", [400, 401, 403, 404, 406, 422, 429, 460, 500, 502, 503, 504])
async def test_every_question_ends_in_an_archive_error(api: str, status: int) -> None:
    """Whatever the archive answers to whatever is asked."""
    async with scripted(lambda _: ScriptedReply(status=status, body=b"<html>", content_type="text/html"), api) as (archive, _):
        for question in (
            archive.find_collections(),
            archive.find_series_size("1.2"),
            archive.find_sop_instance_uids("1.2"),
            archive.find_image_md5("1.2"),
            open_and_read(archive),
            list_all(archive),
        ):
            with pytest.raises(ArchiveError):
                await question


async def test_a_series_that_no_question_can_name_is_not_denied() -> None:
    """2013 servers can be asked for a series by its study only: without that, silence shows nothing, and none is withdrawn."""
    async with scripted(not_offering(), "bindaas") as (archive, server):
        with pytest.raises(UnexpectedReplyError, match="by its study only"):
            await archive.find_own_rows([Series(series_instance_uid="1.3.1", collection="C", patient_id="P")])
        assert server.requests == []
