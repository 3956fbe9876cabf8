"""Signals: SIGHUP looks at the manifests again, SIGTERM and SIGINT drain, a second one leaves at once."""

import os
import signal
from collections.abc import Sequence

import anyio
import structlog
from anyio.abc import TaskGroup

from downloader.concurrency import task_group
from downloader.service.port import ServicePart
from downloader.service.service import MirrorService

_log = structlog.get_logger(__name__)


async def serve_until_signal(service: MirrorService, parts: Sequence[ServicePart], grace_seconds: float) -> None:
    """Run the service with its parts until a signal has drained it.

    Raises:
        TciadError: what the service cannot go on with.
    """
    async with task_group() as group:
        await group.start(_obey_signals, service, grace_seconds, group)
        await service.run(parts)
        group.cancel_scope.cancel()


async def _obey_signals(
    service: MirrorService, grace_seconds: float, group: TaskGroup, *, task_status: anyio.abc.TaskStatus[None]
) -> None:
    is_draining = False
    with anyio.open_signal_receiver(signal.SIGHUP, signal.SIGINT, signal.SIGTERM) as signals:
        task_status.started()
        async for number in signals:
            _log.info("signal", name=signal.Signals(number).name)
            if number == signal.SIGHUP:
                service.reload()
            elif not is_draining:
                is_draining = True
                group.start_soon(service.drain, grace_seconds)
            else:
                _log.warning("stopped at once, the next start continues")
                # as kill would: everything on disk is made for that, and nothing may hold us up
                os._exit(128 + number)
