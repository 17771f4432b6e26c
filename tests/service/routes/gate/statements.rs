//! What a busy gate asks of the store: one look-up for each credential first seen, next to nothing beside,
//! and nothing at all for what cannot be a key.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use avain::base::random::SystemRandom;
use avain::http::Peer;
use avain::http::handlers::gate;
use avain::http::response::Body;
use avain::store::personal_keys::{self, NewKey};
use avain::token::personal::PersonalKey;
use avain::token::terms::Terms;
use http::{HeaderMap, HeaderValue, Response};
use tokio::time::Instant;

use crate::harness::{Engine, TestService};

on_both_engines! {
    a_million_decisions_ask_for_each_credential_once
    a_hundred_thousand_malformed_keys_ask_nothing
}

/// Statements and transactions from now on, by name.
type Asked = Arc<Mutex<HashMap<String, u64>>>;

fn asked(service: &TestService) -> Asked {
    let asked = Asked::default();
    let counting = Arc::clone(&asked);
    service.store().observe(Arc::new(move |observed| {
        let mut asked = counting.lock().expect("nobody panics");
        *asked.entry(observed.name.to_owned()).or_default() += 1;
    }));
    asked
}

/// Milliseconds between the looks by the clock: at the feed twice a second, at the outbox twice in five.
const BETWEEN_LOOKS: u128 = 400;

/// The feed of changes and the outbox are looked at by the clock, however many ask the gate.
fn is_by_the_clock(name: &str) -> bool {
    name.starts_with("changes.") || name.starts_with("outbox.")
}

/// What nginx asks about a request that reads, with this credential.
fn question(authorization: &str) -> HeaderMap {
    let value = |text: &str| HeaderValue::from_str(text).expect("it is a header");
    let mut headers = HeaderMap::new();
    for (name, text) in [
        ("authorization", authorization),
        ("x-original-method", "GET"),
        ("x-original-uri", "/api/v1/hobbies/"),
        ("x-real-ip", "192.0.2.1"),
    ] {
        headers.insert(name, value(text));
    }
    headers
}

async fn a_million_decisions_ask_for_each_credential_once(engine: Engine) {
    const ACCOUNTS: usize = 20;
    const KEYS: usize = 500;
    const ROUNDS: usize = 10;
    let settings = [("gate.misses", "1000000"), ("gate.cache", "64MiB")];
    let service = TestService::with(engine, &settings).await;
    let mut questions = Vec::new();
    for number in 0..ACCOUNTS {
        let account = service.account(&format!("script-{number}")).await;
        let mut tx = service.store().begin("make keys").await.expect("it begins");
        for _ in 0..KEYS {
            let key = PersonalKey::generate(&SystemRandom::new());
            let (digest, beginning, terms) = (key.digest(), key.beginning(), &Terms::default());
            let new = NewKey { digest, account, name: "script", beginning, terms };
            personal_keys::create(&mut tx, &new, service.now()).await.expect("it is made");
            questions.push(question(&format!("Token {}", key.expose())));
        }
        tx.commit().await.expect("they are kept");
    }
    service.settled().await;
    let (asked, begun) = (asked(&service), Instant::now());
    // Ten minutes of a hundred requests a minute with each of ten thousand keys.
    for _ in 0..ROUNDS {
        for _ in 0..1_000_000 / ROUNDS / questions.len() {
            for question in &questions {
                let answer = ask(&service, question).await;
                assert_eq!(answer.status(), 204);
            }
        }
        service.background.note_uses_now().await.expect("the store answers");
        service.pass(60);
    }
    let took = begun.elapsed();
    let asked = asked.lock().expect("nobody panics").clone();
    let look_ups = asked.get("personal_keys.standing_of_owner").copied().unwrap_or(0);
    assert_eq!(look_ups, 10_000, "one for each credential first seen");
    let beside = asked.values().sum::<u64>() - look_ups;
    let told = format!("{look_ups} look-ups, {beside} beside in {took:.0?}: {asked:?}");
    println!("{engine:?}: 1,000,000 decisions: {told}");
    let by_the_clock: u64 =
        asked.iter().filter(|(name, _)| is_by_the_clock(name)).map(|(_, count)| count).sum();
    assert_eq!(beside - by_the_clock, 20, "the uses of 10,000 keys, ten times: {told}");
    // SQLite is asked for changes only where its file has changed.
    let looks = u64::try_from(took.as_millis() / BETWEEN_LOOKS).expect("it ends");
    assert!(by_the_clock <= looks + 20, "{told}");
    let listed = personal_keys::page_after(service.store(), 0, 1000).await.expect("it runs");
    assert_eq!(listed.len(), 10_000);
    assert!(listed.iter().all(|key| key.last_used_at.is_some()), "each use is noted");
}

async fn a_hundred_thousand_malformed_keys_ask_nothing(engine: Engine) {
    let service = TestService::with(engine, &[("gate.misses", "1")]).await;
    service.settled().await;
    let asked = asked(&service);
    for number in 0..25_000 {
        for key in [
            format!("Token avn_{number:038}"),
            format!("Bearer avn_{number:038}"),
            format!("Token {number:039}"),
            format!("Token {number:039}G"),
        ] {
            let answer = ask(&service, &question(&key)).await;
            assert_eq!(answer.status(), 401, "{key}");
        }
    }
    let mut asked = asked.lock().expect("nobody panics").clone();
    asked.retain(|name, _| !is_by_the_clock(name));
    assert!(asked.is_empty(), "{asked:?}");
}

/// The gate's answer, to the headers alone.
async fn ask(service: &TestService, headers: &HeaderMap) -> Response<Body> {
    let (service, peer) = (&service.service, Peer::Local);
    match gate::answer_at_once(service, "", headers, peer) {
        Ok(answer) => answer,
        Err(unknown) => gate::look_up(service, "", headers, peer, unknown).await,
    }
}
