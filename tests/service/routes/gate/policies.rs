//! Policies of one's own: rules, several by name, scopes, staff, hosts, preflights, wording.

use serde_json::{Map, Value, json};

use super::error;
use crate::client::{Answer, Request};
use crate::harness::{Engine, FILE, START, TestService, gate_request};
use crate::jwt::sign;
use crate::support::block_on;

on_both_engines! {
    scopes_are_asked_of_the_credential
    staff_is_asked_of_the_account
}

const SECRET: &str = "another-service-signed-with-this-secret";

const RULES: &str = r#"
[gate]
policy = "api"

[[gate.policies.api.rules]]
methods = ["DELETE"]
access = "deny"

[[gate.policies.api.rules]]
paths = "/api/v1/statistics/**"
access = "staff"

[[gate.policies.api.rules]]
methods = ["POST", "PUT", "PATCH"]
paths = ["/api/v1/hobbies/", "/api/v1/hobbies/{id}/"]
access = "scope:hobbies:write"

[[gate.policies.api.rules]]
paths = ["/api/v1/**"]
access = "IsAuthenticatedOrReadOnly"

[gate.policies.old-apps]
dialect = "metax"
roots = ["/mobile-api/"]
[[gate.policies.old-apps.rules]]
access = "authenticated"
"#;

/// A credential whose token says these claims beside the usual ones.
fn bearer(account: i32, claims: &Value) -> String {
    let now = START.seconds();
    let mut all = Map::new();
    for (name, value) in [
        ("token_type", json!("access")),
        ("exp", json!(now + 300)),
        ("iat", json!(now)),
        ("jti", json!(claims.to_string())),
        ("user_id", json!(account.to_string())),
    ] {
        all.insert(name.to_owned(), value);
    }
    all.extend(claims.as_object().cloned().unwrap_or_default());
    format!("Bearer {}", sign(SECRET, &Value::Object(all)))
}

async fn service(engine: Engine) -> TestService {
    let import = format!("hs256:{SECRET}");
    TestService::with(engine, &[(FILE, RULES), ("keys.import", &import)]).await
}

async fn scopes_are_asked_of_the_credential(engine: Engine) {
    let service = service(engine).await;
    let account = service.account("aino").await;
    let (id, write) = (account.get(), ("POST", "/api/v1/hobbies/"));
    let granted = bearer(id, &json!({ "scope": "events:read hobbies:write" }));
    for _ in 0..2 {
        let answer = service.gate(write.0, write.1, &granted).await;
        assert_eq!(answer.status, 204);
        assert_eq!(answer.header("x-auth-scope"), "events:read hobbies:write");
    }
    let key = format!("Token {}", service.api_key(account).await);
    for without in [
        bearer(id, &json!({})),
        bearer(id, &json!({ "scope": "hobbies:writer" })),
        bearer(id, &json!({ "scope": ["hobbies:write"] })),
        bearer(id, &json!({ "scope": "" })),
        bearer(id, &json!({ "scope": "ä hobbies:write\n" })),
        key,
    ] {
        for _ in 0..2 {
            let answer = service.gate(write.0, write.1, &without).await;
            assert_eq!(answer.status, 403, "{without}");
            let challenge = r#"Bearer error="insufficient_scope", scope="hobbies:write""#;
            assert_eq!(answer.header("www-authenticate"), challenge);
            let detail = "You do not have permission to perform this action.";
            assert_eq!(error(&answer), json!({ "detail": detail }));
        }
        // What asks for no scope is not barred by its lack.
        let read = service.gate("GET", "/api/v1/hobbies/7/", &without).await;
        assert_eq!(read.status, 204, "{without}");
    }
    let nobody = service.gate(write.0, write.1, "").await;
    assert_eq!(nobody.status, 401);
    assert_eq!(nobody.header("www-authenticate"), "Bearer realm=\"api\"");
}

async fn staff_is_asked_of_the_account(engine: Engine) {
    let service = service(engine).await;
    let staff = service.account_with("staff", |draft| draft.is_staff = true).await;
    let aino = service.account("aino").await;
    let path = "/api/v1/statistics/";
    let ask =
        async |account: i32| service.gate("GET", path, &bearer(account, &json!({}))).await.status;
    assert_eq!(ask(staff.get()).await, 204);
    assert_eq!(ask(aino.get()).await, 403);
    assert_eq!(service.gate("GET", path, "").await.status, 401);
    let delete = service.gate("DELETE", path, &bearer(staff.get(), &json!({}))).await;
    assert_eq!(delete.status, 403, "the rule before it denies");
}

#[test]
fn what_no_rule_names_is_denied_and_views_must_agree() {
    block_on(async {
        let service = service(Engine::Sqlite).await;
        let aino = service.account("aino").await;
        let credential = bearer(aino.get(), &json!({ "scope": "hobbies:write" }));
        for (method, uri, status) in [
            ("GET", "/api/v1/events/", 204),
            ("get", "/api/v1/events/", 403),
            ("GEt", "/api/v1/events/", 403),
            ("GET", "/api/v2/events/", 403),
            ("GET", "/mobile-api/v1/events/", 403),
            ("GET", "/api/%76%31/events/", 403),
            ("GET", "/api/v1;x=1/events/", 403),
            ("GET", "/api/v1/%73tatistics/", 403),
            ("GET", "/api/v1/statistics;x/", 403),
            ("GET", "/api/v1/..%2fv2/", 403),
            ("POST", "/api/v1/hobbies/7/?x=/api/v2/", 204),
        ] {
            let answer = service.gate(method, uri, &credential).await;
            assert_eq!(answer.status, status, "{method} {uri}");
        }
    });
}

