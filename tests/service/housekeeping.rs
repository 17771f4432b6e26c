//! What has expired leaves by itself, in small batches, whichever instance is there to do it.

use std::sync::Arc;
use std::time::Duration;

use serde_json::json;
use tokio::sync::watch;
use tokio::time::Instant;

use crate::browser::Browser;
use crate::harness::{Database, Engine, START, TestService};
use crate::routes::auth::keys::make;
use crate::routes::oauth::{register, token};

on_both_engines! {
    what_an_instance_leaves_behind_another_sweeps
}

/// How many rows each table has that fills by itself, beside those that stay as long as their account.
const COUNT: &str = "-- name: count
SELECT (SELECT count(*) FROM refresh_families) AS families, (SELECT count(*) FROM personal_keys) AS keys,
    (SELECT count(*) FROM client_tokens) AS tokens, (SELECT count(*) FROM attempts) AS attempts,
    (SELECT count(*) FROM audit_events) AS events, (SELECT count(*) FROM outbox) AS mails,
    (SELECT count(*) FROM one_time_links) AS links, (SELECT count(*) FROM sessions) AS sessions,
    (SELECT count(*) FROM changes) AS changes;";

const TABLES: [&str; 9] =
    ["families", "keys", "tokens", "attempts", "events", "mails", "links", "sessions", "changes"];

/// Those of the tables above that are not empty.
async fn filled(service: &TestService) -> Vec<&'static str> {
    let store = service.database.open_as_django(COUNT);
    let rows = store.read("django.count", &[]).await.expect("it runs");
    let row = rows.first().expect("one row");
    let is_filled = |table: &&str| row.int(*table).expect("is a number") > 0;
    TABLES.into_iter().filter(is_filled).collect()
}

async fn what_an_instance_leaves_behind_another_sweeps(engine: Engine) {
    let mails = tempfile::TempDir::new().expect("a temporary folder can be made");
    let transport = format!("folder:{}", mails.path().display());
    let settings = [
        ("throttle.enabled", "on"),
        ("mail.transport", transport.as_str()),
        ("account.password_reset_url", "https://example.org/{uid}/{token}"),
    ];
    let one = TestService::with(engine, &settings).await;
    one.account("aino").await;
    let owner = one.sign_in("aino").await.bearer();
    make(&one, &owner, &json!({ "name": "short", "expires_in": 60 })).await;
    let wrong = json!({ "username": "aino", "password": "wrong" });
    assert_eq!(one.post("/api/token/", &wrong).await.status, 401);
    let reset = json!({ "email": "aino@example.org" });
    assert_eq!(one.post("/auth/users/reset_password/", &reset).await.status, 204);
    let client = register(&one, "reports", "read", None).await;
    token(&one, &client).await;
    let mut browser = Browser::new(&one);
    browser.sign_in("aino").await;
    assert_eq!(filled(&one).await, TABLES);

    let database = Database::alike(&one.database);
    let held = one.stop().await;
    let later = START.plus(Duration::from_hours(24 * 1000));
    let other = TestService::on(database, &settings, later).await;
    let (stop, stopping) = watch::channel(false);
    let tidying = tokio::spawn(Arc::clone(&other.background).tidy(stopping));
    let started = Instant::now();
    loop {
        let left = filled(&other).await;
        if left.is_empty() {
            break;
        }
        assert!(started.elapsed() < Duration::from_secs(20), "they stay: {left:?}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    stop.send(true).expect("it listens");
    tidying.await.expect("it ends");
    drop(held);
}
