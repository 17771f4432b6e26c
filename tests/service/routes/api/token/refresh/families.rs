//! Refresh families: a token one step behind is answered with the same successor while that is unused and
//! the grace period runs; anything else is reuse and ends the family.

use std::time::Duration;

use serde_json::json;

use crate::client::Answer;
use crate::harness::{Engine, Pair, TestService};
use crate::jwt::{claim, claims, sign};

on_both_engines! {
    a_retry_gets_the_same_successor
    a_retry_after_the_grace_period_ends_the_family
    an_older_token_ends_the_family
    a_used_successor_leaves_no_retry_of_two_steps
    without_a_grace_period_every_second_use_is_reuse
    an_account_switched_off_elsewhere_does_not_use_the_token_up
    a_family_is_one_sign_in
    without_rotation_nothing_is_reuse
    layouts_share_families
    a_token_names_the_account_of_its_family
    issuer_and_audience_are_written_anew
}

fn blacklisted(answer: &Answer) {
    answer.is(401, json!({ "detail": "Token is blacklisted", "code": "token_not_valid" }));
}

/// The family of these pairs is dead: nothing refreshes, and the gate refuses its access tokens at once.
async fn dead(service: &TestService, pairs: &[&Pair]) {
    for pair in pairs {
        assert!(!service.admits(&pair.bearer()).await, "its access tokens end with a family");
        blacklisted(&service.refresh(&pair.refresh).await);
        let verified = service.post("/api/token/verify/", &json!({ "token": pair.access })).await;
        verified.is(400, json!({ "non_field_errors": ["Token is blacklisted"] }));
    }
}

async fn a_retry_gets_the_same_successor(engine: Engine) {
    let service = TestService::start(engine).await;
    service.account("aino").await;
    let first = service.sign_in("aino").await;
    let second = Pair::of(&service.refresh(&first.refresh).await);
    service.pass(9);
    service.clock.advance(Duration::from_millis(999));
    let retried = Pair::of(&service.refresh(&first.refresh).await);
    for own in ["jti", "iat", "exp", "sid"] {
        assert_eq!(claim(&retried.refresh, own), claim(&second.refresh, own), "{own}");
    }
    for pair in [&first, &second, &retried] {
        assert!(service.admits(&pair.bearer()).await, "there is one live family");
    }
    // One line goes on, whichever copy of the successor is used.
    let third = Pair::of(&service.refresh(&retried.refresh).await);
    assert_ne!(claim(&third.refresh, "jti"), claim(&second.refresh, "jti"));
}

async fn a_retry_after_the_grace_period_ends_the_family(engine: Engine) {
    let service = TestService::start(engine).await;
    service.account("aino").await;
    let first = service.sign_in("aino").await;
    let second = Pair::of(&service.refresh(&first.refresh).await);
    assert!(service.admits(&second.bearer()).await, "the gate has met it");
    service.pass(10);
    blacklisted(&service.refresh(&first.refresh).await);
    dead(&service, &[&first, &second]).await;
}

async fn an_older_token_ends_the_family(engine: Engine) {
    let service = TestService::start(engine).await;
    service.account("aino").await;
    let first = service.sign_in("aino").await;
    let second = Pair::of(&service.refresh(&first.refresh).await);
    let third = Pair::of(&service.refresh(&second.refresh).await);
    blacklisted(&service.refresh(&first.refresh).await);
    dead(&service, &[&first, &second, &third]).await;
}

async fn a_used_successor_leaves_no_retry_of_two_steps(engine: Engine) {
    let service = TestService::start(engine).await;
    service.account("aino").await;
    let mut pair = service.sign_in("aino").await;
    let mut before = pair.clone();
    for _ in 0..5 {
        let next = Pair::of(&service.refresh(&pair.refresh).await);
        before = std::mem::replace(&mut pair, next);
    }
    // One step behind, in time: the same successor; it stays unused.
    let again = Pair::of(&service.refresh(&before.refresh).await);
    assert_eq!(claim(&again.refresh, "jti"), claim(&pair.refresh, "jti"));
    let next = Pair::of(&service.refresh(&pair.refresh).await);
    // Now two steps behind: reuse, although the grace period still runs.
    blacklisted(&service.refresh(&before.refresh).await);
    dead(&service, &[&pair, &next]).await;
}

async fn without_a_grace_period_every_second_use_is_reuse(engine: Engine) {
    let service = TestService::with(engine, &[("tokens.refresh_grace", "0")]).await;
    service.account("aino").await;
    let first = service.sign_in("aino").await;
    let second = Pair::of(&service.refresh(&first.refresh).await);
    blacklisted(&service.refresh(&first.refresh).await);
    dead(&service, &[&first, &second]).await;
}

