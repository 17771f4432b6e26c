-- Of which account an attempt is that counts for an account at an address: the digest that the account itself is
-- counted under, so that an operator can forgive all of an account's failures. NULL in rows of before.

ALTER TABLE attempts ADD COLUMN account BLOB CHECK (length(account) = 32);
CREATE INDEX attempts_account ON attempts (account);
