-- Our own tables: refresh families, what was signed out everywhere, signing keys, the feed of changes.

CREATE TABLE refresh_families (
    id BLOB NOT NULL PRIMARY KEY CHECK (length(id) = 16),
    account_id INTEGER NOT NULL REFERENCES auth_user (id) ON DELETE CASCADE,
    layout TEXT NOT NULL,
    state TEXT NOT NULL CHECK (state IN ('active', 'ended')),
    begun_at INTEGER NOT NULL,
    ends_at INTEGER NOT NULL,
    current_digest BLOB NOT NULL CHECK (length(current_digest) = 32),
    current_token_id TEXT NOT NULL,
    current_issued_at INTEGER NOT NULL,
    current_expires_at INTEGER NOT NULL,
    previous_digest BLOB CHECK (length(previous_digest) = 32),
    rotated_at INTEGER,
    ended_at INTEGER,
    end_reason TEXT
) STRICT;
CREATE INDEX refresh_families_account ON refresh_families (account_id, state);
CREATE INDEX refresh_families_expiry ON refresh_families (current_expires_at);

CREATE TABLE account_revocations (
    account_id INTEGER NOT NULL PRIMARY KEY REFERENCES auth_user (id) ON DELETE CASCADE,
    revoked_before_ms INTEGER NOT NULL
) STRICT;

CREATE TABLE signing_keys (
    id TEXT NOT NULL PRIMARY KEY,
    purpose TEXT NOT NULL CHECK (purpose IN ('token', 'phantom')),
    algorithm TEXT NOT NULL,
    state TEXT NOT NULL CHECK (state IN ('signing', 'verifying', 'retired')),
    sealed BLOB NOT NULL,
    imported_at INTEGER,
    created_at INTEGER NOT NULL,
    retired_at INTEGER
) STRICT;
CREATE UNIQUE INDEX signing_keys_one_signs ON signing_keys (purpose) WHERE state = 'signing';

CREATE TABLE changes (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    kind TEXT NOT NULL CHECK (kind IN ('account', 'keys')),
    account_id INTEGER,
    changed_at INTEGER NOT NULL
) STRICT;
CREATE INDEX changes_time ON changes (changed_at);
