//! A password that somebody changes in Django's own tables, where no trigger tells of it, ends what began with the one
//! before.

use avain::account::account::AccountId;
use avain::flow::audit::{self, Search};
use avain::store::Store;
use serde_json::{Value, json};

use crate::client::Answer;
use crate::harness::{Engine, Pair, START, TestService};

on_both_engines! {
    another_password_ends_what_began_with_the_one_before
    the_gate_notices_by_itself
    a_password_that_is_hashed_anew_ends_nothing
    families_from_before_take_it_on
}

/// Changes a password as Django does: in the table, and nowhere else.
async fn change_elsewhere(service: &TestService, account: AccountId, password: &str) {
    let hashed = service.hash(password).await;
    let params = [account.get().into(), hashed.expose().into()];
    service.store().write("accounts.set_password", &params).await.expect("it is written");
}

fn blacklisted(answer: &Answer) {
    answer.is(401, json!({ "detail": "Token is blacklisted", "code": "token_not_valid" }));
}

async fn refresh_unrotated(service: &TestService, pair: &Pair) -> Answer {
    service.post("/auth/token/refresh/", &json!({ "refresh": pair.refresh })).await
}

async fn sign_in_anew(service: &TestService, password: &str) -> Pair {
    let credentials = json!({ "username": "aino", "password": password });
    Pair::of(&service.post("/api/token/", &credentials).await)
}

async fn another_password_ends_what_began_with_the_one_before(engine: Engine) {
    let service = TestService::start(engine).await;
    let aino = service.account("aino").await;
    service.account("eino").await;
    let other = service.sign_in("eino").await;
    let rotating = service.sign_in("aino").await;
    let unrotated = service.sign_in_at("/auth/token/", "aino").await;
    for pair in [&other, &rotating, &unrotated] {
        assert!(service.admits(&pair.bearer()).await);
    }
    assert_eq!(refresh_unrotated(&service, &unrotated).await.status, 200);

    change_elsewhere(&service, aino, "another").await;
    blacklisted(&refresh_unrotated(&service, &unrotated).await);
    service.refuses_soon(&unrotated.bearer()).await;
    assert!(!service.admits(&rotating.bearer()).await, "one that is noticed ends all");
    blacklisted(&service.refresh(&rotating.refresh).await);
    let verified = service.post("/api/token/verify/", &json!({ "token": rotating.access })).await;
    assert_eq!(verified.status, 400, "{}", verified.text());

    let new = sign_in_anew(&service, "another").await;
    assert!(service.admits(&new.bearer()).await);
    assert_eq!(service.refresh(&new.refresh).await.status, 200);
    assert!(service.admits(&other.bearer()).await);
    assert_eq!(service.refresh(&other.refresh).await.status, 200, "nobody else is signed out");

    let about = Search { account: Some(aino), ..Search::default() };
    let told = audit::search(service.store(), &about, None, 10).await.expect("it reads");
    let noticed: Vec<_> = told
        .iter()
        .filter(|entry| entry.event.as_str() == "password_changed_elsewhere")
        .map(|entry| (entry.actor, entry.details.clone()))
        .collect();
    assert_eq!(noticed, [(None, json!({ "ended": "2" }).to_string())]);
}

/// No refresh token is used: what the gate looks at again tells.
async fn the_gate_notices_by_itself(engine: Engine) {
    let settings = [("accounts.owner", "django"), ("accounts.recheck", "5s")];
    let service = TestService::with(engine, &settings).await;
    let aino = service.account("aino").await;
    let pair = service.sign_in("aino").await;
    let key = format!("Token {}", service.api_key(aino).await);
    assert!(service.admits(&pair.bearer()).await && service.admits(&key).await);
    change_elsewhere(&service, aino, "another").await;
    service.pass(6);
    service.refuses_soon(&pair.bearer()).await;
    blacklisted(&service.refresh(&pair.refresh).await);
    assert!(service.admits(&key).await, "keys are not of a password");
}

async fn a_password_that_is_hashed_anew_ends_nothing(engine: Engine) {
    let weak = [("passwords.pbkdf2_iterations", "500")];
    let service = TestService::with(engine, &weak).await;
    service.account("aino").await;
    let pair = service.sign_in("aino").await;
    let unrotated = service.sign_in_at("/auth/token/", "aino").await;
    let floor = [("passwords.rehash_below", "1000")];
    let service = TestService::on(service.stop().await, &floor, START).await;
    let before = stored(service.store()).await;
    let again = service.sign_in("aino").await;
    assert_ne!(stored(service.store()).await, before, "it is hashed anew");
    for pair in [&pair, &unrotated, &again] {
        assert!(service.admits(&pair.bearer()).await);
    }
    assert_eq!(refresh_unrotated(&service, &unrotated).await.status, 200);
    assert_eq!(service.refresh(&pair.refresh).await.status, 200);
    assert_eq!(service.refresh(&again.refresh).await.status, 200);
}

async fn stored(store: &Store) -> String {
    let found = avain::store::accounts::find_by_username(store, "aino").await;
    found.expect("it reads").expect("is there").password.expose().to_owned()
}

async fn families_from_before_take_it_on(engine: Engine) {
    let service = TestService::start(engine).await;
    let aino = service.account("aino").await;
    let old = service
        .database
        .open_as_django("-- name: forget\nUPDATE refresh_families SET password_digest = NULL;");
    let mut pair = service.sign_in("aino").await;
    old.write("django.forget", &[]).await.expect("it is written");
    change_elsewhere(&service, aino, "second").await;
    assert!(service.admits(&pair.bearer()).await);
    pair = Pair::of(&service.refresh(&pair.refresh).await);
    assert_eq!(
        service.refresh(&pair.refresh).await.json().get("access").map(Value::is_string),
        Some(true),
        "with what it began is not known"
    );
    pair = sign_in_anew(&service, "second").await;
    old.write("django.forget", &[]).await.expect("it is written");
    pair = Pair::of(&service.refresh(&pair.refresh).await);
    change_elsewhere(&service, aino, "third").await;
    blacklisted(&service.refresh(&pair.refresh).await);
    service.refuses_soon(&pair.bearer()).await;
}
