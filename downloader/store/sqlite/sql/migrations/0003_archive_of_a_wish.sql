-- A manifest may want series of several archives: each wish says where its series is to be asked for.
-- manifest.archive is no longer looked at; older SQLite cannot drop a column.

ALTER TABLE wanted ADD COLUMN archive TEXT NOT NULL DEFAULT '';

UPDATE wanted SET archive = (SELECT archive FROM manifest WHERE manifest.manifest_key = wanted.manifest_key);