/// Django's admin writes `is_active` and nothing of ours.
async fn an_account_switched_off_elsewhere_does_not_use_the_token_up(engine: Engine) {
    let service = TestService::start(engine).await;
    let account = service.account("aino").await;
    let pair = service.sign_in("aino").await;
    let set_active = async |active: bool| {
        let mut tx = service.store().begin("as Django's admin").await.expect("it begins");
        let params = [account.get().into(), active.into()];
        tx.run("accounts.set_active", &params).await.expect("it runs");
        tx.commit().await.expect("it commits");
    };
    set_active(false).await;
    for target in ["/api/token/refresh/", "/auth/token/refresh/"] {
        let answer = service.post(target, &json!({ "refresh": pair.refresh })).await;
        answer.is(401, json!({ "detail": "No active account found for the given token." }));
    }
    set_active(true).await;
    assert_eq!(service.refresh(&pair.refresh).await.status, 200, "it was not used up");
}

async fn a_family_is_one_sign_in(engine: Engine) {
    let service = TestService::with(engine, &[("tokens.refresh_grace", "0")]).await;
    service.account("aino").await;
    let phone = service.sign_in("aino").await;
    let laptop = service.sign_in("aino").await;
    assert_ne!(claim(&phone.access, "sid"), claim(&laptop.access, "sid"));
    let stolen = Pair::of(&service.refresh(&phone.refresh).await);
    blacklisted(&service.refresh(&phone.refresh).await);
    dead(&service, &[&phone, &stolen]).await;
    assert!(service.admits(&laptop.bearer()).await, "other sign-ins are untouched");
    assert_eq!(service.refresh(&laptop.refresh).await.status, 200);
}

async fn without_rotation_nothing_is_reuse(engine: Engine) {
    let settings = [("layouts.simplejwt.rotation", "off"), ("tokens.refresh_grace", "0")];
    let service = TestService::with(engine, &settings).await;
    service.account("aino").await;
    let pair = service.sign_in("aino").await;
    for _ in 0..3 {
        service.pass(100);
        let answer = service.refresh(&pair.refresh).await;
        let members = answer.json().as_object().expect("is one").len();
        assert_eq!((answer.status, members), (200, 1));
    }
}

/// A token that one layout issued is good at the other; there it is treated as that layout treats it.
async fn layouts_share_families(engine: Engine) {
    let service = TestService::start(engine).await;
    service.account("aino").await;
    let first = service.sign_in_at("/auth/token/", "aino").await;
    let second = Pair::of(&service.refresh(&first.refresh).await);
    assert_eq!(claim(&second.refresh, "first_name"), json!("Aino"), "claims are copied");
    // Rotated away: within the grace period the other layout gives access, after it ends the family.
    let body = json!({ "refresh": first.refresh });
    assert_eq!(service.post("/auth/token/refresh/", &body).await.status, 200);
    service.pass(10);
    blacklisted(&service.post("/auth/token/refresh/", &body).await);
    dead(&service, &[&first, &second]).await;
}

/// Forged with our own key: another account's id in a token of a living family.
async fn a_token_names_the_account_of_its_family(engine: Engine) {
    let service = TestService::start(engine).await;
    service.account("aino").await;
    let eino = service.account("eino").await;
    let pair = service.sign_in("aino").await;
    let ring = service.service.context.ring.load_full();
    let secret = ring.signing().secret_text().expect("HS256 is the default");
    let forge = |user: serde_json::Value| {
        let mut claims = claims(&pair.refresh);
        claims.insert("user_id".to_owned(), user);
        sign(secret.expose(), &claims.into())
    };
    let gone = json!({ "detail": "No active account found for the given token." });
    for user in [json!(eino.get()), json!("999999"), json!("x"), json!([])] {
        let forged = forge(user);
        service.refresh(&forged).await.is(401, gone.clone());
        let body = json!({ "refresh": forged });
        service.post("/api/token/blacklist/", &body).await.is(401, gone.clone());
    }
    assert_eq!(service.refresh(&pair.refresh).await.status, 200, "nothing was used up");
}

async fn issuer_and_audience_are_written_anew(engine: Engine) {
    let settings = [("tokens.audience", "us"), ("tokens.issuer", "we")];
    let service = TestService::with(engine, &settings).await;
    service.account("aino").await;
    let pair = service.sign_in("aino").await;
    let ring = service.service.context.ring.load_full();
    let secret = ring.signing().secret_text().expect("HS256 is the default");
    let mut claims = claims(&pair.refresh);
    claims.insert("aud".to_owned(), json!(["them", "us"]));
    let renewed = Pair::of(&service.refresh(&sign(secret.expose(), &claims.into())).await);
    for token in [&renewed.access, &renewed.refresh] {
        assert_eq!((claim(token, "aud"), claim(token, "iss")), (json!("us"), json!("we")));
    }
}
