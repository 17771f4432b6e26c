-- Mail addresses beside the one in auth_user: several for an account, each verified or not. The folded
-- form is compared; the address as it was given receives mail.

-- name: of_account
SELECT id, account_id, address, folded, verified_at, is_primary FROM email_addresses
WHERE account_id = $1 ORDER BY id;

-- name: by_folded
SELECT id, account_id, address, folded, verified_at, is_primary FROM email_addresses
WHERE folded = $1 ORDER BY id;

-- name: by_id
SELECT id, account_id, address, folded, verified_at, is_primary FROM email_addresses WHERE id = $1;

-- name: by_allauth_id
SELECT id, account_id, address, folded, verified_at, is_primary FROM email_addresses
WHERE allauth_id = $1 ORDER BY id LIMIT 1;

-- name: note_allauth_id
-- Of this address alone, whichever had it before.
UPDATE email_addresses SET allauth_id = CASE WHEN id = $1 THEN CAST($2 AS BIGINT) END
WHERE id = $1 OR allauth_id = CAST($2 AS BIGINT);

-- name: add
INSERT INTO email_addresses (account_id, address, folded, verified_at, is_primary, added_at)
VALUES ($1, $2, $3, $4, $5, $6)
ON CONFLICT (account_id, folded) DO NOTHING
RETURNING id;

-- name: verify
UPDATE email_addresses SET verified_at = $2
WHERE id = $1 AND verified_at IS NULL
    AND NOT EXISTS (SELECT 1 FROM email_addresses o
        WHERE o.folded = email_addresses.folded AND o.verified_at IS NOT NULL AND o.id <> email_addresses.id)
RETURNING account_id;

-- name: clear_primary
UPDATE email_addresses SET is_primary = FALSE WHERE account_id = $1 AND is_primary;

-- name: make_primary
UPDATE email_addresses SET is_primary = TRUE WHERE id = $1 AND account_id = $2 RETURNING address;

-- name: respell
UPDATE email_addresses SET address = $3 WHERE id = $1 AND account_id = $2;

-- name: remove
DELETE FROM email_addresses WHERE id = $1 AND account_id = $2 AND NOT is_primary RETURNING id;
