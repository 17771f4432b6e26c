//! Tokens from before the change-over: they have no family. They begin one by being used, under a key that
//! was imported, if they can have been issued before that.

use std::sync::Arc;
use std::time::Duration;

use avain::flow::{Caller, administer, families};
use avain::store::accounts;
use avain::store::engine::Observation;
use avain::store::refresh_families::{self, EndReason};
use serde_json::{Value, json};
use tokio::sync::watch;

use super::SECRET;
use crate::client::Answer;
use crate::harness::{Engine, Pair, START, TestService};
use crate::jwt::{claim, sign};

on_both_engines! {
    a_token_of_before_the_import_begins_a_family
    without_iat_the_expiry_tells_when_it_was_issued
    a_token_of_after_the_import_is_refused
    under_a_key_of_our_own_nothing_is_adopted
    what_was_taken_back_is_not_adopted
    a_sign_out_in_flight_ends_what_is_about_to_be_adopted
    an_ended_family_stays_as_long_as_its_token
}

async fn importing(engine: Engine) -> TestService {
    let import = format!("hs256:{SECRET}");
    TestService::with(engine, &[("keys.import", &import)]).await
}

/// A refresh token as djangorestframework-simplejwt would have made it.
fn old_token(account: i32, issued_at: i64, jti: &str) -> String {
    sign(SECRET, &old_claims(account, issued_at, jti))
}

fn old_claims(account: i32, issued_at: i64, jti: &str) -> Value {
    json!({
        "token_type": "refresh", "exp": issued_at + 86_400, "iat": issued_at, "jti": jti,
        "user_id": account, "first_name": "Old",
    })
}

fn blacklisted(answer: &Answer) {
    answer.is(401, json!({ "detail": "Token is blacklisted", "code": "token_not_valid" }));
}

async fn a_token_of_before_the_import_begins_a_family(engine: Engine) {
    let service = importing(engine).await;
    let account = service.account("aino").await.get();
    service.pass(3600);
    let old = old_token(account, START.seconds() - 1, "a");
    // The layout without rotation goes on answering the very token.
    let kept = old_token(account, START.seconds() - 1, "b");
    for _ in 0..2 {
        let answer = service.post("/auth/token/refresh/", &json!({ "refresh": kept })).await;
        assert_eq!(answer.status, 200, "{}", answer.text());
        service.pass(60);
    }
    let first = Pair::of(&service.refresh(&old).await);
    assert_eq!(claim(&first.refresh, "first_name"), json!("Old"), "claims are copied");
    assert!(service.admits(&first.bearer()).await);
    let again = Pair::of(&service.refresh(&old).await);
    assert_eq!(claim(&again.refresh, "jti"), claim(&first.refresh, "jti"), "a lost answer");
    service.pass(10);
    blacklisted(&service.refresh(&old).await);
    assert!(!service.admits(&first.bearer()).await, "reuse ends an adopted family too");
    blacklisted(&service.refresh(&first.refresh).await);
}

async fn without_iat_the_expiry_tells_when_it_was_issued(engine: Engine) {
    let service = importing(engine).await;
    let account = service.account("aino").await.get();
    let without_iat = |issued_at: i64| {
        let mut claims = old_claims(account, issued_at, &format!("jti {issued_at}"));
        claims.as_object_mut().expect("is one").remove("iat");
        sign(SECRET, &claims)
    };
    service.pass(60);
    assert_eq!(service.refresh(&without_iat(START.seconds() - 1)).await.status, 200);
    blacklisted(&service.refresh(&without_iat(START.seconds())).await);
    blacklisted(&service.refresh(&without_iat(START.seconds() + 30)).await);
}

async fn a_token_of_after_the_import_is_refused(engine: Engine) {
    let service = importing(engine).await;
    let account = service.account("aino").await.get();
    service.pass(60);
    for issued_at in [START.seconds(), START.seconds() + 1, START.seconds() + 59] {
        let forged = old_token(account, issued_at, "forged");
        blacklisted(&service.refresh(&forged).await);
        let answer = service.post("/auth/token/refresh/", &json!({ "refresh": forged })).await;
        blacklisted(&answer);
    }
    // An invented family does not help.
    let mut claims = old_claims(account, START.seconds() + 1, "forged");
    claims["sid"] = json!("0123456789abcdef0123456789abcdef");
    blacklisted(&service.refresh(&sign(SECRET, &claims)).await);
}

