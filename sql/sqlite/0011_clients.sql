-- Registered clients (RFC 6749 2), digests of their secrets, and the tokens that were issued to them.

CREATE TABLE clients (
    id TEXT NOT NULL PRIMARY KEY,
    name TEXT NOT NULL,
    scopes TEXT NOT NULL,
    grants TEXT NOT NULL,
    account_id INTEGER REFERENCES auth_user (id) ON DELETE CASCADE,
    created_at INTEGER NOT NULL,
    disabled_at INTEGER,
    last_used_at INTEGER
) STRICT;
CREATE INDEX clients_account ON clients (account_id);

CREATE TABLE client_secrets (
    digest BLOB NOT NULL PRIMARY KEY CHECK (length(digest) = 32),
    client_id TEXT NOT NULL REFERENCES clients (id) ON DELETE CASCADE,
    created_at INTEGER NOT NULL,
    ends_at INTEGER
) STRICT;
CREATE INDEX client_secrets_client ON client_secrets (client_id);

-- A row for each token that lives: without one a client's token is refused.
CREATE TABLE client_tokens (
    id BLOB NOT NULL PRIMARY KEY CHECK (length(id) = 16),
    client_id TEXT NOT NULL,
    secret_digest BLOB NOT NULL CHECK (length(secret_digest) = 32),
    account_id INTEGER REFERENCES auth_user (id) ON DELETE CASCADE,
    issued_at INTEGER NOT NULL,
    expires_at INTEGER NOT NULL
) STRICT;
CREATE INDEX client_tokens_client ON client_tokens (client_id);
CREATE INDEX client_tokens_account ON client_tokens (account_id);
CREATE INDEX client_tokens_expiry ON client_tokens (expires_at);
