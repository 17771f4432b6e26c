//! Every setting, declared once: name, default, whether it is secret, what it is for, and its parser.
//!
//! Values come from, each overriding the one before: the default, `avain.toml`, the environment
//! (`AVAIN_` and the name in capitals, dots as underscores; `…_FILE` for secrets), `--set NAME=VALUE`.
//! Reading never stops at the first error: it tells all of them at once.

pub mod policies;

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use ipnet::IpNet;

use crate::base::secret::Secret;
use crate::settings::policies::PoliciesWritten;

/// A declared setting, as `--help`, the README's table and error messages show it.
#[derive(Clone, Copy, Debug)]
pub struct Declaration {
    /// Its name within its group.
    pub key: &'static str,
    /// Its default, as text.
    pub default: &'static str,
    /// Whether its value must not be shown, and may be read from a file.
    pub secret: bool,
    /// What it is for.
    pub doc: &'static str,
    /// What a value looks like.
    pub hint: &'static str,
}

/// A type that a setting can have.
trait Parse: Sized {
    /// What a value looks like.
    const HINT: &'static str;

    /// Reads a value, or says what is wrong with it.
    fn parse(text: &str) -> Result<Self, String>;
}

/// Declares a group of settings: a struct of typed values, and how to read them.
macro_rules! group {
    (
        $(#[doc = $about:literal])+
        $name:ident {
            $( $(#[doc = $doc:literal])+ $(@$secret:ident)? $field:ident: $type:ty = $default:literal; )+
        }
    ) => {
        $(#[doc = $about])+
        #[derive(Clone, Debug)]
        pub struct $name {
            $( $(#[doc = $doc])+ pub $field: $type, )+
        }

        impl $name {
            /// The declarations, in the order of the file.
            pub const DECLARATIONS: &'static [Declaration] = &[
                $( Declaration {
                    key: stringify!($field),
                    default: $default,
                    secret: group!(@secret $($secret)?),
                    doc: concat!($($doc),+),
                    hint: <$type as Parse>::HINT,
                }, )+
            ];

            fn read(prefix: &str, defaults: &[(&str, &str)], values: &mut Values) -> Self {
                Self {
                    $( $field: values.take(
                        &format!("{prefix}.{}", stringify!($field)),
                        defaults.iter().find(|(key, _)| *key == stringify!($field)).map_or($default, |(_, value)| value),
                        group!(@secret $($secret)?),
                    ), )+
                }
            }
        }
    };
    (@secret secret) => { true };
    (@secret) => { false };
}

group! {
    /// Listeners and limits.
    Server {
        /// Where to serve: `HOST:PORT` or `unix:PATH`, or a list of them.
        listen: List<Listen> = "127.0.0.1:8000";
        /// Where operators are served: `/metrics`, `/live`, `/ready`. Never the public address. Empty: nowhere.
        operations: Optional<Listen> = "127.0.0.1:8001";
        /// File mode of unix sockets, in octal.
        unix_mode: Mode = "660";
        /// Threads that serve; 0 means one for each core.
        workers: usize = "0";
        /// Open connections at most; more wait in the kernel's queue.
        max_connections: usize = "10000";
        /// Requests in work at most; more are answered 503 with Retry-After.
        max_in_flight: usize = "1024";
        /// Size of a request's head at most; more is answered 431.
        max_head: Size = "32KiB";
        /// Size of a request's body at most; more is answered 413.
        max_body: Size = "64KiB";
        /// Time in which a request's head must have arrived. Idle connections end after it too: nginx's
        /// `keepalive_timeout` of the upstream must be shorter.
        head_timeout: Duration = "10s";
        /// Time in which a request's body must have arrived.
        body_timeout: Duration = "15s";
        /// Time in which a request must be answered; after it 503.
        request_timeout: Duration = "30s";
        /// How long a stop waits for requests in work.
        drain_timeout: Duration = "25s";
        /// Peers that may tell the client's address and the request's id. Unix sockets always may.
        trusted_proxies: List<IpNet> = "127.0.0.0/8, ::1/128";
    }
}

group! {
    /// The database.
    Database {
        /// `sqlite:PATH`, or `postgresql://USER:PASSWORD@HOST:PORT/NAME` (several hosts are possible).
        @secret url: Secret<String> = "sqlite:avain.db";
        /// Connection with the right to create tables, for `migrate`; empty: `database.url` has it.
        @secret admin_url: Optional<Secret<String>> = "";
        /// PostgreSQL: where to hear of changes at once, if not at `database.url`: needed behind a pgbouncer
        /// in transaction mode, which passes no notices on. Empty: `database.url`.
        @secret listen_url: Optional<Secret<String>> = "";
        /// PostgreSQL: connections at most, beside the one that hears of changes.
        pool: usize = "16";
        /// SQLite: reading threads.
        readers: usize = "2";
        /// PostgreSQL: keep prepared statements; off behind a pgbouncer in transaction mode.
        prepared_statements: bool = "on";
        /// Time for one statement, and for getting a connection.
        timeout: Duration = "3s";
        /// PostgreSQL: time for connecting to one host, signing in included.
        connect_timeout: Duration = "2s";
        /// SQLite: `full` survives a power cut, `normal` a crash of the process.
        durability: Durability = "full";
        /// Apply missing migrations when `serve` starts; otherwise `serve` refuses to start without them.
        migrate_on_start: bool = "on";
    }
}

group! {
    /// Keys.
    Keys {
        /// The master key under which signing keys are stored: 64 hex digits. With SQLite and none given,
        /// it is made and kept in a file beside the database.
        @secret master: Optional<Secret<String>> = "";
        /// A key to sign with that another service has used: `hs256:` and the secret (Django's `SECRET_KEY`,
        /// say), or a PEM, its text or its path. Imported at the first start; old tokens go on working.
        @secret import: Optional<Secret<String>> = "";
        /// How long a key signs before the next one does, by itself and with nobody signed out. An imported
        /// key is left alone, since others hold it too: `avain key rotate` moves on from it. 0: never.
        rotation: Duration = "90d";
        /// How long before it signs the next key stands in the key set, so that other services which keep a
        /// copy get to know it.
        publish_ahead: Duration = "1d";
    }
}

group! {
    /// Tokens.
    Tokens {
        /// Algorithm of the signing key that is made at the first start.
        algorithm: Name = "HS256";
        /// Claim `iss`: written, and demanded of tokens that are presented. Empty: neither.
        issuer: Optional<String> = "";
        /// Claim `aud`: written, and demanded of tokens that are presented. Empty: neither.
        audience: Optional<String> = "";
        /// Tokens with `aud` where none is configured: `accept`, or `refuse` as old `PyJWT` does.
        unexpected_audience: Name = "accept";
        /// By how much clocks may differ.
        leeway: Duration = "0s";
        /// The word before a JWT in `Authorization`; its case counts.
        prefix: String = "Bearer";
        /// Name of the claim that holds the account's id.
        user_claim: String = "user_id";
        /// How the account's id is written: `string` or `number`.
        user_id: Name = "string";
        /// Whether `iat` is written.
        issued_at: bool = "on";
        /// Further claims: `CLAIM=SOURCE`, where the source is `username`, `email`, `is_staff`, `user_id`
        /// or `fixed:VALUE`.
        further: List<String> = "";
        /// How long the token before the last one may be used once more after a lost answer; 0: never.
        refresh_grace: Duration = "10s";
        /// How long a sign-in can be refreshed at the most, however often; 0: for ever.
        family_lifetime: Duration = "90d";
    }
}

group! {
    /// Accounts.
    Accounts {
        /// Who owns the table of accounts: `avain`, `django` (a Django backend shares it), or `auto`:
        /// `django` where the table existed before the first migration.
        owner: Name = "auto";
        /// Where Django owns it and its tables have no triggers of ours (`avain triggers install`): after how
        /// long what the gate knows of an account is looked up again.
        recheck: Duration = "5s";
    }
}

group! {
    /// What accounts may do for themselves, and what mails they get.
    Account {
        /// New accounts are off until their owner has followed a link in a mail.
        activation: bool = "off";
        /// djoser 0.1: registration gives an API key at once.
        login_after_registration: bool = "off";
        /// djoser 0.1: activation gives an API key.
        login_after_activation: bool = "off";
        /// djoser: passwords are typed twice.
        retype_password: bool = "off";
        /// djoser: user names (with `account.email_login` addresses) are typed twice when they are changed.
        retype_username: bool = "off";
        /// A mail tells of a finished activation, or of a registration that needs none.
        confirm_activation: bool = "off";
        /// A mail tells of another password.
        confirm_password: bool = "off";
        /// A mail tells of another user name.
        confirm_username: bool = "off";
        /// A mail tells the owner that somebody else has used a refresh token of theirs, so that the sign-in was
        /// ended; once a day at most.
        warn_of_reuse: bool = "on";
        /// Every account that is made gets a classic API key at once, as in Metax.
        classic_keys: bool = "off";
        /// Another password ends the account's API keys too. Tokens it always ends.
        end_keys_on_password_change: bool = "off";
        /// Clients are told that no account has an address. Guessers learn it too.
        show_unknown: bool = "off";
        /// No two accounts may have one address, whatever the case of its letters.
        unique_email: bool = "off";
        /// Accounts sign in with their mail address: forms ask for `email` in place of `username`, and
        /// djoser's `set_username` is `set_email`. User names are made from the addresses. Needs
        /// `account.unique_email`.
        email_login: bool = "off";
        /// First and last name must be given at registration.
        require_names: bool = "off";
        /// A new address counts `immediate`ly, as the recorded peers have it, or once a link to it was
        /// followed: `confirm`.
        email_change: Name = "immediate";
        /// How long links in mails live.
        link_lifetime: Duration = "3d";
        /// Django's `SECRET_KEY` and `SECRET_KEY_FALLBACKS`, so that links which it has sent before the
        /// change-over work, allauth's among them, to activate, to reset or to verify an address, once, and its
        /// browser sessions count (`sessions.django`). One in a line, or an array. Take them away when Django sends no more
        /// and the last of both has ended.
        @secret django_secret_keys: Lines<Secret<String>> = "";
        /// Django's `TIME_ZONE`: it counts the age of links in local time.
        django_time_zone: String = "Europe/Helsinki";
        /// Django's `PASSWORD_RESET_TIMEOUT`, or `PASSWORD_RESET_TIMEOUT_DAYS`.
        django_link_lifetime: Duration = "3d";
        /// Pattern of activation links, behind protocol and domain.
        activation_url: String = "#/activate/{uid}/{token}";
        /// Pattern of links to another password.
        password_reset_url: String = "#/password/reset/confirm/{uid}/{token}";
        /// Pattern of links to another user name.
        username_reset_url: String = "#/username/reset/confirm/{uid}/{token}";
        /// dj-rest-auth: pattern of links that show that mail arrives.
        email_verification_url: String = "users/register/confirm-email/{key}/";
        /// dj-rest-auth: opening `register/confirm-email/<key>` verifies the address. Programs that look at
        /// links in mails before people do verify it too.
        confirm_on_get: bool = "off";
        /// dj-rest-auth: pattern of links to another password.
        allauth_password_reset_url: String = "password-reset/confirm/{uid}/{token}/";
        /// Pattern of links to another address.
        email_change_url: String = "#/email/confirm/{uid}/{token}";
        /// dj-rest-auth: what a log-in gives: `key`, `jwt`, or `cookie`.
        dj_rest_auth_mode: Name = "key";
        /// dj-rest-auth: a user name may be given in place of an address; never with `account.email_login`.
        dj_rest_auth_usernames: bool = "on";
        /// dj-rest-auth: a log-in tells when its tokens expire.
        dj_rest_auth_expirations: bool = "off";
        /// dj-rest-auth: the old password is asked for when it is changed.
        dj_rest_auth_old_password: bool = "off";
    }
}

group! {
    /// Passwords.
    Passwords {
        /// What is written: `argon2id`, `pbkdf2_sha256`, or `auto`: argon2id, but where Django shares the
        /// accounts `pbkdf2_sha256` with the count that most accounts have.
        algorithm: Name = "auto";
        /// Argon2id: memory.
        argon2_memory: Size = "19MiB";
        /// Argon2id: passes over the memory.
        argon2_passes: u32 = "2";
        /// PBKDF2: iterations that are written; 0: what most accounts have.
        pbkdf2_iterations: u32 = "0";
        /// PBKDF2: a stored hash with fewer iterations is written anew at sign-in; 0: never.
        rehash_below: u32 = "0";
        /// Threads that hash; 0 means one for each core but one, at least one.
        threads: usize = "0";
        /// Passwords that may wait to be hashed; more are answered 503 with Retry-After.
        queue: usize = "64";
        /// New passwords: characters at least.
        minimum_length: usize = "8";
        /// New passwords: refuse what is too similar to the user name, the names or the address.
        similarity: bool = "on";
        /// New passwords: refuse the 20,000 most common ones.
        common: bool = "on";
        /// New passwords: refuse what is digits alone.
        numeric: bool = "on";
        /// New passwords: refuse those in this downloaded list of breached ones: a folder of SHA-1 ranges
        /// (files named by five digits, lines `SUFFIX:COUNT`), or one file of `SHA1:COUNT` lines sorted by
        /// the digits. Empty: none.
        breached: Optional<String> = "";
    }
}

group! {
    /// How often may be guessed and asked. Counted in the store, so that instances share it.
    Throttle {
        /// Whether anything is limited.
        enabled: bool = "on";
        /// Failed sign-ins of one account in a window, from addresses that it has not signed in from
        /// before; an address that it has counts by itself, so that nobody locks the owner out. 0: no limit.
        account_failures: u32 = "10";
        /// Failed sign-ins of one address (in IPv6 of one /64) in a window. 0: no limit.
        address_failures: u32 = "30";
        /// How long a window is; it begins with the first failure.
        window: Duration = "60s";
        /// Failed sign-ins of one account in a row, over all windows. 0: no limit.
        ceiling: u32 = "100";
        /// How long sign-ins rest after so many in a row.
        ceiling_rest: Duration = "1h";
        /// For how long an address is known to an account after it signed in from there.
        known_for: Duration = "30d";
        /// Password resets for one mail address in an hour. 0: no limit.
        resets_per_hour: u32 = "4";
        /// Activation and verification mails sent again to one mail address in an hour, and accounts that move to it. 0: no limit.
        resends_per_hour: u32 = "4";
        /// Resets, activation mails and new mail addresses that one address asks for in an hour. 0: no limit.
        mail_requests_per_hour: u32 = "60";
        /// Registrations from one address in an hour. 0: no limit.
        registrations_per_hour: u32 = "60";
    }
}

group! {
    /// Audit: what happened to accounts, tokens and keys (`avain audit`).
    Audit {
        /// How long events are kept; 0: for ever.
        retention: Duration = "400d";
        /// Each refresh is recorded, too: one more row for every access token.
        refreshes: bool = "off";
        /// Refusals (failed sign-ins, throttled requests) that each instance keeps in a minute; more are
        /// logged and counted, so that guessing cannot fill the disk.
        refusals_per_minute: u32 = "60";
    }
}

group! {
    /// The gate: what nginx's `auth_request` asks, or Traefik's `ForwardAuth`.
    Gate {
        /// Where nginx asks; a path of `server.listen` that nothing outside may reach.
        path: String = "/gate";
        /// How the gateway asks: `auth_request` (nginx, and Caddy as `deploy/caddy` has it) in `X-Original-…`
        /// headers, or `forward_auth` (Traefik) in `X-Forwarded-…`. Each gateway vouches for its own alone.
        protocol: Name = "auth_request";
        /// Who may do what: a policy of one's own, `[gate.policies.NAME]`, or a preset that follows a
        /// permission class of Django REST framework: `read-only-for-anonymous`
        /// (`IsAuthenticatedOrReadOnly`), `authenticated` (`IsAuthenticated`), `staff` (`IsAdminUser`),
        /// `open` (`AllowAny`). Asked at `gate.path`; every policy at `gate.path`/NAME.
        policy: Name = "read-only-for-anonymous";
        /// How refusals are worded: the name of a layout.
        dialect: Name = "harrastuspassi";
        /// Credentials that count, in this order: `Bearer`, `Token`.
        schemes: List<Name> = "Bearer, Token";
        /// The protected roots: a path must begin with one, and must not hold another further on.
        roots: List<String> = "/api/, /mobile-api/";
        /// Algorithm of phantom tokens: `HS256` or `RS256`.
        phantom_algorithm: Name = "HS256";
        /// The key of phantom tokens: `hs256:` and the secret, or a PEM; empty: made and kept in the store
        /// (`avain key phantom` prints what the backend needs).
        @secret phantom_key: Optional<Secret<String>> = "";
        /// Life of a phantom token: longer than the slowest upload.
        phantom_lifetime: Duration = "5m";
        /// For how long credentials that are known may go on reading when the database does not answer.
        /// Writing ends at once, anonymous reading goes on. 0: not at all.
        outage_reading: Duration = "30s";
        /// Memory for credentials that are known. Beside it each thread keeps copies of up to 512 that come
        /// again and again, of about 1 KiB each.
        cache: Size = "16MiB";
        /// Unknown credentials that one address may present in ten seconds; more are answered 429.
        misses: u32 = "100";
        /// API keys never seen before that are looked up at once. More wait, for a second at the most, and
        /// are then answered 503: who makes keys up must not take the database from everybody else.
        key_look_ups: usize = "4";
    }
}

group! {
    /// API keys of our own, `avn_…`. Classic keys have no terms and no end.
    ApiKeys {
        /// Keys in force that one account may have.
        per_account: u32 = "50";
        /// How long a key may live at the most; 0: as long as its owner wishes, for ever included.
        longest_life: Duration = "0s";
        /// How long a key that was rotated goes on, where nobody says otherwise.
        overlap: Duration = "1h";
        /// How long is kept that there was a key which has ended.
        keep_ended: Duration = "30d";
    }
}

group! {
    /// Mail.
    Mail {
        /// Where mails go: `smtp://HOST:PORT`, or for development `log`, or `folder:PATH` for `.eml` files.
        transport: String = "log";
        /// How the connection to the mail server is protected: `starttls`, `opportunistic` (STARTTLS where
        /// it is offered), `tls` (from the first byte), `none`.
        tls: Name = "starttls";
        /// A PEM file with authorities that may have signed the mail server's certificate, beside the
        /// system's.
        authorities: Optional<String> = "";
        /// The name to sign in to the mail server with.
        user: Optional<String> = "";
        /// The password to sign in to the mail server with.
        @secret password: Optional<Secret<String>> = "";
        /// Who writes: an address, or `Name <address>`.
        from: String = "no-reply@localhost";
        /// How long an answer of the mail server is awaited.
        timeout: Duration = "10s";
        /// How long its answer to a whole message is awaited; who gives up early sends it twice.
        final_timeout: Duration = "1m";
        /// A folder with templates of one's own, in place of those of the same name (`avain mail render`
        /// shows them all). Empty: none.
        templates: Optional<String> = "";
        /// The language for those who ask for none: `en`, `fi` or `sv`.
        language: Name = "en";
        /// Connections to the mail server at most.
        senders: usize = "4";
        /// How old a mail that cannot be sent becomes before it is given up.
        give_up_after: Duration = "3d";
        /// How long is kept that a mail was sent (not who got it, nor what it said).
        keep_sent: Duration = "7d";
        /// How long mails that were given up are kept.
        keep_failed: Duration = "30d";
    }
}

group! {
    /// The site that people use, as mails name it and link to it.
    Site {
        /// Its name. Empty: its domain.
        name: Optional<String> = "";
        /// Host of the front end in links, with its port where that is unusual. Never taken from a request.
        domain: String = "localhost";
        /// `https`, or `http` in development.
        protocol: Name = "https";
    }
}

group! {
    /// Browser sessions, behind the pages and behind `GET /auth/token/`.
    Sessions {
        /// How long a session lives, used or not.
        lifetime: Duration = "14d";
        /// How long a session may go unused; 0: until it ends.
        idle: Duration = "0s";
        /// Name of the cookie that holds it.
        cookie: String = "sessionid";
        /// Name of the cookie with what forms and `X-CSRFToken` send back.
        csrf_cookie: String = "csrftoken";
        /// Sessions that Django keeps in `django_session` count too, where `account.django_secret_keys` is
        /// set. With a Django older than 3.1 `lifetime` must be its `SESSION_COOKIE_AGE`.
        django: bool = "on";
        /// Superusers may act as somebody who is less powerful, to see what they see. Tokens that are made
        /// meanwhile say who acted (`act`), and everything is recorded.
        acting: bool = "off";
        /// User names of staff who may act as others, too. Nobody but an operator gives an account such a name.
        acting_staff: List<String> = "";
        /// For how long somebody may act as somebody else at a time; tokens that are made meanwhile end
        /// with it.
        acting_lifetime: Duration = "30m";
    }
}

group! {
    /// Pages for people.
    Pages {
        /// Whether they are served.
        enabled: bool = "on";
        /// Where the pages of one's account are.
        mount: String = "/accounts";
        /// Where the administration is. Empty: not served.
        administration: Optional<String> = "/sysadmin";
        /// Where the administration of classic API keys is, where that is not below `administration`: in front
        /// of a Django that keeps its own admin, `/sysadmin/authtoken` takes over this part of it. Empty:
        /// `authtoken` below `administration`.
        authtoken: Optional<String> = "";
        /// Where a sign-in leads that asks for nothing else: a path, or the address of a front end. Empty:
        /// one's account.
        after_sign_in: Optional<String> = "";
        /// Whether people may register on a page.
        registration: bool = "off";
        /// Links in mails lead to these pages, for sites without a front end of their own, in place of the
        /// patterns of `account`.
        links: bool = "off";
        /// The languages that are offered; the first is for those who ask for none of them.
        languages: List<Name> = "en, fi, sv";
        /// The colour of buttons and links, as `#rrggbb`. It is darkened or lightened until it can be read.
        colour: String = "#1a5f8a";
        /// In which time zone moments are told.
        time_zone: String = "Europe/Helsinki";
        /// A folder with templates of one's own, in place of those of the same name. Empty: none.
        templates: Optional<String> = "";
    }
}

group! {
    /// Logs.
    Log {
        /// `human`, `json`, or `auto`: human on a terminal.
        format: Name = "auto";
        /// `error`, `warn`, `info`, `debug`, `trace`, or a filter such as `info,avain::store=debug`.
        level: String = "info";
    }
}

group! {
    /// A layout: a set of endpoints that speaks like one of the peers.
    Layout {
        /// Whether it is served.
        enabled: bool = "on";
        /// The path under which it is served.
        mount: String = "/";
        /// Generation of the wording: `current`, or `pinned` for the one that the backend pins (Finnish);
        /// djoser-legacy: `0.1` or `0.5`.
        wording: Name = "current";
        /// Life of an access token.
        access_lifetime: Duration = "5m";
        /// Life of a refresh token.
        refresh_lifetime: Duration = "1d";
        /// Whether each refresh gives a new refresh token.
        rotation: bool = "off";
        /// Whether tokens hold `first_name` and `last_name`.
        names: bool = "off";
    }
}

/// The layouts and what differs in their defaults.
pub const LAYOUTS: &[(&str, &[(&str, &str)])] = &[
    ("harrastuspassi", &[("mount", "/auth"), ("access_lifetime", "5h"), ("names", "on")]),
    ("djoser", &[("mount", "/auth")]),
    ("djoser-legacy", &[("mount", "/auth"), ("wording", "0.5")]),
    ("simplejwt", &[("mount", "/api/token"), ("rotation", "on")]),
    ("dj-rest-auth", &[("mount", "/users"), ("rotation", "on"), ("enabled", "off")]),
    ("metax", &[("mount", "/v3")]),
    ("native", &[("mount", "/auth")]),
    ("oauth", &[("mount", "/oauth"), ("access_lifetime", "15m"), ("rotation", "on")]),
];

/// All settings.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Listeners and limits.
    pub server: Server,
    /// The database.
    pub database: Database,
    /// Keys.
    pub keys: Keys,
    /// Tokens.
    pub tokens: Tokens,
    /// Accounts.
    pub accounts: Accounts,
    /// What accounts may do for themselves.
    pub account: Account,
    /// Passwords.
    pub passwords: Passwords,
    /// How often may be guessed and asked.
    pub throttle: Throttle,
    /// Audit.
    pub audit: Audit,
    /// The gate.
    pub gate: Gate,
    /// API keys.
    pub api_keys: ApiKeys,
    /// Mail.
    pub mail: Mail,
    /// The site that people use.
    pub site: Site,
    /// Browser sessions.
    pub sessions: Sessions,
    /// Pages for people.
    pub pages: Pages,
    /// Logs.
    pub log: Log,
    /// Layouts, by name, in the order of [`LAYOUTS`].
    pub layouts: Vec<(&'static str, Layout)>,
    /// Policies of the gate: `[gate.policies.NAME]`, in the file alone.
    pub policies: PoliciesWritten,
}

/// The groups and what they declare; `layouts.<layout>` stands for every layout.
pub const GROUPS: &[(&str, &[Declaration])] = &[
    ("server", Server::DECLARATIONS),
    ("database", Database::DECLARATIONS),
    ("keys", Keys::DECLARATIONS),
    ("tokens", Tokens::DECLARATIONS),
    ("accounts", Accounts::DECLARATIONS),
    ("account", Account::DECLARATIONS),
    ("passwords", Passwords::DECLARATIONS),
    ("throttle", Throttle::DECLARATIONS),
    ("audit", Audit::DECLARATIONS),
    ("gate", Gate::DECLARATIONS),
    ("api_keys", ApiKeys::DECLARATIONS),
    ("mail", Mail::DECLARATIONS),
    ("site", Site::DECLARATIONS),
    ("sessions", Sessions::DECLARATIONS),
    ("pages", Pages::DECLARATIONS),
    ("log", Log::DECLARATIONS),
    ("layouts.<layout>", Layout::DECLARATIONS),
];

/// Where values come from.
#[derive(Clone, Debug, Default)]
pub struct Sources {
    /// The text of the file with settings, and the name to show for it.
    pub toml: Option<(String, String)>,
    /// The environment.
    pub environment: BTreeMap<String, String>,
    /// `--set NAME=VALUE`.
    pub overrides: Vec<String>,
}

/// Everything that is wrong with the settings: one line each.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wrong(pub Vec<String>);

impl fmt::Display for Wrong {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.join("\n"))
    }
}

impl Settings {
    /// Reads all settings, or tells everything that is wrong.
    pub fn read(sources: &Sources) -> Result<Self, Wrong> {
        let (settings, wrong) = Self::judge(sources);
        if wrong.is_empty() { Ok(settings) } else { Err(Wrong(wrong)) }
    }

    /// Reads all settings and tells everything that is wrong; what is wrong has its default, so that the
    /// rest can be judged too.
    #[must_use]
    pub fn judge(sources: &Sources) -> (Self, Vec<String>) {
        let mut values = Values::collect(sources);
        let policies = match &sources.toml {
            Some((text, file)) => PoliciesWritten::read(text, file, &mut values.wrong),
            None => PoliciesWritten::default(),
        };
        let settings = Self {
            server: Server::read("server", &[], &mut values),
            database: Database::read("database", &[], &mut values),
            keys: Keys::read("keys", &[], &mut values),
            tokens: Tokens::read("tokens", &[], &mut values),
            accounts: Accounts::read("accounts", &[], &mut values),
            account: Account::read("account", &[], &mut values),
            passwords: Passwords::read("passwords", &[], &mut values),
            throttle: Throttle::read("throttle", &[], &mut values),
            audit: Audit::read("audit", &[], &mut values),
            gate: Gate::read("gate", &[], &mut values),
            api_keys: ApiKeys::read("api_keys", &[], &mut values),
            mail: Mail::read("mail", &[], &mut values),
            site: Site::read("site", &[], &mut values),
            sessions: Sessions::read("sessions", &[], &mut values),
            pages: Pages::read("pages", &[], &mut values),
            log: Log::read("log", &[], &mut values),
            layouts: LAYOUTS
                .iter()
                .map(|(name, defaults)| {
                    (*name, Layout::read(&format!("layouts.{name}"), defaults, &mut values))
                })
                .collect(),
            policies,
        };
        (settings, values.wrong)
    }

    /// Whether `other` differs in more than the gate's policies: in what counts from the next start on.
    #[must_use]
    pub fn differ_beyond_policies(&self, other: &Self) -> bool {
        let mut other = other.clone();
        other.policies = self.policies.clone();
        other.gate.policy.clone_from(&self.gate.policy);
        other.gate.roots = self.gate.roots.clone();
        other.gate.dialect.clone_from(&self.gate.dialect);
        // Secrets are not shown, and so not told apart.
        format!("{self:?}") != format!("{other:?}")
    }

    /// The layout of that name.
    #[must_use]
    pub fn layout(&self, name: &str) -> Option<&Layout> {
        self.layouts.iter().find(|(found, _)| *found == name).map(|(_, layout)| layout)
    }
}

/// The full names of all settings, and whether each is secret.
fn names() -> impl Iterator<Item = (String, bool)> {
    GROUPS.iter().flat_map(|(group, declarations)| {
        let prefixes = match group.strip_suffix("<layout>") {
            Some(prefix) => LAYOUTS.iter().map(|(name, _)| format!("{prefix}{name}")).collect(),
            None => vec![(*group).to_owned()],
        };
        prefixes.into_iter().flat_map(|prefix| {
            declarations.iter().map(move |found| (format!("{prefix}.{}", found.key), found.secret))
        })
    })
}

/// The name in the environment.
fn environment_name(name: &str) -> String {
    format!("AVAIN_{}", name.to_uppercase().replace('.', "_"))
}

/// Variables of ours in the environment that are no settings.
const OTHER_VARIABLES: &[&str] = &["AVAIN_CONFIG", "AVAIN_SUPERUSER_"];

/// Values by name, each with the place that it came from.
#[derive(Default)]
struct Values {
    found: BTreeMap<String, (String, String)>,
    wrong: Vec<String>,
}

impl Values {
    fn collect(sources: &Sources) -> Self {
        let mut values = Self::default();
        if let Some((text, file)) = &sources.toml {
            match text.parse::<toml::Table>() {
                Ok(table) => values.flatten("", &toml::Value::Table(table), file),
                Err(error) => {
                    let line = error.span().map_or(1, |span| {
                        1 + text.get(..span.start).map_or(0, |before| before.matches('\n').count())
                    });
                    values.wrong.push(format!("{file}, line {line}: {}", error.message()));
                }
            }
        }
        for (name, secret) in names() {
            let variable = environment_name(&name);
            if let Some(value) = sources.environment.get(&variable) {
                let from = format!("environment variable {variable}");
                values.found.insert(name.clone(), (value.clone(), from));
            }
            let variable = format!("{variable}_FILE");
            if secret && let Some(path) = sources.environment.get(&variable) {
                values.found.remove(&name);
                values.found.insert(format!("{name}_file"), (path.clone(), variable));
            }
        }
        values.refuse_unknown_variables(&sources.environment);
        for pair in &sources.overrides {
            match pair.split_once('=') {
                Some((name, value)) => {
                    let from = "--set".to_owned();
                    values.found.insert(name.trim().to_owned(), (value.to_owned(), from));
                }
                None => values.wrong.push(format!("--set {pair}: write it as NAME=VALUE")),
            }
        }
        values.read_secret_files();
        values.refuse_unknown();
        values
    }

    /// Turns tables into dotted names and values into text. Policies are read by themselves.
    fn flatten(&mut self, prefix: &str, value: &toml::Value, file: &str) {
        if prefix == "gate.policies" {
            return;
        }
        let text = match value {
            toml::Value::Table(table) => {
                for (key, value) in table {
                    let dot = if prefix.is_empty() { "" } else { "." };
                    self.flatten(&format!("{prefix}{dot}{key}"), value, file);
                }
                return;
            }
            toml::Value::String(text) => text.clone(),
            toml::Value::Array(items) => {
                let texts = items.iter().map(|item| match item {
                    toml::Value::String(text) => text.clone(),
                    other => other.to_string(),
                });
                texts.collect::<Vec<_>>().join("\n")
            }
            other => other.to_string(),
        };
        self.found.insert(prefix.to_owned(), (text, file.to_owned()));
    }

    fn read_secret_files(&mut self) {
        for (name, _) in names().filter(|(_, secret)| *secret) {
            let Some((path, from)) = self.found.remove(&format!("{name}_file")) else { continue };
            match std::fs::read_to_string(&path) {
                Ok(text) => {
                    let text = text.trim_end_matches(['\r', '\n']).to_owned();
                    self.found.insert(name, (text, format!("{from} ({path})")));
                }
                Err(error) => {
                    self.wrong.push(format!("{name}: cannot read {path}: {error} ({from})"));
                }
            }
        }
    }

    fn refuse_unknown(&mut self) {
        let known: Vec<String> = names().map(|(name, _)| name).collect();
        let unknown = self.found.iter().filter(|(name, _)| !known.contains(name));
        let wrong: Vec<String> = unknown
            .map(|(name, (_, from))| {
                let hint = nearest(name, known.iter().map(String::as_str));
                format!("{name}: there is no such setting{hint} ({from})")
            })
            .collect();
        self.wrong.extend(wrong);
    }

    fn refuse_unknown_variables(&mut self, environment: &BTreeMap<String, String>) {
        let known: Vec<String> = names()
            .flat_map(|(name, secret)| {
                let variable = environment_name(&name);
                let file = secret.then(|| format!("{variable}_FILE"));
                std::iter::once(variable).chain(file)
            })
            .collect();
        for variable in environment.keys().filter(|variable| variable.starts_with("AVAIN_")) {
            if !known.contains(variable)
                && !OTHER_VARIABLES.iter().any(|other| variable.starts_with(other))
            {
                let hint = nearest(variable, known.iter().map(String::as_str));
                self.wrong.push(format!(
                    "environment variable {variable}: there is no such setting{hint}"
                ));
            }
        }
    }

    /// The value of a setting; where it is wrong, notes why and gives the default.
    fn take<T: Parse>(&mut self, name: &str, default: &str, secret: bool) -> T {
        let fallback = || T::parse(default).expect("defaults parse: a test reads them all");
        let Some((text, from)) = self.found.get(name) else { return fallback() };
        T::parse(text.trim()).unwrap_or_else(|why| {
            let shown = if secret { String::new() } else { format!(" `{text}`") };
            self.wrong.push(format!("{name}:{shown} {why}; want {} ({from})", T::HINT));
            fallback()
        })
    }
}

/// `; did you mean …?` for a name that differs by little from a known one.
fn nearest<'n>(name: &str, known: impl Iterator<Item = &'n str>) -> String {
    let best = known.map(|known| (distance(name, known), known)).min();
    match best {
        Some((distance, known)) if distance <= 3 => format!("; did you mean {known}?"),
        _ => "; `avain settings` lists them all".to_owned(),
    }
}

/// How many characters must change to make `a` into `b` (Levenshtein).
fn distance(a: &str, b: &str) -> usize {
    let mut row: Vec<usize> = (0..=b.chars().count()).collect();
    for (i, x) in a.chars().enumerate() {
        let mut before = i;
        if let Some(first) = row.first_mut() {
            *first = i + 1;
        }
        for (j, y) in b.chars().enumerate() {
            let substituted = before + usize::from(x != y);
            before = row.get(j + 1).copied().unwrap_or_default();
            let left = row.get(j).copied().unwrap_or_default();
            if let Some(cell) = row.get_mut(j + 1) {
                *cell = substituted.min(before + 1).min(left + 1);
            }
        }
    }
    row.last().copied().unwrap_or_default()
}

/// Where to listen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Listen {
    /// `HOST:PORT`.
    Tcp(String),
    /// `unix:PATH`.
    Unix(PathBuf),
}

impl fmt::Display for Listen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(address) => f.write_str(address),
            Self::Unix(path) => write!(f, "unix:{}", path.display()),
        }
    }
}

