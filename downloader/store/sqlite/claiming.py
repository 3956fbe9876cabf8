"""The writes of workers: claim a series, keep the claim, and record its end."""

import json
from collections import deque
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from operator import itemgetter

from downloader.errors import LeaseLostError
from downloader.model import Claim, FetchOrder, Proof, Receipt
from downloader.store.records import LONGEST_DELAY
from downloader.store.sqlite.connection import Connection, Value
from downloader.store.sqlite.rows import time_value, to_claim, to_text, version_values

_QUERY_OF_ORDER = {
    FetchOrder.ARCHIVE: "next_in_archive_order",
    FetchOrder.SMALLEST_FIRST: "next_smallest_first",
    FetchOrder.LARGEST_FIRST: "next_largest_first",
    # the scheduler makes the balanced order of claims from both ends, because it knows the series in flight
    FetchOrder.BALANCED: "next_largest_first",
}


def claim(
    connection: Connection,
    manifest: str,
    *,
    session_id: str,
    at: datetime,
    lease_until_at: datetime,
    limit: int,
    order: FetchOrder,
    archives: Collection[str] | None = None,
) -> Sequence[Claim]:
    """See `Queue.claim`."""
    lease = {"manifest": manifest, "session_id": session_id, "lease_until_at": to_text(lease_until_at)}
    with connection.transaction():
        connection.change("make_claimable", manifest=manifest, at=to_text(at))
        connection.change("make_misdated_claimable", manifest=manifest, latest_at=to_text(at + LONGEST_DELAY))
        keys = _next_keys(connection, manifest, limit, order, archives)
        connection.change_each("claim", [{"series_key": key, **lease} for key in keys])
        return [to_claim(row) for key in keys for row in connection.rows("series", series_key=key)]


def _next_keys(
    connection: Connection, manifest: str, limit: int, order: FetchOrder, archives: Collection[str] | None
) -> list[int]:
    query = _QUERY_OF_ORDER[order]
    due = _archives_due(connection, manifest, archives)
    fronts = [row for archive in due for row in connection.rows(query, manifest=manifest, archive=archive, limit=limit)]
    return [row["series_key"] for row in sorted(fronts, key=itemgetter("rank"))[:limit]]


def _archives_due(connection: Connection, manifest: str, archives: Collection[str] | None) -> list[str]:
    """The archives with series that are due, among the requested ones."""
    due = [row["archive"] for row in connection.rows("archives_due", manifest=manifest)]
    return [archive for archive in due if archives is None or archive in archives]


def next_due_seconds(
    connection: Connection, manifest: str, at: datetime, archives: Collection[str] | None = None
) -> float | None:
    """See `Queue.next_due_seconds`."""
    due = _archives_due(connection, manifest, archives)
    if any(connection.rows("first_claimable_now", manifest=manifest, archive=archive) for archive in due):
        return 0.0
    only = None if archives is None else json.dumps(sorted(archives))
    later = connection.rows("first_claimable_later", manifest=manifest, archives=only)
    if not later:
        return None
    return max(0.0, (datetime.fromisoformat(later[0]["claimable_at"]) - at).total_seconds())


def extend(connection: Connection, claims: Collection[Claim], lease_until_at: datetime) -> Sequence[Claim]:
    """See `Queue.extend`."""
    until = to_text(lease_until_at)
    with connection.transaction():
        return [held for held in claims if not connection.change("extend", **_names_of(held), lease_until_at=until)]


@dataclass(slots=True, kw_only=True, eq=False)
class Completion:
    """A completion that waits for its transaction; `lost` if the claim was lost."""

    held: Claim
    receipt: Receipt
    folder: str
    lost: LeaseLostError | None = None


def complete_waiting(connection: Connection, waiting: deque[Completion], own: Completion) -> None:
    """Write all entries of `waiting` in one transaction: a sync takes as long for one as for many. See `Queue.complete`.

    Each caller calls this once, with its `own` completion, which may already have been written with others. Entries that cannot
    be written are put back, so that each caller gets its own error.
    """
    taken = [waiting.popleft() for _ in range(len(waiting))]
    if not taken:
        return
    try:
        with connection.transaction(durable=True):
            for completion in taken:
                held, values = completion.held, completed_values(completion.receipt, completion.folder)
                is_held = connection.change("complete", **_names_of(held), **values)
                completion.lost = None if is_held else _lost(held)
    except BaseException:
        waiting.extendleft(completion for completion in reversed(taken) if completion is not own)
        if own in taken:
            raise


def completed_values(receipt: Receipt, folder: str) -> dict[str, Value]:
    """The columns of a completed series, from its receipt."""
    return {
        "archive": receipt.archive,
        "folder": folder,
        "stored_images": len(receipt.images),
        "stored_bytes": receipt.stored_bytes,
        "completed_at": to_text(receipt.completed_at),
        "sop_class_uid": receipt.sop_class_uid or None,
        **strength_values(receipt.proof),
        **version_values(receipt.series.version),
    }


def strength_values(proof: Proof) -> dict[str, Value]:
    """The columns of a proof."""
    return {"digests": proof.digests.value, "md5_list": int(proof.came_with_list)}


def set_back(
    connection: Connection,
    held: Claim,
    *,
    due_at: datetime,
    error: str,
    message: str,
    count_attempt: bool,
    needed_bytes: int | None = None,
) -> None:
    """See `Queue.set_back`."""
    taken_back = 0 if count_attempt else 1
    with connection.transaction():
        _change_held(
            connection,
            "set_back",
            held,
            due_at=to_text(due_at),
            taken_back=taken_back,
            error=error or None,
            message=message or None,
            needed_bytes=needed_bytes,
        )


def fail(connection: Connection, held: Claim, *, error: str, message: str, rests_until_at: datetime | None) -> None:
    """See `Queue.fail`."""
    with connection.transaction():
        _change_held(connection, "fail", held, error=error, message=message, rests_until_at=time_value(rests_until_at))


def _change_held(connection: Connection, name: str, held: Claim, **values: Value) -> None:
    """Run a statement that changes the series only if it still has this claim."""
    if not connection.change(name, **_names_of(held), **values):
        raise _lost(held)


def _lost(held: Claim) -> LeaseLostError:
    return LeaseLostError(
        f"attempt {held.attempt} no longer holds the lease", series_instance_uid=held.series.series_instance_uid
    )


def _names_of(held: Claim) -> dict[str, Value]:
    return {"series_instance_uid": held.series.series_instance_uid, "claim_id": held.claim_id}
