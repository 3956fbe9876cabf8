-- What a service needs that comes back for months: pauses of failed series, the age of withdrawals, how cycles ended.

-- how many times in a row the series ended failed, and until when it then rests; NULL is not at all
ALTER TABLE series ADD COLUMN failed_rounds INTEGER NOT NULL DEFAULT 0;
ALTER TABLE series ADD COLUMN rests_until_at TEXT;
-- when the archive was first seen not to list it any more
ALTER TABLE series ADD COLUMN withdrawn_at TEXT;

-- nobody knows since when, so that the grace of those begins now
UPDATE series SET withdrawn_at = strftime('%Y-%m-%dT%H:%M:%f000+00:00', 'now') WHERE state = 'withdrawn';

-- The last cycle (or run) of each manifest, and when one last ended with everything complete.
ALTER TABLE manifest ADD COLUMN cycle_began_at TEXT;
ALTER TABLE manifest ADD COLUMN cycle_ended_at TEXT;
ALTER TABLE manifest ADD COLUMN outcome TEXT;
ALTER TABLE manifest ADD COLUMN exit_code INTEGER;
ALTER TABLE manifest ADD COLUMN error TEXT;
ALTER TABLE manifest ADD COLUMN succeeded_at TEXT;
