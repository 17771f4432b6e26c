-- What people have chosen for themselves and Django has no column for.

CREATE TABLE preferences (
    account_id INTEGER NOT NULL PRIMARY KEY REFERENCES auth_user (id) ON DELETE CASCADE,
    language TEXT NOT NULL
) STRICT;
