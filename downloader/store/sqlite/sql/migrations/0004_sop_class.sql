-- What kind of objects the series holds (PS3.4), for metadata.csv. NULL for what was stored before anybody asked.

ALTER TABLE series ADD COLUMN sop_class_uid TEXT;
