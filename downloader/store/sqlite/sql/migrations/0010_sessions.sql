-- Who works with the store. A claim belongs to a session, and is known by a name of its own.

-- one row for each run or service that has not ended in order; alive_until_at is moved on by its heartbeats
CREATE TABLE session (
    session_id TEXT PRIMARY KEY,
    host TEXT NOT NULL,
    pid INTEGER NOT NULL,
    tool_version TEXT NOT NULL,
    opened_at TEXT NOT NULL,
    alive_until_at TEXT NOT NULL
) WITHOUT ROWID;

-- series.owner is the session_id of a claimed series; owners of before have no session, so that they are dead
ALTER TABLE series ADD COLUMN claim_id TEXT;
