-- Sign-in attempts and limited requests, counted by subject. The rules are in src/account/throttle.rs.

-- name: find
SELECT subject, failures, began_at, streak, failed_at, known_until_at FROM attempts
WHERE subject IN ($1, $2, $3);

-- name: count
-- One more at $2 in a window of $3 seconds, unless there are $4 already, or $6 in a row whose last is less than
-- $5 seconds old. No row: there are. A time that lies ahead by more than that is a wrong clock's.
INSERT INTO attempts (subject, failures, began_at, streak, failed_at, known_until_at, expires_at, account)
VALUES ($1, 1, $2, 1, $2, 0, $7, $8)
ON CONFLICT (subject) DO UPDATE SET account = excluded.account,
    failures = CASE WHEN abs($2 - attempts.began_at) < $3 THEN attempts.failures + 1 ELSE 1 END,
    began_at = CASE WHEN abs($2 - attempts.began_at) < $3 THEN attempts.began_at ELSE excluded.began_at END,
    streak = CASE WHEN abs($2 - attempts.failed_at) < $5 THEN attempts.streak + 1 ELSE 1 END,
    failed_at = excluded.failed_at,
    expires_at = CASE WHEN attempts.expires_at > excluded.expires_at THEN attempts.expires_at ELSE excluded.expires_at END
WHERE NOT (abs($2 - attempts.began_at) < $3 AND attempts.failures >= $4)
    AND NOT (abs($2 - attempts.failed_at) < $5 AND attempts.streak >= $6)
RETURNING failures;

-- name: know
INSERT INTO attempts (subject, failures, began_at, streak, failed_at, known_until_at, expires_at, account)
VALUES ($1, 0, 0, 0, 0, $2, $2, $3)
ON CONFLICT (subject) DO UPDATE SET failures = 0, streak = 0, account = excluded.account,
    known_until_at = excluded.known_until_at, expires_at = excluded.expires_at;

-- name: end_streak
UPDATE attempts SET streak = 0 WHERE subject = $1 AND streak > 0 RETURNING subject;

-- name: clear
UPDATE attempts SET failures = 0, streak = 0 WHERE subject = $1 RETURNING subject;

-- name: forgive
UPDATE attempts SET failures = 0, streak = 0
WHERE (subject IN ($1, $2, $3) OR account IN ($1, $2, $3)) AND (failures > 0 OR streak > 0) RETURNING subject;

-- name: sweep
DELETE FROM attempts
WHERE subject IN (SELECT subject FROM attempts WHERE expires_at < $1 ORDER BY expires_at LIMIT $2)
RETURNING subject;
