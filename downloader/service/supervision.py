"""Parts that run as long as the service: when one of them fails, the service ends with its error."""

from collections.abc import Awaitable, Callable

import structlog

from downloader.errors import PartDiedError, TciadError
from downloader.service.port import PartStatus

_log = structlog.get_logger(__name__)


class Supervision:
    """Runs parts and knows which are alive."""

    def __init__(self) -> None:
        self._alive: dict[str, bool] = {}

    def statuses(self) -> tuple[PartStatus, ...]:
        """Every part that was ever started, by name."""
        return tuple(PartStatus(name=name, alive=alive) for name, alive in sorted(self._alive.items()))

    async def keep_alive(self, name: str, work: Callable[[], Awaitable[None]], *, may_end: bool = False) -> None:
        """Run a part until it is cancelled, or, where it may end, until then.

        Raises:
            TciadError: what the part itself raised.
            PartDiedError: it returned, or had an internal error.
        """
        self._alive[name] = True
        try:
            await work()
        except TciadError as error:
            _log.error("part of the service failed", part=name, error=type(error).__name__, message=str(error))
            raise
        except Exception as error:
            _log.exception("part of the service failed", part=name)
            raise PartDiedError(
                f"the {name} of the service failed: {type(error).__name__}", next_step="please report it with the log"
            ) from error
        finally:
            self._alive[name] = False
        if may_end:
            del self._alive[name]
            return
        _log.error("part of the service ended", part=name)
        raise PartDiedError(f"the {name} of the service ended before the service did", next_step="please report it with the log")