impl Parse for Listen {
    const HINT: &'static str = "HOST:PORT or unix:PATH";

    fn parse(text: &str) -> Result<Self, String> {
        if let Some(path) = text.strip_prefix("unix:") {
            return if path.is_empty() {
                Err("names no path".to_owned())
            } else {
                Ok(Self::Unix(Path::new(path).to_owned()))
            };
        }
        match text.rsplit_once(':') {
            Some((host, port)) if !host.is_empty() && port.parse::<u16>().is_ok() => {
                Ok(Self::Tcp(text.to_owned()))
            }
            _ => Err("is no address".to_owned()),
        }
    }
}

/// A value that may be left out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Optional<T>(pub Option<T>);

impl<T: Parse> Parse for Optional<T> {
    const HINT: &'static str = T::HINT;

    fn parse(text: &str) -> Result<Self, String> {
        if text.is_empty() { Ok(Self(None)) } else { T::parse(text).map(|value| Self(Some(value))) }
    }
}

/// Several values; in the environment separated by commas.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct List<T>(pub Vec<T>);

impl<T: Parse> Parse for List<T> {
    const HINT: &'static str = T::HINT;

    fn parse(text: &str) -> Result<Self, String> {
        let items = text.split([',', '\n']).map(str::trim).filter(|item| !item.is_empty());
        items.map(T::parse).collect::<Result<_, _>>().map(Self)
    }
}

