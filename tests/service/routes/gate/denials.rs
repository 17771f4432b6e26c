//! Every refusal of the gate: its exact document and its headers, in both generations of wording.

use avain::flow::Caller;
use avain::flow::administer;
use serde_json::{Map, Value, json};

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

/// One of two texts, by generation: pinned, current.
type Pick = fn(&'static str, &'static str) -> &'static str;

async fn every_denial(engine: Engine, wording: &str, pick: Pick) {
    let import = format!("hs256:{SECRET}");
    let settings = [("keys.import", import.as_str()), ("layouts.harrastuspassi.wording", wording)];
    let service = TestService::with(engine, &settings).await;
    let forge = Forge { now: START.seconds(), account: service.account("aino").await.get() };
    let off = service.account("off").await;
    let off_key = service.api_key(off).await;
    let ended = service.sign_in("aino").await;
    let blacklist = json!({ "refresh": ended.refresh });
    service.post("/api/token/blacklist/", &blacklist).await.is(200, json!({}));
    administer::set_active(service.store(), &Caller::default(), off, false, START)
        .await
        .expect("it is off");

    assert!(service.admits(&forge.with("jti", json!("b"))).await, "what is changed below is good");
    let mut cases = bearer_cases(&forge, pick);
    cases.extend([
        (ended.bearer(), refused("Token is blacklisted")),
        (
            forge.with("user_id", json!(off.get().to_string())),
            coded("User is inactive", "user_inactive"),
        ),
    ]);
    cases.extend(key_cases(&off_key, &ended.access, pick));
    for (credential, body) in cases {
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

/// Makes bearer tokens that are good but for one claim.
struct Forge {
    now: i64,
    account: i32,
}

impl Forge {
    fn claims(&self) -> Map<String, Value> {
        let claims = json!({
            "token_type": "access", "exp": self.now + 60, "iat": self.now - 5, "jti": "a",
            "user_id": self.account,
        });
        claims.as_object().expect("is one").clone()
    }

    fn with(&self, name: &str, value: Value) -> String {
        let mut claims = self.claims();
        claims.insert(name.to_owned(), value);
        format!("Bearer {}", sign(SECRET, &claims.into()))
    }

    fn without(&self, name: &str) -> String {
        let mut claims = self.claims();
        claims.remove(name);
        format!("Bearer {}", sign(SECRET, &claims.into()))
    }
}

fn detail(text: &str) -> Value {
    json!({ "detail": text })
}

fn coded(text: &str, code: &str) -> Value {
    json!({ "detail": text, "code": code })
}

/// Bearer tokens, and what is said to them (CONTRACT.md 2.2).
fn bearer_cases(forge: &Forge, pick: Pick) -> Vec<(String, Value)> {
    let now = forge.now;
    let two_words = coded(
        "Authorization header must contain two space-delimited values",
        "bad_authorization_header",
    );
    let invalid = || refused(pick("Token is invalid or expired", "Token is invalid"));
    let expired = refused(pick("Token is invalid or expired", "Token is expired"));
    let not_found = || coded("User not found", "user_not_found");
    let nobody = "Token contained no recognizable user identification";
    let nothing = detail(pick(
        "Autentikaatiotunnuksia ei annettu.",
        "Authentication credentials were not provided.",
    ));
    vec![
        (String::new(), nothing),
        ("Bearer".to_owned(), two_words.clone()),
        ("Bearer a b".to_owned(), two_words),
        ("Bearer a.b.c".to_owned(), invalid()),
        (forge.with("exp", json!(now)), expired),
        (forge.with("exp", json!("soon")), invalid()),
        (forge.with("iat", json!(now + 1)), invalid()),
        (forge.with("nbf", json!(now + 1)), invalid()),
        (forge.without("exp"), refused("Token has no 'exp' claim")),
        (forge.without("jti"), refused("Token has no id")),
        (forge.without("token_type"), refused("Token has no type")),
        (forge.with("token_type", json!("refresh")), refused("Token has wrong type")),
        (forge.without("user_id"), coded(nobody, "token_not_valid")),
        (forge.with("user_id", json!(999_999)), not_found()),
        (forge.with("user_id", json!("1 or 1=1")), not_found()),
        (forge.with("user_id", json!(1.5)), not_found()),
        (forge.with("user_id", json!(u64::MAX)), not_found()),
        (forge.with("user_id", json!([1])), not_found()),
    ]
}

/// API keys, and what is said to them (CONTRACT.md 2.1).
fn key_cases(off_key: &str, jwt: &str, pick: Pick) -> Vec<(String, Value)> {
    let unknown = || detail(pick("Epäkelpo Token.", "Invalid token."));
    let empty = detail(pick(
        "Epäkelpo Token-otsake. Ei annettuja tunnuksia.",
        "Invalid token header. No credentials provided.",
    ));
    let spaces = detail(pick(
        "Epäkelpo Token-otsake. Tunnusmerkkijono ei saa sisältää välilyöntejä.",
        "Invalid token header. Token string should not contain spaces.",
    ));
    let off = detail(pick("Käyttäjä ei-aktiivinen tai poistettu.", "User inactive or deleted."));
    vec![
        ("Token".to_owned(), empty),
        ("tOkEn a b".to_owned(), spaces),
        (format!("Token {}", "0".repeat(40)), unknown()),
        ("Token nonsense".to_owned(), unknown()),
        (format!("Token {jwt}"), unknown()),
        (format!("Token {off_key}"), off),
    ]
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
