-- Browser sessions, and Django's own table of them, adopted untouched where it exists.

CREATE TABLE sessions (
    digest bytea NOT NULL PRIMARY KEY CHECK (length(digest) = 32),
    account_id integer NOT NULL REFERENCES auth_user (id) ON DELETE CASCADE,
    password_digest bytea NOT NULL CHECK (length(password_digest) = 32),
    begun_at_ms bigint NOT NULL,
    used_at bigint NOT NULL,
    ends_at bigint NOT NULL,
    address text NOT NULL,
    program text NOT NULL,
    actor_session bytea REFERENCES sessions (digest) ON DELETE CASCADE ON UPDATE CASCADE
);
CREATE INDEX sessions_account ON sessions (account_id);
CREATE INDEX sessions_end ON sessions (ends_at);
CREATE INDEX sessions_actor ON sessions (actor_session) WHERE actor_session IS NOT NULL;

-- The refresh families that began with a browser session, and end when it is signed out.
CREATE TABLE session_families (
    family_id bytea NOT NULL PRIMARY KEY REFERENCES refresh_families (id) ON DELETE CASCADE,
    session_digest bytea NOT NULL REFERENCES sessions (digest) ON DELETE CASCADE ON UPDATE CASCADE
);
CREATE INDEX session_families_session ON session_families (session_digest);

DO $$
BEGIN
    IF to_regclass('public.django_session') IS NULL THEN
        CREATE TABLE public.django_session (
            session_key varchar(40) NOT NULL,
            session_data text NOT NULL,
            expire_date timestamp with time zone NOT NULL,
            CONSTRAINT django_session_pkey PRIMARY KEY (session_key)
        );
        CREATE INDEX django_session_expire_date_a5c62663 ON public.django_session (expire_date);
        CREATE INDEX django_session_session_key_c0390e0f_like
            ON public.django_session (session_key varchar_pattern_ops);
    END IF;
END
$$;
