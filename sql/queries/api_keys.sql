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

-- name: page_before
SELECT t.key, t.created, u.id, u.username FROM authtoken_token t JOIN auth_user u ON u.id = t.user_id
WHERE u.id < $1 ORDER BY u.id DESC LIMIT $2;

-- name: page_of_names
-- Keys of accounts whose folded names stand from $1 up to $2, after ($3, $4). As in account_pages.sql.
SELECT t.key, t.created, u.id, u.username FROM auth_user u JOIN authtoken_token t ON t.user_id = u.id
WHERE lower(u.username) COLLATE "binary" < lower($2)
    AND lower(u.username) COLLATE "binary"
        >= CASE WHEN lower($3) COLLATE "binary" > lower($1) THEN lower($3) ELSE lower($1) END
    AND NOT (lower(u.username) COLLATE "binary" = lower($3) AND u.id <= $4)
ORDER BY lower(u.username) COLLATE "binary", u.id LIMIT $5;

-- name: page_of_names_backwards
SELECT t.key, t.created, u.id, u.username FROM auth_user u JOIN authtoken_token t ON t.user_id = u.id
WHERE lower(u.username) COLLATE "binary" >= lower($1)
    AND lower(u.username) COLLATE "binary"
        <= CASE WHEN lower($3) COLLATE "binary" < lower($2) THEN lower($3) ELSE lower($2) END
    AND NOT (lower(u.username) COLLATE "binary" = lower($3) AND u.id >= $4)
ORDER BY lower(u.username) COLLATE "binary" DESC, u.id DESC LIMIT $5;

-- name: delete
DELETE FROM authtoken_token WHERE key = $1 RETURNING user_id;

-- name: delete_of_account
DELETE FROM authtoken_token WHERE user_id = $1 RETURNING key;
