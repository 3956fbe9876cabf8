"""What people and reports ask of the store. Nothing here writes."""

from collections.abc import Sequence

from downloader.model import Failure, SeriesState, SeriesTally
from downloader.store.connection import PAGE_SIZE, Connection
from downloader.store.port import StoredSeries
from downloader.store.rows import to_failure, to_stored_series


def manifests(connection: Connection) -> Sequence[str]:
    """See `Store.manifests`."""
    return [row["name"] for row in connection.rows("manifests")]


def archives(connection: Connection) -> Sequence[str]:
    """See `Store.archives`."""
    return [row["archive"] for row in connection.rows("archives")]


def find_named(connection: Connection, series_instance_uids: Sequence[str]) -> Sequence[StoredSeries]:
    """See `Store.find_named`."""
    return [
        to_stored_series(row)
        for series_instance_uid in series_instance_uids
        for row in connection.rows("named_series", series_instance_uid=series_instance_uid)
    ]


def tally(connection: Connection, manifest: str | None) -> SeriesTally:
    """See `Store.tally`."""
    rows = {row["state"]: row for row in connection.rows("tally", manifest=manifest)}
    if not rows:
        return SeriesTally()
    selected = [row for state, row in rows.items() if state != SeriesState.WITHDRAWN]
    complete = rows[SeriesState.COMPLETE]
    return SeriesTally(
        **{str(state): row["series_count"] for state, row in rows.items()},
        images=complete["stored_images"],
        stored_bytes=complete["stored_bytes"],
        expected_images=sum(row["expected_images"] for row in selected),
        expected_bytes=sum(row["expected_bytes"] for row in selected),
    )


def failures(connection: Connection, manifest: str | None) -> Sequence[Failure]:
    """See `Store.failures`."""
    return [to_failure(row) for row in connection.rows("failures", manifest=manifest)]


def page(
    connection: Connection, manifest: str | None, state: SeriesState | None, after: int
) -> tuple[int, Sequence[StoredSeries]]:
    """The next matching rows after the key `after`, with the key of the last one; none when there are no more."""
    if state is not None:
        rows = connection.rows("page_in_state", manifest=manifest, state=state, after=after, page_size=PAGE_SIZE)
    elif manifest is not None:
        rows = connection.rows("page_of_manifest", manifest=manifest, after=after, page_size=PAGE_SIZE)
    else:
        rows = connection.rows("page_of_library", after=after, page_size=PAGE_SIZE)
    last_key = rows[-1]["series_key"] if rows else after
    return last_key, [to_stored_series(row) for row in rows]
