-- Which row of allauth's an address was taken over from: the keys that allauth has mailed name it.

ALTER TABLE email_addresses ADD COLUMN allauth_id INTEGER;
CREATE INDEX email_addresses_allauth ON email_addresses (allauth_id) WHERE allauth_id IS NOT NULL;
