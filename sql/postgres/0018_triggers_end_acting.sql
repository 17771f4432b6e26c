-- What Django changes never makes an earlier sign-out count for less, and ends what somebody does as another when
-- either loses what it depends on. Triggers that are installed go by this from now on.

CREATE OR REPLACE FUNCTION django_accounts_changed() RETURNS trigger LANGUAGE plpgsql
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
            to_jsonb(o) ->> 'is_active' = 'true' AND to_jsonb(n) ->> 'is_active' = 'false' AS switched_off,
            to_jsonb(o) ->> 'is_staff' IS DISTINCT FROM to_jsonb(n) ->> 'is_staff'
                OR to_jsonb(o) ->> 'is_superuser' IS DISTINCT FROM to_jsonb(n) ->> 'is_superuser' AS rank
        FROM old_rows o FULL JOIN new_rows n ON n.id = o.id
        WHERE to_jsonb(o) - 'last_login' IS DISTINCT FROM to_jsonb(n) - 'last_login'
        $sql$
    LOOP
        INSERT INTO avain.changes (kind, account_id, changed_at)
        VALUES ('account', changed.id, at_ms / 1000);
        IF changed.password OR changed.switched_off THEN
            INSERT INTO avain.account_revocations (account_id, revoked_before_ms)
            SELECT u.id, at_ms + 1 FROM public.auth_user u WHERE u.id = changed.id
            ON CONFLICT (account_id) DO UPDATE SET revoked_before_ms = excluded.revoked_before_ms
            WHERE excluded.revoked_before_ms > account_revocations.revoked_before_ms;
            UPDATE avain.refresh_families SET state = 'ended', ended_at = at_ms / 1000,
                end_reason = CASE WHEN changed.password THEN 'password' ELSE 'deactivation' END
            WHERE account_id = changed.id AND state = 'active';
        END IF;
        IF changed.password OR changed.switched_off OR changed.rank THEN
            -- What they do as somebody else, and what somebody does as them.
            WITH ended AS (
                UPDATE avain.refresh_families SET state = 'ended', ended_at = at_ms / 1000, end_reason = 'sign_out'
                WHERE state = 'active' AND id IN (
                    SELECT b.family_id FROM avain.session_families b
                    JOIN avain.sessions s ON s.digest = b.session_digest
                    JOIN avain.sessions a ON a.digest = s.actor_session
                    WHERE s.account_id = changed.id OR a.account_id = changed.id
                )
                RETURNING account_id
            )
            INSERT INTO avain.changes (kind, account_id, changed_at)
            SELECT DISTINCT 'account', e.account_id, at_ms / 1000 FROM ended e WHERE e.account_id <> changed.id;
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
