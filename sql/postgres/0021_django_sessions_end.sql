-- When an account was signed out of all sessions of Django's but one: they are kept by their keys alone, so that nobody
-- finds those of an account. One that may have begun before that moment is refused when it is presented.

ALTER TABLE account_revocations ADD COLUMN django_before_ms bigint;
ALTER TABLE account_revocations ADD COLUMN django_kept bytea CHECK (length(django_kept) = 32);
