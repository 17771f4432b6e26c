-- The feed of changes: what every instance must hear of, so that its memory does not outlive a change.

-- name: note
INSERT INTO changes (kind, account_id, changed_at) VALUES ($1, $2, $3);

-- name: since
SELECT id, kind, account_id FROM changes WHERE id > $1 ORDER BY id LIMIT $2;

-- name: newest
SELECT max(id) AS id FROM changes;

-- name: sweep
DELETE FROM changes WHERE changed_at < $1;
