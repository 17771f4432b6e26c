//! Phantom tokens: what the backend is handed in place of the client's credential.

use serde_json::json;

use crate::client::Answer;
use crate::harness::{Engine, TestService};
use crate::jwt::{claims, header};

on_both_engines! {
    contents
    one_serves_until_half_of_its_life_is_over
}

fn phantom(answer: &Answer) -> String {
    assert_eq!(answer.status, 204);
    let value = answer.header("x-upstream-authorization");
    value.strip_prefix("Bearer ").expect("is a bearer token").to_owned()
}

async fn contents(engine: Engine) {
    let service = TestService::start(engine).await;
    let account = service.account("aino").await;
    let pair = service.sign_in("aino").await;
    let token = phantom(&service.gate("GET", "/api/v1/", &pair.bearer()).await);
    assert_eq!(json!(header(&token)), json!({ "typ": "JWT", "alg": "HS256" }));
    let mut claims = claims(&token);
    assert_eq!(claims.remove("token_type"), Some(json!("access")));
    assert_eq!(claims.remove("exp"), Some(json!(service.now().seconds() + 300)));
    assert_eq!(claims.remove("user_id"), Some(json!(account.get())));
    assert!(
        claims.remove("jti").is_some_and(|jti| jti.as_str().is_some_and(|jti| jti.len() == 32))
    );
    assert!(claims.is_empty(), "nothing else, no aud: {claims:?}");
    // Worthless here, at the gate and everywhere else.
    assert!(!service.admits(&format!("Bearer {token}")).await);
    let verified = service.post("/api/token/verify/", &json!({ "token": token })).await;
    assert_eq!(verified.status, 401);
}

async fn one_serves_until_half_of_its_life_is_over(engine: Engine) {
    let service = TestService::with(engine, &[("layouts.simplejwt.access_lifetime", "1h")]).await;
    let account = service.account("aino").await;
    service.account("eino").await;
    let bearer = service.sign_in("aino").await.bearer();
    let second = service.sign_in("aino").await.bearer();
    let other = service.sign_in("eino").await.bearer();
    let key = format!("Token {}", service.api_key(account).await);
    service.settled().await;
    let ask = async |credential: &str| phantom(&service.gate("GET", "/api/v1/", credential).await);
    let first = ask(&bearer).await;
    assert_eq!(ask(&bearer).await, first, "one for all requests");
    assert_eq!(ask(&second).await, first, "and for all credentials of an account");
    assert_eq!(ask(&key).await, ask(&key).await);
    assert_ne!(ask(&other).await, first);
    service.pass(149);
    assert_eq!(ask(&bearer).await, first, "more than half of its life is left");
    service.pass(1);
    let renewed = ask(&bearer).await;
    assert_ne!(renewed, first);
    assert_eq!(claims(&renewed)["exp"], json!(service.now().seconds() + 300));
    assert_eq!(ask(&second).await, renewed);
}

#[test]
fn its_key_and_life_are_settings() {
    crate::support::block_on(async {
        let secret = "a secret that the backend has in its settings";
        let key = format!("hs256:{secret}");
        let settings = [("gate.phantom_key", key.as_str()), ("gate.phantom_lifetime", "1m")];
        let service = TestService::with(Engine::Sqlite, &settings).await;
        service.account("aino").await;
        let bearer = service.sign_in("aino").await.bearer();
        let token = phantom(&service.gate("GET", "/api/v1/", &bearer).await);
        let (claims, header) = (json!(claims(&token)), json!(header(&token)));
        assert_eq!(claims["exp"], json!(service.now().seconds() + 60));
        assert_eq!(crate::jwt::sign_with(secret, &header, &claims), token, "signed with that key");

        let settings = [("gate.phantom_algorithm", "RS256")];
        let service = TestService::with(Engine::Sqlite, &settings).await;
        service.account("aino").await;
        let bearer = service.sign_in("aino").await.bearer();
        let token = phantom(&service.gate("GET", "/api/v1/", &bearer).await);
        assert_eq!(crate::jwt::header(&token)["alg"], json!("RS256"));
    });
}
