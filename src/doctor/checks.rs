//! What the doctor looks for: every check once, with the lines of nginx configuration that mend it.

/// One thing that a gateway may have wrong.
#[derive(Debug)]
pub struct Check {
    /// Its name, for scripts and `--skip`.
    pub name: &'static str,
    /// What holds where all is well.
    pub about: &'static str,
    /// The lines that mend it, and where they belong.
    pub mend: &'static str,
}

/// Declares the checks, and [`ALL`] in the same order.
macro_rules! checks {
    ($( $constant:ident $name:literal: $about:literal, $mend:literal; )+) => {
        $( #[doc = $about] pub const $constant: &Check = &Check { name: $name, about: $about, mend: $mend }; )+

        /// All checks, in the order in which they are told.
        pub const ALL: &[&Check] = &[$($constant),+];
    };
}

checks! {
    TLS "tls": "Clients speak TLS.",
        "listen 443 ssl;   # and ssl_certificate, ssl_certificate_key, include avain/tls.conf; (server)";
    PLAIN_HTTP "plain-http": "Without TLS nothing is served but a redirect.",
        "return 301 https://$host$request_uri;   # all that the server of port 80 says";
    PROTECTED "protected": "A bad credential is refused, whatever the method.",
        "include avain/protect.conf;   # in the location, without return, rewrite or satisfy any beside it";
    METHOD "method": "The gate judges the method that was really used, whatever the client's headers say.",
        "proxy_set_header X-Original-Method $request_method;   # (ask.conf)";
    PATH "path": "The gate judges the path as it was sent, and refuses one that can be read in two ways.",
        "proxy_set_header X-Original-URI $avain_target;   # or $request_uri, never $uri (ask.conf)";
    NESTED_ROOT "nested-root": "The API is not served behind a prefix that is not protected.",
        "if ($avain_misplaced_root) { return 404; }   # backend.conf, with the map of avain.conf";
    GATE_OUTSIDE "gate-outside": "Nobody outside may ask the gate.",
        "internal;   # in location = /_avain_gate, and no other location with proxy_pass to the gate";
    OPERATIONS_OUTSIDE "operations-outside": "Metrics and readiness are not for outside.",
        "location = /metrics { return 404; }   # and no proxy_pass to server.operations";
    PHANTOM_LEAKED "phantom-leaked": "What the gate tells nginx is not told to clients.",
        "proxy_hide_header X-Upstream-Authorization;   # and no add_header with $avain_upstream_authorization";
    CHALLENGE_MISSING "challenge-missing": "401 comes with WWW-Authenticate (RFC 9110 11.6.1).",
        "error_page 401 = @avain_unauthenticated;   # errors.conf; its return 401 keeps the gate's header";
    CHALLENGE_DOUBLED "challenge-doubled": "401 comes with one WWW-Authenticate.",
        "# take add_header WWW-Authenticate out of @avain_unauthenticated: nginx copies the gate's by itself";
    JSON_ERRORS "json-errors": "Refusals are JSON, not HTML.",
        "include avain/errors.conf;   # (server), and in each location that has an error_page of its own";
    STATUS_429 "status-429": "Who is throttled gets 429 with Retry-After, as JSON.",
        "error_page 500 = @avain_no_verdict;   # errors.conf; and limit_req_status 429; (throttle.conf)";
    SIGN_IN_LIMIT "sign-in-limit": "Sign-in attempts of one address are limited.",
        "include avain/throttle.conf;   # in the locations of sign-in (to_avain.conf has it)";
    ADDRESS_TRUSTED "address-trusted": "A client cannot choose the address that limits count.",
        "set_real_ip_from 10.0.0.0/8;   # your own proxies and nobody else; X-Real-IP is $remote_addr";
    UPLOADS "uploads": "A body of more than 1 MB is not refused for its size.",
        "include avain/uploads.conf;   # beside protect.conf: client_max_body_size 50m;";
    GATE_BODY "gate-body": "The size of a body does not keep the gate from being asked.",
        "client_max_body_size 0;   # (ask.conf)";
    CONTENT_LENGTH "content-length": "The gate is not promised a body that never comes.",
        "proxy_set_header Content-Length \"\";   # beside proxy_pass_request_body off; (ask.conf)";
    KEEP_ALIVE "keep-alive": "Connections to avain are kept.",
        "keepalive 64;   # in upstream avain; and proxy_http_version 1.1; proxy_set_header Connection \"\";";
    CACHED "cached": "Every request is judged anew.",
        "proxy_cache off;   # in location = /_avain_gate: a cached verdict survives revocation";
    IDENTITY_PLAIN "identity-plain": "Identity headers that a client made up do not reach the backend.",
        "include avain/request.conf;   # (server), and in each location that has a proxy_set_header of its own";
    IDENTITY_UNDERSCORES "identity-underscores": "Nor do they with underscores.",
        "underscores_in_headers off;   # (server.conf)";
    IDENTITY_INVALID "identity-invalid": "Nor do they with dots.",
        "ignore_invalid_headers on;   # (server.conf)";
    CREDENTIAL_PASSED "credential-passed": "The client's own Authorization does not reach the backend.",
        "proxy_set_header Authorization $avain_upstream_authorization;   # (request.conf)";
    PHANTOM_MISSING "phantom-missing": "The backend is handed the token that avain made for it.",
        "auth_request_set $avain_upstream_authorization $upstream_http_x_upstream_authorization;   # (verdict.conf)";
    ADDRESS_BELIEVED "address-believed": "X-Forwarded-For of a client does not reach the backend.",
        "proxy_set_header X-Forwarded-For $remote_addr;   # not $proxy_add_x_forwarded_for (request.conf)";
    HOST_BELIEVED "host-believed": "X-Forwarded-Host and X-Forwarded-Proto of a client do not reach the backend.",
        "proxy_set_header X-Forwarded-Host $avain_host;   # and X-Forwarded-Proto $scheme (request.conf)";
    REQUEST_ID "request-id": "A client does not choose the request's id.",
        "proxy_set_header X-Request-ID $request_id;   # (request.conf)";
    UPGRADE "upgrade": "No upgrade but a WebSocket's reaches the backend (h2c smuggling).",
        "proxy_set_header Upgrade $avain_upgrade;   # not $http_upgrade (request.conf)";
    CORS_ORIGIN "cors-origin": "Strange origins are not allowed by CORS.",
        "map $http_origin $avain_cors_origin { default \"\"; … }   # never $http_origin itself, never *";
    CORS_ERRORS "cors-errors": "The front end may read what it is answered, refusals too.",
        "include avain/response.conf;   # (server), and in each location that has an add_header of its own";
    SERVER_TOKENS "server-tokens": "nginx does not say its version.",
        "server_tokens off;   # (server.conf)";
    BACKEND_DIRECT "backend-direct": "The backend is not reached without the gateway.",
        "server unix:/run/backend.sock;   # or an address that only nginx reaches (upstream backend)";
    OUTAGE "outage": "While avain is away nothing passes, and clients get 503 with Retry-After as JSON.",
        "error_page 500 = @avain_no_verdict;   # errors.conf; never an error_page that leads to the backend";
}

/// The check of that name.
#[must_use]
pub fn named(name: &str) -> Option<&'static Check> {
    ALL.iter().copied().find(|check| check.name == name)
}
