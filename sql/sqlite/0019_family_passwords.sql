-- With which password a refresh family began, as a digest of what is stored: where others change it in Django's tables and
-- no trigger tells, the family is told by it to be one of before. And the session of Django's in which it began.

ALTER TABLE refresh_families ADD COLUMN password_digest BLOB CHECK (length(password_digest) = 32);
ALTER TABLE refresh_families ADD COLUMN django_session BLOB CHECK (length(django_session) = 32);
CREATE INDEX refresh_families_password ON refresh_families (account_id, state, password_digest);
DROP INDEX refresh_families_account;
CREATE INDEX refresh_families_django_session ON refresh_families (django_session) WHERE django_session IS NOT NULL;
