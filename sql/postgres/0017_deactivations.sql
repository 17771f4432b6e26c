-- Why avain has switched an account off, which Django's column does not tell.

CREATE TABLE deactivations (
    account_id integer NOT NULL PRIMARY KEY REFERENCES auth_user (id) ON DELETE CASCADE,
    reason text NOT NULL CHECK (reason IN ('administration', 'address')),
    deactivated_at bigint NOT NULL
);
