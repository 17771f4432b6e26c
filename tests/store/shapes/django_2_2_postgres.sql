CREATE SEQUENCE public.auth_user_id_seq AS integer;
CREATE TABLE public.auth_user (
    id integer NOT NULL DEFAULT nextval('public.auth_user_id_seq'),
    password character varying(128) NOT NULL,
    last_login timestamp with time zone,
    is_superuser boolean NOT NULL,
    username character varying(150) NOT NULL,
    first_name character varying(30) NOT NULL,
    last_name character varying(150) NOT NULL,
    email character varying(254) NOT NULL,
    is_staff boolean NOT NULL,
    is_active boolean NOT NULL,
    date_joined timestamp with time zone NOT NULL
);
ALTER SEQUENCE public.auth_user_id_seq OWNED BY public.auth_user.id;
CREATE TABLE public.authtoken_token (
    key character varying(40) NOT NULL,
    created timestamp with time zone NOT NULL,
    user_id integer NOT NULL
);
CREATE TABLE public.django_session (
    session_key character varying(40) NOT NULL PRIMARY KEY,
    session_data text NOT NULL,
    expire_date timestamp with time zone NOT NULL
);
ALTER TABLE ONLY public.auth_user ADD CONSTRAINT auth_user_pkey PRIMARY KEY (id);
ALTER TABLE ONLY public.auth_user ADD CONSTRAINT auth_user_username_key UNIQUE (username);
ALTER TABLE ONLY public.authtoken_token ADD CONSTRAINT authtoken_token_pkey PRIMARY KEY (key);
ALTER TABLE ONLY public.authtoken_token ADD CONSTRAINT authtoken_token_user_id_key UNIQUE (user_id);
CREATE INDEX auth_user_username_6821ab7c_like ON public.auth_user (username varchar_pattern_ops);
CREATE INDEX authtoken_token_key_10f0b77e_like ON public.authtoken_token (key varchar_pattern_ops);
ALTER TABLE ONLY public.authtoken_token
    ADD CONSTRAINT authtoken_token_user_id_35299eff_fk_auth_user_id
    FOREIGN KEY (user_id) REFERENCES public.auth_user (id) DEFERRABLE INITIALLY DEFERRED;
INSERT INTO auth_user (password, is_superuser, username, first_name, last_name, email, is_staff, is_active, date_joined)
VALUES ('!', FALSE, 'AnonymousUser', '', '', '', FALSE, TRUE, '2020-01-01 00:00:00+00'),
    ('!', FALSE, 'matti', 'Matti', '', '', FALSE, TRUE, '2020-01-02 03:04:05.678901+00');
INSERT INTO authtoken_token (key, created, user_id) VALUES ('0123456789abcdef', '2020-01-01 00:00:00+00', 2);
