-- The tests' own statements, on the table of sample_*.sql.

-- name: add
INSERT INTO samples (name, state, digest, small, flag, moment, made_at)
VALUES ($1, 'free', $2, $3, $4, $5, $6)
RETURNING name;

-- name: find
SELECT name, state, digest, small, flag, moment, made_at FROM samples WHERE name = $1;

-- name: count
SELECT count(*) AS count FROM samples;

-- name: take
UPDATE samples SET state = 'taken' WHERE name = $1 AND state = 'free' RETURNING name;

-- name: set_state
UPDATE samples SET state = $2 WHERE name = $1 RETURNING name;

-- name: set_account
UPDATE samples SET account = $2 WHERE name = $1 RETURNING name;

-- name: set_small
UPDATE samples SET small = $2 WHERE name = $1 RETURNING small;

-- name: clear_name
UPDATE samples SET name = CAST(NULL AS TEXT) WHERE name = $1 RETURNING state;

-- name: before
SELECT name FROM samples WHERE moment < $1 ORDER BY moment;

-- name: swapped
-- SQLite would number $2 first if it were left as it is.
SELECT CAST($2 AS TEXT) AS second, CAST($1 AS TEXT) AS first, '$3' AS quoted;

-- name: add_account
INSERT INTO auth_user (password, last_login, is_superuser, username, first_name, last_name, email,
    is_staff, is_active, date_joined)
VALUES ('!', NULL, FALSE, $1, '', '', '', FALSE, TRUE, $2)
RETURNING id, is_active, last_login, date_joined;

-- name: add_token
INSERT INTO authtoken_token (key, created, user_id) VALUES ($1, $2, $3) RETURNING user_id;

-- name: token
SELECT key, created, user_id FROM authtoken_token WHERE key = $1;

-- name: slow (postgres)
SELECT 1 AS slept FROM pg_sleep(30);

-- name: slow (sqlite)
WITH RECURSIVE counted (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM counted WHERE n < 3000000)
SELECT count(*) AS slept FROM counted;

-- name: change_audit
UPDATE audit_events SET event = 'sign_in' WHERE id > 0;