async fn ask_policy(service: &TestService, name: &str, uri: &str) -> Answer {
    let request = Request::new("GET", &format!("/gate{name}"));
    let request = request.header("X-Original-Method", "GET").header("X-Original-URI", uri);
    service.ask(&request).await
}

#[test]
fn every_policy_has_a_name_that_nginx_asks() {
    block_on(async {
        let service = service(Engine::Sqlite).await;
        for (name, uri, status) in [
            ("", "/api/v1/hobbies/", 204),
            ("/api", "/api/v1/hobbies/", 204),
            ("/old-apps", "/api/v1/hobbies/", 403),
            ("/old-apps", "/mobile-api/v1/hobbies/", 401),
            ("/open", "/mobile-api/v1/hobbies/", 204),
            ("/authenticated", "/api/v2/", 401),
            ("/read-only-for-anonymous", "/api/v2/", 204),
            ("/staff", "/api/v2/", 401),
            ("/unknown", "/api/v1/hobbies/", 400),
            ("/api/", "/api/v1/hobbies/", 400),
        ] {
            assert_eq!(ask_policy(&service, name, uri).await.status, status, "{name} {uri}");
        }
        assert_eq!(ask_policy(&service, "way", "/api/").await.status, 404);
        // Each in its own words.
        let ours = service.gate("POST", "/api/v1/hobbies/", "").await;
        let others = ask_policy(&service, "/old-apps", "/mobile-api/").await;
        assert_eq!(ours.header("www-authenticate"), "Bearer realm=\"api\"");
        assert_eq!(others.header("www-authenticate"), "Token");
    });
}

#[test]
fn a_preflight_passes_only_if_it_is_one() {
    block_on(async {
        let toml = r#"
            [gate]
            policy = "api"
            [[gate.policies.api.rules]]
            methods = ["DELETE"]
            access = "deny"
            [[gate.policies.api.rules]]
            access = "authenticated"
        "#;
        let service = TestService::with(Engine::Sqlite, &[(FILE, toml)]).await;
        let origin = ("Origin", "https://ui.example.org");
        let announced = |method| ("Access-Control-Request-Method", method);
        for (method, headers, uri, status) in [
            ("OPTIONS", vec![origin, announced("POST")], "/api/v1/", 204),
            ("OPTIONS", vec![origin, announced("DELETE")], "/api/v1/", 403),
            ("OPTIONS", vec![origin, announced("POST")], "/sysadmin/", 403),
            ("OPTIONS", vec![origin, announced("POST")], "/api/../sysadmin/", 403),
            ("OPTIONS", vec![origin], "/api/v1/", 401),
            ("OPTIONS", vec![announced("POST")], "/api/v1/", 401),
            ("OPTIONS", vec![], "/api/v1/", 401),
            ("options", vec![], "/api/v1/", 403),
            ("POST", vec![origin, announced("POST")], "/api/v1/", 401),
            (
                "OPTIONS",
                vec![origin, announced("POST"), ("Authorization", "Bearer x")],
                "/api/v1/",
                401,
            ),
            // Not even a credential that does not count here: a browser sends none.
            (
                "OPTIONS",
                vec![origin, announced("POST"), ("Authorization", "Basic bWlhOm1pYQ==")],
                "/api/v1/",
                401,
            ),
        ] {
            let mut request = gate_request(method, uri, "");
            for (name, value) in &headers {
                request = request.header(name, value);
            }
            let answer = service.ask(&request).await;
            assert_eq!(answer.status, status, "{method} {uri} {headers:?}");
            let via = if status == 204 { "anonymous" } else { "" };
            assert_eq!(answer.header("x-auth-via"), via);
        }
    });
}

#[test]
fn hosts_are_told_apart_where_rules_name_some() {
    block_on(async {
        let toml = r#"
            [gate]
            policy = "api"
            [[gate.policies.api.rules]]
            hosts = ["open.example.org"]
            access = "anonymous"
            [[gate.policies.api.rules]]
            access = "authenticated"
        "#;
        let service = TestService::with(Engine::Sqlite, &[(FILE, toml)]).await;
        for (host, original, status) in [
            ("open.example.org", Some("open.example.org"), 204),
            ("OPEN.example.org:8443", Some("open.example.org"), 204),
            ("api.example.org", Some("api.example.org"), 401),
            // The server that nginx chose and the host that the backend would read.
            ("open.example.org", Some("api.example.org"), 403),
            ("api.example.org", Some("open.example.org"), 403),
            ("open.example.org", None, 400),
        ] {
            let mut request = gate_request("GET", "/api/v1/", "").header("Host", host);
            if let Some(original) = original {
                request = request.header("X-Original-Host", original);
            }
            assert_eq!(service.ask(&request).await.status, status, "{host} {original:?}");
        }
    });
}
