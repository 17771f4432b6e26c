-- Where a family was begun, and when a token of it was used the last time: what its owner is shown.

ALTER TABLE refresh_families ADD COLUMN address TEXT;
ALTER TABLE refresh_families ADD COLUMN user_agent TEXT;
ALTER TABLE refresh_families ADD COLUMN used_at INTEGER;
