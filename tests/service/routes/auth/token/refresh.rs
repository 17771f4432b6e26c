//! `/auth/token/refresh`: an access token for a refresh token that stays the same (CONTRACT.md 4).

use std::time::Duration;

use avain::flow::Caller;
use avain::flow::administer;
use avain::store::accounts::Edit;
use serde_json::json;

use crate::client::Request;
use crate::harness::{Engine, Pair, START, TestService};
use crate::jwt::claim;

on_both_engines! {
    the_first_token_serves_until_it_expires
    names_stay_as_they_were_at_sign_in
    the_authorization_header_is_ignored
    a_family_ends_however_often_it_is_refreshed
}

async fn the_first_token_serves_until_it_expires(engine: Engine) {
    let service = TestService::start(engine).await;
    service.account("aino").await;
    let pair = service.sign_in_at("/auth/token/", "aino").await;
    let body = json!({ "refresh": pair.refresh });
    for target in ["/auth/token/refresh/", "/auth/token/refresh", "/auth/token/refresh/"] {
        service.pass(8 * 3600 - 60);
        let answer = service.post(target, &body).await;
        assert_eq!(answer.status, 200, "{}", answer.text());
        let answer = answer.json();
        assert_eq!(answer.as_object().expect("an object").len(), 1, "only access: {answer}");
        let access = answer["access"].as_str().expect("a token");
        assert!(service.admits(&format!("Bearer {access}")).await);
        assert_eq!(claim(access, "exp"), json!(service.now().seconds() + 18_000));
        assert_eq!(claim(access, "sid"), claim(&pair.refresh, "sid"));
    }
    service.clock.advance(Duration::from_mins(3) - Duration::from_millis(1));
    assert_eq!(service.post("/auth/token/refresh/", &body).await.status, 200, "until its exp");
    service.clock.advance(Duration::from_millis(1));
    let answer = service.post("/auth/token/refresh/", &body).await;
    answer.is(401, json!({ "detail": "Token is expired", "code": "token_not_valid" }));
    assert_eq!(answer.header("www-authenticate"), "Bearer realm=\"api\"");
}

async fn names_stay_as_they_were_at_sign_in(engine: Engine) {
    let service = TestService::start(engine).await;
    let account = service.account("aino").await;
    let pair = service.sign_in_at("/auth/token/", "aino").await;
    let edit = Edit {
        email: String::new(),
        first_name: "Other".to_owned(),
        last_name: String::new(),
        flags: None,
    };
    administer::edit(service.store(), &Caller::default(), account, &edit, false, START)
        .await
        .expect("can be edited");
    let answer = service.post("/auth/token/refresh/", &json!({ "refresh": pair.refresh })).await;
    let access = answer.json()["access"].as_str().expect("a token").to_owned();
    assert_eq!(claim(&access, "first_name"), json!("Aino"));
    let again = service.sign_in_at("/auth/token/", "aino").await;
    assert_eq!(claim(&again.access, "first_name"), json!("Other"));
}

async fn the_authorization_header_is_ignored(engine: Engine) {
    let service = TestService::start(engine).await;
    service.account("aino").await;
    let pair = service.sign_in_at("/auth/token/", "aino").await;
    for header in ["Bearer x", "Bearer", "Token a b", "Token \u{e4}", "nonsense"] {
        let request = Request::new("POST", "/auth/token/refresh/")
            .header("Authorization", header)
            .json(&json!({ "refresh": pair.refresh }));
        assert_eq!(service.ask(&request).await.status, 200, "{header}");
    }
}

async fn a_family_ends_however_often_it_is_refreshed(engine: Engine) {
    let settings = [("tokens.family_lifetime", "2h"), ("tokens.refresh_grace", "0")];
    let service = TestService::with(engine, &settings).await;
    service.account("aino").await;
    // Without rotation the token itself ends with the family.
    let pair = service.sign_in_at("/auth/token/", "aino").await;
    assert_eq!(claim(&pair.refresh, "exp"), json!(START.seconds() + 7200));
    // With rotation every successor does.
    let mut refresh = service.sign_in("aino").await.refresh;
    for _ in 0..3 {
        service.pass(1800);
        let answer = service.refresh(&refresh).await;
        refresh = Pair::of(&answer).refresh;
        assert_eq!(claim(&refresh, "exp"), json!(START.seconds() + 7200));
    }
    service.pass(1800);
    let expired = json!({ "detail": "Token is expired", "code": "token_not_valid" });
    service.refresh(&refresh).await.is(401, expired.clone());
    service.post("/auth/token/refresh", &json!({ "refresh": pair.refresh })).await.is(401, expired);
}
