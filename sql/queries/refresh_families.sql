-- Refresh families: one row for each sign-in. Digests of token ids, never tokens.

-- name: begin
INSERT INTO refresh_families (id, account_id, layout, state, begun_at, ends_at,
    current_digest, current_token_id, current_issued_at, current_expires_at, address, user_agent, used_at,
    password_digest, django_session)
VALUES ($1, $2, $3, 'active', $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14)
ON CONFLICT (id) DO NOTHING;

-- name: find
SELECT f.id, f.account_id, u.is_active, f.state, f.ends_at, f.current_digest, f.current_token_id,
    f.current_issued_at, f.current_expires_at, f.previous_digest, f.rotated_at, f.end_reason,
    f.used_at, f.password_digest, u.password
FROM refresh_families f JOIN auth_user u ON u.id = f.account_id
WHERE f.id = $1;

-- name: rotate
UPDATE refresh_families
SET previous_digest = current_digest, rotated_at = $3, used_at = $3, current_digest = $4, current_token_id = $5,
    current_issued_at = $6, current_expires_at = $7
WHERE id = $1 AND current_digest = $2 AND state = 'active'
    AND EXISTS (SELECT 1 FROM auth_user u WHERE u.id = account_id AND u.is_active)
RETURNING id, account_id, TRUE AS is_active, state, ends_at, current_digest, current_token_id,
    current_issued_at, current_expires_at, previous_digest, rotated_at, end_reason,
    used_at, password_digest, (SELECT u.password FROM auth_user u WHERE u.id = account_id) AS password;

-- name: in_session
-- The newest of this layout that began in this session, if no token of it was replaced.
SELECT f.id, f.account_id, u.is_active, f.state, f.ends_at, f.current_digest, f.current_token_id,
    f.current_issued_at, f.current_expires_at, f.previous_digest, f.rotated_at, f.end_reason,
    f.used_at, f.password_digest, u.password
FROM session_families s JOIN refresh_families f ON f.id = s.family_id JOIN auth_user u ON u.id = f.account_id
WHERE s.session_digest = $1 AND f.layout = $2 AND f.state = 'active' AND f.rotated_at IS NULL
ORDER BY f.current_expires_at DESC, f.id DESC LIMIT 1;

-- name: in_django_session
-- As in_session, of a session of Django's.
SELECT f.id, f.account_id, u.is_active, f.state, f.ends_at, f.current_digest, f.current_token_id,
    f.current_issued_at, f.current_expires_at, f.previous_digest, f.rotated_at, f.end_reason,
    f.used_at, f.password_digest, u.password
FROM refresh_families f JOIN auth_user u ON u.id = f.account_id
WHERE f.django_session = $1 AND f.layout = $2 AND f.state = 'active' AND f.rotated_at IS NULL
ORDER BY f.current_expires_at DESC, f.id DESC LIMIT 1;

-- name: django_session_of
SELECT django_session FROM refresh_families WHERE id = $1;

-- name: end_of_django_session
UPDATE refresh_families SET state = 'ended', ended_at = $2, end_reason = $3
WHERE django_session = $1 AND state = 'active'
RETURNING account_id;

-- name: end_beyond
-- Of those that began in this session, of ours or of Django's, all but the $4 that were used last. Nothing outlives them
-- but access tokens, so they need not be kept until their own tokens would have expired.
UPDATE refresh_families SET state = 'ended', ended_at = $2, end_reason = $3, current_expires_at = $2
WHERE id IN (
    SELECT f.id FROM refresh_families f
    WHERE f.state = 'active' AND (f.django_session = $1
        OR f.id IN (SELECT s.family_id FROM session_families s WHERE s.session_digest = $1))
    ORDER BY coalesce(f.used_at, f.begun_at) DESC, f.id DESC LIMIT 1000 OFFSET $4
)
RETURNING account_id;

-- name: take_on_password
-- A family from before there were digests, or from before the change-over.
UPDATE refresh_families SET password_digest = $2
WHERE id = $1 AND state = 'active' AND password_digest IS NULL;

-- name: follow_rehash
UPDATE refresh_families SET password_digest = $3
WHERE account_id = $1 AND state = 'active' AND password_digest = $2;

-- name: end_outdated
-- Those that began with another password than the one of digest $2.
UPDATE refresh_families SET state = 'ended', ended_at = $3, end_reason = $4
WHERE account_id = $1 AND state = 'active' AND password_digest <> $2
RETURNING id;

-- name: end
UPDATE refresh_families SET state = 'ended', ended_at = $2, end_reason = $3
WHERE id = $1 AND (state = 'active' OR end_reason = 'deactivation')
RETURNING account_id;

-- name: end_of_account
UPDATE refresh_families SET state = 'ended', ended_at = $2, end_reason = $3
WHERE account_id = $1 AND state = 'active';

-- name: touch
-- Used at $2, unless that was noted after $3.
UPDATE refresh_families SET used_at = $2
WHERE id = $1 AND state = 'active' AND (used_at IS NULL OR used_at <= $3)
RETURNING id;

-- name: of_account
-- Those that can be refreshed at $2, the one that was used last first.
SELECT id, layout, begun_at, ends_at, current_expires_at, address, user_agent, coalesce(used_at, begun_at) AS last_used_at
FROM refresh_families
WHERE account_id = $1 AND state = 'active' AND ends_at > $2 AND current_expires_at > $2
ORDER BY coalesce(used_at, begun_at) DESC, id LIMIT $3;

-- name: of_account_outside_sessions
-- As of_account, without those that end with a browser session.
SELECT id, layout, begun_at, ends_at, current_expires_at, address, user_agent, coalesce(used_at, begun_at) AS last_used_at
FROM refresh_families f
WHERE account_id = $1 AND state = 'active' AND ends_at > $2 AND current_expires_at > $2
    AND NOT EXISTS (SELECT 1 FROM session_families s WHERE s.family_id = f.id)
ORDER BY coalesce(used_at, begun_at) DESC, id LIMIT $3;

-- name: end_one_of_account
UPDATE refresh_families SET state = 'ended', ended_at = $3, end_reason = $4
WHERE id = $2 AND account_id = $1 AND state = 'active'
RETURNING id;

-- name: end_others_of_account
UPDATE refresh_families SET state = 'ended', ended_at = $3, end_reason = $4
WHERE account_id = $1 AND id <> $2 AND state = 'active'
RETURNING id;

-- name: sweep
DELETE FROM refresh_families
WHERE id IN (SELECT id FROM refresh_families WHERE current_expires_at < $1 ORDER BY current_expires_at LIMIT $2)
RETURNING id;
