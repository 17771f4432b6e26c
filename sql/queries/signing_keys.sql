-- Signing keys, sealed under the master key.

-- name: all
SELECT id, purpose, algorithm, state, sealed, imported_at, created_at, signs_at, signed_since, retires_at
FROM signing_keys WHERE state <> 'retired' ORDER BY created_at, id;

-- name: list
SELECT id, purpose, algorithm, state, sealed, imported_at, created_at, signs_at, signed_since, retires_at
FROM signing_keys ORDER BY created_at, id;

-- name: create
INSERT INTO signing_keys (id, purpose, algorithm, state, sealed, imported_at, created_at, signs_at, signed_since)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)
ON CONFLICT DO NOTHING
RETURNING id;

-- name: stop_signing
-- Tokens from elsewhere may live longer than ours: an imported key verifies until somebody retires it.
UPDATE signing_keys SET state = 'verifying', retires_at = CASE WHEN imported_at IS NULL THEN CAST($2 AS BIGINT) END
WHERE id = $1 AND state = 'signing'
RETURNING id;

-- name: start_signing
UPDATE signing_keys SET state = 'signing', signs_at = NULL, signed_since = $3, retires_at = NULL
WHERE id = $1 AND purpose = $2 AND state = 'verifying'
    AND NOT EXISTS (SELECT 1 FROM signing_keys other WHERE other.purpose = $2 AND other.state = 'signing')
RETURNING id;

-- name: retire
UPDATE signing_keys SET state = 'retired', retired_at = $2 WHERE id = $1 AND state = 'verifying' RETURNING id;

-- name: retire_due
UPDATE signing_keys SET state = 'retired', retired_at = $1 WHERE state = 'verifying' AND retires_at <= $1 RETURNING id;
