-- Why avain has switched an account off, which Django's column does not tell.

CREATE TABLE deactivations (
    account_id INTEGER NOT NULL PRIMARY KEY REFERENCES auth_user (id) ON DELETE CASCADE,
    reason TEXT NOT NULL CHECK (reason IN ('administration', 'address')),
    deactivated_at INTEGER NOT NULL
) STRICT;
