//! Every refusal of the gate: its exact document and its headers, in both generations of wording.

use avain::flow::administer;
use serde_json::{Value, json};

use crate::harness::{Engine, START, TestService};
use crate::jwt::sign;

on_both_engines! {
    current_wording
    pinned_wording
}

const SECRET: &str = "another-service-signed-with-this-secret";

async fn current_wording(engine: Engine) {
    every_denial(engine, "current", |_, current| current).await;
}

async fn pinned_wording(engine: Engine) {
    every_denial(engine, "pinned", |pinned, _| pinned).await;
}

/// A refused bearer token, as djangorestframework-simplejwt says it.
fn refused(message: &str) -> Value {
    json!({
        "detail": "Given token not valid for any token type",
        "code": "token_not_valid",
        "messages": [{ "token_class": "AccessToken", "token_type": "access", "message": message }],
    })
}

async fn every_denial(
    engine: Engine,
    wording: &str,
    pick: fn(&'static str, &'static str) -> &'static str,
) {
    let import = format!("hs256:{SECRET}");
    let settings = [("keys.import", import.as_str()), ("layouts.harrastuspassi.wording", wording)];
    let service = TestService::with(engine, &settings).await;
    let account = service.account("aino").await;
    let off = service.account("off").await;
    let off_key = service.api_key(off).await;
    let ended = service.sign_in("aino").await;
    service
        .post("/api/token/blacklist/", &json!({ "refresh": ended.refresh }))
        .await
        .is(200, json!({}));
    administer::set_active(service.store(), off, false, START).await.expect("it is off");

    let now = START.seconds();
    let bearer = |change: &dyn Fn(&mut serde_json::Map<String, Value>)| {
        let mut claims = json!({
            "token_type": "access", "exp": now + 60, "iat": now - 5, "jti": "a",
            "user_id": account.get(),
        });
        change(claims.as_object_mut().expect("is one"));
        format!("Bearer {}", sign(SECRET, &claims))
    };
    let without = |name: &'static str| bearer(&move |claims| drop(claims.remove(name)));
    let with = |name: &'static str, value: Value| {
        bearer(&move |claims| drop(claims.insert(name.to_owned(), value.clone())))
    };
    let detail = |text: &str| json!({ "detail": text });
    let coded = |text: &str, code: &str| json!({ "detail": text, "code": code });
    let two_words = coded(
        "Authorization header must contain two space-delimited values",
        "bad_authorization_header",
    );
    let invalid = || refused(pick("Token is invalid or expired", "Token is invalid"));
    let expired = || refused(pick("Token is invalid or expired", "Token is expired"));
    let not_found = || coded("User not found", "user_not_found");
    assert!(service.admits(&with("jti", json!("b"))).await, "what is changed below is good");
    for (credential, body) in [
        (
            String::new(),
            detail(pick(
                "Autentikaatiotunnuksia ei annettu.",
                "Authentication credentials were not provided.",
            )),
        ),
        ("Bearer".to_owned(), two_words.clone()),
        ("Bearer a b".to_owned(), two_words),
        ("Bearer a.b.c".to_owned(), invalid()),
        (with("exp", json!(now)), expired()),
        (with("exp", json!("soon")), invalid()),
        (with("iat", json!(now + 1)), invalid()),
        (with("nbf", json!(now + 1)), invalid()),
        (without("exp"), refused("Token has no 'exp' claim")),
        (without("jti"), refused("Token has no id")),
        (without("token_type"), refused("Token has no type")),
        (with("token_type", json!("refresh")), refused("Token has wrong type")),
        (format!("Bearer {}", ended.access), refused("Token is blacklisted")),
        (
            without("user_id"),
            coded("Token contained no recognizable user identification", "token_not_valid"),
        ),
        (with("user_id", json!(999_999)), not_found()),
        (with("user_id", json!("1 or 1=1")), not_found()),
        (with("user_id", json!(1.5)), not_found()),
        (with("user_id", json!(18_446_744_073_709_551_615_u64)), not_found()),
        (with("user_id", json!([1])), not_found()),
        (with("user_id", json!(off.get().to_string())), coded("User is inactive", "user_inactive")),
        (
            "Token".to_owned(),
            detail(pick(
                "Epäkelpo Token-otsake. Ei annettuja tunnuksia.",
                "Invalid token header. No credentials provided.",
            )),
        ),
        (
            "tOkEn a b".to_owned(),
            detail(pick(
                "Epäkelpo Token-otsake. Tunnusmerkkijono ei saa sisältää välilyöntejä.",
                "Invalid token header. Token string should not contain spaces.",
            )),
        ),
        (format!("Token {}", "0".repeat(40)), detail(pick("Epäkelpo Token.", "Invalid token."))),
        ("Token nonsense".to_owned(), detail(pick("Epäkelpo Token.", "Invalid token."))),
        (format!("Token {}", ended.access), detail(pick("Epäkelpo Token.", "Invalid token."))),
        (
            format!("Token {off_key}"),
            detail(pick("Käyttäjä ei-aktiivinen tai poistettu.", "User inactive or deleted.")),
        ),
    ] {
        let answer = service.gate("POST", "/api/v1/hobbies/", &credential).await;
        assert_eq!((answer.status, super::error(&answer)), (401, body), "{credential}");
        assert_eq!(answer.header("www-authenticate"), "Bearer realm=\"api\"");
        for absent in
            ["x-auth-user-id", "x-auth-username", "x-auth-via", "x-upstream-authorization"]
        {
            assert_eq!(answer.header(absent), "", "{absent}");
        }
    }
    let request = crate::harness::gate_request("GET", "/api/v1/", "");
    let answer = service.ask(&request.header("Authorization", b"Token \xff\xfe")).await;
    let characters = pick(
        "Epäkelpo Token-otsake. Tunnusmerkkijono ei saa sisältää epäkelpoja merkkejä.",
        "Invalid token header. Token string should not contain invalid characters.",
    );
    assert_eq!((answer.status, super::error(&answer)), (401, detail(characters)));

    let answer = service.gate("GET", "/sysadmin/", "").await;
    let forbidden = pick(
        "Sinulla ei ole lupaa suorittaa tätä toimintoa.",
        "You do not have permission to perform this action.",
    );
    assert_eq!((answer.status, super::error(&answer)), (403, detail(forbidden)));
    assert_eq!(answer.header("www-authenticate"), "");
}

/// The gate may speak as another layout does.
#[test]
fn metax_challenges_with_token() {
    crate::support::block_on(async {
        let settings = [("gate.dialect", "metax"), ("gate.schemes", "Token")];
        let service = TestService::with(Engine::Sqlite, &settings).await;
        let answer = service.gate("POST", "/api/v1/hobbies/", "Bearer x").await;
        assert_eq!(answer.status, 401);
        assert_eq!(answer.header("www-authenticate"), "Token");
        let body = json!({ "detail": "Authentication credentials were not provided." });
        assert_eq!(super::error(&answer), body);
    });
}
