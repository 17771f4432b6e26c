-- The triggers on Django's tables that tell of what others change there.

-- name: installed (postgres)
-- How many of the six there are and work: one that is disabled tells nobody.
SELECT count(*) AS installed FROM pg_trigger
WHERE tgrelid IN (to_regclass('public.auth_user'), to_regclass('public.authtoken_token'))
    AND tgname IN ('avain_updated', 'avain_deleted', 'avain_truncated') AND tgenabled IN ('O', 'A');

-- name: role (postgres)
SELECT CAST(current_user AS TEXT) AS name;
