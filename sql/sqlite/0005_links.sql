-- One-time links, and mail addresses beside the one in auth_user.

CREATE TABLE one_time_links (
    digest BLOB NOT NULL PRIMARY KEY CHECK (length(digest) = 32),
    purpose TEXT NOT NULL,
    account_id INTEGER NOT NULL REFERENCES auth_user (id) ON DELETE CASCADE,
    address TEXT NOT NULL,
    state_digest BLOB NOT NULL CHECK (length(state_digest) = 32),
    issued_at INTEGER NOT NULL,
    expires_at INTEGER NOT NULL,
    used_at INTEGER
) STRICT;
CREATE INDEX one_time_links_account ON one_time_links (account_id, purpose);
CREATE INDEX one_time_links_expiry ON one_time_links (expires_at);

CREATE TABLE email_addresses (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    account_id INTEGER NOT NULL REFERENCES auth_user (id) ON DELETE CASCADE,
    address TEXT NOT NULL,
    folded TEXT NOT NULL,
    verified_at INTEGER,
    is_primary INTEGER NOT NULL,
    added_at INTEGER NOT NULL,
    UNIQUE (account_id, folded)
) STRICT;
CREATE UNIQUE INDEX email_addresses_verified ON email_addresses (folded) WHERE verified_at IS NOT NULL;
CREATE UNIQUE INDEX email_addresses_primary ON email_addresses (account_id) WHERE is_primary;
CREATE INDEX email_addresses_folded ON email_addresses (folded);

CREATE INDEX IF NOT EXISTS avain_auth_user_email ON auth_user (lower(email));
CREATE INDEX IF NOT EXISTS avain_auth_user_username ON auth_user (lower(username));
