"""Live events for browsers: server-sent events (WHATWG HTML, section 9.2)."""

from collections.abc import Awaitable
from typing import Final

import anyio
from aiohttp import web
from anyio.abc import TaskGroup

from downloader.clock import Clock
from downloader.errors import StoreError
from downloader.service.port import LiveEvent, ServiceReports, Subscription
from downloader.web.responses import as_json
from downloader.web.schemas import Happening, Progress

PROGRESS_SECONDS: Final = 1.0
MOST_LISTENERS: Final = 64
_RETRY_MILLISECONDS: Final = 3000


class EventStream:
    """Sends every listener the live events, and once a second the progress of the running cycles."""

    def __init__(self, service: ServiceReports, clock: Clock, most: int) -> None:
        self._service = service
        self._clock = clock
        self._most = min(MOST_LISTENERS, most)
        self._listeners = 0

    async def handle(self, request: web.Request) -> web.StreamResponse:
        """Serve one listener until it disconnects.

        Raises:
            StoreError: the limit of listeners is reached.
        """
        if self._listeners >= self._most:
            raise StoreError(f"too many event listeners (limit {self._most})", next_step="close a page, or poll /api/v1/status")
        self._listeners += 1
        try:
            return await self._send(request)
        finally:
            self._listeners -= 1

    async def _send(self, request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream; charset=utf-8", "X-Accel-Buffering": "no"})
        await response.prepare(request)
        await response.write(f"retry: {_RETRY_MILLISECONDS}\n\n".encode())
        with self._service.subscribe() as happenings:
            try:
                async with anyio.create_task_group() as group:
                    group.start_soon(self._send_until_gone, group, self._progress(response))
                    group.start_soon(self._send_until_gone, group, _happenings(response, happenings))
            finally:
                # a cancelled handler must not wait for the client
                response.force_close()
        return response

    async def _send_until_gone(self, group: TaskGroup, sending: Awaitable[None]) -> None:
        try:
            await sending
        except ConnectionError:
            group.cancel_scope.cancel()

    async def _progress(self, response: web.StreamResponse) -> None:
        while True:
            await response.write(_event("progress", as_json(Progress, self._service.progress())))
            await self._clock.sleep(PROGRESS_SECONDS)


async def _happenings(response: web.StreamResponse, happenings: Subscription) -> None:
    async for event in happenings:
        await response.write(_event("happening", as_json(Happening, _told(event)), event.number))


def _told(event: LiveEvent) -> Happening:
    return Happening(
        number=event.number,
        at=event.at,
        kind=event.kind,
        manifest=event.manifest,
        series_instance_uid=event.series_instance_uid,
        figures=dict(event.figures),
    )


def _event(name: str, data: bytes, number: int | None = None) -> bytes:
    """One event; JSON has no line breaks of its own."""
    number_line = b"" if number is None else f"id: {number}\n".encode()
    return b"event: %s\n%sdata: %s\n\n" % (name.encode(), number_line, data)
