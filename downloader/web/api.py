"""The API: every endpoint with its parameters, its reply and its handler. The OpenAPI document is made from the same table."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, Final

from aiohttp import hdrs, web

from downloader.service.port import RecordPage, Service
from downloader.service.summary import summarize
from downloader.web.forecast import Forecast, ForecastReply
from downloader.web.query import (
    AFTER,
    BEFORE,
    COLLECTION,
    ERROR,
    LIMIT,
    MANIFEST,
    SERIES,
    STATE,
    TEXT,
    Parameter,
    check_names,
    read_failure_filter,
    read_filter,
    read_limit,
)
from downloader.web.responses import as_json, reply_json
from downloader.web.schemas import (
    CyclesReply,
    FailureGroupsReply,
    LibrariesOrderReply,
    ManifestsReply,
    OrderReply,
    RecordsReply,
    RetryReply,
    SeriesReply,
    StatusReply,
    ThroughputReply,
    cycles_reply,
    group_reply,
    series_reply,
)
from downloader.web.throughput import SAMPLE_SECONDS, Throughput

PREFIX: Final = "/api/v1"
_PAGE_ROWS: Final = 100
_RECORDS: Final = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Sources:
    """What the endpoints read from."""

    service: Service
    throughput: Throughput
    forecast: Forecast


Answer = Callable[[Sources, web.Request], Awaitable[object]]


@dataclass(frozen=True, slots=True, kw_only=True)
class ApiEndpoint:
    """One endpoint; `path` is below PREFIX, `reply` the type of what `answer` returns."""

    method: str
    path: str
    name: str
    summary: str
    reply: Any
    answer: Answer
    takes: tuple[Parameter, ...] = ()


async def _status(sources: Sources, request: web.Request) -> StatusReply:  # noqa: ARG001
    status, manifests = await sources.service.status(), await sources.service.manifests()
    return StatusReply(ready=status.ready, summary=summarize(status, manifests), status=status)


async def _manifests(sources: Sources, request: web.Request) -> ManifestsReply:  # noqa: ARG001
    return ManifestsReply(manifests=tuple(await sources.service.manifests()))


async def _series(sources: Sources, request: web.Request) -> SeriesReply:
    page = await sources.service.series(
        read_filter(request), after=request.query.get(AFTER.name), limit=read_limit(request, _PAGE_ROWS)
    )
    return series_reply(page)


async def _failures(sources: Sources, request: web.Request) -> SeriesReply:
    page = await sources.service.series(
        read_failure_filter(request), after=request.query.get(AFTER.name), limit=read_limit(request, _PAGE_ROWS)
    )
    return series_reply(page)


async def _failure_groups(sources: Sources, request: web.Request) -> FailureGroupsReply:
    return group_reply(await sources.service.failure_groups(request.query.get(MANIFEST.name)))


async def _runs(sources: Sources, request: web.Request) -> RecordsReply:
    limit = read_limit(request, _RECORDS)
    return _records(await sources.service.runs(request.query.get(MANIFEST.name), before=_before(request), limit=limit))


async def _changes(sources: Sources, request: web.Request) -> RecordsReply:
    limit = read_limit(request, _RECORDS)
    return _records(await sources.service.changes(request.query.get(MANIFEST.name), before=_before(request), limit=limit))


async def _cycles(sources: Sources, request: web.Request) -> CyclesReply:
    limit = read_limit(request, _RECORDS)
    return cycles_reply(await sources.service.changes(request.query.get(MANIFEST.name), before=_before(request), limit=limit))


async def _throughput(sources: Sources, request: web.Request) -> ThroughputReply:  # noqa: ARG001
    return ThroughputReply(seconds_between=SAMPLE_SECONDS, samples=sources.throughput.samples())


async def _forecast(sources: Sources, request: web.Request) -> ForecastReply:  # noqa: ARG001
    return sources.forecast.reply(await sources.service.status(), await sources.service.manifests())


async def _start(sources: Sources, request: web.Request) -> OrderReply:
    await sources.service.start(request.match_info["manifest"])
    return OrderReply(done="a cycle starts as soon as the library is free")


async def _pause(sources: Sources, request: web.Request) -> LibrariesOrderReply:  # noqa: ARG001
    return LibrariesOrderReply(done="no more series are claimed", libraries=tuple(await sources.service.pause()))


async def _resume(sources: Sources, request: web.Request) -> LibrariesOrderReply:  # noqa: ARG001
    return LibrariesOrderReply(done="the service claims series again", libraries=tuple(await sources.service.resume()))


async def _retry(sources: Sources, request: web.Request) -> RetryReply:
    retried = await sources.service.retry(
        manifest=request.query.get(MANIFEST.name),
        series_instance_uid=request.query.get(SERIES.name),
        collection=request.query.get(COLLECTION.name),
        error=request.query.get(ERROR.name),
    )
    return RetryReply(retried=retried)


def _records(page: RecordPage) -> RecordsReply:
    return RecordsReply(records=tuple(dict(record) for record in page.records), next_before=page.next_before)


def _before(request: web.Request) -> str | None:
    return request.query.get(BEFORE.name)


def _ask(path: str, name: str, summary: str, reply: type, answer: Answer, *takes: Parameter) -> ApiEndpoint:
    return ApiEndpoint(method=hdrs.METH_GET, path=path, name=name, summary=summary, reply=reply, answer=answer, takes=takes)


def _order(path: str, name: str, summary: str, reply: type, answer: Answer, *takes: Parameter) -> ApiEndpoint:
    return ApiEndpoint(method=hdrs.METH_POST, path=path, name=name, summary=summary, reply=reply, answer=answer, takes=takes)


ENDPOINTS: Final = (
    _ask("/status", "status", "State of the service, its libraries and archives.", StatusReply, _status),
    _ask("/manifests", "manifests", "All manifests with their state and running cycles.", ManifestsReply, _manifests),
    _ask(
        "/series", "series", "Series that match filters, in pages.", SeriesReply, _series,
        STATE, MANIFEST, COLLECTION, TEXT, AFTER, LIMIT,
    ),
    _ask(
        "/failures", "failures", "Failed series with the reason of each.", SeriesReply, _failures,
        MANIFEST, COLLECTION, ERROR, AFTER, LIMIT,
    ),
    _ask(
        "/failures/groups", "failure_groups", "Failed series counted by error and collection.", FailureGroupsReply,
        _failure_groups, MANIFEST,
    ),
    _ask("/runs", "runs", "Reports of runs, newest first.", RecordsReply, _runs, MANIFEST, BEFORE, LIMIT),
    _ask("/changes", "changes", "Catalogue changes by cycle, newest first.", RecordsReply, _changes, MANIFEST, BEFORE, LIMIT),
    _ask("/cycles", "cycles", "Past cycles in short, newest first.", CyclesReply, _cycles, MANIFEST, BEFORE, LIMIT),
    _ask("/throughput", "throughput", "Bytes received per second over the last hour.", ThroughputReply, _throughput),
    _ask("/forecast", "forecast", "When running manifests will be complete, and disks full.", ForecastReply, _forecast),
    _order("/manifests/{manifest}/start", "start", "Start a cycle of a manifest now.", OrderReply, _start),
    _order("/pause", "pause", "Stop claiming series.", LibrariesOrderReply, _pause),
    _order("/resume", "resume", "Claim series again after a pause.", LibrariesOrderReply, _resume),
    _order("/retry", "retry", "Put failed series back into the queue.", RetryReply, _retry, MANIFEST, SERIES, COLLECTION, ERROR),
)  # fmt: skip


def routes_of(sources: Sources) -> list[web.RouteDef]:
    """The endpoints as routes."""
    return [web.route(endpoint.method, f"{PREFIX}{endpoint.path}", _handler(endpoint, sources)) for endpoint in ENDPOINTS]


def _handler(endpoint: ApiEndpoint, sources: Sources) -> Callable[[web.Request], Awaitable[web.Response]]:
    async def handle(request: web.Request) -> web.Response:
        check_names(request, endpoint.takes)
        return reply_json(as_json(endpoint.reply, await endpoint.answer(sources, request)))

    return handle
