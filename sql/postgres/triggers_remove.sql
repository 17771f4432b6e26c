-- Run by `avain triggers remove` as the owner of Django's tables.
SET LOCAL lock_timeout = '5s';

DROP TRIGGER IF EXISTS avain_updated ON public.auth_user;
DROP TRIGGER IF EXISTS avain_deleted ON public.auth_user;
DROP TRIGGER IF EXISTS avain_truncated ON public.auth_user;
DROP TRIGGER IF EXISTS avain_updated ON public.authtoken_token;
DROP TRIGGER IF EXISTS avain_deleted ON public.authtoken_token;
DROP TRIGGER IF EXISTS avain_truncated ON public.authtoken_token;
