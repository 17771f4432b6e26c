-- Signing keys, sealed under the master key.

-- name: all
SELECT id, purpose, algorithm, state, sealed, imported_at, created_at FROM signing_keys
WHERE state <> 'retired' ORDER BY created_at, id;

-- name: list
SELECT id, purpose, algorithm, state, sealed, imported_at, created_at FROM signing_keys ORDER BY created_at, id;

-- name: create
INSERT INTO signing_keys (id, purpose, algorithm, state, sealed, imported_at, created_at)
VALUES ($1, $2, $3, $4, $5, $6, $7)
ON CONFLICT DO NOTHING
RETURNING id;

-- name: stop_signing
UPDATE signing_keys SET state = 'verifying' WHERE purpose = $1 AND state = 'signing' RETURNING id;

-- name: start_signing
UPDATE signing_keys SET state = 'signing' WHERE id = $1 AND purpose = $2 AND state = 'verifying' RETURNING id;

-- name: retire
UPDATE signing_keys SET state = 'retired', retired_at = $2 WHERE id = $1 AND state = 'verifying' RETURNING id;
