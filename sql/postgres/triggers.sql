-- Run by `avain triggers install` as the owner of Django's tables. No column lists and no conditions: with
-- them PostgreSQL refuses Django's migrations that alter a column. The functions are in the migrations.
SET LOCAL lock_timeout = '5s';

DROP TRIGGER IF EXISTS avain_updated ON public.auth_user;
DROP TRIGGER IF EXISTS avain_deleted ON public.auth_user;
DROP TRIGGER IF EXISTS avain_truncated ON public.auth_user;
DROP TRIGGER IF EXISTS avain_updated ON public.authtoken_token;
DROP TRIGGER IF EXISTS avain_deleted ON public.authtoken_token;
DROP TRIGGER IF EXISTS avain_truncated ON public.authtoken_token;

CREATE TRIGGER avain_updated AFTER UPDATE ON public.auth_user
    REFERENCING OLD TABLE AS old_rows NEW TABLE AS new_rows
    FOR EACH STATEMENT EXECUTE FUNCTION avain.django_accounts_changed();
CREATE TRIGGER avain_deleted AFTER DELETE ON public.auth_user
    REFERENCING OLD TABLE AS old_rows
    FOR EACH STATEMENT EXECUTE FUNCTION avain.django_accounts_changed();
CREATE TRIGGER avain_truncated AFTER TRUNCATE ON public.auth_user
    FOR EACH STATEMENT EXECUTE FUNCTION avain.django_accounts_changed();
CREATE TRIGGER avain_updated AFTER UPDATE ON public.authtoken_token
    REFERENCING OLD TABLE AS old_rows
    FOR EACH STATEMENT EXECUTE FUNCTION avain.django_keys_changed();
CREATE TRIGGER avain_deleted AFTER DELETE ON public.authtoken_token
    REFERENCING OLD TABLE AS old_rows
    FOR EACH STATEMENT EXECUTE FUNCTION avain.django_keys_changed();
CREATE TRIGGER avain_truncated AFTER TRUNCATE ON public.authtoken_token
    FOR EACH STATEMENT EXECUTE FUNCTION avain.django_keys_changed();
