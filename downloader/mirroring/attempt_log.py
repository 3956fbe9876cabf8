"""The log of attempts: one line per ended attempt."""

from dataclasses import asdict

import structlog

from downloader.model import Event, SeriesCompleted, SeriesFailed, SeriesSetBack

_log = structlog.get_logger(__name__)


def log_attempt(manifest: str, event: Event) -> None:
    """Log the event if it ends an attempt."""
    match event:
        case SeriesCompleted():
            _log.info(
                "series completed",
                manifest=manifest,
                series_instance_uid=event.receipt.series.series_instance_uid,
                attempt=event.attempt,
                folder=event.folder,
                images=len(event.receipt.images),
                stored_bytes=event.receipt.stored_bytes,
                received_bytes=event.receipt.received_bytes if event.downloaded else 0,
                elapsed_seconds=round(event.elapsed_seconds, 3),
            )
        case SeriesSetBack():
            _log.warning(
                "series set back",
                manifest=manifest,
                series_instance_uid=event.series_instance_uid,
                attempt=event.attempt,
                error=event.error,
                message=event.message,
                delay_seconds=round(event.delay_seconds, 1),
            )
        case SeriesFailed():
            _log.error("series failed", manifest=manifest, **asdict(event.failure))
        case _:
            pass
