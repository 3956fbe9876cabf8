"""The queries of people and reports. Read-only."""

import json
from collections.abc import Mapping, Sequence

from downloader.model import Failure, Series, SeriesState, SeriesTally, WithdrawalRule, WithdrawnPolicy
from downloader.store.holdings import HoldingRow, Holdings, count_holdings
from downloader.store.records import CycleNote, FailureGroup, ProofGroup, SeriesFilter, Standing, StoredSeries, WithdrawnSeries
from downloader.store.sqlite.connection import Connection, Row, Value
from downloader.store.sqlite.rows import to_cycle_note, to_digests, to_failure, to_failure_group, to_stored_series, to_version

_BY_CARE = (WithdrawnPolicy.DELETE, WithdrawnPolicy.QUARANTINE, WithdrawnPolicy.KEEP)
SEARCHED_KEYS = 20_000
"""The number of keys of one search step, during which other calls wait: about 50 ms."""


def manifests(connection: Connection) -> Sequence[str]:
    """See `Inventory.manifests`."""
    return [row["name"] for row in connection.rows("manifests")]


def archives(connection: Connection) -> Sequence[str]:
    """See `Inventory.archives`."""
    return [row["archive"] for row in connection.rows("archives")]


def find_named(connection: Connection, series_instance_uids: Sequence[str]) -> Sequence[StoredSeries]:
    """See `FolderIndex.find_named`."""
    rows = connection.rows("named_series", series_instance_uids=json.dumps(series_instance_uids))
    found = {row["series_instance_uid"]: to_stored_series(row) for row in rows}
    return [found[uid] for uid in series_instance_uids if uid in found]


def search(connection: Connection, wanted: SeriesFilter, after: int, limit: int) -> tuple[int, Sequence[StoredSeries]]:
    """Matching rows among the next `SEARCHED_KEYS` keys, at most `limit`, with the last key that was searched."""
    until = after + SEARCHED_KEYS
    values: dict[str, Value] = {
        "after": after,
        "until": until,
        "collection": wanted.collection or None,
        "error": wanted.error,
        "pattern": _pattern_of(wanted.text),
        "manifest": wanted.manifest,
        "page_size": limit,
    }
    if wanted.state is None:
        rows = connection.rows("search_library", **values)
    else:
        rows = connection.rows("search_state", state=wanted.state, **values)
    searched = rows[-1]["series_key"] if len(rows) == limit else until
    return searched, [to_stored_series(row) for row in rows]


def last_key(connection: Connection) -> int:
    """The key of the last series; 0 if there is none."""
    return connection.number("last_key")


def cycles(connection: Connection) -> Mapping[str, CycleNote]:
    """See `Inventory.cycles`."""
    return {row["name"]: to_cycle_note(row) for row in connection.rows("cycles")}


def _pattern_of(text: str) -> str | None:
    """A LIKE pattern that finds the text anywhere, with LIKE's wildcards escaped."""
    escaped = "".join(f"!{letter}" if letter in "!%_" else letter for letter in text)
    return f"%{escaped}%" if text else None


def tally(connection: Connection, manifest: str | None) -> SeriesTally:
    """See `Inventory.tally`."""
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


def holdings(connection: Connection) -> Holdings:
    """See `Inventory.holdings`."""
    return count_holdings(map(HoldingRow._make, connection.each("holdings")))


def failures(connection: Connection, manifest: str | None) -> Sequence[Failure]:
    """See `Inventory.failures`."""
    return [to_failure(row) for row in connection.rows("failures", manifest=manifest)]


def failure_groups(connection: Connection, manifest: str | None) -> Sequence[FailureGroup]:
    """See `Inventory.failure_groups`."""
    return [to_failure_group(row) for row in connection.rows("failure_groups", manifest=manifest)]


def page(
    connection: Connection, manifest: str | None, state: SeriesState | None, after: int
) -> tuple[int, Sequence[StoredSeries]]:
    """See `Connection.page`; for `Inventory.find`."""
    if state is not None:
        return connection.page("page_in_state", to_stored_series, after=after, manifest=manifest, state=state)
    if manifest is not None:
        return connection.page("page_of_manifest", to_stored_series, after=after, manifest=manifest)
    return connection.page("page_of_library", to_stored_series, after=after)


def proof_groups(connection: Connection, manifest: str | None) -> Sequence[ProofGroup]:
    """See `ProofRecords.proof_groups`."""
    return [
        ProofGroup(
            archive=row["archive"],
            digests=to_digests(row["digests"]),
            came_with_list=bool(row["md5_list"]),
            series=row["series_count"],
        )
        for row in connection.rows("proof_groups", manifest=manifest)
    ]


def page_of_weak(connection: Connection, manifest: str | None, with_list: bool, after: int) -> tuple[int, Sequence[StoredSeries]]:
    """See `Connection.page`; for `ProofRecords.find_weak`."""
    return connection.page("page_of_weak_proof", to_stored_series, after=after, manifest=manifest, lists=int(with_list))


def page_of_unknown(connection: Connection, after: int) -> tuple[int, Sequence[StoredSeries]]:
    """See `Connection.page`; for `ProofRecords.find_unknown_proofs`."""
    return connection.page("page_of_unknown_proof", to_stored_series, after=after)


def sent_md5_lists(connection: Connection, archive: str) -> bool:
    """See `ProofRecords.sent_md5_lists`."""
    return bool(connection.rows("series_with_list", archive=archive))


def page_of_withdrawn(connection: Connection, manifest: str, after: int) -> tuple[int, Sequence[WithdrawnSeries]]:
    """See `Connection.page`; for `FolderIndex.find_withdrawn`."""
    return connection.page("page_of_withdrawn", _to_withdrawn, after=after, manifest=manifest)


def _to_withdrawn(row: Row) -> WithdrawnSeries:
    rule = WithdrawalRule(policy=_BY_CARE[row["care"]], grace_seconds=row["grace_seconds"])
    return WithdrawnSeries(stored=to_stored_series(row), rule=rule)


def compare(connection: Connection, batch: Sequence[Series]) -> Sequence[Standing]:
    """See `Inventory.compare`."""
    return [_standing(connection, series) for series in batch]


def _standing(connection: Connection, listed: Series) -> Standing:
    rows = connection.rows("standing", series_instance_uid=listed.series_instance_uid)
    if not rows:
        return Standing.NEW
    if rows[0]["state"] != SeriesState.COMPLETE:
        return Standing.PENDING
    return Standing.CHANGED if to_version(rows[0]).differs_from(listed.version) else Standing.COMPLETE
