"""SIGINT and SIGTERM cancel the work, which sets back the series in flight and reports."""

import signal
from collections.abc import Awaitable, Callable
from typing import Final, TypeVar

import anyio
from anyio import CancelScope

from downloader.errors import ExitCode

Result = TypeVar("Result")
EXIT_CODES: Final = {signal.SIGINT: ExitCode.INTERRUPTED, signal.SIGTERM: ExitCode.TERMINATED}


class Interrupted(Exception):  # noqa: N818  # not an error: the user asked for it
    """The work was cancelled by a signal, which decides the exit code."""

    def __init__(self, number: int) -> None:
        super().__init__(signal.Signals(number).name)
        self.exit_code = EXIT_CODES[signal.Signals(number)]


async def until_signal(work: Callable[[], Awaitable[Result]]) -> Result:
    """Await `work()`, cancelling it at the first SIGINT or SIGTERM. A second signal ends the process at once.

    Raises:
        Interrupted: a signal came before the work was done.
    """
    received: list[int] = []
    results: list[Result] = []
    errors: list[Exception] = []
    async with anyio.create_task_group() as group:
        group.start_soon(_watch, group.cancel_scope, received)
        try:
            results.append(await work())
        except Exception as error:  # noqa: BLE001  raised again below: the task group would wrap it in a group
            errors.append(error)
        group.cancel_scope.cancel()
    if errors:
        raise errors[0]
    if results:
        return results[0]
    raise Interrupted(received[0])


async def _watch(scope: CancelScope, received: list[int]) -> None:
    with anyio.open_signal_receiver(*EXIT_CODES) as signals:
        async for number in signals:
            received.append(number)
            break
    # the receiver is closed, so the next signal meets Python's own handlers
    scope.cancel()
