"""Synchronous twins of async functions, which also work inside a running event loop, as in a notebook."""

from collections.abc import Awaitable, Callable
from typing import TypeVar

from anyio.from_thread import start_blocking_portal

Result = TypeVar("Result")


def wait_for(work: Callable[[], Awaitable[Result]]) -> Result:
    """Await `work()` on a new event loop in another thread, and return its result.

    An interruption (Ctrl-C, or the stop button of a notebook) cancels the work, which sets back what is in flight, and is raised
    when that is done.
    """
    with start_blocking_portal() as portal:
        return portal.call(work)
