//! The gate as Traefik's `ForwardAuth` asks it (`gate.protocol = "forward_auth"`): the headers that Traefik
//! 3 writes with `trustForwardHeader: false` and the `authRequestHeaders` of deploy/traefik, and an answer
//! that it can hand on as it is.

use serde_json::json;

use crate::client::{Answer, Request};
use crate::harness::{Engine, FILE, TestService, gate_request};
use crate::support::block_on;

on_both_engines! {
    who_passes
}

const FORWARD_AUTH: (&str, &str) = ("gate.protocol", "forward_auth");
const PATH: &str = "/api/v1/hobbies/";

/// What Traefik asks about a request. `Host` is avain's own address.
fn question(method: &str, uri: &str, authorization: &str) -> Request {
    let request = Request::new("GET", "/gate")
        .header("X-Forwarded-For", "192.0.2.7")
        .header("X-Forwarded-Host", "api.example.org")
        .header("X-Forwarded-Method", method)
        .header("X-Forwarded-Port", "443")
        .header("X-Forwarded-Proto", "https")
        .header("X-Forwarded-Uri", uri);
    if authorization.is_empty() { request } else { request.header("Authorization", authorization) }
}

/// Headers that Traefik would show to clients, or take over for the backend, and that are for neither.
fn assert_nothing_else_is_told(answer: &Answer) {
    for name in [
        "x-auth-user-id",
        "x-auth-username",
        "x-auth-scope",
        "x-auth-via",
        "x-auth-mode",
        "x-auth-error",
        "x-upstream-authorization",
    ] {
        assert_eq!(answer.header(name), "", "{name}");
    }
}

async fn who_passes(engine: Engine) {
    let service = TestService::with(engine, &[FORWARD_AUTH]).await;
    let account = service.account("aino").await;
    let bearer = service.sign_in("aino").await.bearer();
    let key = format!("Token {}", service.api_key(account).await);
    for method in ["GET", "POST"] {
        for credential in [&bearer, &key] {
            // Twice: looked up, and known.
            for _ in 0..2 {
                let answer = service.ask(&question(method, PATH, credential)).await;
                assert_eq!((answer.status, answer.body.as_slice()), (204, &b""[..]));
                let authorization = answer.header("authorization");
                assert!(authorization.starts_with("Bearer "), "{authorization}");
                assert_ne!(authorization, credential);
                assert_nothing_else_is_told(&answer);
            }
        }
    }
    let anonymous = service.ask(&question("GET", PATH, "")).await;
    assert_eq!(anonymous.status, 204);
    assert_eq!(anonymous.header("authorization"), "", "Traefik then takes the client's away");
    assert_nothing_else_is_told(&anonymous);
}

#[test]
fn clients_get_a_refusal_as_it_is() {
    block_on(async {
        let service = TestService::with(Engine::Sqlite, &[FORWARD_AUTH]).await;
        let nobody = service.ask(&question("POST", PATH, "")).await;
        nobody.is(401, json!({ "detail": "Authentication credentials were not provided." }));
        assert_eq!(nobody.header("www-authenticate"), "Bearer realm=\"api\"");
        let bad = service.ask(&question("GET", PATH, &format!("Token {:040}", 0))).await;
        bad.is(401, json!({ "detail": "Invalid token." }));
        let forbidden = service.ask(&question("GET", "/accounts/api/v1/hobbies/", "")).await;
        let detail = "You do not have permission to perform this action.";
        forbidden.is(403, json!({ "detail": detail }));
        for answer in [nobody, bad, forbidden] {
            assert_eq!(answer.header("content-type"), "application/json");
            assert_nothing_else_is_told(&answer);
        }
    });
}

