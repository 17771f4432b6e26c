-- What people have chosen for themselves.

-- name: language
SELECT language FROM preferences WHERE account_id = $1;

-- name: choose_language
INSERT INTO preferences (account_id, language) VALUES ($1, $2)
ON CONFLICT (account_id) DO UPDATE SET language = excluded.language;
