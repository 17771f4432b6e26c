-- API keys of our own: digests of them, and the terms that they are used on.

CREATE TABLE personal_keys (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    digest BLOB NOT NULL UNIQUE CHECK (length(digest) = 32),
    account_id INTEGER NOT NULL REFERENCES auth_user (id) ON DELETE CASCADE,
    name TEXT NOT NULL,
    beginning TEXT NOT NULL,
    scope TEXT NOT NULL,
    networks TEXT NOT NULL,
    rate INTEGER CHECK (rate > 0),
    created_at INTEGER NOT NULL,
    expires_at INTEGER,
    last_used_at INTEGER,
    replaced_by INTEGER,
    revoked_at INTEGER
) STRICT;
CREATE INDEX personal_keys_account ON personal_keys (account_id);
CREATE INDEX personal_keys_expiry ON personal_keys (expires_at) WHERE expires_at IS NOT NULL;
