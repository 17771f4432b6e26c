-- What somebody else changes in Django's own tables counts here too: the functions of the triggers that
-- `avain triggers install` puts there. They run with the rights of whoever owns this schema, for whoever
-- writes to Django's tables; and whatever happens to them, the writing goes on.

CREATE FUNCTION django_accounts_changed() RETURNS trigger LANGUAGE plpgsql
SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    changed record;
    at_ms bigint := floor(extract(epoch FROM clock_timestamp()) * 1000);
BEGIN
    -- Our own transactions say themselves what they have changed.
    IF current_setting('avain.transaction', TRUE) = 'own' THEN
        RETURN NULL;
    END IF;
    IF TG_OP = 'TRUNCATE' THEN
        INSERT INTO avain.changes (kind, changed_at) VALUES ('everything', at_ms / 1000);
        RETURN NULL;
    END IF;
    IF TG_OP = 'DELETE' THEN
        EXECUTE 'INSERT INTO avain.changes (kind, account_id, changed_at)
            SELECT ''account'', o.id::integer, $1 FROM old_rows o' USING at_ms / 1000;
        RETURN NULL;
    END IF;
    -- As JSON, and planned anew each time: Django's next migration may give a column another type.
    FOR changed IN EXECUTE
        $sql$
        SELECT coalesce(o.id, n.id)::integer AS id,
            to_jsonb(o) ->> 'password' IS DISTINCT FROM to_jsonb(n) ->> 'password' AS password,
            to_jsonb(o) ->> 'is_active' = 'true' AND to_jsonb(n) ->> 'is_active' = 'false' AS switched_off
        FROM old_rows o FULL JOIN new_rows n ON n.id = o.id
        WHERE to_jsonb(o) - 'last_login' IS DISTINCT FROM to_jsonb(n) - 'last_login'
        $sql$
    LOOP
        INSERT INTO avain.changes (kind, account_id, changed_at)
        VALUES ('account', changed.id, at_ms / 1000);
        IF changed.password OR changed.switched_off THEN
            INSERT INTO avain.account_revocations (account_id, revoked_before_ms)
            SELECT u.id, at_ms + 1 FROM public.auth_user u WHERE u.id = changed.id
            ON CONFLICT (account_id) DO UPDATE SET revoked_before_ms = excluded.revoked_before_ms;
            UPDATE avain.refresh_families SET state = 'ended', ended_at = at_ms / 1000,
                end_reason = CASE WHEN changed.password THEN 'password' ELSE 'deactivation' END
            WHERE account_id = changed.id AND state = 'active';
        END IF;
    END LOOP;
    RETURN NULL;
EXCEPTION WHEN OTHERS THEN
    RAISE WARNING 'avain: not all that was changed in % was noted: % (%)', TG_TABLE_NAME, SQLERRM, SQLSTATE;
    BEGIN
        INSERT INTO avain.changes (kind, changed_at) VALUES ('everything', at_ms / 1000);
    EXCEPTION WHEN OTHERS THEN
        RAISE WARNING 'avain: % (%)', SQLERRM, SQLSTATE;
    END;
    RETURN NULL;
END
$$;

CREATE FUNCTION django_keys_changed() RETURNS trigger LANGUAGE plpgsql
SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    at bigint := floor(extract(epoch FROM clock_timestamp()));
BEGIN
    IF current_setting('avain.transaction', TRUE) = 'own' THEN
        RETURN NULL;
    END IF;
    IF TG_OP = 'TRUNCATE' THEN
        INSERT INTO avain.changes (kind, changed_at) VALUES ('everything', at);
    ELSE
        EXECUTE 'INSERT INTO avain.changes (kind, account_id, changed_at)
            SELECT DISTINCT ''account'', o.user_id::integer, $1 FROM old_rows o' USING at;
    END IF;
    RETURN NULL;
EXCEPTION WHEN OTHERS THEN
    RAISE WARNING 'avain: not all that was changed in % was noted: % (%)', TG_TABLE_NAME, SQLERRM, SQLSTATE;
    BEGIN
        INSERT INTO avain.changes (kind, changed_at) VALUES ('everything', at);
    EXCEPTION WHEN OTHERS THEN
        RAISE WARNING 'avain: % (%)', SQLERRM, SQLSTATE;
    END;
    RETURN NULL;
END
$$;

-- Only who may put triggers on Django's tables has a use for them: `avain triggers install` grants it.
REVOKE EXECUTE ON FUNCTION django_accounts_changed(), django_keys_changed() FROM PUBLIC;