#[test]
fn each_gateway_vouches_for_its_own_headers_alone() {
    block_on(async {
        let service = TestService::with(Engine::Sqlite, &[FORWARD_AUTH]).await;
        // Traefik passes on what a client wrote in the other protocol's words.
        let spoofed = |request: Request| {
            request
                .header("X-Original-Method", "GET")
                .header("X-Original-URI", PATH)
                .header("X-Original-Host", "open.example.org")
        };
        assert_eq!(service.ask(&spoofed(question("POST", PATH, ""))).await.status, 401);
        assert_eq!(service.ask(&spoofed(question("GET", "/sysadmin/", ""))).await.status, 403);
        let misconfigured = service.ask(&gate_request("GET", PATH, "")).await;
        misconfigured.is(400, json!({ "detail": "The gateway does not say what it asks about." }));

        let service = TestService::start(Engine::Sqlite).await;
        assert_eq!(service.ask(&question("GET", PATH, "")).await.status, 400);
        let dressed = gate_request("POST", PATH, "")
            .header("X-Forwarded-Method", "GET")
            .header("X-Forwarded-Uri", PATH);
        assert_eq!(service.ask(&dressed).await.status, 401);
    });
}

#[test]
fn hosts_are_told_with_their_ports() {
    block_on(async {
        let toml = r#"
            [gate]
            protocol = "forward_auth"
            policy = "api"
            [[gate.policies.api.rules]]
            hosts = ["closed.example.org"]
            access = "deny"
            [[gate.policies.api.rules]]
            access = "anonymous"
        "#;
        let service = TestService::with(Engine::Sqlite, &[(FILE, toml)]).await;
        for (host, status) in [
            ("api.example.org", 204),
            ("api.example.org:8443", 204),
            ("closed.example.org", 403),
            ("CLOSED.example.org:8443", 403),
            // The same host to Traefik.
            ("closed.example.org.", 403),
            ("closed.example.org.:8443", 403),
        ] {
            let request = Request::new("GET", "/gate")
                .header("X-Forwarded-Host", host)
                .header("X-Forwarded-Method", "GET")
                .header("X-Forwarded-Uri", PATH);
            assert_eq!(service.ask(&request).await.status, status, "{host}");
        }
        let nowhere = Request::new("GET", "/gate")
            .header("X-Forwarded-Method", "GET")
            .header("X-Forwarded-Uri", PATH);
        assert_eq!(service.ask(&nowhere).await.status, 400);
    });
}

#[test]
fn preflights_pass_where_somebody_may_do_what_they_announce() {
    block_on(async {
        let toml = r#"
            [gate]
            protocol = "forward_auth"
            policy = "api"
            [[gate.policies.api.rules]]
            methods = ["DELETE"]
            access = "deny"
            [[gate.policies.api.rules]]
            access = "authenticated"
        "#;
        let service = TestService::with(Engine::Sqlite, &[(FILE, toml)]).await;
        let options = || question("OPTIONS", PATH, "");
        for (announced, status) in [("POST", 204), ("DELETE", 403)] {
            let preflight = options()
                .header("Origin", "https://ui.example.org")
                .header("Access-Control-Request-Method", announced);
            assert_eq!(service.ask(&preflight).await.status, status, "{announced}");
        }
        assert_eq!(service.ask(&options()).await.status, 401, "it is no preflight");
    });
}

/// What a client adds to `X-Forwarded-For` stands to the left of what trusted proxies add.
#[test]
fn clients_are_counted_by_what_trusted_proxies_heard() {
    block_on(async {
        let settings = [
            FORWARD_AUTH,
            ("gate.misses", "2"),
            ("server.trusted_proxies", "127.0.0.1, 10.0.0.0/8"),
        ];
        let service = TestService::with(Engine::Sqlite, &settings).await;
        let mut number = 0;
        let mut miss = async |forwarded: &str| {
            number += 1;
            let request = Request::new("GET", "/gate")
                .header("X-Forwarded-Method", "GET")
                .header("X-Forwarded-Uri", PATH)
                .header("Authorization", format!("Token {number:040}"));
            let lines = forwarded.split('\n');
            let request =
                lines.fold(request, |request, line| request.header("X-Forwarded-For", line));
            service.ask(&request).await.status
        };
        for (forwarded, status) in [
            ("192.0.2.1", 401),
            ("198.51.100.1, 192.0.2.1", 401),
            ("198.51.100.2, 192.0.2.1, 10.0.0.9", 429),
            ("192.0.2.1", 429),
            ("198.51.100.3\n192.0.2.1", 429),
            ("192.0.2.2, 10.0.0.9", 401),
            ("nonsense, 192.0.2.2", 401),
            ("192.0.2.2, nonsense", 401),
        ] {
            assert_eq!(miss(forwarded).await, status, "{forwarded}");
        }
    });
}
