"""The writes of a resolve: enqueue listed series, withdraw vanished ones."""

from collections.abc import Collection, Sequence
from datetime import datetime

from downloader.errors import StoreError
from downloader.model import Series, SeriesState, WithdrawalRule
from downloader.store.records import CycleNote, Enqueued, StoredSeries
from downloader.store.sqlite.connection import Connection, Row
from downloader.store.sqlite.rows import staged_values, time_value, to_stored_series, to_text


def begin_resolve(connection: Connection, manifest: str, at: datetime) -> int:
    """See `Intake.begin_resolve`."""
    with connection.transaction():
        connection.change("add_manifest", manifest=manifest)
        connection.change("begin_resolve", manifest=manifest, at=to_text(at))
        return connection.number("resolve_number", manifest=manifest)


def note_withdrawal_rule(connection: Connection, manifest: str, rule: WithdrawalRule) -> None:
    """See `Intake.note_withdrawal_rule`."""
    with connection.transaction():
        connection.change("add_manifest", manifest=manifest)
        connection.change("note_withdrawal_rule", manifest=manifest, policy=rule.policy, grace_seconds=rule.grace_seconds)


def enqueue(
    connection: Connection,
    manifest: str,
    resolve: int,
    archive: str,
    batch: Sequence[Series],
    rested_at: datetime | None = None,
    settles: bool = False,
) -> Enqueued:
    """See `Intake.enqueue`."""
    with connection.transaction():
        if not connection.number("has_begun", manifest=manifest, resolve=resolve):
            raise StoreError(f"resolve {resolve} of the manifest {manifest} has not started")
        rows, contradicting = _take_one_of_each(batch)
        staged = stage(connection, rows)
        # changes are detected before the newest attributes are merged
        if connection.change("mark_changed"):
            named_by = 0 if settles else resolve  # no resolve has the number 0
            connection.change("mark_contradicted", manifest=manifest, resolve=named_by, archive=archive)
            contradicted = set(_names(connection, "contradicted_incoming"))
            contradicting += [series for series in rows if series.series_instance_uid in contradicted]
            connection.change("drop_contradicted")
            connection.change("leave_figures")
        connection.change("leave_to_other_archive", manifest=manifest, resolve=resolve, archive=archive)
        changed, returned, new = (_names(connection, name) for name in ("changed_incoming", "returned_incoming", "new_incoming"))
        connection.change("reopen_changed")
        connection.change("forget_former_wishes", manifest=manifest)
        connection.change("reopen_failed_and_withdrawn", rested_at=time_value(rested_at))
        connection.change("merge_incoming")
        connection.change("add_incoming", archive=archive)
        connection.change("match_incoming")
        connection.change("want_incoming", manifest=manifest, resolve=resolve, archive=archive)
    return Enqueued(
        new=len(new),
        changed=len(changed),
        known=staged - len(new) - len(changed),
        new_series=new,
        changed_series=changed,
        returned_series=returned,
        contradicting=tuple(contradicting),
    )


def _take_one_of_each(batch: Sequence[Series]) -> tuple[list[Series], list[Series]]:
    """One row of each series, the last of those with the same figures as its first; and the others."""
    taken: dict[str, Series] = {}
    others: list[Series] = []
    for series in batch:
        first = taken.get(series.series_instance_uid)
        if first is not None and first.version.differs_from(series.version):
            others.append(series)
        else:
            taken[series.series_instance_uid] = series
    return list(taken.values()), others


def _names(connection: Connection, query: str) -> tuple[str, ...]:
    return tuple(row["series_instance_uid"] for row in connection.rows(query))


