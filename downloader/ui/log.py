"""Logs go to stderr through structlog: readable lines on a terminal, JSON lines for machines."""

import logging
import os
import sys
from io import StringIO
from typing import Any, TextIO, cast

import structlog
from structlog.typing import EventDict, ExcInfo, WrappedLogger

from downloader.redaction import redact
from downloader.ui.texts import printable


def configure_log(log_format: str, level: str) -> None:
    """Set up structlog once per process. `log_format`: auto (console), console or json; `level`: a name of the logging module."""
    shared: list[structlog.typing.Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    if log_format == "json":
        last: structlog.typing.Processor = structlog.processors.JSONRenderer()
        shared.append(structlog.processors.format_exc_info)
    else:
        shared.append(_escape_texts)
        last = structlog.dev.ConsoleRenderer(
            colors=sys.stderr.isatty() and not os.environ.get("NO_COLOR"),
            exception_formatter=_write_traceback,
        )
    structlog.configure(
        # a renderer gives text, which the types of structlog do not tell the next processor
        processors=[*shared, last, cast("structlog.typing.Processor", _mask_secrets)],
        wrapper_class=structlog.make_filtering_bound_logger(logging.getLevelNamesMapping()[level.upper()]),
        logger_factory=structlog.WriteLoggerFactory(file=_Stderr()),  # type: ignore[arg-type]
        cache_logger_on_first_use=False,
    )


def configure_unless_configured(log_format: str, level: str) -> None:
    """Set up structlog where the process has not done so: by itself it would print every line to stdout."""
    if not structlog.is_configured():
        configure_log(log_format, level)


def _escape_texts(_logger: WrappedLogger, _method: str, event_dict: EventDict) -> EventDict:
    return {key: printable(value) if isinstance(value, str) else value for key, value in event_dict.items()}


def _mask_secrets(_logger: WrappedLogger, _method: str, line: str) -> str:
    """The second net: the whole line as it is written, so that no value and no traceback gets around it."""
    return redact(line)


def _write_traceback(target: TextIO, error: ExcInfo) -> None:
    """Without local variables, which structlog shows unless told: one of them may be a password."""
    text = StringIO()
    structlog.dev.plain_traceback(text, error)
    target.write("\n".join(map(printable, text.getvalue().splitlines())))


class _Stderr:
    """Whatever sys.stderr is at the moment of writing: progress bars put themselves in its place while they are shown."""

    def write(self, text: str) -> Any:  # noqa: ANN401
        return sys.stderr.write(text)

    def flush(self) -> None:
        sys.stderr.flush()
