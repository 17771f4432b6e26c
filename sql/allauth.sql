-- allauth's own table of mail addresses. `avain user adopt-addresses` alone reads it: it need not be there.

-- name: exists (postgres)
SELECT 1 AS found WHERE to_regclass('public.account_emailaddress') IS NOT NULL;

-- name: exists (sqlite)
SELECT 1 AS found FROM sqlite_master WHERE type = 'table' AND name = 'account_emailaddress';

-- name: page
SELECT CAST(id AS BIGINT) AS id, CAST(user_id AS BIGINT) AS account_id, email, verified
FROM account_emailaddress WHERE id > $1 ORDER BY id LIMIT $2;
