"""Corrections of the store by the library or the user: series that are proven, moved, damaged, or retried."""

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Final

from downloader.model import Proof, Receipt
from downloader.store.sqlite.claiming import completed_values, strength_values
from downloader.store.sqlite.connection import Connection, Value
from downloader.store.sqlite.enqueuing import stage
from downloader.store.sqlite.rows import staged_values

RESTORED_COLUMNS: Final = (
    "archive",
    "folder",
    "stored_images",
    "stored_bytes",
    "completed_at",
    "sop_class_uid",
    "digests",
    "md5_list",
)
"""The columns of `restore_new` after those of the catalogue."""

_RESTORE = "restore"
"""The id of the temporary claim of a restored series, inside of one transaction."""


def restore(connection: Connection, stored: Sequence[tuple[Receipt, str]]) -> None:
    """See `Corrections.restore`. A known series gets a temporary claim, because other workers may have claimed it."""
    with connection.transaction(durable=True):
        known = _known(connection, stored)
        new: dict[str, tuple[Receipt, str]] = {}
        met: list[tuple[Receipt, str]] = []
        for receipt, folder in stored:
            name = receipt.series.series_instance_uid
            if name in known or name in new:
                met.append((receipt, folder))
            else:
                new[name] = (receipt, folder)
        connection.change_each("restore_new", map(_restored_values, new.values()))
        if met:
            stage(connection, [receipt.series for receipt, _ in met])
        for each_once in _rounds(met):
            connection.change("hold", series_instance_uids=json.dumps(list(each_once)), claim_id=_RESTORE)
            connection.change_each("complete", map(_restored, each_once.values()))


def _known(connection: Connection, stored: Sequence[tuple[Receipt, str]]) -> set[Value]:
    names = json.dumps([receipt.series.series_instance_uid for receipt, _ in stored])
    return {row["series_instance_uid"] for row in connection.rows("known_series", series_instance_uids=names)}


def _restored_values(stored: tuple[Receipt, str]) -> tuple[Value, ...]:
    """The values of `restore_new`: those of the catalogue, then those of the completion by position."""
    receipt, folder = stored
    completed = completed_values(receipt, folder)
    return (*staged_values(receipt.series), *(completed[name] for name in RESTORED_COLUMNS))


def _rounds(stored: Sequence[tuple[Receipt, str]]) -> Iterator[Mapping[str, tuple[Receipt, str]]]:
    """Split the series into the fewest parts without duplicates; nearly always one part."""
    left = list(stored)
    while left:
        again: list[tuple[Receipt, str]] = []
        each_once: dict[str, tuple[Receipt, str]] = {}
        for receipt, folder in left:
            if each_once.setdefault(receipt.series.series_instance_uid, (receipt, folder)) != (receipt, folder):
                again.append((receipt, folder))
        yield each_once
        left = again


def _restored(stored: tuple[Receipt, str]) -> Mapping[str, Value]:
    receipt, folder = stored
    held: Mapping[str, Value] = {
        "series_instance_uid": receipt.series.series_instance_uid,
        "claim_id": _RESTORE,
    }
    return {**held, **completed_values(receipt, folder)}


def reopen(connection: Connection, series_instance_uids: Sequence[str], message: str) -> int:
    """See `Corrections.reopen`."""
    with connection.transaction(durable=True):
        return sum(connection.change("reopen", series_instance_uid=name, message=message) for name in series_instance_uids)


def relocate(connection: Connection, folders: Sequence[tuple[str, str]]) -> None:
    """See `Corrections.relocate`."""
    moved = [{"series_instance_uid": series_instance_uid, "folder": folder} for series_instance_uid, folder in folders]
    with connection.transaction(durable=True):
        connection.change_each("relocate", moved)


def forget_folder(connection: Connection, series_instance_uid: str) -> None:
    """See `Corrections.forget_folder`."""
    with connection.transaction():
        connection.change("forget_folder", series_instance_uid=series_instance_uid)


def note_proofs(connection: Connection, proofs: Sequence[tuple[str, Proof]]) -> None:
    """See `Corrections.note_proofs`."""
    noted = [{"series_instance_uid": series_instance_uid, **strength_values(proof)} for series_instance_uid, proof in proofs]
    with connection.transaction():
        connection.change_each("note_proof", noted)


def retry(connection: Connection, wanted: Mapping[str, str | None]) -> int:
    """See `Corrections.retry`."""
    with connection.transaction():
        return connection.change("retry", **wanted)


def forget_manifest(connection: Connection, manifest: str) -> None:
    """See `Corrections.forget_manifest`."""
    with connection.transaction():
        for statement in ("forget_wishes", "forget_former_wishes_of", "forget_tally", "forget_manifest"):
            connection.change(statement, manifest=manifest)


def bind_library(connection: Connection, identity: str) -> None:
    """See `Corrections.bind_library`."""
    with connection.transaction(durable=True):
        connection.change("bind_library", id=identity)