async fn under_a_key_of_our_own_nothing_is_adopted(engine: Engine) {
    let service = TestService::start(engine).await;
    let account = service.account("aino").await.get();
    let ring = service.service.context.ring.load_full();
    let secret = ring.signing().secret_text().expect("HS256 is the default");
    let own = sign(secret.expose(), &old_claims(account, START.seconds() - 100, "own"));
    let verified = service.post("/api/token/verify/", &json!({ "token": own })).await;
    assert_eq!(verified.status, 200, "its signature is good");
    blacklisted(&service.refresh(&own).await);
}

async fn what_was_taken_back_is_not_adopted(engine: Engine) {
    let service = importing(engine).await;
    let account = service.account("aino").await;
    let old = old_token(account.get(), START.seconds() - 1, "a");
    let blacklist = |token: &str| json!({ "refresh": token });
    service.post("/api/token/blacklist/", &blacklist(&old)).await.is(200, json!({}));
    blacklisted(&service.refresh(&old).await);
    blacklisted(&service.post("/api/token/blacklist/", &blacklist(&old)).await);

    // Signed out everywhere before it was ever used here: no row is there to say so.
    let unused = old_token(account.get(), START.seconds() - 1, "b");
    administer::sign_out_everywhere(service.store(), &Caller::default(), account, service.now())
        .await
        .expect("done");
    blacklisted(&service.refresh(&unused).await);
    let nobody = old_token(999_999, START.seconds() - 1, "c");
    let gone = json!({ "detail": "No active account found for the given token." });
    service.refresh(&nobody).await.is(401, gone);
}

/// The token is judged, and then the account is signed out everywhere: there is no family to end yet.
async fn a_sign_out_in_flight_ends_what_is_about_to_be_adopted(engine: Engine) {
    let service = importing(engine).await;
    let account = service.account("aino").await;
    let old = old_token(account.get(), START.seconds() - 1, "a");
    let store = service.store();
    let (judges, mut judged) = watch::channel(false);
    store.observe(Arc::new(move |done: &Observation<'_>| {
        if done.name == "accounts.standing" {
            judges.send_replace(true);
        }
    }));
    let mut tx = store.begin("sign out everywhere, slowly").await.expect("it begins");
    accounts::lock_in(&mut tx, account).await.expect("it is held");
    let sign_out = async {
        let judged = judged.wait_for(|judged| *judged);
        let judged = tokio::time::timeout(Duration::from_secs(15), judged).await;
        judged.expect("it is judged in time").expect("the store is there");
        let ended =
            accounts::revoke_all_in(&mut tx, account, EndReason::SignOut, service.now()).await;
        ended.expect("it is ended");
        tx.commit().await.expect("it commits");
    };
    let (answer, ()) = tokio::join!(service.refresh(&old), sign_out);
    blacklisted(&answer);
    let begun = families::list(store, account, service.now()).await.expect("it reads");
    assert!(begun.is_empty(), "{begun:?}");
    blacklisted(&service.refresh(&old).await);
}

/// As a tombstone, so that nothing is adopted a second time.
async fn an_ended_family_stays_as_long_as_its_token(engine: Engine) {
    let service = importing(engine).await;
    let account = service.account("aino").await;
    let old = old_token(account.get(), START.seconds() - 1, "a");
    service.post("/api/token/blacklist/", &json!({ "refresh": old })).await.is(200, json!({}));
    let sweep = async || {
        let store = service.store();
        refresh_families::sweep(store, service.now(), 100).await.expect("it sweeps")
    };
    service.clock.advance(Duration::from_secs(86_398));
    assert_eq!(sweep().await, 0, "its token could still be presented");
    blacklisted(&service.refresh(&old).await);
    service.pass(2);
    assert_eq!(sweep().await, 1);
    let expired = json!({ "detail": "Token is expired", "code": "token_not_valid" });
    service.refresh(&old).await.is(401, expired);
}
