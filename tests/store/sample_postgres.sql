CREATE TABLE samples (
    name VARCHAR(150) PRIMARY KEY,
    state TEXT NOT NULL CHECK (state IN ('free', 'taken')),
    digest BYTEA CHECK (length(digest) = 32),
    account INTEGER REFERENCES public.auth_user (id) ON DELETE CASCADE,
    small INTEGER NOT NULL,
    flag BOOLEAN,
    moment TIMESTAMP WITH TIME ZONE,
    made_at BIGINT NOT NULL
);