/// Several values that may hold commas: one in a line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lines<T>(pub Vec<T>);

impl<T: Parse> Parse for Lines<T> {
    const HINT: &'static str = T::HINT;

    fn parse(text: &str) -> Result<Self, String> {
        let items = text.lines().map(str::trim).filter(|item| !item.is_empty());
        items.map(T::parse).collect::<Result<_, _>>().map(Self)
    }
}

/// A word whose meaning `app` knows and judges.
pub type Name = String;

impl Parse for String {
    const HINT: &'static str = "a text";

    fn parse(text: &str) -> Result<Self, String> {
        Ok(text.to_owned())
    }
}

impl Parse for Secret<String> {
    const HINT: &'static str = "a text";

    fn parse(text: &str) -> Result<Self, String> {
        Ok(text.into())
    }
}

impl Parse for bool {
    const HINT: &'static str = "on or off";

    fn parse(text: &str) -> Result<Self, String> {
        match text.to_ascii_lowercase().as_str() {
            "on" | "true" | "yes" | "1" => Ok(true),
            "off" | "false" | "no" | "0" => Ok(false),
            _ => Err("is neither".to_owned()),
        }
    }
}

impl Parse for usize {
    const HINT: &'static str = "a whole number";

    fn parse(text: &str) -> Result<Self, String> {
        text.parse().map_err(|_| "does not fit".to_owned())
    }
}

