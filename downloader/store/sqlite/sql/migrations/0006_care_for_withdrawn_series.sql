-- What becomes of a withdrawn series is for every manifest to say that ever wanted it, and the most careful one decides.

-- `keep`, `quarantine` or `delete`, and for how long a series stays after it was withdrawn.
-- NULL until the manifest runs again: then it counts as `keep`.
ALTER TABLE manifest ADD COLUMN withdrawn_policy TEXT;
ALTER TABLE manifest ADD COLUMN withdrawn_grace_seconds REAL;

-- Manifests that wanted a series once: those that lost it while another manifest still wanted it, and those that were changed.
CREATE TABLE former_wish (
    series_key INTEGER NOT NULL REFERENCES series ON DELETE CASCADE,
    manifest_key INTEGER NOT NULL REFERENCES manifest ON DELETE CASCADE,
    PRIMARY KEY (series_key, manifest_key)
) WITHOUT ROWID;

CREATE INDEX former_wish_by_manifest ON former_wish (manifest_key);

CREATE TRIGGER former_wish_is_remembered AFTER DELETE ON wanted
BEGIN
    INSERT INTO former_wish (series_key, manifest_key) VALUES (OLD.series_key, OLD.manifest_key) ON CONFLICT DO NOTHING;
END;
