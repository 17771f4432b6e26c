-- One-time links: what mails carry. Digests of tokens, bound to purpose, account, address and password.

-- name: create
INSERT INTO one_time_links (digest, purpose, account_id, address, state_digest, issued_at, expires_at)
VALUES ($1, $2, $3, $4, $5, $6, $7);

-- name: create_none
-- As many statements as creating one costs, where there is no account to create one for.
SELECT 1 AS created WHERE CAST($1 AS TEXT) = '';

-- name: use
UPDATE one_time_links SET used_at = $4
WHERE digest = $1 AND purpose = $2 AND account_id = $3 AND used_at IS NULL AND expires_at > $4
RETURNING address;

-- name: find
SELECT account_id, address, state_digest, used_at FROM one_time_links
WHERE digest = $1 AND purpose = $2 AND expires_at > $3;

-- name: use_foreign
INSERT INTO one_time_links (digest, purpose, account_id, address, state_digest, issued_at, expires_at, used_at)
VALUES ($1, $2, $3, $4, $5, $6, $7, $6)
ON CONFLICT (digest) DO NOTHING
RETURNING digest;

-- name: sent_since
SELECT 1 AS sent FROM one_time_links WHERE account_id = $1 AND purpose = $2 AND issued_at >= $3 LIMIT 1;

-- name: end_of_account
UPDATE one_time_links SET used_at = $3 WHERE account_id = $1 AND purpose = $2 AND used_at IS NULL;

-- name: sweep
DELETE FROM one_time_links
WHERE digest IN (SELECT digest FROM one_time_links WHERE expires_at <= $1 ORDER BY expires_at LIMIT $2)
RETURNING purpose;
