"""What aiohttp has to say of requests, told by the log of the service."""

import logging

import structlog
from aiohttp.http_exceptions import HttpProcessingError

_log = structlog.get_logger(__name__)


class _Teller(logging.Handler):
    """A request that is no HTTP is the sender's fault, and no reason to fill the log; what else fails is ours."""

    def emit(self, record: logging.LogRecord) -> None:
        error = record.exc_info[1] if record.exc_info else None
        if isinstance(error, HttpProcessingError):
            _log.debug("malformed request", error=type(error).__name__)
        else:
            _log.error("internal error in a request", message=record.getMessage(), exc_info=error)


def log_of_requests() -> logging.Logger:
    """A logger for aiohttp's server, which hands on what is at least a warning."""
    logger = logging.getLogger(f"{__name__}.aiohttp")
    logger.setLevel(logging.WARNING)
    logger.propagate = False
    logger.handlers = [_Teller()]
    return logger
