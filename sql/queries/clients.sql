-- Registered clients, digests of their secrets, and the tokens that were issued to them.

-- name: create
INSERT INTO clients (id, name, scopes, grants, account_id, created_at) VALUES ($1, $2, $3, $4, $5, $6)
ON CONFLICT (id) DO NOTHING
RETURNING id;

-- name: add_secret
INSERT INTO client_secrets (digest, client_id, created_at) VALUES ($1, $2, $3);

-- name: find
SELECT c.id, c.name, c.scopes, c.grants, c.account_id, c.created_at, c.disabled_at, c.last_used_at,
    s.digest, s.created_at AS secret_created_at, s.ends_at
FROM clients c LEFT JOIN client_secrets s ON s.client_id = c.id AND (s.ends_at IS NULL OR s.ends_at > $2)
WHERE c.id = $1
ORDER BY s.created_at, s.digest;

-- name: list
SELECT c.id, c.name, c.scopes, c.grants, c.account_id, c.created_at, c.disabled_at, c.last_used_at,
    s.digest, s.created_at AS secret_created_at, s.ends_at
FROM clients c LEFT JOIN client_secrets s ON s.client_id = c.id AND (s.ends_at IS NULL OR s.ends_at > $1)
ORDER BY c.id, s.created_at, s.digest;

-- name: lock
-- What changes a client and what issues a token to it both begin with an update of its row, and so happen one after
-- the other: no token slips in behind a change.
UPDATE clients SET name = name WHERE id = $1 RETURNING account_id;

-- name: edit
UPDATE clients SET name = $2, scopes = $3, grants = $4, account_id = $5 WHERE id = $1 RETURNING id;

-- name: use
UPDATE clients SET last_used_at = $2 WHERE id = $1 AND disabled_at IS NULL RETURNING id;

-- name: issue
INSERT INTO client_tokens (id, client_id, secret_digest, account_id, issued_at, expires_at)
SELECT $1, c.id, s.digest, c.account_id, $4, $5
FROM clients c JOIN client_secrets s ON s.client_id = c.id
WHERE c.id = $2 AND s.digest = $3 AND c.disabled_at IS NULL AND (s.ends_at IS NULL OR s.ends_at > $4)
RETURNING id;

-- name: end_secrets
UPDATE client_secrets SET ends_at = $2 WHERE client_id = $1 AND (ends_at IS NULL OR ends_at > $2);

-- name: disable
UPDATE clients SET disabled_at = $2 WHERE id = $1 AND disabled_at IS NULL RETURNING id;

-- name: enable
UPDATE clients SET disabled_at = NULL WHERE id = $1 AND disabled_at IS NOT NULL RETURNING id;

-- name: delete
DELETE FROM clients WHERE id = $1 RETURNING id;

-- name: owner_of_token
SELECT client_id FROM client_tokens WHERE id = $1 AND expires_at > $2;

-- name: bury_tokens
-- A tombstone for each token that acts as an account: an ended family, which every instance asks for.
INSERT INTO refresh_families (id, account_id, layout, state, begun_at, ends_at,
    current_digest, current_token_id, current_issued_at, current_expires_at, ended_at, end_reason)
SELECT id, account_id, 'client', 'ended', issued_at, expires_at, secret_digest, '', issued_at, expires_at, $2, 'client'
FROM client_tokens
WHERE client_id = $1 AND account_id IS NOT NULL AND expires_at > $2
ON CONFLICT (id) DO NOTHING;

-- name: end_tokens
DELETE FROM client_tokens WHERE client_id = $1;

-- name: bury_token
INSERT INTO refresh_families (id, account_id, layout, state, begun_at, ends_at,
    current_digest, current_token_id, current_issued_at, current_expires_at, ended_at, end_reason)
SELECT id, account_id, 'client', 'ended', issued_at, expires_at, secret_digest, '', issued_at, expires_at, $2, 'client'
FROM client_tokens
WHERE id = $1 AND account_id IS NOT NULL AND expires_at > $2
ON CONFLICT (id) DO NOTHING;

-- name: end_token
DELETE FROM client_tokens WHERE id = $1 RETURNING account_id;

-- name: sweep
DELETE FROM client_tokens
WHERE id IN (SELECT id FROM client_tokens WHERE expires_at <= $1 ORDER BY expires_at LIMIT $2)
RETURNING id;

-- name: sweep_secrets
DELETE FROM client_secrets WHERE ends_at <= $1;
