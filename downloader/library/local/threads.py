"""The threads in which a library does what blocks."""

from collections.abc import Callable
from functools import partial
from typing import ParamSpec, TypeVar

import anyio.to_thread
from anyio import CapacityLimiter

from downloader.library.port import READERS

Parameters = ParamSpec("Parameters")
Result = TypeVar("Result")


class LibraryThreads:
    """Runs calls that block, `READERS` at a time; each is one hop, which takes longer than a look at one file."""

    __slots__ = ("_limiter",)

    def __init__(self) -> None:
        self._limiter = CapacityLimiter(READERS)

    async def run(self, function: Callable[Parameters, Result], *args: Parameters.args, **kwargs: Parameters.kwargs) -> Result:
        """Call `function` in one of the threads. A cancelled caller waits for it: what is written is never left half done."""
        return await anyio.to_thread.run_sync(partial(function, *args, **kwargs), limiter=self._limiter)
