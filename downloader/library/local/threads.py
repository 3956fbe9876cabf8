"""The threads for the blocking calls of a library."""

from collections.abc import Callable
from functools import partial
from typing import ParamSpec, TypeVar

import anyio.to_thread
from anyio import CapacityLimiter

from downloader.library.port import READERS

Parameters = ParamSpec("Parameters")
Result = TypeVar("Result")


class LibraryThreads:
    """Runs blocking calls, `READERS` at a time; each is one hop, which takes longer than checking one file."""

    __slots__ = ("_limiter",)

    def __init__(self) -> None:
        self._limiter = CapacityLimiter(READERS)

    async def run(self, function: Callable[Parameters, Result], *args: Parameters.args, **kwargs: Parameters.kwargs) -> Result:
        """Call `function` in one of the threads. A cancelled caller waits for its end, so that no write is interrupted."""
        return await anyio.to_thread.run_sync(partial(function, *args, **kwargs), limiter=self._limiter)
