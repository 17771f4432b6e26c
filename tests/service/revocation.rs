//! What takes something away counts at once in the process that did it, and within a moment everywhere else.

use std::time::Duration;

use avain::account::account::AccountId;
use avain::flow::Caller;
use avain::flow::administer;
use avain::flow::personal_keys::Cabinet;
use avain::store::Store;
use avain::store::accounts::Owner;
use serde_json::json;

use crate::harness::{Database, Engine, START, TestService};

on_both_engines! {
    here_at_once
    elsewhere_within_a_moment
    a_change_that_takes_nothing_away_takes_nothing_away
    another_instance_hears_of_a_sign_out
    a_retired_key_ends_what_it_signed
    signing_in_again_works_at_once
}

/// What takes something away.
const MEASURES: [&str; 5] = ["password", "deactivate", "delete", "sign out", "key"];

/// Takes a measure against an account through `store`.
async fn take(measure: &str, service: &TestService, store: &Store, account: AccountId) {
    let now = service.now();
    let random = service.service.context.random.as_ref();
    match measure {
        "password" => {
            let hash = service.hash("another").await;
            administer::set_password(store, &Caller::default(), account, &hash, now)
                .await
                .expect("it is set");
        }
        "deactivate" => {
            assert!(
                administer::set_active(store, &Caller::default(), account, false, now)
                    .await
                    .expect("it is off")
            );
        }
        "delete" => {
            let deleted =
                administer::delete(store, &Caller::default(), Owner::Avain, account, now, random)
                    .await;
            assert_eq!(deleted.expect("it is gone"), administer::Deleted::Removed);
        }
        "sign out" => {
            administer::sign_out_everywhere(store, &Caller::default(), account, now)
                .await
                .expect("it is signed out");
        }
        "key" => {
            let (context, caller) = (&service.service.context, Caller::default());
            let revoked =
                Cabinet { store, ..context.cabinet(&caller) }.revoke_classic(account).await;
            assert!(revoked.expect("it is revoked"));
        }
        other => panic!("{other}?"),
    }
}

/// Whether the measure ends bearer tokens, and API keys.
fn ends(measure: &str) -> (bool, bool) {
    match measure {
        "password" | "sign out" => (true, false),
        "key" => (false, true),
        _ => (true, true),
    }
}

async fn here_at_once(engine: Engine) {
    let service = TestService::start(engine).await;
    for measure in MEASURES {
        let name = measure.replace(' ', "-");
        let account = service.account(&name).await;
        let bystander = service.account(&format!("{name}-bystander")).await;
        let pairs = [service.sign_in(&name).await, service.sign_in(&name).await];
        let key = format!("Token {}", service.api_key(account).await);
        let other = service.sign_in(&format!("{name}-bystander")).await.bearer();
        for credential in [&pairs[0].bearer(), &pairs[1].bearer(), &key, &other] {
            assert!(service.admits(credential).await, "{measure}");
        }
        take(measure, &service, service.store(), account).await;
        let (bearer, token) = ends(measure);
        for pair in &pairs {
            assert_eq!(service.admits(&pair.bearer()).await, !bearer, "{measure}");
            let refreshed = service.refresh(&pair.refresh).await.status;
            assert_eq!(refreshed, if bearer { 401 } else { 200 }, "{measure}");
        }
        assert_eq!(service.admits(&key).await, !token, "{measure}");
        assert!(service.admits(&other).await, "others are untouched by: {measure}");
        assert_ne!(account, bystander);
    }
}

/// As the command line changes things: through another opening of the same database.
async fn elsewhere_within_a_moment(engine: Engine) {
    let service = TestService::start(engine).await;
    let command_line = service.database.open();
    let mut slowest = Duration::ZERO;
    for measure in MEASURES {
        let name = measure.replace(' ', "-");
        let account = service.account(&name).await;
        let bearer = service.sign_in(&name).await.bearer();
        let key = format!("Token {}", service.api_key(account).await);
        assert!(service.admits(&bearer).await && service.admits(&key).await, "{measure}");
        take(measure, &service, &command_line, account).await;
        let (ends_bearer, ends_key) = ends(measure);
        if ends_bearer {
            slowest = slowest.max(service.refuses_soon(&bearer).await);
        }
        if ends_key {
            slowest = slowest.max(service.refuses_soon(&key).await);
        }
        assert_eq!(service.admits(&bearer).await, !ends_bearer, "{measure}");
        assert_eq!(service.admits(&key).await, !ends_key, "{measure}");
    }
    println!("{engine:?}: what is changed elsewhere is heard of within {slowest:?}");
}

