-- What the service may do when the migrations are run by an administrative role: the one list.
-- {role} is the service's role. Run after every migration. Where Django owns the accounts, staff flags
-- and deletion are left to Django.
GRANT USAGE ON SCHEMA avain, public TO {role};
GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA avain TO {role};
GRANT USAGE ON ALL SEQUENCES IN SCHEMA avain TO {role};
REVOKE INSERT, UPDATE, DELETE ON avain.schema_versions, avain.facts FROM {role};
REVOKE UPDATE ON avain.audit_events FROM {role};

GRANT SELECT, INSERT ON public.auth_user TO {role};
GRANT UPDATE (password, last_login, username, first_name, last_name, email, is_active)
    ON public.auth_user TO {role};
GRANT SELECT, INSERT, DELETE ON public.authtoken_token TO {role};

DO $$
BEGIN
    -- serial (Django 2.2) or identity (5.2): the sequence is the column's either way
    EXECUTE format('GRANT USAGE ON SEQUENCE %s TO {role}',
        pg_get_serial_sequence('public.auth_user', 'id'));
    IF (SELECT value FROM avain.facts WHERE name = 'accounts.owner') = 'avain' THEN
        GRANT UPDATE, DELETE ON public.auth_user TO {role};
    END IF;
    IF to_regclass('public.account_emailaddress') IS NOT NULL THEN
        GRANT SELECT ON public.account_emailaddress TO {role};
    END IF;
    IF to_regclass('public.django_session') IS NOT NULL THEN
        GRANT SELECT, DELETE ON public.django_session TO {role};
    END IF;
END
$$;
