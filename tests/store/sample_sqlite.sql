CREATE TABLE samples (
    name VARCHAR(150) NOT NULL PRIMARY KEY,
    state TEXT NOT NULL CHECK (state IN ('free', 'taken')),
    digest BLOB CHECK (length(digest) = 32),
    account INTEGER REFERENCES auth_user (id) ON DELETE CASCADE,
    small INTEGER NOT NULL CHECK (small BETWEEN -2147483648 AND 2147483647),
    flag BOOL,
    moment DATETIME,
    made_at BIGINT NOT NULL
);
