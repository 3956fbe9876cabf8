-- Every statement of the store, by name. The line below each name says why it is as it is.
-- The schema, and what triggers do by themselves to `queue` and `tally`, is in migrations/.
-- A `+` before a column keeps the planner off that column's index, where it would start from the wrong end.

-- create_incoming --
-- One batch of catalogue rows on its way in: compared and merged as a set, not row by row.
CREATE TEMP TABLE incoming (
    position INTEGER PRIMARY KEY,
    series_key INTEGER,
    is_changed INTEGER NOT NULL DEFAULT 0,
    series_instance_uid TEXT NOT NULL UNIQUE,
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

-- clear_incoming --
-- The batch of the last transaction goes, also when that was rolled back.
DELETE FROM incoming;

-- stage_incoming --
-- In the order in which they came: add_incoming goes by it. By position: names would take longer to bind than all else here.
INSERT INTO incoming (
    series_instance_uid, study_instance_uid, collection, patient_id, modality, body_part_examined, manufacturer,
    manufacturer_model_name, software_versions, series_number, series_description, protocol_name, study_description, study_id,
    annotations_flag, third_party_analysis, license_name, license_uri, data_description_uri, released_status, image_count,
    file_size_bytes, series_date, study_date, date_released, submitted_at
) VALUES (
    nullif(?, ''), nullif(?, ''), nullif(?, ''), nullif(?, ''), nullif(?, ''), nullif(?, ''), nullif(?, ''), nullif(?, ''),
    nullif(?, ''), nullif(?, ''), nullif(?, ''), nullif(?, ''), nullif(?, ''), nullif(?, ''), nullif(?, ''), nullif(?, ''),
    nullif(?, ''), nullif(?, ''), nullif(?, ''), nullif(?, ''), ?, ?, ?, ?, ?, ?
);

-- match_incoming --
-- Looks each long text key up once; everything after goes by the short one.
UPDATE incoming
SET series_key = (SELECT series.series_key FROM series WHERE series.series_instance_uid = incoming.series_instance_uid)
WHERE series_key IS NULL;

-- keep_time_of_day --
-- v4 tells only the day of a submission, as midnight: the time that v1 told of the same day stays.
UPDATE incoming
SET submitted_at = series.submitted_at
FROM series
WHERE series.series_key = incoming.series_key
    AND series.submitted_at <> incoming.submitted_at
    AND substr(incoming.submitted_at, 11) = 'T00:00:00.000000+00:00'
    AND substr(series.submitted_at, 1, 10) = substr(incoming.submitted_at, 1, 10);

-- mark_changed --
-- What SeriesVersion.differs_from says, for a whole batch: `<>` is not true of what is unknown, and a day that was known without
-- a time is compared as a day. The other way round, keep_time_of_day has made both equal.
UPDATE incoming
SET is_changed = 1
FROM series
WHERE series.series_key = incoming.series_key
    AND (series.image_count <> incoming.image_count
        OR series.file_size_bytes <> incoming.file_size_bytes
        OR series.date_released <> incoming.date_released
        OR series.submitted_at <> incoming.submitted_at
            AND (substr(series.submitted_at, 11) <> 'T00:00:00.000000+00:00'
                OR substr(series.submitted_at, 1, 10) <> substr(incoming.submitted_at, 1, 10)));

-- mark_contradicted --
-- 2: the same resolve has named the series with other figures. 3: it is proven against another archive, from which another
-- manifest wants it.
UPDATE incoming
SET is_changed = CASE
        WHEN EXISTS (
            SELECT 1 FROM wanted CROSS JOIN manifest USING (manifest_key)
            WHERE wanted.series_key = incoming.series_key AND manifest.name = :manifest AND wanted.resolve = :resolve
        ) THEN 2
        WHEN EXISTS (
            SELECT 1
            FROM series CROSS JOIN wanted USING (series_key) CROSS JOIN manifest USING (manifest_key)
            WHERE series.series_key = incoming.series_key
                AND series.state = 'complete'
                AND series.archive <> :archive
                AND manifest.name <> :manifest
                AND wanted.archive = series.archive
        ) THEN 3
        ELSE 1
    END
WHERE is_changed;

-- contradicted_incoming --
-- To be told, before they are gone.
SELECT series_instance_uid FROM incoming WHERE is_changed > 1;

-- drop_contradicted --
-- The first row that the resolve met stands.
DELETE FROM incoming WHERE is_changed = 2;

-- leave_figures --
-- The series is wanted here too, and compared with what the other archive lists.
UPDATE incoming
SET image_count = NULL, file_size_bytes = NULL, date_released = NULL, submitted_at = NULL, is_changed = 0
WHERE is_changed = 3;

-- changed_incoming --
-- Which those are that reopen_changed is about to reopen: read first, since older SQLite cannot return what it updates.
SELECT series.series_instance_uid
FROM incoming CROSS JOIN series USING (series_key)
WHERE +series.state = 'complete'
    AND incoming.is_changed
ORDER BY incoming.position;

-- returned_incoming --
-- What was withdrawn and is listed again.
SELECT series.series_instance_uid
FROM incoming CROSS JOIN series USING (series_key)
WHERE +series.state = 'withdrawn'
ORDER BY incoming.position;

-- new_incoming --
-- Before add_incoming and its match, those that matched nothing.
SELECT series_instance_uid FROM incoming WHERE series_key IS NULL ORDER BY position;

-- reopen_changed --
-- A complete series of which the catalogue now tells something else than was proven.
UPDATE series
SET state = 'pending',
    attempts = 0,
    unended_attempts = 0,
    needed_bytes = 0,
    rounds_without_room = 0,
    claimable_at = NULL
FROM incoming
WHERE series.series_key = incoming.series_key
    AND +series.state = 'complete'
    AND incoming.is_changed;

-- forget_former_wishes --
-- A withdrawn series that comes back belongs to those who want it now; a trigger remembers the others.
DELETE FROM wanted
WHERE manifest_key <> (SELECT manifest_key FROM manifest WHERE name = :manifest)
    AND series_key IN (
        SELECT incoming.series_key FROM incoming CROSS JOIN series USING (series_key) WHERE +series.state = 'withdrawn'
    );

-- reopen_failed_and_withdrawn --
-- The catalogue lists it and a manifest wants it: a resolve gives it a new chance. One that failed may have to rest until then,
-- unless the resolve overrules that (NULL), or the catalogue tells something else of it now.
UPDATE series
SET state = 'pending',
    attempts = 0,
    unended_attempts = 0,
    needed_bytes = 0,
    rounds_without_room = 0,
    claimable_at = NULL,
    error = NULL,
    message = NULL,
    rests_until_at = NULL,
    withdrawn_at = NULL,
    failed_rounds = CASE WHEN series.state = 'withdrawn' THEN 0 ELSE series.failed_rounds END
FROM incoming
WHERE series.series_key = incoming.series_key
    AND (+series.state = 'withdrawn'
        OR +series.state = 'failed'
            AND (:rested_at IS NULL
                OR series.rests_until_at IS NULL
                OR series.rests_until_at <= :rested_at
                OR incoming.is_changed));

-- merge_incoming --
-- What the catalogue leaves out does not undo what it told before; rows that are the same are not written again.
UPDATE series
SET study_instance_uid = COALESCE(incoming.study_instance_uid, series.study_instance_uid),
    collection = COALESCE(incoming.collection, series.collection),
    patient_id = COALESCE(incoming.patient_id, series.patient_id),
    modality = COALESCE(incoming.modality, series.modality),
    body_part_examined = COALESCE(incoming.body_part_examined, series.body_part_examined),
    manufacturer = COALESCE(incoming.manufacturer, series.manufacturer),
    manufacturer_model_name = COALESCE(incoming.manufacturer_model_name, series.manufacturer_model_name),
    software_versions = COALESCE(incoming.software_versions, series.software_versions),
    series_number = COALESCE(incoming.series_number, series.series_number),
    series_description = COALESCE(incoming.series_description, series.series_description),
    protocol_name = COALESCE(incoming.protocol_name, series.protocol_name),
    series_date = COALESCE(incoming.series_date, series.series_date),
    study_date = COALESCE(incoming.study_date, series.study_date),
    study_description = COALESCE(incoming.study_description, series.study_description),
    study_id = COALESCE(incoming.study_id, series.study_id),
    annotations_flag = COALESCE(incoming.annotations_flag, series.annotations_flag),
    third_party_analysis = COALESCE(incoming.third_party_analysis, series.third_party_analysis),
    license_name = COALESCE(incoming.license_name, series.license_name),
    license_uri = COALESCE(incoming.license_uri, series.license_uri),
    data_description_uri = COALESCE(incoming.data_description_uri, series.data_description_uri),
    image_count = COALESCE(incoming.image_count, series.image_count),
    file_size_bytes = COALESCE(incoming.file_size_bytes, series.file_size_bytes),
    date_released = COALESCE(incoming.date_released, series.date_released),
    submitted_at = COALESCE(incoming.submitted_at, series.submitted_at),
    released_status = COALESCE(incoming.released_status, series.released_status)
FROM incoming
WHERE series.series_key = incoming.series_key
    AND (incoming.study_instance_uid <> IFNULL(series.study_instance_uid, '')
        OR incoming.collection <> IFNULL(series.collection, '')
        OR incoming.patient_id <> IFNULL(series.patient_id, '')
        OR incoming.modality <> IFNULL(series.modality, '')
        OR incoming.body_part_examined <> IFNULL(series.body_part_examined, '')
        OR incoming.manufacturer <> IFNULL(series.manufacturer, '')
        OR incoming.manufacturer_model_name <> IFNULL(series.manufacturer_model_name, '')
        OR incoming.software_versions <> IFNULL(series.software_versions, '')
        OR incoming.series_number <> IFNULL(series.series_number, '')
        OR incoming.series_description <> IFNULL(series.series_description, '')
        OR incoming.protocol_name <> IFNULL(series.protocol_name, '')
        OR incoming.series_date <> IFNULL(series.series_date, '')
        OR incoming.study_date <> IFNULL(series.study_date, '')
        OR incoming.study_description <> IFNULL(series.study_description, '')
        OR incoming.study_id <> IFNULL(series.study_id, '')
        OR incoming.annotations_flag <> IFNULL(series.annotations_flag, '')
        OR incoming.third_party_analysis <> IFNULL(series.third_party_analysis, '')
        OR incoming.license_name <> IFNULL(series.license_name, '')
        OR incoming.license_uri <> IFNULL(series.license_uri, '')
        OR incoming.data_description_uri <> IFNULL(series.data_description_uri, '')
        OR incoming.image_count <> IFNULL(series.image_count, -1)
        OR incoming.file_size_bytes <> IFNULL(series.file_size_bytes, -1)
        OR incoming.date_released <> IFNULL(series.date_released, '')
        OR incoming.submitted_at <> IFNULL(series.submitted_at, '')
        OR incoming.released_status <> IFNULL(series.released_status, ''));

-- known_series --
-- Which of these series the store has.
SELECT series.series_instance_uid
FROM json_each(:series_instance_uids) AS named CROSS JOIN series ON series.series_instance_uid = named.value;

-- restore_new --
-- By position, as in stage_incoming. No manifest wants a series that the store does not have, so no other table changes.
INSERT INTO series (
    series_instance_uid, study_instance_uid, collection, patient_id, modality, body_part_examined, manufacturer,
    manufacturer_model_name, software_versions, series_number, series_description, protocol_name, study_description, study_id,
    annotations_flag, third_party_analysis, license_name, license_uri, data_description_uri, released_status, image_count,
    file_size_bytes, series_date, study_date, date_released, submitted_at, archive, folder, stored_images, stored_bytes,
    completed_at, sop_class_uid, digests, md5_list, state, attempts
) VALUES (
    nullif(?, ''), nullif(?, ''), nullif(?, ''), nullif(?, ''), nullif(?, ''), nullif(?, ''), nullif(?, ''), nullif(?, ''),
    nullif(?, ''), nullif(?, ''), nullif(?, ''), nullif(?, ''), nullif(?, ''), nullif(?, ''), nullif(?, ''), nullif(?, ''),
    nullif(?, ''), nullif(?, ''), nullif(?, ''), nullif(?, ''), ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, 'complete', 1
);

-- add_incoming --
-- By position, since series_key is the archive's order.
INSERT INTO series (
    series_instance_uid, archive, study_instance_uid, collection, patient_id, modality, body_part_examined, manufacturer,
    manufacturer_model_name, software_versions, series_number, series_description, protocol_name, series_date, study_date,
    study_description, study_id, annotations_flag, third_party_analysis, license_name, license_uri, data_description_uri,
    image_count, file_size_bytes, date_released, submitted_at, released_status
)
SELECT
    series_instance_uid, :archive, study_instance_uid, collection, patient_id, modality, body_part_examined, manufacturer,
    manufacturer_model_name, software_versions, series_number, series_description, protocol_name, series_date, study_date,
    study_description, study_id, annotations_flag, third_party_analysis, license_name, license_uri, data_description_uri,
    image_count, file_size_bytes, date_released, submitted_at, released_status
FROM incoming
WHERE series_key IS NULL
ORDER BY position;

-- want_incoming --
-- The mark of this resolve is what tells later which series it did not name.
INSERT INTO wanted (manifest_key, series_key, resolve, archive)
SELECT manifest.manifest_key, incoming.series_key, :resolve, :archive
FROM incoming CROSS JOIN manifest
WHERE manifest.name = :manifest
ORDER BY incoming.series_key
ON CONFLICT DO UPDATE SET resolve = excluded.resolve, archive = excluded.archive;

-- keep_named --
-- A row that cannot be read names a series all the same.
UPDATE wanted
SET resolve = :resolve
WHERE manifest_key = (SELECT manifest_key FROM manifest WHERE name = :manifest)
    AND series_key = (SELECT series_key FROM series WHERE series_instance_uid = :series_instance_uid);

-- add_manifest --
-- A manifest is known from its first resolve on.
INSERT INTO manifest (name) VALUES (:manifest) ON CONFLICT DO NOTHING;

-- begin_resolve --
-- Numbers rise by one, so that `resolve <` means named by an earlier one only.
UPDATE manifest SET resolve = resolve + 1, resolve_began_at = :at WHERE name = :manifest;

-- resolve_number --
-- The number that begin_resolve gave.
SELECT resolve FROM manifest WHERE name = :manifest;

-- note_withdrawal_rule --
-- The newest word of the manifest counts, also for series that it wanted long ago.
UPDATE manifest
SET withdrawn_policy = :policy, withdrawn_grace_seconds = :grace_seconds
WHERE name = :manifest;

-- remember_wish --
-- A manifest that names a series which the archive no longer lists has a say in what becomes of it.
INSERT INTO former_wish (series_key, manifest_key)
SELECT series.series_key, manifest.manifest_key
FROM series CROSS JOIN manifest
WHERE series.series_instance_uid = :series_instance_uid AND manifest.name = :manifest
ON CONFLICT DO NOTHING;

-- page_of_withdrawn --
-- `care` and `grace_seconds` are those of all manifests that want the series or once did; unknown policies count as `keep`.
WITH claimant (series_key, manifest_key) AS (
    SELECT series_key, manifest_key FROM wanted UNION ALL SELECT series_key, manifest_key FROM former_wish
)
SELECT series.*,
    (
        SELECT max(CASE manifest.withdrawn_policy WHEN 'delete' THEN 0 WHEN 'quarantine' THEN 1 ELSE 2 END)
        FROM claimant CROSS JOIN manifest USING (manifest_key)
        WHERE claimant.series_key = series.series_key
    ) AS care,
    (
        SELECT max(IFNULL(manifest.withdrawn_grace_seconds, 0.0))
        FROM claimant CROSS JOIN manifest USING (manifest_key)
        WHERE claimant.series_key = series.series_key
    ) AS grace_seconds
FROM series INDEXED BY series_by_state
WHERE series.state = 'withdrawn'
    AND series.folder IS NOT NULL
    AND series.series_key > :after
    AND EXISTS (
        SELECT 1 FROM claimant CROSS JOIN manifest USING (manifest_key)
        WHERE claimant.series_key = series.series_key AND manifest.name = :manifest
    )
ORDER BY series.series_key
LIMIT :page_size;

-- has_begun --
-- 0 when the resolve never began.
SELECT count(*) FROM manifest WHERE name = :manifest AND resolve >= :resolve;

-- leave_to_other_archive --
-- The same resolve has met these on another archive: they are asked for there, and compared with what that one lists.
DELETE FROM incoming
WHERE EXISTS (
    SELECT 1 FROM wanted
    WHERE wanted.series_key = incoming.series_key
        AND wanted.manifest_key = (SELECT manifest_key FROM manifest WHERE name = :manifest)
        AND wanted.resolve = :resolve
        AND wanted.archive <> :archive
);

-- manifests --
-- Sorted, for people.
SELECT name FROM manifest ORDER BY name;

-- count_vanished --
-- One pass over a narrow table; the series themselves are looked at only where the mark is old.
SELECT count(*)
FROM wanted CROSS JOIN series USING (series_key)
WHERE wanted.manifest_key = (SELECT manifest_key FROM manifest WHERE name = :manifest)
    AND wanted.resolve < :resolve
    AND +series.state <> 'withdrawn';

-- page_of_vanished --
-- Whole rows, so that the manifest as it is now can be asked about them; in pages, since it may no longer want a million.
SELECT series.*, wanted.archive AS wanted_of
FROM wanted CROSS JOIN series USING (series_key)
WHERE wanted.manifest_key = (SELECT manifest_key FROM manifest WHERE name = :manifest)
    AND wanted.resolve < :resolve
    AND wanted.series_key > :after
    AND +series.state <> 'withdrawn'
ORDER BY wanted.series_key
LIMIT :page_size;

-- standing --
-- What a plan compares with the catalogue.
SELECT state, image_count, file_size_bytes, date_released, submitted_at
FROM series
WHERE series_instance_uid = :series_instance_uid;

-- drop_wish --
-- The manifest changed its mind about this series. One that the resolve has named meanwhile, or that is withdrawn, stays.
DELETE FROM wanted
WHERE manifest_key = (SELECT manifest_key FROM manifest WHERE name = :manifest)
    AND resolve < :resolve
    AND series_key = (
        SELECT series_key FROM series WHERE series_instance_uid = :series_instance_uid AND +state <> 'withdrawn'
    );

-- forget_series --
-- No manifest wants it and nothing of it is in the library.
DELETE FROM series
WHERE series_instance_uid = :series_instance_uid
    AND folder IS NULL
    AND NOT EXISTS (SELECT 1 FROM wanted WHERE wanted.series_key = series.series_key);

-- wanted_by_others --
-- How many other manifests want the series.
SELECT count(*)
FROM series CROSS JOIN wanted USING (series_key)
WHERE series.series_instance_uid = :series_instance_uid
    AND wanted.manifest_key <> (SELECT manifest_key FROM manifest WHERE name = :manifest);

-- leave_to_others --
-- What another manifest wants stays, and is this manifest's no longer; a trigger remembers that it was.
DELETE FROM wanted
WHERE manifest_key = (SELECT manifest_key FROM manifest WHERE name = :manifest)
    AND series_key = (SELECT series_key FROM series WHERE series_instance_uid = :series_instance_uid);

-- vanished --
-- What may be withdrawn.
SELECT series.series_instance_uid
FROM wanted CROSS JOIN series USING (series_key)
WHERE wanted.manifest_key = (SELECT manifest_key FROM manifest WHERE name = :manifest)
    AND wanted.resolve < :resolve
    AND +series.state <> 'withdrawn'
ORDER BY series.series_instance_uid;

-- withdraw --
-- One by one, by what `vanished` read in the same transaction.
UPDATE series
SET state = 'withdrawn', owner = NULL, claim_id = NULL, claimable_at = NULL, rests_until_at = NULL, withdrawn_at = :at
WHERE series_instance_uid = :series_instance_uid;

-- forget_folder --
-- Its images are gone from the library; that there was such a series stays on record.
UPDATE series
SET folder = NULL, stored_images = 0, stored_bytes = 0, completed_at = NULL
WHERE series_instance_uid = :series_instance_uid AND state = 'withdrawn';

-- make_claimable --
-- Delays and leases that have run out; each row passes here once, so that claims need not step over those still waiting.
UPDATE queue
SET claimable_at = NULL
WHERE manifest_key = (SELECT manifest_key FROM manifest WHERE name = :manifest) AND claimable_at <= :at;

-- make_misdated_claimable --
-- From the other end of the same index; an OR above would have it read all of the queue.
UPDATE queue
SET claimable_at = NULL
WHERE manifest_key = (SELECT manifest_key FROM manifest WHERE name = :manifest) AND claimable_at > :latest_at;

-- archives_due --
-- One step along the index for each archive, however many series of it are due.
WITH RECURSIVE due (archive) AS (
    SELECT min(archive)
    FROM queue INDEXED BY queue_in_archive_order
    WHERE manifest_key = (SELECT manifest_key FROM manifest WHERE name = :manifest) AND claimable_at IS NULL
    UNION ALL
    SELECT (
        SELECT min(queue.archive)
        FROM queue INDEXED BY queue_in_archive_order
        WHERE queue.manifest_key = (SELECT manifest_key FROM manifest WHERE name = :manifest)
            AND queue.claimable_at IS NULL
            AND queue.archive > due.archive
    )
    FROM due
    WHERE due.archive IS NOT NULL
)
SELECT archive FROM due WHERE archive IS NOT NULL;

-- next_in_archive_order --
-- The front of an index, however long the queue, where the primary key would have to step over all other archives.
-- `rank` sorts the fronts of several archives into one.
SELECT series_key, series_key AS rank
FROM queue INDEXED BY queue_in_archive_order
WHERE manifest_key = (SELECT manifest_key FROM manifest WHERE name = :manifest) AND archive = :archive AND claimable_at IS NULL
ORDER BY series_key
LIMIT :limit;

-- next_smallest_first --
-- Unknown sizes last: NULL sorts first in SQLite.
SELECT series_key, IFNULL(file_size_bytes, 9223372036854775807) AS rank
FROM queue
WHERE manifest_key = (SELECT manifest_key FROM manifest WHERE name = :manifest) AND archive = :archive AND claimable_at IS NULL
ORDER BY file_size_bytes NULLS LAST
LIMIT :limit;

-- next_largest_first --
-- Unknown sizes last, as NULL does when sorted downwards.
SELECT series_key, -IFNULL(file_size_bytes, -1) AS rank
FROM queue
WHERE manifest_key = (SELECT manifest_key FROM manifest WHERE name = :manifest) AND archive = :archive AND claimable_at IS NULL
ORDER BY file_size_bytes DESC
LIMIT :limit;

-- claim --
-- The attempt counts from here on, so that a series which kills the process runs out of attempts.
UPDATE series
SET state = 'claimed',
    attempts = attempts + 1,
    unended_attempts = unended_attempts + 1,
    owner = :session_id,
    claim_id = lower(hex(randomblob(8))),
    claimable_at = :lease_until_at,
    archive = (
        SELECT wanted.archive FROM wanted CROSS JOIN manifest USING (manifest_key)
        WHERE wanted.series_key = series.series_key AND manifest.name = :manifest
    )
WHERE series_key = :series_key;

-- series --
-- One whole row.
SELECT * FROM series WHERE series_key = :series_key;

-- first_claimable_now --
-- Also series whose lease ran out are in the queue: those are not pending.
SELECT 1
FROM queue INDEXED BY queue_in_archive_order CROSS JOIN series USING (series_key)
WHERE queue.manifest_key = (SELECT manifest_key FROM manifest WHERE name = :manifest)
    AND queue.archive = :archive
    AND queue.claimable_at IS NULL
    AND +series.state = 'pending'
LIMIT 1;

-- first_claimable_later --
-- Steps over the claimed ones, which are as few as there are workers, and over those that archives left out gave back.
SELECT queue.claimable_at
FROM queue CROSS JOIN series USING (series_key)
WHERE queue.manifest_key = (SELECT manifest_key FROM manifest WHERE name = :manifest)
    AND queue.claimable_at IS NOT NULL
    AND (:archives IS NULL OR queue.archive IN (SELECT value FROM json_each(:archives)))
    AND +series.state = 'pending'
ORDER BY queue.claimable_at
LIMIT 1;

-- extend --
-- The claim's own name tells it from every other of the series.
UPDATE series
SET claimable_at = :lease_until_at
WHERE series_instance_uid = :series_instance_uid AND state = 'claimed' AND claim_id = :claim_id;

-- complete --
-- The four figures that tell a change later are those that the images were proven against.
UPDATE series
SET state = 'complete',
    owner = NULL,
    claim_id = NULL,
    claimable_at = NULL,
    error = NULL,
    message = NULL,
    failed_rounds = 0,
    unended_attempts = 0,
    needed_bytes = 0,
    rounds_without_room = 0,
    rests_until_at = NULL,
    withdrawn_at = NULL,
    archive = :archive,
    folder = :folder,
    stored_images = :stored_images,
    stored_bytes = :stored_bytes,
    completed_at = :completed_at,
    sop_class_uid = :sop_class_uid,
    digests = :digests,
    md5_list = :md5_list,
    image_count = COALESCE(:image_count, image_count),
    file_size_bytes = COALESCE(:file_size_bytes, file_size_bytes),
    date_released = COALESCE(:date_released, date_released),
    submitted_at = COALESCE(:submitted_at, submitted_at)
WHERE series_instance_uid = :series_instance_uid AND state = 'claimed' AND claim_id = :claim_id;

-- note_proof --
-- What a receipt says of a series that was stored before this was noted, or that was proven again where it lies.
UPDATE series
SET digests = :digests, md5_list = :md5_list
WHERE series_instance_uid = :series_instance_uid AND state = 'complete';

-- proof_groups --
-- Only what is weaker than the rest, or not known: a manifest's, or the whole library's.
SELECT archive, digests, IFNULL(md5_list, 0) AS md5_list, count(*) AS series_count
FROM series INDEXED BY series_of_weak_proof
WHERE state = 'complete'
    AND digests IS NOT 'all'
    AND (:manifest IS NULL OR EXISTS (
        SELECT 1 FROM wanted CROSS JOIN manifest USING (manifest_key)
        WHERE wanted.series_key = series.series_key AND manifest.name = :manifest
    ))
GROUP BY archive, digests, IFNULL(md5_list, 0)
ORDER BY archive, digests;

-- page_of_unknown_proof --
-- Through an index that is empty but in a store that an older tciad made.
SELECT *
FROM series INDEXED BY series_of_unknown_proof
WHERE state = 'complete' AND digests IS NULL AND series_key > :after
ORDER BY series_key
LIMIT :page_size;

-- page_of_weak_proof --
-- The same series, one by one, without those whose proof is not known. `lists` is 0 to leave out those that came with a list,
-- which has blanks then.
SELECT *
FROM series INDEXED BY series_of_weak_proof
WHERE state = 'complete'
    AND digests IS NOT 'all'
    AND digests IS NOT NULL
    AND series_key > :after
    AND (:lists OR md5_list IS NOT 1)
    AND (:manifest IS NULL OR EXISTS (
        SELECT 1 FROM wanted CROSS JOIN manifest USING (manifest_key)
        WHERE wanted.series_key = series.series_key AND manifest.name = :manifest
    ))
ORDER BY series_key
LIMIT :page_size;

-- series_with_list --
-- One is enough: the archive is held to it. Mostly the first complete series is one; an index of its own would cost a page of
-- the write-ahead log at each completion.
SELECT 1 FROM series WHERE state = 'complete' AND archive = :archive AND md5_list = 1 LIMIT 1;

-- set_back --
-- An attempt that did not get its chance is taken back. Where a download ended for want of room, :needed_bytes tells how much.
UPDATE series
SET state = 'pending',
    owner = NULL,
    claim_id = NULL,
    claimable_at = :due_at,
    attempts = attempts - :taken_back,
    unended_attempts = unended_attempts - 1,
    needed_bytes = COALESCE(:needed_bytes, needed_bytes),
    rounds_without_room = rounds_without_room + (:needed_bytes IS NOT NULL),
    error = :error,
    message = :message
WHERE series_instance_uid = :series_instance_uid AND state = 'claimed' AND claim_id = :claim_id;

-- fail --
-- Until a resolve or `retry` gives it a new chance.
UPDATE series
SET state = 'failed',
    owner = NULL,
    claim_id = NULL,
    claimable_at = NULL,
    error = :error,
    message = :message,
    unended_attempts = 0,
    failed_rounds = failed_rounds + 1,
    rests_until_at = :rests_until_at
WHERE series_instance_uid = :series_instance_uid AND state = 'claimed' AND claim_id = :claim_id;

-- recover_claims --
-- Claims of sessions that are over or dead, and of the one that asks, at once claimable; their attempts stay counted.
UPDATE series
SET state = 'pending', owner = NULL, claim_id = NULL, claimable_at = NULL
WHERE state = 'claimed' AND (owner = :session_id OR owner NOT IN (SELECT session_id FROM session));

-- live_claims --
-- As few as there are workers.
SELECT claim_id FROM series WHERE state = 'claimed' AND claim_id IS NOT NULL;

-- close_claims --
-- The same, of one session.
UPDATE series
SET state = 'pending', owner = NULL, claim_id = NULL, claimable_at = NULL
WHERE state = 'claimed' AND owner = :session_id;

-- beat --
-- A session whose row is gone was taken for dead, and is not.
INSERT INTO session (session_id, host, pid, tool_version, opened_at, alive_until_at)
VALUES (:session_id, :host, :pid, :tool_version, :at, :alive_until_at)
ON CONFLICT (session_id) DO UPDATE SET alive_until_at = excluded.alive_until_at;

-- forget_session --
-- It has ended in order.
DELETE FROM session WHERE session_id = :session_id;

-- forget_other_sessions --
-- They are over: the one that stays holds the lock that all of them held.
DELETE FROM session WHERE session_id <> :session_id;

-- forget_dead_sessions --
-- Without a heartbeat for too long, or dated by a clock that was wrong.
DELETE FROM session WHERE alive_until_at <= :at OR alive_until_at > :latest_at;

-- retry --
-- Without a manifest, those of the whole library; without a series, all of them.
UPDATE series
SET state = 'pending',
    attempts = 0,
    unended_attempts = 0,
    needed_bytes = 0,
    rounds_without_room = 0,
    claimable_at = NULL,
    error = NULL,
    message = NULL,
    failed_rounds = 0,
    rests_until_at = NULL
WHERE state = 'failed'
    AND (:series_instance_uid IS NULL OR series_instance_uid = :series_instance_uid)
    AND (:collection IS NULL OR IFNULL(collection, '') = :collection COLLATE NOCASE)
    AND (:error IS NULL OR error = :error)
    AND (:manifest IS NULL OR EXISTS (
        SELECT 1 FROM wanted CROSS JOIN manifest USING (manifest_key)
        WHERE wanted.series_key = series.series_key AND manifest.name = :manifest
    ));

-- reopen --
-- A complete series that was found damaged; what was stored stays on record until it is complete again.
UPDATE series
SET state = 'pending',
    attempts = 0,
    unended_attempts = 0,
    needed_bytes = 0,
    rounds_without_room = 0,
    claimable_at = NULL,
    error = NULL,
    message = :message
WHERE series_instance_uid = :series_instance_uid AND state = 'complete';

-- hold --
-- Taken from any other claim: a proven series in the library is complete, whatever was planned for it.
UPDATE series
SET state = 'claimed', owner = NULL, claim_id = :claim_id, attempts = 1, unended_attempts = 1, claimable_at = NULL
WHERE series_instance_uid IN (SELECT value FROM json_each(:series_instance_uids));

-- relocate --
-- Whatever its state: the images of a series that is to come again lie there, too.
UPDATE series SET folder = :folder WHERE series_instance_uid = :series_instance_uid AND folder IS NOT NULL;

-- forget_wishes --
-- Series that no manifest wants stay: they may be in the library.
DELETE FROM wanted WHERE manifest_key = (SELECT manifest_key FROM manifest WHERE name = :manifest);

-- forget_former_wishes_of --
-- After forget_wishes, whose trigger writes here.
DELETE FROM former_wish WHERE manifest_key = (SELECT manifest_key FROM manifest WHERE name = :manifest);

-- forget_tally --
-- Before the manifest, by whose name it is found.
DELETE FROM tally WHERE manifest_key = (SELECT manifest_key FROM manifest WHERE name = :manifest);

-- forget_manifest --
-- After all that refers to it.
DELETE FROM manifest WHERE name = :manifest;

-- archives --
-- A pass over the whole table: for those who mend, not for each run.
SELECT DISTINCT archive FROM series ORDER BY archive;

-- named_series --
-- Whole rows, by the names that everybody knows them by.
SELECT * FROM series WHERE series_instance_uid IN (SELECT value FROM json_each(:series_instance_uids));

-- stored_places --
-- Narrow rows of some series, by the names that everybody knows them by.
SELECT series_instance_uid, series_key, state, folder, stored_bytes
FROM series
WHERE series_instance_uid IN (SELECT value FROM json_each(:series_instance_uids));

-- tally --
-- Five rows, kept up to date by triggers: the same cost for ten series and for a million.
SELECT state, series_count, expected_images, expected_bytes, stored_images, stored_bytes
FROM tally
WHERE manifest_key = CASE WHEN :manifest IS NULL THEN 0 ELSE (SELECT manifest_key FROM manifest WHERE name = :manifest) END;

-- holdings --
-- Every series, but only what is counted of it, in the order of HoldingRow; one statement sees one moment, whatever a run
-- writes meanwhile. Grouped outside of SQLite, which would hold all rows in memory to sort them.
SELECT
    IFNULL(collection, ''), IFNULL(modality, ''), state, IFNULL(patient_id, ''), IFNULL(study_instance_uid, ''),
    stored_images, stored_bytes, IFNULL(image_count, 0), IFNULL(file_size_bytes, 0), IFNULL(completed_at, ''),
    IFNULL(error, ''), IFNULL(license_name, ''), IFNULL(license_uri, ''), IFNULL(data_description_uri, '')
FROM series;

-- failures --
-- Sorted, so that two reports can be compared.
SELECT series_instance_uid, error, message, attempts
FROM series
WHERE state = 'failed'
    AND (:manifest IS NULL OR EXISTS (
        SELECT 1 FROM wanted CROSS JOIN manifest USING (manifest_key)
        WHERE wanted.series_key = series.series_key AND manifest.name = :manifest
    ))
ORDER BY series_instance_uid;

-- failure_groups --
-- Along the state's index: failures are few among a million series. The least message is the same in every report.
SELECT
    IFNULL(error, '') AS error, IFNULL(collection, '') AS collection, count(*) AS series_count,
    min(message) AS message, min(rests_until_at) AS first_retry_at, max(rests_until_at) AS last_retry_at
FROM series INDEXED BY series_by_state
WHERE state = 'failed'
    AND (:manifest IS NULL OR EXISTS (
        SELECT 1 FROM wanted CROSS JOIN manifest USING (manifest_key)
        WHERE wanted.series_key = series.series_key AND manifest.name = :manifest
    ))
GROUP BY 1, 2
ORDER BY series_count DESC, 1, 2;

-- search_library --
-- A stretch of keys at a time, so that a search for rare values delays no other call.
SELECT *
FROM series
WHERE series_key > :after
    AND series_key <= :until
    AND (:collection IS NULL OR collection = :collection COLLATE NOCASE)
    AND (:error IS NULL OR error = :error)
    AND (:pattern IS NULL
        OR series_instance_uid LIKE :pattern ESCAPE '!'
        OR study_instance_uid LIKE :pattern ESCAPE '!'
        OR patient_id LIKE :pattern ESCAPE '!'
        OR collection LIKE :pattern ESCAPE '!'
        OR modality LIKE :pattern ESCAPE '!'
        OR series_description LIKE :pattern ESCAPE '!'
        OR error LIKE :pattern ESCAPE '!'
        OR message LIKE :pattern ESCAPE '!')
    AND (:manifest IS NULL OR EXISTS (
        SELECT 1 FROM wanted CROSS JOIN manifest USING (manifest_key)
        WHERE wanted.series_key = series.series_key AND manifest.name = :manifest
    ))
ORDER BY series_key
LIMIT :page_size;

-- search_state --
-- The same, along the state's index.
SELECT *
FROM series INDEXED BY series_by_state
WHERE state = :state
    AND series_key > :after
    AND series_key <= :until
    AND (:collection IS NULL OR collection = :collection COLLATE NOCASE)
    AND (:error IS NULL OR error = :error)
    AND (:pattern IS NULL
        OR series_instance_uid LIKE :pattern ESCAPE '!'
        OR study_instance_uid LIKE :pattern ESCAPE '!'
        OR patient_id LIKE :pattern ESCAPE '!'
        OR collection LIKE :pattern ESCAPE '!'
        OR modality LIKE :pattern ESCAPE '!'
        OR series_description LIKE :pattern ESCAPE '!'
        OR error LIKE :pattern ESCAPE '!'
        OR message LIKE :pattern ESCAPE '!')
    AND (:manifest IS NULL OR EXISTS (
        SELECT 1 FROM wanted CROSS JOIN manifest USING (manifest_key)
        WHERE wanted.series_key = series.series_key AND manifest.name = :manifest
    ))
ORDER BY series_key
LIMIT :page_size;

-- last_key --
-- Where a search ends.
SELECT IFNULL(max(series_key), 0) FROM series;

-- note_cycle --
-- A manifest that never resolved anything is known from its first cycle on.
UPDATE manifest
SET cycle_began_at = :began_at,
    cycle_ended_at = :ended_at,
    outcome = :outcome,
    exit_code = :exit_code,
    error = :error,
    succeeded_at = CASE WHEN :exit_code = 0 THEN :ended_at ELSE succeeded_at END
WHERE name = :manifest;

-- cycles --
-- One row per manifest that a cycle was noted of.
SELECT name, cycle_began_at, cycle_ended_at, outcome, exit_code, error, succeeded_at
FROM manifest
WHERE cycle_began_at IS NOT NULL
ORDER BY name;

-- page_of_library --
-- Pages go on after the last key of the one before: no cursor stays open between them.
SELECT * FROM series WHERE series_key > :after ORDER BY series_key LIMIT :page_size;

-- page_of_manifest --
-- Starts from the narrow table: what other manifests want is stepped over without being read.
SELECT series.*
FROM wanted CROSS JOIN series USING (series_key)
WHERE wanted.series_key > :after
    AND wanted.manifest_key = (SELECT manifest_key FROM manifest WHERE name = :manifest)
ORDER BY wanted.series_key
LIMIT :page_size;

-- page_in_state --
-- Starts from the state's index, since those who ask for one state mostly ask for a rare one.
SELECT *
FROM series
WHERE state = :state
    AND series_key > :after
    AND (:manifest IS NULL OR EXISTS (
        SELECT 1 FROM wanted CROSS JOIN manifest USING (manifest_key)
        WHERE wanted.series_key = series.series_key AND manifest.name = :manifest
    ))
ORDER BY series_key
LIMIT :page_size;

-- library_id --
-- One row at most: the library that this store tells of.
SELECT id FROM library;

-- bind_library --
-- From now on the store tells of this library, whichever it told of before.
INSERT INTO library (library_key, id) VALUES (1, :id)
ON CONFLICT (library_key) DO UPDATE SET id = excluded.id;

-- complete_places --
-- Narrow rows: a run reads those of all its series before it fetches anything.
SELECT series_key, series_instance_uid, folder
FROM series
WHERE state = 'complete'
    AND series_key > :after
    AND (:manifest IS NULL OR EXISTS (
        SELECT 1 FROM wanted
        WHERE wanted.series_key = series.series_key
            AND wanted.manifest_key = (SELECT manifest_key FROM manifest WHERE name = :manifest)
    ))
ORDER BY series_key
LIMIT :page_size;
