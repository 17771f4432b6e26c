//! Credentials that the gate does not know yet: looked up once, bounded for each client, and answered
//! without the database where they are known.

use std::time::Duration;

use serde_json::json;
use tokio::task::JoinSet;
use tokio::time::Instant;

use crate::harness::{Database, Engine, START, TestService, gate_request};
use crate::support::{Cluster, block_on};

on_both_engines! {
    known_credentials_ask_nothing
    unknown_keys_are_remembered_for_a_moment
    a_key_made_after_a_miss_is_known_at_once
    one_address_has_a_budget_of_misses
}

/// How often the gate has looked something up.
fn looked_up(service: &TestService, what: &str) -> u64 {
    service.service.metrics.look_ups.with_label_values(&[what]).get()
}

async fn known_credentials_ask_nothing(engine: Engine) {
    let service = TestService::start(engine).await;
    let account = service.account("aino").await;
    let pair = service.sign_in("aino").await;
    let key = format!("Token {}", service.api_key(account).await);
    service.settled().await;
    // Many at once: hardly more than one look-up.
    let mut clients = JoinSet::new();
    for _ in 0..50 {
        let (mut connection, bearer) = (service.connect().await, pair.bearer());
        clients.spawn(async move {
            connection.ask(&gate_request("GET", "/api/v1/", &bearer)).await.status
        });
    }
    assert!(clients.join_all().await.iter().all(|status| *status == 204));
    // Whoever asks while the first answer is just being put away may ask once more.
    let before = looked_up(&service, "account");
    assert!((1..=3).contains(&before), "{before}");
    for _ in 0..10 {
        assert!(service.admits(&pair.bearer()).await);
        assert!(service.admits(&key).await);
    }
    assert_eq!(looked_up(&service, "account"), before);
    assert_eq!(looked_up(&service, "api_key"), 1);
    // A second token of an account that is known asks nothing either.
    let second = service.sign_in("aino").await;
    assert!(service.admits(&second.bearer()).await);
    assert_eq!(looked_up(&service, "account"), before);
    // It is the token that is judged by its time, known or not.
    service.pass(299);
    assert!(service.admits(&pair.bearer()).await);
    service.pass(1);
    assert!(!service.admits(&pair.bearer()).await);
    assert!(service.admits(&key).await);
}

async fn unknown_keys_are_remembered_for_a_moment(engine: Engine) {
    let service = TestService::start(engine).await;
    let unknown = format!("Token {}", "0".repeat(40));
    for _ in 0..5 {
        assert!(!service.admits(&unknown).await);
    }
    assert_eq!(looked_up(&service, "api_key"), 1);
    service.pass(5);
    assert!(!service.admits(&unknown).await);
    assert_eq!(looked_up(&service, "api_key"), 2, "for a moment only");
    // What has not the form of a key is unknown without a look.
    for odd in ["00", &"G".repeat(40), &"A".repeat(40)] {
        assert!(!service.admits(&format!("Token {odd}")).await);
    }
    assert_eq!(looked_up(&service, "api_key"), 2);
}

async fn a_key_made_after_a_miss_is_known_at_once(engine: Engine) {
    let service = TestService::start(engine).await;
    let account = service.account("aino").await;
    let key = "0123456789abcdef0123456789abcdef01234567";
    let credential = format!("Token {key}");
    assert!(!service.admits(&credential).await);
    let made = avain::token::opaque::ClassicKey::from_stored(key.to_owned());
    let mut tx = service.store().begin("create API key").await.expect("it begins");
    let created = avain::store::api_keys::create_in(&mut tx, &made, account, START).await;
    assert_eq!(created, Ok(true));
    tx.commit().await.expect("it commits");
    assert!(service.admits(&credential).await);
}

