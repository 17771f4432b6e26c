-- What happened: rows are inserted, read and swept, never changed.

-- name: insert
-- The user name is the present one where none is given.
INSERT INTO audit_events (happened_at, event, account_id, username, actor_id, address, user_agent,
    request_id, layout, details)
VALUES ($1, $2, $3, coalesce($4, (SELECT u.username FROM auth_user u WHERE u.id = $3)), $5, $6, $7, $8, $9, $10);

-- name: page
-- Newest first, from $1 on and before the row ($2, $3). The rarest of what is asked for has the index.
SELECT id, happened_at, event, account_id, username, actor_id, address, user_agent, request_id, layout, details
FROM audit_events
WHERE happened_at >= $1 AND (happened_at, id) < ($2, $3)
ORDER BY happened_at DESC, id DESC LIMIT $4;

-- name: page_of_account
SELECT id, happened_at, event, account_id, username, actor_id, address, user_agent, request_id, layout, details
FROM audit_events
WHERE account_id = $5 AND happened_at >= $1 AND (happened_at, id) < ($2, $3)
    AND (CAST($6 AS TEXT) IS NULL OR event = $6) AND (CAST($7 AS TEXT) IS NULL OR address = $7)
ORDER BY happened_at DESC, id DESC LIMIT $4;

-- name: page_of_address
SELECT id, happened_at, event, account_id, username, actor_id, address, user_agent, request_id, layout, details
FROM audit_events
WHERE address = $5 AND happened_at >= $1 AND (happened_at, id) < ($2, $3)
    AND (CAST($6 AS TEXT) IS NULL OR event = $6)
ORDER BY happened_at DESC, id DESC LIMIT $4;

-- name: page_of_event
SELECT id, happened_at, event, account_id, username, actor_id, address, user_agent, request_id, layout, details
FROM audit_events
WHERE event = $5 AND happened_at >= $1 AND (happened_at, id) < ($2, $3)
ORDER BY happened_at DESC, id DESC LIMIT $4;

-- The same from the other end: oldest first, before $1 and after the row ($2, $3).

-- name: backwards
SELECT id, happened_at, event, account_id, username, actor_id, address, user_agent, request_id, layout, details
FROM audit_events
WHERE happened_at < $1 AND (happened_at, id) > ($2, $3)
ORDER BY happened_at, id LIMIT $4;

-- name: backwards_of_account
SELECT id, happened_at, event, account_id, username, actor_id, address, user_agent, request_id, layout, details
FROM audit_events
WHERE account_id = $5 AND happened_at < $1 AND (happened_at, id) > ($2, $3)
    AND (CAST($6 AS TEXT) IS NULL OR event = $6) AND (CAST($7 AS TEXT) IS NULL OR address = $7)
ORDER BY happened_at, id LIMIT $4;

-- name: backwards_of_address
SELECT id, happened_at, event, account_id, username, actor_id, address, user_agent, request_id, layout, details
FROM audit_events
WHERE address = $5 AND happened_at < $1 AND (happened_at, id) > ($2, $3)
    AND (CAST($6 AS TEXT) IS NULL OR event = $6)
ORDER BY happened_at, id LIMIT $4;

-- name: backwards_of_event
SELECT id, happened_at, event, account_id, username, actor_id, address, user_agent, request_id, layout, details
FROM audit_events
WHERE event = $5 AND happened_at < $1 AND (happened_at, id) > ($2, $3)
ORDER BY happened_at, id LIMIT $4;

-- name: sweep
DELETE FROM audit_events
WHERE id IN (SELECT id FROM audit_events WHERE happened_at < $1 ORDER BY happened_at, id LIMIT $2)
RETURNING id;
