//! `/gate`: what nginx's `auth_request` asks (DESIGN.md 9, CONTRACT.md 2).

mod denials;
mod forwarded;
mod looking_up;
mod personal_keys;
mod phantoms;
mod policies;
mod statements;

use serde_json::{Value, json};

use crate::client::Request;
use crate::harness::{Engine, TestService, gate_request};
use crate::support::block_on;

on_both_engines! {
    who_passes
}

const READ: (&str, &str) = ("GET", "/api/v1/hobbies/");
const WRITE: (&str, &str) = ("POST", "/api/v1/hobbies/");

/// The document that a client would see.
fn error(answer: &crate::client::Answer) -> Value {
    let text = answer.header("x-auth-error");
    assert!(text.is_ascii(), "{text}");
    serde_json::from_str(text).unwrap_or_else(|error| panic!("{error}: {text:?} {answer:?}"))
}

async fn who_passes(engine: Engine) {
    let service = TestService::start(engine).await;
    let account = service.account("Äinö.1").await;
    let pair = service.sign_in("Äinö.1").await;
    let key = format!("Token {}", service.api_key(account).await);
    for (method, uri) in [READ, WRITE] {
        for (credential, via) in [(pair.bearer(), "bearer"), (key.clone(), "token")] {
            // Twice: looked up, and known.
            for _ in 0..2 {
                let answer = service.gate(method, uri, &credential).await;
                assert_eq!(answer.status, 204);
                assert_eq!(answer.header("x-auth-user-id"), account.get().to_string());
                assert_eq!(answer.header("x-auth-username"), "%C3%84in%C3%B6.1");
                assert_eq!(answer.header("x-auth-via"), via);
                assert!(answer.header("x-upstream-authorization").starts_with("Bearer "));
                assert_eq!(answer.header("x-auth-error"), "");
            }
        }
    }
    let anonymous = service.gate(READ.0, READ.1, "").await;
    assert_eq!(anonymous.status, 204);
    assert_eq!(anonymous.header("x-auth-via"), "anonymous");
    for absent in ["x-auth-user-id", "x-auth-username", "x-upstream-authorization"] {
        assert_eq!(anonymous.header(absent), "", "{absent}");
    }
}

#[test]
fn presets_say_who_may_do_what() {
    let anonymous = 204;
    for (policy, read, write) in [
        ("read-only-for-anonymous", anonymous, 401),
        ("authenticated", 401, 401),
        ("open", anonymous, anonymous),
    ] {
        block_on(async {
            let service = TestService::with(Engine::Sqlite, &[("gate.policy", policy)]).await;
            service.account("aino").await;
            let bearer = service.sign_in("aino").await.bearer();
            for method in ["GET", "HEAD", "OPTIONS"] {
                assert_eq!(
                    service.gate(method, READ.1, "").await.status,
                    read,
                    "{policy} {method}"
                );
            }
            // Some servers take these for GET: they are nobody's.
            for method in ["get", "Get"] {
                for credential in ["", &bearer] {
                    let answer = service.gate(method, READ.1, credential).await;
                    assert_eq!(answer.status, 403, "{policy} {method}");
                }
            }
            for method in ["POST", "PUT", "PATCH", "DELETE", "TRACE", "PROPFIND", "GETT"] {
                assert_eq!(
                    service.gate(method, READ.1, "").await.status,
                    write,
                    "{policy} {method}"
                );
                assert_eq!(
                    service.gate(method, READ.1, &bearer).await.status,
                    204,
                    "{policy} {method}"
                );
            }
            // Presented and bad is 401, even where nothing is needed.
            for bad in ["Bearer x", "Bearer", "Token", "Token a b", "Token 00"] {
                assert_eq!(service.gate("GET", READ.1, bad).await.status, 401, "{policy} {bad}");
            }
            // What nobody handles is the same as nothing.
            for nothing in ["Basic YTpi", "bearer x", "BEARER x", "JWT x", "Bearer,x", " "] {
                assert_eq!(service.gate("GET", READ.1, nothing).await.status, read, "{nothing}");
            }
            for path in ["/", "/sysadmin/", "/accounts/login/", "/xapi/", "/api/v1/mobile-api/x/"] {
                for credential in ["", &bearer] {
                    let answer = service.gate("GET", path, credential).await;
                    assert_eq!(answer.status, 403, "{policy} {path}");
                    assert_eq!(answer.header("www-authenticate"), "");
                }
            }
        });
    }
}

#[test]
fn schemes_and_roots_are_settings() {
    block_on(async {
        let settings = [
            ("gate.schemes", "Token"),
            ("gate.roots", "/"),
            ("gate.policy", "authenticated"),
            ("gate.path", "/ask/me"),
            ("tokens.prefix", "JWT"),
        ];
        let service = TestService::with(Engine::Sqlite, &settings).await;
        let account = service.account("aino").await;
        let pair = service.sign_in("aino").await;
        let key = format!("Token {}", service.api_key(account).await);
        let gate = async |uri: &str, credential: &str| {
            let request = Request::new("GET", "/ask/me")
                .header("X-Original-Method", "GET")
                .header("X-Original-URI", uri)
                .header("Authorization", credential);
            service.ask(&request).await.status
        };
        assert_eq!(gate("/anything/api/v1/api/", &key).await, 204);
        assert_eq!(
            gate("/anything/", &format!("JWT {}", pair.access)).await,
            401,
            "it does not count"
        );
        assert_eq!(gate("/a/../b", &key).await, 403);
        assert_eq!(service.ask(&Request::new("GET", "/gate")).await.status, 404);

        let service = TestService::with(Engine::Sqlite, &[("tokens.prefix", "JWT")]).await;
        service.account("aino").await;
        let pair = service.sign_in("aino").await;
        assert!(service.admits(&format!("JWT {}", pair.access)).await);
        let answer = service.gate(WRITE.0, WRITE.1, &pair.bearer()).await;
        assert_eq!(answer.status, 401, "Bearer counts no more");
        assert_eq!(answer.header("www-authenticate"), "JWT realm=\"api\"");
    });
}

