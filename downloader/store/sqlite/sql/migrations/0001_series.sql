-- Manifests, series, who wants which, and two tables that follow from them by triggers: the queue and the tally.
-- Times are ISO 8601 text in UTC with microseconds, so that they sort as text and can be read by people. Absent is NULL.

PRAGMA application_id = 0x74636961;

CREATE TABLE manifest (
    manifest_key INTEGER PRIMARY KEY CHECK (manifest_key > 0),
    name TEXT NOT NULL UNIQUE,
    archive TEXT NOT NULL DEFAULT '',
    resolve INTEGER NOT NULL DEFAULT 0,
    resolve_began_at TEXT
);

-- series_key rises in the order in which the archive listed the series: it is the archive's order.
CREATE TABLE series (
    series_key INTEGER PRIMARY KEY,
    series_instance_uid TEXT NOT NULL UNIQUE,
    archive TEXT NOT NULL,
    state TEXT NOT NULL DEFAULT 'pending' CHECK (state IN ('pending', 'claimed', 'complete', 'failed', 'withdrawn')),
    attempts INTEGER NOT NULL DEFAULT 0,
    owner TEXT,
    -- when it may be claimed: NULL is at once; for a claimed series it is when the lease ends
    claimable_at TEXT,
    error TEXT,
    message TEXT,
    folder TEXT,
    stored_images INTEGER NOT NULL DEFAULT 0,
    stored_bytes INTEGER NOT NULL DEFAULT 0,
    completed_at TEXT,
    -- from here on: what the catalogue says
    study_instance_uid TEXT,
    collection TEXT,
    patient_id TEXT,
    modality TEXT,
    body_part_examined TEXT,
    manufacturer TEXT,
    manufacturer_model_name TEXT,
    software_versions TEXT,
    series_number TEXT,
    series_description TEXT,
    protocol_name TEXT,
    series_date TEXT,
    study_date TEXT,
    study_description TEXT,
    study_id TEXT,
    annotations_flag TEXT,
    third_party_analysis TEXT,
    license_name TEXT,
    license_uri TEXT,
    data_description_uri TEXT,
    image_count INTEGER,
    file_size_bytes INTEGER,
    date_released TEXT,
    submitted_at TEXT,
    released_status TEXT
);

CREATE INDEX series_by_state ON series (state);

-- A series that a manifest no longer names leaves this table while another manifest wants it; else it stays, withdrawn.
CREATE TABLE wanted (
    series_key INTEGER NOT NULL REFERENCES series,
    manifest_key INTEGER NOT NULL REFERENCES manifest,
    resolve INTEGER NOT NULL,
    PRIMARY KEY (series_key, manifest_key)
) WITHOUT ROWID;

-- Pending and claimed series of each manifest, so that a claim costs the same however many series are complete, or
-- wanted by others. claimable_at becomes NULL here once it is past.
CREATE TABLE queue (
    manifest_key INTEGER NOT NULL,
    series_key INTEGER NOT NULL,
    claimable_at TEXT,
    file_size_bytes INTEGER,
    PRIMARY KEY (manifest_key, series_key)
) WITHOUT ROWID;

CREATE INDEX queue_in_archive_order ON queue (manifest_key, series_key) WHERE claimable_at IS NULL;
CREATE INDEX queue_by_size ON queue (manifest_key, file_size_bytes, series_key) WHERE claimable_at IS NULL;
CREATE INDEX queue_by_time ON queue (manifest_key, claimable_at) WHERE claimable_at IS NOT NULL;

-- Sums per manifest and state; manifest_key 0 is the whole library.
CREATE TABLE tally (
    manifest_key INTEGER NOT NULL,
    state TEXT NOT NULL,
    series_count INTEGER NOT NULL DEFAULT 0,
    expected_images INTEGER NOT NULL DEFAULT 0,
    expected_bytes INTEGER NOT NULL DEFAULT 0,
    stored_images INTEGER NOT NULL DEFAULT 0,
    stored_bytes INTEGER NOT NULL DEFAULT 0,
    PRIMARY KEY (manifest_key, state)
) WITHOUT ROWID;

INSERT INTO tally (manifest_key, state)
VALUES (0, 'pending'), (0, 'claimed'), (0, 'complete'), (0, 'failed'), (0, 'withdrawn');

CREATE TRIGGER manifest_begins_its_tally AFTER INSERT ON manifest
BEGIN
    INSERT INTO tally (manifest_key, state)
    SELECT NEW.manifest_key, state FROM tally WHERE manifest_key = 0;
