-- Browser sessions, and Django's own table of them, adopted untouched where it exists.

CREATE TABLE sessions (
    digest BLOB NOT NULL PRIMARY KEY CHECK (length(digest) = 32),
    account_id INTEGER NOT NULL REFERENCES auth_user (id) ON DELETE CASCADE,
    password_digest BLOB NOT NULL CHECK (length(password_digest) = 32),
    begun_at_ms INTEGER NOT NULL,
    used_at INTEGER NOT NULL,
    ends_at INTEGER NOT NULL,
    address TEXT NOT NULL,
    program TEXT NOT NULL,
    actor_session BLOB REFERENCES sessions (digest) ON DELETE CASCADE ON UPDATE CASCADE
) STRICT;
CREATE INDEX sessions_account ON sessions (account_id);
CREATE INDEX sessions_end ON sessions (ends_at);
CREATE INDEX sessions_actor ON sessions (actor_session) WHERE actor_session IS NOT NULL;

-- The refresh families that began with a browser session, and end when it is signed out.
CREATE TABLE session_families (
    family_id BLOB NOT NULL PRIMARY KEY REFERENCES refresh_families (id) ON DELETE CASCADE,
    session_digest BLOB NOT NULL REFERENCES sessions (digest) ON DELETE CASCADE ON UPDATE CASCADE
) STRICT;
CREATE INDEX session_families_session ON session_families (session_digest);

CREATE TABLE IF NOT EXISTS "django_session" (
    "session_key" varchar(40) NOT NULL PRIMARY KEY,
    "session_data" text NOT NULL,
    "expire_date" datetime NOT NULL
);
CREATE INDEX IF NOT EXISTS "django_session_expire_date_a5c62663" ON "django_session" ("expire_date");
