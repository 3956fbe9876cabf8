"""The store's link to its library: the library's id, and the folders of complete series."""

import json
from collections.abc import Mapping, Sequence

from downloader.model import SeriesState
from downloader.store.records import StoredPlace, StoredPlaces
from downloader.store.sqlite.connection import Connection


def library_id(connection: Connection) -> str:
    """See `Inventory.library_id`."""
    return next((str(row["id"]) for row in connection.rows("library_id")), "")


def places(connection: Connection, manifest: str | None, after: int, limit: int) -> StoredPlaces:
    """See `FolderIndex.places`."""
    rows = list(connection.each("complete_places", manifest=manifest, after=after, page_size=limit))
    return StoredPlaces(
        places=tuple((series_instance_uid, folder) for _, series_instance_uid, folder in rows),
        next_after=rows[-1][0] if len(rows) == limit else None,
        keys=tuple(key for key, _, _ in rows),
    )


def look_up(connection: Connection, series_instance_uids: Sequence[str]) -> Mapping[str, StoredPlace]:
    """See `FolderIndex.look_up`."""
    rows = connection.each("stored_places", series_instance_uids=json.dumps(series_instance_uids))
    return {
        uid: StoredPlace(key=key, state=SeriesState(state), folder=folder or "", stored_bytes=stored_bytes)
        for uid, key, state, folder, stored_bytes in rows
    }
