-- How strong the proof of a series is. NULL for what was stored before it was noted: its receipt tells.

-- of its images, how many the archive's own MD5 vouches for: all, some or none
ALTER TABLE series ADD COLUMN digests TEXT;
-- whether they came with the archive's MD5 list, which may have blanks
ALTER TABLE series ADD COLUMN md5_list INTEGER;

-- What a run reports and proves again is mostly nothing, so it starts from the few.
CREATE INDEX series_of_weak_proof ON series (series_key) WHERE state = 'complete' AND digests IS NOT 'all';
-- What receipts have still to tell: nothing, but in a store that an older tciad made.
CREATE INDEX series_of_unknown_proof ON series (series_key) WHERE state = 'complete' AND digests IS NULL;
