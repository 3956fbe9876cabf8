"""Messages of aiohttp about requests, in the log of the service."""

import logging

import structlog
from aiohttp.http_exceptions import HttpProcessingError

_log = structlog.get_logger(__name__)


class _Teller(logging.Handler):
    """Logs a request that is not HTTP at debug level, because the client is at fault, and any other failure as an error."""

    def emit(self, record: logging.LogRecord) -> None:
        error = record.exc_info[1] if record.exc_info else None
        if isinstance(error, HttpProcessingError):
            _log.debug("malformed request", error=type(error).__name__)
        else:
            _log.error("internal error in a request", message=record.getMessage(), exc_info=error)


def log_of_requests() -> logging.Logger:
    """A logger for aiohttp's server that passes on warnings and errors."""
    logger = logging.getLogger(f"{__name__}.aiohttp")
    logger.setLevel(logging.WARNING)
    logger.propagate = False
    logger.handlers = [_Teller()]
    return logger