END;

CREATE TRIGGER new_series_is_counted AFTER INSERT ON series
BEGIN
    UPDATE tally
    SET series_count = series_count + 1,
        expected_images = expected_images + IFNULL(NEW.image_count, 0),
        expected_bytes = expected_bytes + IFNULL(NEW.file_size_bytes, 0),
        stored_images = stored_images + NEW.stored_images,
        stored_bytes = stored_bytes + NEW.stored_bytes
    WHERE manifest_key = 0 AND state = NEW.state;
END;

CREATE TRIGGER forgotten_series_is_not_counted AFTER DELETE ON series
BEGIN
    UPDATE tally
    SET series_count = series_count - 1,
        expected_images = expected_images - IFNULL(OLD.image_count, 0),
        expected_bytes = expected_bytes - IFNULL(OLD.file_size_bytes, 0),
        stored_images = stored_images - OLD.stored_images,
        stored_bytes = stored_bytes - OLD.stored_bytes
    WHERE manifest_key = 0 AND state = OLD.state;
END;

CREATE TRIGGER changed_series_is_counted
AFTER UPDATE OF state, image_count, file_size_bytes, stored_images, stored_bytes ON series
WHEN (OLD.state, OLD.image_count, OLD.file_size_bytes, OLD.stored_images, OLD.stored_bytes)
    IS NOT (NEW.state, NEW.image_count, NEW.file_size_bytes, NEW.stored_images, NEW.stored_bytes)
BEGIN
    UPDATE tally
    SET series_count = series_count - 1,
        expected_images = expected_images - IFNULL(OLD.image_count, 0),
        expected_bytes = expected_bytes - IFNULL(OLD.file_size_bytes, 0),
        stored_images = stored_images - OLD.stored_images,
        stored_bytes = stored_bytes - OLD.stored_bytes
    WHERE state = OLD.state
        AND manifest_key IN (SELECT 0 UNION ALL SELECT manifest_key FROM wanted WHERE series_key = OLD.series_key);
    UPDATE tally
    SET series_count = series_count + 1,
        expected_images = expected_images + IFNULL(NEW.image_count, 0),
        expected_bytes = expected_bytes + IFNULL(NEW.file_size_bytes, 0),
        stored_images = stored_images + NEW.stored_images,
        stored_bytes = stored_bytes + NEW.stored_bytes
    WHERE state = NEW.state
        AND manifest_key IN (SELECT 0 UNION ALL SELECT manifest_key FROM wanted WHERE series_key = NEW.series_key);
END;

CREATE TRIGGER changed_series_is_queued
AFTER UPDATE OF state, claimable_at, file_size_bytes ON series
WHEN (OLD.state, OLD.claimable_at, OLD.file_size_bytes) IS NOT (NEW.state, NEW.claimable_at, NEW.file_size_bytes)
BEGIN
    DELETE FROM queue
    WHERE series_key = NEW.series_key
        AND manifest_key IN (SELECT manifest_key FROM wanted WHERE series_key = NEW.series_key);
    INSERT INTO queue (manifest_key, series_key, claimable_at, file_size_bytes)
    SELECT manifest_key, series_key, NEW.claimable_at, NEW.file_size_bytes
    FROM wanted
    WHERE series_key = NEW.series_key AND NEW.state IN ('pending', 'claimed');
END;

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
    INSERT INTO queue (manifest_key, series_key, claimable_at, file_size_bytes)
    SELECT NEW.manifest_key, series_key, claimable_at, file_size_bytes
    FROM series
    WHERE series_key = NEW.series_key AND +state IN ('pending', 'claimed');
END;

CREATE TRIGGER unwanted_series_is_forgotten AFTER DELETE ON wanted
BEGIN
    DELETE FROM queue WHERE manifest_key = OLD.manifest_key AND series_key = OLD.series_key;
    UPDATE tally
    SET series_count = series_count - 1,
        expected_images = expected_images - IFNULL(series.image_count, 0),
        expected_bytes = expected_bytes - IFNULL(series.file_size_bytes, 0),
        stored_images = tally.stored_images - series.stored_images,
        stored_bytes = tally.stored_bytes - series.stored_bytes
    FROM series
    WHERE series.series_key = OLD.series_key AND tally.manifest_key = OLD.manifest_key AND tally.state = series.state;
END;
