-- How the attempts at a series ended, so that what is given up, and why, is told from what happened.

-- of `attempts`, those whose end was never recorded: the process died in them, or the one that is claimed now is under way
ALTER TABLE series ADD COLUMN unended_attempts INTEGER NOT NULL DEFAULT 0;
-- how much room an attempt found the series to need, 0 is not known; and how many downloads in a row ended for want of room
ALTER TABLE series ADD COLUMN needed_bytes INTEGER NOT NULL DEFAULT 0;
ALTER TABLE series ADD COLUMN rounds_without_room INTEGER NOT NULL DEFAULT 0;

-- an error was kept of each attempt that ended with one
UPDATE series
SET unended_attempts = CASE WHEN error IS NULL THEN attempts WHEN state = 'claimed' THEN 1 ELSE 0 END
WHERE state IN ('pending', 'claimed') AND attempts > 0;
