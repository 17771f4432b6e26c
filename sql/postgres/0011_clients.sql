-- Registered clients (RFC 6749 2), digests of their secrets, and the tokens that were issued to them.

CREATE TABLE clients (
    id text NOT NULL PRIMARY KEY,
    name text NOT NULL,
    scopes text NOT NULL,
    grants text NOT NULL,
    account_id integer REFERENCES auth_user (id) ON DELETE CASCADE,
    created_at bigint NOT NULL,
    disabled_at bigint,
    last_used_at bigint
);
CREATE INDEX clients_account ON clients (account_id);

CREATE TABLE client_secrets (
    digest bytea NOT NULL PRIMARY KEY CHECK (length(digest) = 32),
    client_id text NOT NULL REFERENCES clients (id) ON DELETE CASCADE,
    created_at bigint NOT NULL,
    ends_at bigint
);
CREATE INDEX client_secrets_client ON client_secrets (client_id);

-- A row for each token that lives: without one a client's token is refused.
CREATE TABLE client_tokens (
    id bytea NOT NULL PRIMARY KEY CHECK (length(id) = 16),
    client_id text NOT NULL,
    secret_digest bytea NOT NULL CHECK (length(secret_digest) = 32),
    account_id integer REFERENCES auth_user (id) ON DELETE CASCADE,
    issued_at bigint NOT NULL,
    expires_at bigint NOT NULL
);
CREATE INDEX client_tokens_client ON client_tokens (client_id);
CREATE INDEX client_tokens_account ON client_tokens (account_id);
CREATE INDEX client_tokens_expiry ON client_tokens (expires_at);
