-- What this database is, noted once: `accounts.owner` is `django` where auth_user was there before us,
-- else `avain`.

-- name: find
SELECT value FROM facts WHERE name = $1;
