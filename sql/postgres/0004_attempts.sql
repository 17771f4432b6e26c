-- Sign-in attempts and requests that are limited, counted by subject: a keyed digest of an account's
-- name, an address, or both.

CREATE TABLE attempts (
    subject bytea NOT NULL PRIMARY KEY CHECK (length(subject) = 32),
    failures bigint NOT NULL,
    began_at bigint NOT NULL,
    streak bigint NOT NULL,
    failed_at bigint NOT NULL,
    known_until_at bigint NOT NULL,
    expires_at bigint NOT NULL
);
CREATE INDEX attempts_expiry ON attempts (expires_at);
