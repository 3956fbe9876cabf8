-- A claim may have to leave out archives that want a rest: the queue knows the archive of each series, and its indexes begin
-- with it, so that such a claim steps over a whole archive and not over its series.

DROP TABLE queue;

CREATE TABLE queue (
    manifest_key INTEGER NOT NULL,
    series_key INTEGER NOT NULL,
    archive TEXT NOT NULL,
    claimable_at TEXT,
    file_size_bytes INTEGER,
    PRIMARY KEY (manifest_key, series_key)
) WITHOUT ROWID;

INSERT INTO queue (manifest_key, series_key, archive, claimable_at, file_size_bytes)
SELECT wanted.manifest_key, wanted.series_key, wanted.archive, series.claimable_at, series.file_size_bytes
FROM wanted CROSS JOIN series USING (series_key)
WHERE +series.state IN ('pending', 'claimed')
ORDER BY wanted.manifest_key, wanted.series_key;

CREATE INDEX queue_in_archive_order ON queue (manifest_key, archive, series_key) WHERE claimable_at IS NULL;
CREATE INDEX queue_by_size ON queue (manifest_key, archive, file_size_bytes, series_key) WHERE claimable_at IS NULL;
CREATE INDEX queue_by_time ON queue (manifest_key, claimable_at) WHERE claimable_at IS NOT NULL;

DROP TRIGGER changed_series_is_queued;

CREATE TRIGGER changed_series_is_queued
AFTER UPDATE OF state, claimable_at, file_size_bytes ON series
WHEN (OLD.state, OLD.claimable_at, OLD.file_size_bytes) IS NOT (NEW.state, NEW.claimable_at, NEW.file_size_bytes)
BEGIN
    DELETE FROM queue
    WHERE series_key = NEW.series_key
        AND manifest_key IN (SELECT manifest_key FROM wanted WHERE series_key = NEW.series_key);
    INSERT INTO queue (manifest_key, series_key, archive, claimable_at, file_size_bytes)
    SELECT manifest_key, series_key, archive, NEW.claimable_at, NEW.file_size_bytes
    FROM wanted
    WHERE series_key = NEW.series_key AND NEW.state IN ('pending', 'claimed');
END;

DROP TRIGGER wanted_series_is_counted_and_queued;

CREATE TRIGGER wanted_series_is_counted_and_queued AFTER INSERT ON wanted
BEGIN
    UPDATE tally
    SET series_count = series_count + 1,
        expected_images = expected_images + IFNULL(series.image_count, 0),
        expected_bytes = expected_bytes + IFNULL(series.file_size_bytes, 0),
        stored_images = tally.stored_images + series.stored_images,
        stored_bytes = tally.stored_bytes + series.stored_bytes
    FROM series
    WHERE series.series_key = NEW.series_key AND tally.manifest_key = NEW.manifest_key AND tally.state = series.state;
    INSERT INTO queue (manifest_key, series_key, archive, claimable_at, file_size_bytes)
    SELECT NEW.manifest_key, series_key, NEW.archive, claimable_at, file_size_bytes
    FROM series
    WHERE series_key = NEW.series_key AND +state IN ('pending', 'claimed');
END;

CREATE TRIGGER wish_of_another_archive_is_queued_there
AFTER UPDATE OF archive ON wanted
WHEN OLD.archive <> NEW.archive
BEGIN
    UPDATE queue SET archive = NEW.archive WHERE manifest_key = NEW.manifest_key AND series_key = NEW.series_key;
END;
