-- Indexes for the list of accounts, in the order of bytes: what begins alike stands together.

CREATE INDEX IF NOT EXISTS avain_auth_user_by_username
    ON auth_user (lower(username) COLLATE "binary", id);
CREATE INDEX IF NOT EXISTS avain_auth_user_by_email
    ON auth_user (lower(email) COLLATE "binary", id);
CREATE INDEX IF NOT EXISTS avain_auth_user_by_username_inactive
    ON auth_user (lower(username) COLLATE "binary", id) WHERE NOT is_active;
CREATE INDEX IF NOT EXISTS avain_auth_user_by_email_inactive
    ON auth_user (lower(email) COLLATE "binary", id) WHERE NOT is_active;
CREATE INDEX IF NOT EXISTS avain_auth_user_by_username_staff
    ON auth_user (lower(username) COLLATE "binary", id) WHERE is_staff OR is_superuser;
CREATE INDEX IF NOT EXISTS avain_auth_user_by_email_staff
    ON auth_user (lower(email) COLLATE "binary", id) WHERE is_staff OR is_superuser;