impl Parse for u32 {
    const HINT: &'static str = "a whole number";

    fn parse(text: &str) -> Result<Self, String> {
        text.parse().map_err(|_| "does not fit".to_owned())
    }
}

impl Parse for IpNet {
    const HINT: &'static str = "addresses or networks such as 10.0.0.0/8";

    fn parse(text: &str) -> Result<Self, String> {
        text.parse::<Self>()
            .or_else(|_| text.parse::<std::net::IpAddr>().map(Self::from))
            .map_err(|_| "is no network".to_owned())
    }
}

/// Reads a duration as settings write it: `90d`, `12h`, `250ms`.
pub fn parse_duration(text: &str) -> Result<Duration, String> {
    Duration::parse(text).map_err(|why| format!("{why}: write {}", Duration::HINT))
}

impl Parse for Duration {
    const HINT: &'static str = "a number with ms, s, m, h or d";

    fn parse(text: &str) -> Result<Self, String> {
        let digits = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
        let (number, unit) = text.split_at(digits);
        let number: u64 = number.parse().map_err(|_| "is no duration".to_owned())?;
        let factor = match unit.trim() {
            "ms" => 1,
            "s" => 1_000,
            "m" => 60_000,
            "h" => 3_600_000,
            "d" => 86_400_000,
            "" if number == 0 => 0,
            _ => return Err("has no unit".to_owned()),
        };
        let millis = number.checked_mul(factor).filter(|millis| *millis <= 86_400_000 * 36_500);
        millis.map(Self::from_millis).ok_or_else(|| "is longer than a century".to_owned())
    }
}

