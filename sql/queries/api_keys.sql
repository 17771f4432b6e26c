-- API keys: Django's own table authtoken_token, one classic key for each account.

-- name: standing_of_owner
SELECT u.id, u.username, u.is_active, u.is_staff, u.is_superuser, r.revoked_before_ms, f.id AS family
FROM authtoken_token t
JOIN auth_user u ON u.id = t.user_id
LEFT JOIN account_revocations r ON r.account_id = u.id
LEFT JOIN refresh_families f ON f.account_id = u.id AND f.state = 'ended' AND f.ended_at > $2
WHERE t.key = $1
ORDER BY f.id;

-- name: find_of_account
SELECT key FROM authtoken_token WHERE user_id = $1;

-- name: create
INSERT INTO authtoken_token (key, created, user_id) VALUES ($1, $2, $3)
ON CONFLICT (user_id) DO NOTHING
RETURNING key;

-- name: page_after
SELECT t.key, t.created, u.id, u.username FROM authtoken_token t JOIN auth_user u ON u.id = t.user_id
WHERE u.id > $1 ORDER BY u.id LIMIT $2;

-- name: count_of_staff
SELECT count(*) AS staff FROM authtoken_token t JOIN auth_user u ON u.id = t.user_id
WHERE u.is_active AND (u.is_staff OR u.is_superuser);

-- name: delete
DELETE FROM authtoken_token WHERE key = $1 RETURNING user_id;

-- name: delete_of_account
DELETE FROM authtoken_token WHERE user_id = $1 RETURNING key;
