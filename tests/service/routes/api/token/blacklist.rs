//! `/api/token/blacklist`: taking back a refresh token (CONTRACT.md 5).

use serde_json::{Value, json};

use crate::client::Answer;
use crate::harness::{Engine, Pair, TestService};

on_both_engines! {
    once
    a_lost_answer_does_not_keep_anybody_signed_in
    an_old_token_ends_the_family
}

async fn blacklist(service: &TestService, token: &str) -> Answer {
    service.post("/api/token/blacklist/", &json!({ "refresh": token })).await
}

fn blacklisted() -> Value {
    json!({ "detail": "Token is blacklisted", "code": "token_not_valid" })
}

async fn once(engine: Engine) {
    let service = TestService::start(engine).await;
    service.account("aino").await;
    let pair = service.sign_in("aino").await;
    let other = service.sign_in("aino").await;
    assert!(service.admits(&pair.bearer()).await);
    let wrong = json!({ "detail": "Token has wrong type", "code": "token_not_valid" });
    blacklist(&service, &pair.access).await.is(401, wrong);
    let invalid = json!({ "detail": "Token is invalid", "code": "token_not_valid" });
    blacklist(&service, "x").await.is(401, invalid);

    let answer = service.post("/api/token/blacklist", &json!({ "refresh": pair.refresh })).await;
    answer.is(200, json!({}));
    let answer = blacklist(&service, &pair.refresh).await;
    answer.is(401, blacklisted());
    assert_eq!(answer.header("www-authenticate"), "Bearer realm=\"api\"");
    service.refresh(&pair.refresh).await.is(401, blacklisted());
    let refused = json!({ "non_field_errors": ["Token is blacklisted"] });
    service.post("/api/token/verify/", &json!({ "token": pair.refresh })).await.is(400, refused);
    assert!(!service.admits(&pair.bearer()).await, "access tokens end with the family");
    assert!(service.admits(&other.bearer()).await, "other sign-ins are untouched");
}

async fn a_lost_answer_does_not_keep_anybody_signed_in(engine: Engine) {
    let service = TestService::start(engine).await;
    service.account("aino").await;
    let first = service.sign_in("aino").await;
    let second = Pair::of(&service.refresh(&first.refresh).await);
    blacklist(&service, &first.refresh).await.is(200, json!({}));
    service.refresh(&second.refresh).await.is(401, blacklisted());
    assert!(!service.admits(&second.bearer()).await);
}

async fn an_old_token_ends_the_family(engine: Engine) {
    let service = TestService::start(engine).await;
    service.account("aino").await;
    let first = service.sign_in("aino").await;
    let second = Pair::of(&service.refresh(&first.refresh).await);
    service.pass(10);
    blacklist(&service, &first.refresh).await.is(401, blacklisted());
    assert!(!service.admits(&second.bearer()).await, "somebody else holds a copy");
    service.refresh(&second.refresh).await.is(401, blacklisted());
}
