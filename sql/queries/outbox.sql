-- The outbox: mails that wait to be sent, are being sent, were sent, or cannot be sent.

-- name: add
INSERT INTO outbox (id, message, language, state, sealed, created_at, next_try_at, attempts, last_error)
VALUES ($1, $2, $3, $4, $5, $6, $6, 0, $7);

-- name: next_due
SELECT min(next_try_at) AS next_try_at FROM outbox WHERE state IN ('queued', 'sending');

-- name: claim
-- What is due, oldest first, is leased until $2. A row that another instance was faster with no longer
-- meets the outer condition, which PostgreSQL asks again once it has waited for that instance.
UPDATE outbox SET state = 'sending', next_try_at = $2, attempts = attempts + 1
WHERE id IN (
        SELECT id FROM outbox WHERE state IN ('queued', 'sending') AND next_try_at <= $1
        ORDER BY next_try_at, id LIMIT $3
    )
    AND state IN ('queued', 'sending') AND next_try_at <= $1
RETURNING id, message, sealed, created_at, attempts;

-- name: prolong
UPDATE outbox SET next_try_at = $3 WHERE id = $1 AND state = 'sending' AND attempts = $2 RETURNING id;

-- name: sent
-- Whatever has become of the lease: it was sent, and must not be sent again.
UPDATE outbox SET state = 'sent', sealed = NULL, sent_at = $2, last_error = NULL
WHERE id = $1 AND state <> 'sent' RETURNING id;

-- name: defer
UPDATE outbox SET state = 'queued', next_try_at = $3, last_error = $4
WHERE id = $1 AND state = 'sending' AND attempts = $2 RETURNING id;

-- name: fail
UPDATE outbox SET state = 'failed', last_error = $3
WHERE id = $1 AND state = 'sending' AND attempts = $2 RETURNING id;

-- name: depth
SELECT state, count(*) AS count, min(created_at) AS oldest_at FROM outbox WHERE state <> 'sent' GROUP BY state;

-- name: list
SELECT id, message, language, state, created_at, next_try_at, sent_at, attempts, last_error FROM outbox
WHERE (CAST($1 AS TEXT) IS NULL OR state = $1) AND (created_at > $2 OR (created_at = $2 AND id > $3))
ORDER BY created_at, id LIMIT $4;

-- name: list_backwards
SELECT id, message, language, state, created_at, next_try_at, sent_at, attempts, last_error FROM outbox
WHERE (CAST($1 AS TEXT) IS NULL OR state = $1) AND (created_at < $2 OR (created_at = $2 AND id < $3))
ORDER BY created_at DESC, id DESC LIMIT $4;

-- name: retry
UPDATE outbox SET state = 'queued', next_try_at = $2
WHERE id = $1 AND state IN ('queued', 'failed') AND sealed IS NOT NULL RETURNING id;

-- name: retry_all
UPDATE outbox SET state = 'queued', next_try_at = $1
WHERE state IN ('queued', 'failed') AND sealed IS NOT NULL RETURNING id;

-- name: drop
DELETE FROM outbox WHERE id = $1 AND state IN ('queued', 'failed') RETURNING id;

-- name: discard
DELETE FROM outbox WHERE id = $1 AND state = 'sending' AND attempts = $2 RETURNING id;

-- name: sweep
DELETE FROM outbox WHERE id IN (
    SELECT id FROM outbox
    WHERE (state = 'sent' AND sent_at < $1) OR (state = 'failed' AND created_at < $2)
    ORDER BY created_at, id LIMIT $3
) RETURNING id;
