-- The feed of changes: what every instance must hear of, so that its memory does not outlive a change.

-- name: note
INSERT INTO changes (kind, account_id, changed_at) VALUES ($1, $2, $3) RETURNING id;

-- Where the feed stands, and which run of which server that is a position in.

-- name: now (postgres)
SELECT CAST(pg_current_snapshot() AS TEXT) AS position,
    concat(CAST(extract(epoch FROM pg_postmaster_start_time()) * 1000000 AS BIGINT), '/',
        (SELECT oid FROM pg_database WHERE datname = current_database())) AS era;

-- name: now (sqlite)
SELECT CAST((SELECT coalesce(max(id), 0) FROM changes) AS TEXT) AS position, 'file' AS era;

-- The changes since a position, or one row without a change; on each the new position. A snapshot names the
-- transactions that it sees: what one that it did not see has changed is news, whenever it committed.

-- name: since (postgres)
SELECT CAST(pg_current_snapshot() AS TEXT) AS position,
    concat(CAST(extract(epoch FROM pg_postmaster_start_time()) * 1000000 AS BIGINT), '/',
        (SELECT oid FROM pg_database WHERE datname = current_database())) AS era,
    c.id, c.kind, c.account_id
FROM (SELECT CAST(CAST($1 AS TEXT) AS pg_snapshot) AS snapshot) seen
LEFT JOIN changes c ON c.made_by >= pg_snapshot_xmin(seen.snapshot)
    AND NOT pg_visible_in_snapshot(c.made_by, seen.snapshot)
ORDER BY c.id LIMIT $2;

-- name: since (sqlite)
SELECT CAST((SELECT coalesce(max(id), 0) FROM changes) AS TEXT) AS position, 'file' AS era,
    c.id, c.kind, c.account_id
FROM (SELECT CAST($1 AS INTEGER) AS id) seen
LEFT JOIN changes c ON c.id > seen.id
ORDER BY c.id LIMIT $2;

-- name: sweep
DELETE FROM changes
WHERE id IN (SELECT id FROM changes WHERE changed_at < $1 ORDER BY changed_at LIMIT $2)
RETURNING id;
