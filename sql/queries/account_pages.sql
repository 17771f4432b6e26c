-- Pages of the list of accounts, in the order of the folded user name or mail address and the id, from $1 up to $2:
-- those after ($3, $4), or backwards those before. Rare kinds of accounts have indexes of their own, and so statements.
-- The collation has this name on SQLite; on PostgreSQL migration 0015 makes it. It compares bytes, so that what begins
-- alike stands together. Each engine takes one bound on either side for its index: hence the CASE.

-- name: by_username
SELECT id, password, last_login, is_superuser, username, first_name, last_name, email, is_staff, is_active, date_joined
FROM auth_user
WHERE lower(username) COLLATE "binary" < lower($2)
    AND lower(username) COLLATE "binary" >= CASE WHEN lower($3) COLLATE "binary" > lower($1) THEN lower($3) ELSE lower($1) END
    AND NOT (lower(username) COLLATE "binary" = lower($3) AND id <= $4)
    AND (CAST($5 AS BOOLEAN) IS NULL OR is_active = $5) AND (CAST($6 AS BOOLEAN) IS NULL OR is_staff = $6)
    AND (CAST($7 AS BOOLEAN) IS NULL OR is_superuser = $7)
ORDER BY lower(username) COLLATE "binary", id LIMIT $8;

-- name: by_username_backwards
SELECT id, password, last_login, is_superuser, username, first_name, last_name, email, is_staff, is_active, date_joined
FROM auth_user
WHERE lower(username) COLLATE "binary" >= lower($1)
    AND lower(username) COLLATE "binary" <= CASE WHEN lower($3) COLLATE "binary" < lower($2) THEN lower($3) ELSE lower($2) END
    AND NOT (lower(username) COLLATE "binary" = lower($3) AND id >= $4)
    AND (CAST($5 AS BOOLEAN) IS NULL OR is_active = $5) AND (CAST($6 AS BOOLEAN) IS NULL OR is_staff = $6)
    AND (CAST($7 AS BOOLEAN) IS NULL OR is_superuser = $7)
ORDER BY lower(username) COLLATE "binary" DESC, id DESC LIMIT $8;

-- name: by_email
SELECT id, password, last_login, is_superuser, username, first_name, last_name, email, is_staff, is_active, date_joined
FROM auth_user
WHERE lower(email) COLLATE "binary" < lower($2)
    AND lower(email) COLLATE "binary" >= CASE WHEN lower($3) COLLATE "binary" > lower($1) THEN lower($3) ELSE lower($1) END
    AND NOT (lower(email) COLLATE "binary" = lower($3) AND id <= $4)
    AND (CAST($5 AS BOOLEAN) IS NULL OR is_active = $5) AND (CAST($6 AS BOOLEAN) IS NULL OR is_staff = $6)
    AND (CAST($7 AS BOOLEAN) IS NULL OR is_superuser = $7)
ORDER BY lower(email) COLLATE "binary", id LIMIT $8;

-- name: by_email_backwards
SELECT id, password, last_login, is_superuser, username, first_name, last_name, email, is_staff, is_active, date_joined
FROM auth_user
WHERE lower(email) COLLATE "binary" >= lower($1)
    AND lower(email) COLLATE "binary" <= CASE WHEN lower($3) COLLATE "binary" < lower($2) THEN lower($3) ELSE lower($2) END
    AND NOT (lower(email) COLLATE "binary" = lower($3) AND id >= $4)
    AND (CAST($5 AS BOOLEAN) IS NULL OR is_active = $5) AND (CAST($6 AS BOOLEAN) IS NULL OR is_staff = $6)
    AND (CAST($7 AS BOOLEAN) IS NULL OR is_superuser = $7)
ORDER BY lower(email) COLLATE "binary" DESC, id DESC LIMIT $8;

-- name: by_username_of_inactive
SELECT id, password, last_login, is_superuser, username, first_name, last_name, email, is_staff, is_active, date_joined
FROM auth_user
WHERE NOT is_active AND lower(username) COLLATE "binary" < lower($2)
    AND lower(username) COLLATE "binary" >= CASE WHEN lower($3) COLLATE "binary" > lower($1) THEN lower($3) ELSE lower($1) END
    AND NOT (lower(username) COLLATE "binary" = lower($3) AND id <= $4)
    AND (CAST($5 AS BOOLEAN) IS NULL OR is_active = $5) AND (CAST($6 AS BOOLEAN) IS NULL OR is_staff = $6)
    AND (CAST($7 AS BOOLEAN) IS NULL OR is_superuser = $7)
ORDER BY lower(username) COLLATE "binary", id LIMIT $8;

-- name: by_username_of_inactive_backwards
SELECT id, password, last_login, is_superuser, username, first_name, last_name, email, is_staff, is_active, date_joined
FROM auth_user
WHERE NOT is_active AND lower(username) COLLATE "binary" >= lower($1)
    AND lower(username) COLLATE "binary" <= CASE WHEN lower($3) COLLATE "binary" < lower($2) THEN lower($3) ELSE lower($2) END
    AND NOT (lower(username) COLLATE "binary" = lower($3) AND id >= $4)
    AND (CAST($5 AS BOOLEAN) IS NULL OR is_active = $5) AND (CAST($6 AS BOOLEAN) IS NULL OR is_staff = $6)
    AND (CAST($7 AS BOOLEAN) IS NULL OR is_superuser = $7)