def enqueue_unlisted(
    connection: Connection,
    manifest: str,
    resolve: int,
    archive: str,
    series_instance_uids: Sequence[str],
    rested_at: datetime | None = None,
) -> Enqueued:
    """See `Intake.enqueue_unlisted`."""
    listed_once = {SeriesState.COMPLETE, SeriesState.WITHDRAWN}
    wishes: list[Series] = []
    former: list[str] = []
    for series_instance_uid in series_instance_uids:
        states = [row["state"] for row in connection.rows("standing", series_instance_uid=series_instance_uid)]
        if listed_once.isdisjoint(states):
            wishes.append(Series(series_instance_uid=series_instance_uid))
        else:
            former.append(series_instance_uid)
    with connection.transaction():
        connection.change_each("remember_wish", [{"manifest": manifest, "series_instance_uid": name} for name in former])
    return enqueue(connection, manifest, resolve, archive, wishes, rested_at)


def keep_named(connection: Connection, manifest: str, resolve: int, series_instance_uids: Sequence[str]) -> None:
    """See `Intake.keep_named`."""
    with connection.transaction():
        for name in series_instance_uids:
            connection.change("keep_named", manifest=manifest, resolve=resolve, series_instance_uid=name)


def drop_wishes(connection: Connection, manifest: str, resolve: int, series_instance_uids: Collection[str]) -> int:
    """See `Intake.drop_wishes`."""
    dropped = 0
    with connection.transaction():
        for name in series_instance_uids:
            if connection.change("drop_wish", manifest=manifest, resolve=resolve, series_instance_uid=name):
                connection.change("forget_series", series_instance_uid=name)
                dropped += 1
    return dropped


def update_series(connection: Connection, series: Series) -> None:
    """See `Intake.update_series`."""
    with connection.transaction():
        stage(connection, [series])
        connection.change("merge_incoming")


def stage(connection: Connection, batch: Sequence[Series]) -> int:
    """Write the batch to a temporary table next to the known series; returns how many series it has."""
    connection.change("clear_incoming")
    # a series that is listed twice counts once: in its first place, with its last row
    newest = {series.series_instance_uid: series for series in batch}
    connection.change_each("stage_incoming", map(staged_values, newest.values()))
    known = connection.change("match_incoming")
    connection.change("keep_time_of_day")
    return known


def count_vanished(connection: Connection, manifest: str, resolve: int) -> int:
    """See `Intake.count_vanished`."""
    return connection.number("count_vanished", manifest=manifest, resolve=resolve)


def withdraw_vanished(
    connection: Connection, manifest: str, resolve: int, at: datetime, denied: Collection[str] | None = None
) -> Sequence[str]:
    """See `Intake.withdraw_vanished`. Durable, because withdrawn series may be deleted from the library next."""
    allowed = None if denied is None else frozenset(denied)
    with connection.transaction(durable=True):
        vanished = [
            row["series_instance_uid"]
            for row in connection.rows("vanished", manifest=manifest, resolve=resolve)
            if allowed is None or row["series_instance_uid"] in allowed
        ]
        mine = [{"manifest": manifest, "series_instance_uid": name} for name in vanished]
        others = {name for name in vanished if connection.number("wanted_by_others", manifest=manifest, series_instance_uid=name)}
        connection.change_each("leave_to_others", [one for one in mine if one["series_instance_uid"] in others])
        withdrawn = [name for name in vanished if name not in others]
        connection.change_each("withdraw", [{"series_instance_uid": name, "at": to_text(at)} for name in withdrawn])
    return withdrawn


def page_of_vanished(connection: Connection, manifest: str, resolve: int, after: int) -> tuple[int, Sequence[StoredSeries]]:
    """See `Connection.page`; for `Intake.find_vanished`."""
    return connection.page("page_of_vanished", _to_vanished, after=after, manifest=manifest, resolve=resolve)


def _to_vanished(row: Row) -> StoredSeries:
    return to_stored_series({**row, "archive": row["wanted_of"]})


def note_cycle(connection: Connection, manifest: str, note: CycleNote) -> None:
    """See `Intake.note_cycle`."""
    with connection.transaction():
        connection.change("add_manifest", manifest=manifest)
        connection.change(
            "note_cycle",
            manifest=manifest,
            began_at=to_text(note.began_at),
            ended_at=to_text(note.ended_at),
            outcome=note.outcome,
            exit_code=note.exit_code,
            error=note.error,
        )
