-- API keys of our own. A key that was revoked has ended too: expires_at says when, whatever ended it.

-- name: standing_of_owner
SELECT u.id, u.username, u.is_active, u.is_staff, u.is_superuser, r.revoked_before_ms, f.id AS family,
    k.id AS key_id, k.scope, k.networks, k.rate, k.created_at, k.expires_at
FROM personal_keys k
JOIN auth_user u ON u.id = k.account_id
LEFT JOIN account_revocations r ON r.account_id = u.id
LEFT JOIN refresh_families f ON f.account_id = u.id AND f.state = 'ended' AND f.ended_at > $2
WHERE k.digest = $1 AND (k.expires_at IS NULL OR k.expires_at > $3)
ORDER BY f.id;

-- name: find
SELECT k.id, k.account_id, u.username, k.name, k.beginning, k.scope, k.networks, k.rate,
    k.created_at, k.expires_at, k.last_used_at, k.replaced_by, k.revoked_at
FROM personal_keys k JOIN auth_user u ON u.id = k.account_id
WHERE k.id = $1;

-- name: find_by_digest
SELECT k.id, k.account_id, u.username, k.name, k.beginning, k.scope, k.networks, k.rate,
    k.created_at, k.expires_at, k.last_used_at, k.replaced_by, k.revoked_at
FROM personal_keys k JOIN auth_user u ON u.id = k.account_id
WHERE k.digest = $1;

-- name: of_account
SELECT k.id, k.account_id, u.username, k.name, k.beginning, k.scope, k.networks, k.rate,
    k.created_at, k.expires_at, k.last_used_at, k.replaced_by, k.revoked_at
FROM personal_keys k JOIN auth_user u ON u.id = k.account_id
WHERE k.account_id = $1
ORDER BY CASE WHEN k.expires_at IS NULL OR k.expires_at > $2 THEN 0 ELSE 1 END, k.id DESC LIMIT $3;

-- name: page_after
-- All keys of the first $2 accounts that have any and whose ids are larger than $1.
SELECT k.id, k.account_id, u.username, k.name, k.beginning, k.scope, k.networks, k.rate,
    k.created_at, k.expires_at, k.last_used_at, k.replaced_by, k.revoked_at
FROM personal_keys k JOIN auth_user u ON u.id = k.account_id
WHERE k.account_id IN (
    SELECT DISTINCT account_id FROM personal_keys WHERE account_id > $1 ORDER BY account_id LIMIT $2
)
ORDER BY k.account_id, k.id;

-- name: count_live
SELECT count(*) AS live FROM personal_keys
WHERE account_id = $1 AND (expires_at IS NULL OR expires_at > $2);

-- name: count_longer_lived
SELECT count(*) AS keys FROM personal_keys
WHERE (expires_at IS NULL OR expires_at > $1) AND (expires_at IS NULL OR expires_at - created_at > $2);

-- name: create
INSERT INTO personal_keys (digest, account_id, name, beginning, scope, networks, rate, created_at, expires_at)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)
RETURNING id;

-- name: edit
UPDATE personal_keys SET name = $4, scope = $5, networks = $6, rate = $7
WHERE id = $1 AND account_id = $2 AND (expires_at IS NULL OR expires_at > $3)
RETURNING id;

-- name: replace
-- The old key of a rotation lives until $4 at most, and is replaced once.
UPDATE personal_keys
SET replaced_by = $5, expires_at = CASE WHEN expires_at < $4 THEN expires_at ELSE $4 END
WHERE id = $1 AND account_id = $2 AND replaced_by IS NULL AND (expires_at IS NULL OR expires_at > $3)
RETURNING id;

-- name: revoke
UPDATE personal_keys SET revoked_at = $3, expires_at = $3
WHERE id = $1 AND account_id = $2 AND (expires_at IS NULL OR expires_at > $3)
RETURNING id;

-- name: revoke_of_account
UPDATE personal_keys SET revoked_at = $2, expires_at = $2
WHERE account_id = $1 AND (expires_at IS NULL OR expires_at > $2)
RETURNING id;

-- name: note_uses (postgres)
-- $1 is a JSON object: moments by key. At most one write for each key and minute, whichever instance writes.
UPDATE personal_keys SET last_used_at = CAST(used.value AS bigint)
FROM json_each_text(CAST(CAST($1 AS text) AS json)) used
WHERE personal_keys.id = CAST(used.key AS bigint)
    AND (last_used_at IS NULL OR last_used_at + 60 <= CAST(used.value AS bigint))
RETURNING personal_keys.id;

-- name: note_uses (sqlite)
UPDATE personal_keys SET last_used_at = used.value
FROM json_each($1) used
WHERE personal_keys.id = CAST(used.key AS INTEGER)
    AND (last_used_at IS NULL OR last_used_at + 60 <= used.value)
RETURNING id;

-- name: sweep
DELETE FROM personal_keys
WHERE id IN (SELECT id FROM personal_keys WHERE expires_at < $1 ORDER BY expires_at LIMIT $2)
RETURNING id;
