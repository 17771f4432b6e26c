//! `/api/token/verify`: whether a token is good (CONTRACT.md 5).

use avain::flow::Caller;
use avain::flow::administer;
use serde_json::{Value, json};

use crate::harness::{Engine, Pair, START, TestService};
use crate::jwt::sign;

on_both_engines! {
    good_tokens_of_either_kind
    incomplete_tokens_verify_as_at_the_peer
    what_was_taken_back_does_not_verify
}

const SECRET: &str = "another-service-signed-with-this-secret";

async fn good_tokens_of_either_kind(engine: Engine) {
    let service = TestService::start(engine).await;
    service.account("aino").await;
    let pair = service.sign_in("aino").await;
    for token in [&pair.access, &pair.refresh] {
        for target in ["/api/token/verify/", "/api/token/verify"] {
            service.post(target, &json!({ "token": token })).await.is(200, json!({}));
        }
    }
    let required = json!({ "token": ["This field is required."] });
    service.post("/api/token/verify/", &json!({ "refresh": pair.refresh })).await.is(400, required);
    let invalid = json!({ "detail": "Token is invalid", "code": "token_not_valid" });
    let answer = service.post("/api/token/verify/", &json!({ "token": "a.b.c" })).await;
    answer.is(401, invalid);
    assert_eq!(answer.header("www-authenticate"), "Bearer realm=\"api\"");
    service.pass(300);
    let expired = json!({ "detail": "Token is expired", "code": "token_not_valid" });
    service.post("/api/token/verify/", &json!({ "token": pair.access })).await.is(401, expired);
}

async fn incomplete_tokens_verify_as_at_the_peer(engine: Engine) {
    let import = format!("hs256:{SECRET}");
    let service = TestService::with(engine, &[("keys.import", &import)]).await;
    let account = service.account("aino").await.get();
    let now = START.seconds();
    let verify = async |claims: Value| {
        let token = sign(SECRET, &claims);
        let answer = service.post("/api/token/verify/", &json!({ "token": token })).await;
        (answer.status, answer.json()["detail"].as_str().unwrap_or_default().to_owned())
    };
    let good = (200, String::new());
    let exp = now + 60;
    assert_eq!(verify(json!({ "exp": exp, "jti": "a", "user_id": account })).await, good);
    assert_eq!(verify(json!({ "exp": exp, "jti": "a", "token_type": "access" })).await, good);
    assert_eq!(verify(json!({ "exp": exp, "jti": "a" })).await, good);
    let no_id = (401, "Token has no id".to_owned());
    assert_eq!(verify(json!({ "exp": exp, "user_id": account })).await, no_id);
    let no_exp = (401, "Token has no 'exp' claim".to_owned());
    assert_eq!(verify(json!({ "jti": "a", "user_id": account })).await, no_exp);
}

/// Stricter than the peer, whose verifier says yes to dead tokens (tests/contract/README.md).
async fn what_was_taken_back_does_not_verify(engine: Engine) {
    let service = TestService::start(engine).await;
    let refused = json!({ "non_field_errors": ["Token is blacklisted"] });
    let verify =
        async |token: &str| service.post("/api/token/verify/", &json!({ "token": token })).await;

    let rotated = service.account("rotated").await;
    let first = service.sign_in("rotated").await;
    let second = Pair::of(&service.refresh(&first.refresh).await);
    verify(&first.refresh).await.is(400, refused.clone());
    verify(&second.refresh).await.is(200, json!({}));
    verify(&first.access).await.is(200, json!({}));
    let hash = service.hash("another").await;
    administer::set_password(service.store(), &Caller::default(), rotated, &hash, service.now())
        .await
        .expect("is set");
    for token in [&first.access, &second.access, &second.refresh] {
        verify(token).await.is(400, refused.clone());
    }

    let off = service.account("off").await;
    let pair = service.sign_in("off").await;
    administer::set_active(service.store(), &Caller::default(), off, false, service.now())
        .await
        .expect("is off");
    for token in [&pair.access, &pair.refresh] {
        verify(token).await.is(400, refused.clone());
    }
}