ORDER BY lower(username) COLLATE "binary" DESC, id DESC LIMIT $8;

-- name: by_email_of_inactive
SELECT id, password, last_login, is_superuser, username, first_name, last_name, email, is_staff, is_active, date_joined
FROM auth_user
WHERE NOT is_active AND lower(email) COLLATE "binary" < lower($2)
    AND lower(email) COLLATE "binary" >= CASE WHEN lower($3) COLLATE "binary" > lower($1) THEN lower($3) ELSE lower($1) END
    AND NOT (lower(email) COLLATE "binary" = lower($3) AND id <= $4)
    AND (CAST($5 AS BOOLEAN) IS NULL OR is_active = $5) AND (CAST($6 AS BOOLEAN) IS NULL OR is_staff = $6)
    AND (CAST($7 AS BOOLEAN) IS NULL OR is_superuser = $7)
ORDER BY lower(email) COLLATE "binary", id LIMIT $8;

-- name: by_email_of_inactive_backwards
SELECT id, password, last_login, is_superuser, username, first_name, last_name, email, is_staff, is_active, date_joined
FROM auth_user
WHERE NOT is_active AND lower(email) COLLATE "binary" >= lower($1)
    AND lower(email) COLLATE "binary" <= CASE WHEN lower($3) COLLATE "binary" < lower($2) THEN lower($3) ELSE lower($2) END
    AND NOT (lower(email) COLLATE "binary" = lower($3) AND id >= $4)
    AND (CAST($5 AS BOOLEAN) IS NULL OR is_active = $5) AND (CAST($6 AS BOOLEAN) IS NULL OR is_staff = $6)
    AND (CAST($7 AS BOOLEAN) IS NULL OR is_superuser = $7)
ORDER BY lower(email) COLLATE "binary" DESC, id DESC LIMIT $8;

-- name: by_username_of_staff
SELECT id, password, last_login, is_superuser, username, first_name, last_name, email, is_staff, is_active, date_joined
FROM auth_user
WHERE (is_staff OR is_superuser) AND lower(username) COLLATE "binary" < lower($2)
    AND lower(username) COLLATE "binary" >= CASE WHEN lower($3) COLLATE "binary" > lower($1) THEN lower($3) ELSE lower($1) END
    AND NOT (lower(username) COLLATE "binary" = lower($3) AND id <= $4)
    AND (CAST($5 AS BOOLEAN) IS NULL OR is_active = $5) AND (CAST($6 AS BOOLEAN) IS NULL OR is_staff = $6)
    AND (CAST($7 AS BOOLEAN) IS NULL OR is_superuser = $7)
ORDER BY lower(username) COLLATE "binary", id LIMIT $8;

-- name: by_username_of_staff_backwards
SELECT id, password, last_login, is_superuser, username, first_name, last_name, email, is_staff, is_active, date_joined
FROM auth_user
WHERE (is_staff OR is_superuser) AND lower(username) COLLATE "binary" >= lower($1)
    AND lower(username) COLLATE "binary" <= CASE WHEN lower($3) COLLATE "binary" < lower($2) THEN lower($3) ELSE lower($2) END
    AND NOT (lower(username) COLLATE "binary" = lower($3) AND id >= $4)
    AND (CAST($5 AS BOOLEAN) IS NULL OR is_active = $5) AND (CAST($6 AS BOOLEAN) IS NULL OR is_staff = $6)
    AND (CAST($7 AS BOOLEAN) IS NULL OR is_superuser = $7)
ORDER BY lower(username) COLLATE "binary" DESC, id DESC LIMIT $8;

-- name: by_email_of_staff
SELECT id, password, last_login, is_superuser, username, first_name, last_name, email, is_staff, is_active, date_joined
FROM auth_user
WHERE (is_staff OR is_superuser) AND lower(email) COLLATE "binary" < lower($2)
    AND lower(email) COLLATE "binary" >= CASE WHEN lower($3) COLLATE "binary" > lower($1) THEN lower($3) ELSE lower($1) END
    AND NOT (lower(email) COLLATE "binary" = lower($3) AND id <= $4)
    AND (CAST($5 AS BOOLEAN) IS NULL OR is_active = $5) AND (CAST($6 AS BOOLEAN) IS NULL OR is_staff = $6)
    AND (CAST($7 AS BOOLEAN) IS NULL OR is_superuser = $7)
ORDER BY lower(email) COLLATE "binary", id LIMIT $8;

-- name: by_email_of_staff_backwards
SELECT id, password, last_login, is_superuser, username, first_name, last_name, email, is_staff, is_active, date_joined
FROM auth_user
WHERE (is_staff OR is_superuser) AND lower(email) COLLATE "binary" >= lower($1)
    AND lower(email) COLLATE "binary" <= CASE WHEN lower($3) COLLATE "binary" < lower($2) THEN lower($3) ELSE lower($2) END
    AND NOT (lower(email) COLLATE "binary" = lower($3) AND id >= $4)
    AND (CAST($5 AS BOOLEAN) IS NULL OR is_active = $5) AND (CAST($6 AS BOOLEAN) IS NULL OR is_staff = $6)
    AND (CAST($7 AS BOOLEAN) IS NULL OR is_superuser = $7)
ORDER BY lower(email) COLLATE "binary" DESC, id DESC LIMIT $8;