async fn a_change_that_takes_nothing_away_takes_nothing_away(engine: Engine) {
    let service = TestService::start(engine).await;
    let account = service.account("aino").await;
    let pair = service.sign_in("aino").await;
    let key = format!("Token {}", service.api_key(account).await);
    assert!(service.admits(&pair.bearer()).await && service.admits(&key).await);
    let edit = avain::store::accounts::Edit {
        email: "new@example.org".to_owned(),
        first_name: "A".to_owned(),
        last_name: "B".to_owned(),
        flags: Some((true, true)),
    };
    administer::edit(service.store(), &Caller::default(), account, &edit, false, service.now())
        .await
        .expect("it is edited");
    assert!(
        !administer::set_active(service.store(), &Caller::default(), account, true, START)
            .await
            .expect("runs")
    );
    assert!(service.admits(&pair.bearer()).await && service.admits(&key).await);
    assert_eq!(service.refresh(&pair.refresh).await.status, 200);
}

async fn another_instance_hears_of_a_sign_out(engine: Engine) {
    let one = TestService::start(engine).await;
    let other = TestService::on(Database::alike(&one.database), &[], START).await;
    one.account("aino").await;
    let pair = one.sign_in("aino").await;
    assert!(one.admits(&pair.bearer()).await && other.admits(&pair.bearer()).await);
    let blacklist = json!({ "refresh": pair.refresh });
    other.post("/api/token/blacklist/", &blacklist).await.is(200, json!({}));
    assert!(!other.admits(&pair.bearer()).await, "at once where it was done");
    let heard = one.refuses_soon(&pair.bearer()).await;
    println!("{engine:?}: another instance hears of it within {heard:?}");
}

/// Keys are changed elsewhere too: what a retired key signed is refused soon.
async fn a_retired_key_ends_what_it_signed(engine: Engine) {
    let service = TestService::start(engine).await;
    let account = service.account("aino").await;
    let pair = service.sign_in("aino").await;
    let key = format!("Token {}", service.api_key(account).await);
    assert!(service.admits(&pair.bearer()).await);
    let old = service.service.context.ring.load().signing().id().clone();
    let context = &service.service.context;
    let room = context.key_room();
    let random = context.random.as_ref();
    let new =
        avain::token::key::SigningKey::generate(avain::token::algorithm::Algorithm::EdDsa, random);
    room.retire(old.as_str()).await.expect_err("the key that signs cannot be retired");
    room.add(avain::store::signing_keys::Purpose::Token, &new, false).await.expect("it signs");
    let started = tokio::time::Instant::now();
    let rotated = loop {
        let rotated = service.sign_in("aino").await;
        if crate::jwt::header(&rotated.access)["alg"] == json!("EdDSA") {
            break rotated;
        }
        assert!(started.elapsed() < Duration::from_secs(1), "the new key signs soon");
        tokio::time::sleep(Duration::from_millis(10)).await;
    };
    assert!(service.admits(&pair.bearer()).await, "the old one goes on verifying");
    assert!(service.admits(&rotated.bearer()).await);
    // The rotation has been heard of for good: what follows is the retirement's own doing.
    service.settled().await;
    room.retire(old.as_str()).await.expect("it no longer signs");
    service.refuses_soon(&pair.bearer()).await;
    let invalid = json!({ "detail": "Token is invalid", "code": "token_not_valid" });
    service.refresh(&pair.refresh).await.is(401, invalid);
    assert!(service.admits(&rotated.bearer()).await);
    assert!(service.admits(&key).await, "API keys are signed by nobody");
}

async fn signing_in_again_works_at_once(engine: Engine) {
    let service = TestService::start(engine).await;
    let account = service.account("aino").await;
    // All at one moment of the clock: what begins after the measure is not ended by it.
    for _ in 0..3 {
        let before = service.sign_in("aino").await;
        administer::sign_out_everywhere(service.store(), &Caller::default(), account, START)
            .await
            .expect("done");
        let after = service.sign_in("aino").await;
        assert!(!service.admits(&before.bearer()).await);
        assert!(service.admits(&after.bearer()).await);
        assert_eq!(service.refresh(&after.refresh).await.status, 200);
    }
    administer::set_active(service.store(), &Caller::default(), account, false, START)
        .await
        .expect("it is off");
    administer::set_active(service.store(), &Caller::default(), account, true, START)
        .await
        .expect("it is on");
    let again = service.sign_in("aino").await;
    assert!(service.admits(&again.bearer()).await);
}