#[test]
fn paths_that_some_read_otherwise_are_refused() {
    block_on(async {
        let service = TestService::start(Engine::Sqlite).await;
        service.account("aino").await;
        let bearer = service.sign_in("aino").await.bearer();
        for (path, status) in [
            ("/api/v1/", 204),
            ("/api", 204),
            ("/api/v1/hobbies/?next=//../%2e%2e/sysadmin/mobile-api/", 204),
            ("/api/v1/%C3%A4iti/", 204),
            ("/mobile-api/v1/x", 204),
            ("/%61pi/v1/", 403),
            ("/api/../sysadmin/", 403),
            ("/api/..%2fsysadmin/", 403),
            ("/api/%2e%2e/sysadmin/", 403),
            ("/api/%252e%252e/sysadmin/", 403),
            ("/api/..;/sysadmin/", 403),
            ("//api/v1/", 403),
            ("/api//v1/", 403),
            ("/api/v1/\\..\\", 403),
            ("/api/v1/%00", 403),
            ("/api/v1/%ff", 403),
            ("/api/v1/%", 403),
            ("/sysadmin/api/v1/", 403),
            ("/api/v1/mobile-api/v1/", 403),
            ("/api/v1/mobile-%61pi/v1/", 403),
            ("http://host/api/v1/", 403),
            ("*", 403),
            ("", 403),
        ] {
            for credential in ["", &bearer] {
                let answer = service.gate("GET", path, credential).await;
                assert_eq!(answer.status, status, "{path}");
            }
        }
        let long = format!("/api/{}", "x".repeat(5000));
        assert_eq!(service.gate("GET", &long, "").await.status, 403);
    });
}

#[test]
fn a_question_without_its_object_is_the_gateways_fault() {
    block_on(async {
        let service = TestService::start(Engine::Sqlite).await;
        let method = ("X-Original-Method", "GET");
        let uri = ("X-Original-URI", "/api/v1/");
        for headers in [vec![], vec![method], vec![uri]] {
            let mut request = Request::new("GET", "/gate");
            for (name, value) in headers {
                request = request.header(name, value);
            }
            let answer = service.ask(&request).await;
            assert_eq!((answer.status, answer.body.len()), (400, 0));
            assert!(error(&answer)["detail"].is_string());
        }
        // `/gate` is asked in one spelling only; any method will do, as nginx sends the client's.
        assert_eq!(service.ask(&Request::new("GET", "/gate/")).await.status, 404);
        let request = Request::new("POST", "/gate").header("X-Original-Method", "GET");
        assert_eq!(service.ask(&request.header("X-Original-URI", "/api/")).await.status, 204);
    });
}

#[test]
fn an_announced_body_ends_the_connection() {
    block_on(async {
        let service = TestService::start(Engine::Sqlite).await;
        let mut kept = service.connect().await;
        for _ in 0..3 {
            let answer = kept.ask(&gate_request("GET", READ.1, "")).await;
            assert_eq!((answer.status, answer.header("connection")), (204, ""));
        }
        let zero = gate_request("GET", READ.1, "").header("Content-Length", "0");
        assert_eq!(kept.ask(&zero).await.header("connection"), "", "no body is announced");
        for (name, value) in [("Content-Length", "11"), ("Transfer-Encoding", "chunked")] {
            for credential in ["", "Bearer x"] {
                let mut connection = service.connect().await;
                let request = gate_request("POST", READ.1, credential).header(name, value);
                let answer = connection.ask(&request).await;
                assert_eq!(answer.status, 401);
                assert_eq!(answer.header("connection"), "close", "{name}");
                connection.ends().await;
            }
        }
    });
}

#[test]
fn one_connection_serves_many_clients() {
    block_on(async {
        let service = TestService::start(Engine::Sqlite).await;
        for name in ["aino", "eino"] {
            service.account(name).await;
        }
        let (aino, eino) = (service.sign_in("aino").await, service.sign_in("eino").await);
        let mut connection = service.connect().await;
        for round in 0..20 {
            let pair = if round % 2 == 0 { &aino } else { &eino };
            let answer = connection.ask(&gate_request(WRITE.0, WRITE.1, &pair.bearer())).await;
            let expected = if round % 2 == 0 { "aino" } else { "eino" };
            assert_eq!(answer.header("x-auth-username"), expected);
            let anonymous = connection.ask(&gate_request(READ.0, READ.1, "")).await;
            assert_eq!(anonymous.header("x-auth-username"), "");
        }
        assert_eq!(json!(service.service.gate.memory.len()), json!(2));
    });
}
