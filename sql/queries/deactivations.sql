-- Why accounts are switched off, as far as avain has done it. Rows of accounts that were switched on meanwhile by
-- others mean nothing.

-- name: of_account
SELECT account_id, reason, deactivated_at FROM deactivations WHERE account_id = $1;

-- name: by_email
-- One statement, whether or not an account has the address: the time it takes does not tell.
SELECT d.account_id, d.reason, d.deactivated_at
FROM deactivations d JOIN auth_user u ON u.id = d.account_id
WHERE lower(u.email) = lower($1);

-- name: note
INSERT INTO deactivations (account_id, reason, deactivated_at) VALUES ($1, $2, $3)
ON CONFLICT (account_id) DO UPDATE SET reason = excluded.reason, deactivated_at = excluded.deactivated_at
WHERE deactivations.reason <> 'administration' OR excluded.reason <> 'administration'
RETURNING account_id;

-- name: forget
DELETE FROM deactivations WHERE account_id = $1;
