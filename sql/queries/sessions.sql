-- Browser sessions: ours, by the digest of their secret, and Django's own in django_session.

-- name: begin
INSERT INTO sessions (digest, account_id, password_digest, begun_at_ms, used_at, ends_at, address, program, actor_session)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9);

-- name: find
SELECT s.digest, s.password_digest, s.begun_at_ms, s.used_at, s.ends_at, s.address, s.program, s.actor_session,
    r.revoked_before_ms, u.id, u.password, u.last_login, u.is_superuser, u.username, u.first_name, u.last_name,
    u.email, u.is_staff, u.is_active, u.date_joined
FROM sessions s
JOIN auth_user u ON u.id = s.account_id
LEFT JOIN account_revocations r ON r.account_id = s.account_id
WHERE s.digest = $1;

-- name: of_account
SELECT s.digest, s.password_digest, s.begun_at_ms, s.used_at, s.ends_at, s.address, s.program, s.actor_session,
    r.revoked_before_ms, u.id, u.password, u.last_login, u.is_superuser, u.username, u.first_name, u.last_name,
    u.email, u.is_staff, u.is_active, u.date_joined
FROM sessions s
JOIN auth_user u ON u.id = s.account_id
LEFT JOIN account_revocations r ON r.account_id = s.account_id
WHERE s.account_id = $1 AND s.ends_at > $2
ORDER BY s.used_at DESC, s.begun_at_ms DESC LIMIT $3;

-- name: touch
-- Once a minute at most: $5 is a minute ago.
UPDATE sessions SET used_at = $2, address = $3, program = $4 WHERE digest = $1 AND used_at < $5 RETURNING digest;

-- name: lock
-- What ends a session and what begins in it both begin with an update of its row, and so happen one after the other.
UPDATE sessions SET used_at = used_at WHERE digest = $1 RETURNING digest;

-- name: bind_family
INSERT INTO session_families (family_id, session_digest) VALUES ($1, $2);

-- name: end_families
-- Those of the session, and of those in which somebody acts as another from it.
UPDATE refresh_families SET state = 'ended', ended_at = $2, end_reason = $3
WHERE state = 'active' AND id IN (
    SELECT f.family_id FROM session_families f JOIN sessions s ON s.digest = f.session_digest
    WHERE s.digest = $1 OR s.actor_session = $1
)
RETURNING account_id;

-- name: end_other_families
-- All active ones of the account but those of the session, of ours or of Django's.
UPDATE refresh_families SET state = 'ended', ended_at = $3, end_reason = $4
WHERE account_id = $1 AND state = 'active' AND NOT EXISTS (
    SELECT 1 FROM session_families f WHERE f.family_id = refresh_families.id AND f.session_digest = $2
) AND (django_session IS NULL OR django_session <> $2)
RETURNING id;

-- name: end
DELETE FROM sessions WHERE digest = $1 AND account_id = $2 RETURNING digest;

-- name: end_of_account
DELETE FROM sessions WHERE account_id = $1;

-- name: acting
-- Those in which somebody acts as this account, or this account as somebody.
SELECT s.digest, s.account_id FROM sessions s JOIN sessions a ON a.digest = s.actor_session
WHERE s.account_id = $1 OR a.account_id = $1
ORDER BY s.digest;

-- name: others
SELECT digest FROM sessions WHERE account_id = $1 AND digest <> $2;

-- name: without_family
-- Those of the account in which this refresh family did not begin.
SELECT digest FROM sessions s WHERE account_id = $1 AND NOT EXISTS (
    SELECT 1 FROM session_families f WHERE f.family_id = $2 AND f.session_digest = s.digest
);

-- name: renew
UPDATE sessions SET digest = $2 WHERE digest = $1 RETURNING ends_at;

-- name: follow_rehash
UPDATE sessions SET password_digest = $3 WHERE account_id = $1 AND password_digest = $2;

-- name: sweep
DELETE FROM sessions
WHERE digest IN (SELECT digest FROM sessions WHERE ends_at < $1 ORDER BY ends_at LIMIT $2)
RETURNING digest;

-- name: find_djangos
SELECT session_data, expire_date FROM django_session WHERE session_key = $1 AND expire_date > $2;

-- name: end_djangos
DELETE FROM django_session WHERE session_key = $1 RETURNING session_key;