/// A number of bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Size(pub usize);

impl Parse for Size {
    const HINT: &'static str = "a number of bytes, or one with KiB, MiB or GiB";

    fn parse(text: &str) -> Result<Self, String> {
        let digits = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
        let (number, unit) = text.split_at(digits);
        let number: usize = number.parse().map_err(|_| "is no size".to_owned())?;
        let factor = match unit.trim() {
            "" | "B" => 1,
            "KiB" => 1 << 10,
            "MiB" => 1 << 20,
            "GiB" => 1 << 30,
            _ => return Err("has an unknown unit".to_owned()),
        };
        number.checked_mul(factor).map(Self).ok_or_else(|| "is too large".to_owned())
    }
}

/// The mode of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mode(pub u32);

impl Parse for Mode {
    const HINT: &'static str = "three octal digits";

    fn parse(text: &str) -> Result<Self, String> {
        u32::from_str_radix(text, 8)
            .ok()
            .filter(|mode| *mode <= 0o777)
            .map(Self)
            .ok_or_else(|| "is no file mode".to_owned())
    }
}

/// How safe an acknowledged write is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Durability {
    /// Survives a crash of the process.
    Normal,
    /// Survives a power cut.
    Full,
}

impl Parse for Durability {
    const HINT: &'static str = "normal or full";

