-- The migrations' own statements. In PostgreSQL the tables are in schema avain.

-- name: begun (postgres)
-- Whether a migration was ever begun, whether the search_path leads to our tables, and whether the schema is
-- there: CREATE SCHEMA IF NOT EXISTS asks for a right that a role with a schema of its own need not have.
SELECT to_regclass('avain.schema_versions') IS NOT NULL AS begun,
    'avain' = ANY (current_schemas(FALSE)) AS reachable,
    to_regnamespace('avain') IS NOT NULL AS has_schema;

-- name: begun (sqlite)
SELECT EXISTS (
    SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = 'schema_versions'
) AS begun, TRUE AS reachable, TRUE AS has_schema;

-- name: lock (postgres)
-- Held to the end of the transaction; the number is arbitrary. SQLite's BEGIN IMMEDIATE does the same.
SELECT pg_advisory_xact_lock(7165031842);

-- name: lock (sqlite)
SELECT 1 AS locked;

-- name: path (postgres)
SET LOCAL search_path TO avain, public;

-- name: path (sqlite)
SELECT 1 AS path;

-- name: make_schema (postgres)
CREATE SCHEMA avain;

-- name: make_versions
CREATE TABLE IF NOT EXISTS schema_versions (
    version INTEGER PRIMARY KEY,
    name TEXT NOT NULL,
    checksum TEXT NOT NULL,
    applied_at BIGINT NOT NULL
);

-- name: make_facts
CREATE TABLE IF NOT EXISTS facts (
    name TEXT PRIMARY KEY,
    value TEXT NOT NULL
);

-- name: note_owner (postgres)
-- Who the accounts belonged to before the first migration.
INSERT INTO facts (name, value)
SELECT 'accounts.owner',
    CASE WHEN to_regclass('public.auth_user') IS NULL THEN 'avain' ELSE 'django' END;

-- name: note_owner (sqlite)
INSERT INTO facts (name, value)
SELECT 'accounts.owner', CASE WHEN EXISTS (
    SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = 'auth_user'
) THEN 'django' ELSE 'avain' END;

-- name: applied
SELECT version, name, checksum FROM schema_versions ORDER BY version;

-- name: record
INSERT INTO schema_versions (version, name, checksum, applied_at) VALUES ($1, $2, $3, $4);
