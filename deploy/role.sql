-- The role that avain has in the database of a Django backend: what it needs and no more.
-- Run by the owner of Django's tables, once:  psql -v password="'…'" -f role.sql DATABASE

CREATE ROLE avain LOGIN PASSWORD :password;

-- avain's own tables. Its foreign keys to auth_user are ON DELETE CASCADE: Django's admin deletes accounts as before.
CREATE SCHEMA avain AUTHORIZATION avain;
GRANT USAGE ON SCHEMA public TO avain;
ALTER ROLE avain SET search_path = avain, public;

GRANT SELECT, INSERT, REFERENCES (id) ON auth_user TO avain;
-- Not is_staff and not is_superuser: whoever takes this role over makes nobody an administrator of what exists.
-- (An INSERT has to name both columns, so a new account is beyond what a grant can forbid.)
GRANT UPDATE (password, last_login, username, first_name, last_name, email, is_active) ON auth_user TO avain;
GRANT USAGE ON SEQUENCE auth_user_id_seq TO avain;

GRANT SELECT, INSERT, DELETE ON authtoken_token TO avain;
GRANT SELECT, DELETE ON django_session TO avain;

-- allauth's addresses, where there are any: `avain user adopt-addresses` reads which of them it has verified.
DO $$
BEGIN
    IF to_regclass('public.account_emailaddress') IS NOT NULL THEN
        GRANT SELECT ON public.account_emailaddress TO avain;
    END IF;
END
$$;
