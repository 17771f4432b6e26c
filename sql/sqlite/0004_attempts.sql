-- Sign-in attempts and requests that are limited, counted by subject: a keyed digest of an account's
-- name, an address, or both.

CREATE TABLE attempts (
    subject BLOB NOT NULL PRIMARY KEY CHECK (length(subject) = 32),
    failures INTEGER NOT NULL,
    began_at INTEGER NOT NULL,
    streak INTEGER NOT NULL,
    failed_at INTEGER NOT NULL,
    known_until_at INTEGER NOT NULL,
    expires_at INTEGER NOT NULL
) STRICT;
CREATE INDEX attempts_expiry ON attempts (expires_at);
