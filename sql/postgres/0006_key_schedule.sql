-- Signing keys follow a schedule: published, signing, verifying, retired. A published key has the state
-- `verifying` and has not signed yet, so that the version before, which knows no schedule, reads it well.

ALTER TABLE signing_keys ADD COLUMN signs_at bigint;
ALTER TABLE signing_keys ADD COLUMN signed_since bigint;
ALTER TABLE signing_keys ADD COLUMN retires_at bigint;

-- Which of the old ones ever signed is not known: all count as if they had.
UPDATE signing_keys SET signed_since = created_at;

-- One instance at a time: of several that publish the next key, one succeeds.
CREATE UNIQUE INDEX signing_keys_one_is_next ON signing_keys (purpose) WHERE state = 'verifying' AND signs_at IS NOT NULL;
