"""The sessions of the store's clients, and the release of abandoned claims."""

from collections.abc import Collection
from datetime import datetime

from downloader.store.records import LONGEST_DELAY, Session
from downloader.store.sqlite.connection import Connection
from downloader.store.sqlite.rows import to_text


def open_session(connection: Connection, session: Session, at: datetime, alive_until_at: datetime, *, is_alone: bool) -> None:
    """See `Sessions.open_session`."""
    with connection.transaction():
        _beat(connection, session, at, alive_until_at)
        if is_alone:
            connection.change("forget_other_sessions", session_id=session.session_id)


def beat(connection: Connection, session: Session, at: datetime, alive_until_at: datetime) -> None:
    """See `Sessions.beat`."""
    with connection.transaction():
        _beat(connection, session, at, alive_until_at)


def close_session(connection: Connection, session: Session) -> None:
    """See `Sessions.close_session`."""
    with connection.transaction():
        connection.change("close_claims", session_id=session.session_id)
        connection.change("forget_session", session_id=session.session_id)


def recover_claims(connection: Connection, session: Session, at: datetime) -> int:
    """See `Sessions.recover_claims`."""
    with connection.transaction():
        connection.change("forget_dead_sessions", at=to_text(at), latest_at=to_text(at + LONGEST_DELAY))
        return connection.change("recover_claims", session_id=session.session_id)


def live_claims(connection: Connection) -> Collection[str]:
    """See `Sessions.live_claims`."""
    return {str(claim_id) for (claim_id,) in connection.each("live_claims")}


def _beat(connection: Connection, session: Session, at: datetime, alive_until_at: datetime) -> None:
    connection.change(
        "beat",
        session_id=session.session_id,
        host=session.host,
        pid=session.pid,
        tool_version=session.tool_version,
        at=to_text(at),
        alive_until_at=to_text(alive_until_at),
    )