    fn parse(text: &str) -> Result<Self, String> {
        match text {
            "normal" => Ok(Self::Normal),
            "full" => Ok(Self::Full),
            _ => Err("is neither".to_owned()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(overrides: &[&str]) -> Result<Settings, Wrong> {
        let overrides = overrides.iter().map(|text| (*text).to_owned()).collect();
        Settings::read(&Sources { overrides, ..Sources::default() })
    }

    #[test]
    fn defaults_parse() {
        let settings = read(&[]).expect("defaults are right");
        let layout = settings.layout("harrastuspassi").expect("is a layout");
        assert_eq!(layout.access_lifetime, Duration::from_hours(5));
        assert_eq!(layout.mount, "/auth");
    }

    #[test]
    fn later_sources_win() {
        let sources = Sources {
            toml: Some((
                "[server]\nlisten = [\"127.0.0.1:1\", \"unix:/a\"]\nmax_body = \"1KiB\"\n"
                    .to_owned(),
                "avain.toml".to_owned(),
            )),
            environment: BTreeMap::from([("AVAIN_SERVER_MAX_BODY".to_owned(), "2KiB".to_owned())]),
            overrides: vec!["server.workers=3".to_owned()],
        };
        let settings = Settings::read(&sources).expect("is right");
        assert_eq!(settings.server.listen.0.len(), 2);
        assert_eq!(settings.server.max_body, Size(2048));
        assert_eq!(settings.server.workers, 3);
    }

    #[test]
    fn everything_wrong_is_told_at_once() {
        let wrong =
            read(&["server.lisen=x", "server.max_body=1 parsec", "tokens.leeway=5", "nonsense"])
                .expect_err("is wrong");
        let text = wrong.to_string();
        assert!(
            text.contains("server.lisen: there is no such setting; did you mean server.listen?"),
            "{text}"
        );
        assert!(text.contains("server.max_body: `1 parsec` has an unknown unit"), "{text}");
        assert!(text.contains("tokens.leeway: `5` has no unit"), "{text}");
        assert!(text.contains("--set nonsense: write it as NAME=VALUE"), "{text}");
    }

    #[test]
    fn secrets_are_not_shown_and_come_from_files() {
        let file = tempfile::NamedTempFile::new().expect("a file can be made");
        std::fs::write(file.path(), "sqlite:other.db\n").expect("can be written");
        let environment = BTreeMap::from([(
            "AVAIN_DATABASE_URL_FILE".to_owned(),
            file.path().display().to_string(),
        )]);
        let settings =
            Settings::read(&Sources { environment, ..Sources::default() }).expect("is right");
        assert_eq!(settings.database.url.expose(), "sqlite:other.db");
        assert!(!format!("{settings:?}").contains("other.db"));
    }
}