async fn one_address_has_a_budget_of_misses(engine: Engine) {
    let service = TestService::with(engine, &[("gate.misses", "5")]).await;
    service.account("aino").await;
    let pair = service.sign_in("aino").await;
    service.settled().await;
    assert!(service.admits(&pair.bearer()).await, "the first miss");
    let mut next = 0;
    let mut miss = async |address: &str| {
        next += 1;
        let key = format!("Token {next:040}");
        let request = gate_request("GET", "/api/v1/", &key).header("X-Real-IP", address);
        service.ask(&request).await
    };
    for _ in 0..5 {
        assert_eq!(miss("192.0.2.1").await.status, 401);
    }
    service.pass(3);
    let answer = miss("192.0.2.1").await;
    assert_eq!((answer.status, answer.body.len()), (429, 0));
    let retry_after: i64 = answer.header("retry-after").parse().expect("is a number");
    assert!((1..=10).contains(&retry_after), "{retry_after}");
    assert_eq!(super::error(&answer), json!({ "detail": "Request was throttled." }));
    assert_eq!(miss("192.0.2.2").await.status, 401, "others are not throttled");
    // An IPv6 client has a /64 to itself.
    for host in 0..5 {
        assert_eq!(miss(&format!("2001:db8::{host}")).await.status, 401);
    }
    assert_eq!(miss("2001:db8::ffff").await.status, 429);
    assert_eq!(miss("2001:db8:0:1::1").await.status, 401);
    // Known credentials pass, whoever presents them.
    let known = gate_request("POST", "/api/v1/", &pair.bearer()).header("X-Real-IP", "192.0.2.1");
    assert_eq!(service.ask(&known).await.status, 204);
    service.pass(retry_after.unsigned_abs());
    assert_eq!(miss("192.0.2.1").await.status, 401, "after Retry-After it is over");
}

/// Only a trusted peer may tell the client's address.
#[test]
fn an_untrusted_peer_is_its_own_client() {
    block_on(async {
        let settings = [("gate.misses", "5"), ("server.trusted_proxies", "192.0.2.0/24")];
        let service = TestService::with(Engine::Sqlite, &settings).await;
        let mut last = 0;
        for number in 0..6 {
            let request = gate_request("GET", "/api/v1/", &format!("Token {number:040}"));
            let spoofed = request.header("X-Real-IP", format!("198.51.100.{number}"));
            last = service.ask(&spoofed).await.status;
        }
        assert_eq!(last, 429, "a spoofed header buys nothing");
    });
}

/// The database goes away under the service's feet, and comes back.
#[test]
fn known_credentials_pass_while_the_database_is_away() {
    let cluster = Cluster::start();
    block_on(async {
        let database = Database::fresh_on(&cluster).await;
        let service = TestService::on(database, &[("database.timeout", "500ms")], START).await;
        for name in ["known", "unknown"] {
            service.account(name).await;
        }
        let (known, unknown) = (service.sign_in("known").await, service.sign_in("unknown").await);
        service.settled().await;
        assert!(service.admits(&known.bearer()).await);
        tokio::task::block_in_place(|| cluster.tell("stop"));

        let started = Instant::now();
        assert_eq!(service.gate("GET", "/api/v1/", &known.bearer()).await.status, 204);
        assert_eq!(service.gate("GET", "/api/v1/", "").await.status, 204);
        let answer = service.gate("GET", "/api/v1/", &unknown.bearer()).await;
        assert_eq!(answer.status, 503, "a good token is never called bad");
        assert_eq!(answer.header("retry-after"), "1");
        let sentence = "Service temporarily unavailable, try again later.";
        assert_eq!(super::error(&answer), json!({ "detail": sentence }));
        let key = format!("Token {}", "0".repeat(40));
        assert_eq!(service.gate("GET", "/api/v1/", &key).await.status, 503);
        assert_eq!(
            service.gate("GET", "/api/v1/", "Bearer x").await.status,
            401,
            "needs no database"
        );
        for (target, body) in [
            ("/api/token/", json!({ "username": "known", "password": "x" })),
            ("/api/token/refresh/", json!({ "refresh": known.refresh })),
            ("/api/token/verify/", json!({ "token": known.access })),
            ("/v3/drf-token-auth/", json!({ "username": "known", "password": "x" })),
        ] {
            let answer = service.post(target, &body).await;
            assert_eq!(answer.status, 503, "{target}: {}", answer.text());
            assert_eq!(answer.header("retry-after"), "1");
            let body = answer.json();
            assert_eq!(body["detail"], sentence);
            assert_eq!(body["request_id"], answer.header("x-request-id"));
        }
        assert_eq!(service.post("/api/token/refresh/", &json!({})).await.status, 400);
        assert!(started.elapsed() < Duration::from_secs(15), "{:?}", started.elapsed());

        tokio::task::block_in_place(|| cluster.tell("start"));
        let started = Instant::now();
        while service.gate("GET", "/api/v1/", &unknown.bearer()).await.status != 204 {
            assert!(started.elapsed() < Duration::from_secs(5), "it recovers by itself");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        assert_eq!(service.refresh(&known.refresh).await.status, 200, "nothing was lost");
    });
}
