-- Accounts: Django's own table auth_user, in Django's own shape, and what we keep beside it.

-- name: find_by_username
SELECT id, password, last_login, is_superuser, username, first_name, last_name, email, is_staff, is_active, date_joined
FROM auth_user WHERE username = $1;

-- name: find_by_id
SELECT id, password, last_login, is_superuser, username, first_name, last_name, email, is_staff, is_active, date_joined
FROM auth_user WHERE id = $1;

-- name: find_by_email
SELECT id, password, last_login, is_superuser, username, first_name, last_name, email, is_staff, is_active, date_joined
FROM auth_user WHERE lower(email) = lower($1) ORDER BY id;

-- name: reserve_email (postgres)
-- Held to the end of the transaction, so that of two accounts one gets the address. SQLite's BEGIN IMMEDIATE does
-- the same. The number is arbitrary.
SELECT pg_advisory_xact_lock(hashtextextended(lower($1), 7165031843));

-- name: reserve_email (sqlite)
SELECT CAST($1 AS TEXT) AS reserved;

-- name: odd_emails
-- Addresses that several accounts have, and accounts with a password that have none.
SELECT
    (SELECT count(*) FROM
        (SELECT lower(email) AS folded FROM auth_user WHERE email <> '' GROUP BY lower(email) HAVING count(*) > 1) AS s) AS shared,
    (SELECT count(*) FROM auth_user WHERE email = '' AND substr(password, 1, 1) <> '!') AS absent;

-- name: find_by_username_in_any_case
SELECT id, password, last_login, is_superuser, username, first_name, last_name, email, is_staff, is_active, date_joined
FROM auth_user WHERE lower(username) = lower($1) ORDER BY id LIMIT 1;

-- name: page_after
SELECT id, password, last_login, is_superuser, username, first_name, last_name, email, is_staff, is_active, date_joined
FROM auth_user WHERE id > $1 ORDER BY id LIMIT $2;

-- name: newest_passwords
SELECT password FROM auth_user ORDER BY id DESC LIMIT $1;

-- name: lock
-- What changes a password and what is done with one that was judged a moment ago both begin with an update of its row,
-- and so happen one after the other: no token slips in behind a change. Nothing changes by it.
UPDATE auth_user SET password = password WHERE id = $1
RETURNING id, password, last_login, is_superuser, username, first_name, last_name, email, is_staff, is_active, date_joined;

-- name: create
INSERT INTO auth_user (password, last_login, is_superuser, username, first_name, last_name, email, is_staff, is_active, date_joined)
VALUES ($1, NULL, $2, $3, $4, $5, $6, $7, $8, $9)
RETURNING id;

-- name: set_password
UPDATE auth_user SET password = $2 WHERE id = $1 RETURNING id;

-- The same password, hashed anew: nothing ends with it. Outside a transaction, so it says itself that it is ours.

-- name: rehash_password (postgres)
UPDATE auth_user SET password = $3
WHERE id = $1 AND password = $2 AND set_config('avain.transaction', 'own', TRUE) = 'own' RETURNING id;

-- name: rehash_password (sqlite)
UPDATE auth_user SET password = $3 WHERE id = $1 AND password = $2 RETURNING id;

-- name: set_username
UPDATE auth_user SET username = $2 WHERE id = $1 RETURNING id;

-- name: touch_last_login
UPDATE auth_user SET last_login = $2 WHERE id = $1;

-- name: set_active
UPDATE auth_user SET is_active = $2 WHERE id = $1 AND is_active <> $2 RETURNING id;

-- name: set_rank
UPDATE auth_user SET is_staff = $2, is_superuser = $3
WHERE id = $1 AND (is_staff <> $2 OR is_superuser <> $3) RETURNING id;

-- name: edit
UPDATE auth_user SET email = $2, first_name = $3, last_name = $4 WHERE id = $1 RETURNING id;

-- name: set_names
UPDATE auth_user SET first_name = $2, last_name = $3 WHERE id = $1 RETURNING id;

-- name: set_email
UPDATE auth_user SET email = $3 WHERE id = $1 AND email = $2 RETURNING id;

-- name: delete
DELETE FROM auth_user WHERE id = $1 RETURNING id;

-- name: standing
-- With the least and the greatest digest of the passwords that its active families began with: if both are that of its
-- password, all are. The index has them at hand, however many families there are.
SELECT u.id, u.username, u.is_active, u.is_staff, u.is_superuser, r.revoked_before_ms, f.id AS family, u.password,
    (SELECT a.password_digest FROM refresh_families a
        WHERE a.account_id = u.id AND a.state = 'active' AND a.password_digest IS NOT NULL
        ORDER BY a.password_digest LIMIT 1) AS least_password,
    (SELECT a.password_digest FROM refresh_families a
        WHERE a.account_id = u.id AND a.state = 'active' AND a.password_digest IS NOT NULL
        ORDER BY a.password_digest DESC LIMIT 1) AS greatest_password
FROM auth_user u
LEFT JOIN account_revocations r ON r.account_id = u.id
LEFT JOIN refresh_families f ON f.account_id = u.id AND f.state = 'ended' AND f.ended_at > $2
WHERE u.id = $1
ORDER BY f.id;

-- name: revoked_before
SELECT revoked_before_ms FROM account_revocations WHERE account_id = $1;

-- name: revoke_before
-- Never earlier than before: what was signed out stays so, whatever the clocks of two instances make of it. Sessions of
-- Django's end up to $3, but for the one of digest $4.
INSERT INTO account_revocations (account_id, revoked_before_ms, django_before_ms, django_kept) VALUES ($1, $2, $3, $4)
ON CONFLICT (account_id) DO UPDATE SET
    revoked_before_ms = CASE WHEN excluded.revoked_before_ms > account_revocations.revoked_before_ms
        THEN excluded.revoked_before_ms ELSE account_revocations.revoked_before_ms END,
    django_before_ms = CASE WHEN account_revocations.django_before_ms > excluded.django_before_ms
        THEN account_revocations.django_before_ms ELSE excluded.django_before_ms END,
    django_kept = excluded.django_kept;

-- name: djangos_ended
SELECT django_before_ms, django_kept FROM account_revocations
WHERE account_id = $1 AND django_before_ms IS NOT NULL;
