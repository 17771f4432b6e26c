//! Audit events: inserted, read page by page, swept; never changed.

use std::net::IpAddr;

use avain::account::account::AccountId;
use avain::base::clock::Timestamp;
use avain::store::audit::{self, Cursor, Event, Record, Search};
use avain::store::{Store, StoreError};

use crate::harness::Database;

pub(crate) fn record(event: Event, at: i64, account: Option<i32>, address: &str) -> Record {
    Record {
        event,
        happened_at: Timestamp::from_seconds(at),
        account: account.map(AccountId::new),
        username: account.map(|id| format!("user{id}")),
        actor: None,
        address: address.parse::<IpAddr>().ok(),
        user_agent: Some("curl/8".to_owned()),
        request_id: Some("r-1".to_owned()),
        layout: Some("djoser"),
        details: vec![("reason", "\"quoted\"".to_owned())],
    }
}

async fn filled(store: &Store) {
    let events = [
        record(Event::SignIn, 10, Some(1), "10.0.0.1"),
        record(Event::SignIn, 20, Some(2), "10.0.0.1"),
        record(Event::SignInFailed, 20, Some(1), "10.0.0.2"),
        record(Event::SignOut, 30, Some(1), "10.0.0.1"),
        record(Event::SignInFailed, 40, None, "10.0.0.2"),
    ];
    for event in events {
        alone!(store, audit::insert(event)).await.expect("it is kept");
    }
}

async fn times(store: &Store, search: &Search) -> Vec<i64> {
    let page = audit::page(store, search, None, 100).await.expect("it reads");
    page.iter().map(|entry| entry.happened_at.seconds()).collect()
}

pub(crate) async fn found_newest_first(database: Database) {
    let store = database.migrated().await;
    filled(&store).await;
    let address = "10.0.0.1".parse().ok();
    let (one, failed) = (Some(AccountId::new(1)), Some(Event::SignInFailed));
    let at = |seconds| Some(Timestamp::from_seconds(seconds));
    let search = Search::default;
    assert_eq!(times(&store, &search()).await, [40, 30, 20, 20, 10]);
    assert_eq!(times(&store, &Search { account: one, ..search() }).await, [30, 20, 10]);
    assert_eq!(times(&store, &Search { event: failed, ..search() }).await, [40, 20]);
    assert_eq!(times(&store, &Search { address, ..search() }).await, [30, 20, 10]);
    assert_eq!(times(&store, &Search { account: one, address, ..search() }).await, [30, 10]);
    assert_eq!(times(&store, &Search { account: one, event: failed, ..search() }).await, [20]);
    let both = Search { address, event: Some(Event::SignOut), ..search() };
    assert_eq!(times(&store, &both).await, [30]);
    let between = Search { since: at(20), until: at(40), ..search() };
    assert_eq!(times(&store, &between).await, [30, 20, 20]);

    let page = audit::page(&store, &search(), None, 1).await.expect("it reads");
    let newest = page.first().expect("there is one");
    assert_eq!((newest.event.as_str(), newest.account), ("sign_in_failed", None));
    assert_eq!(newest.details, r#"{"reason":"\"quoted\""}"#);
    assert_eq!(newest.address.as_deref(), Some("10.0.0.2"));
}

pub(crate) async fn paged(database: Database) {
    let store = database.migrated().await;
    filled(&store).await;
    let mut seen = Vec::new();
    let mut after: Option<Cursor> = None;
    loop {
        let page = audit::page(&store, &Search::default(), after, 2).await.expect("it reads");
        let Some(last) = page.last() else { break };
        after = Some(last.cursor());
        seen.extend(page.iter().map(|entry| entry.id));
    }
    assert_eq!(seen.len(), 5);
    assert!(seen.is_sorted_by(|a, b| a > b), "{seen:?}");
}

pub(crate) async fn with_its_transaction_alone(database: Database) {
    let store = database.migrated().await;
    let told = std::sync::Arc::new(std::sync::Mutex::new(0));
    let counted = std::sync::Arc::clone(&told);
    store.audit(std::sync::Arc::new(move |_| *counted.lock().expect("nobody panics") += 1));
    let mut tx = store.begin("test").await.expect("it begins");
    let event = record(Event::SignIn, 10, Some(1), "10.0.0.1");
    audit::insert(&mut tx, event.clone()).await.expect("it runs");
    drop(tx);
    assert_eq!(times(&store, &Search::default()).await, [0_i64; 0]);
    assert_eq!(*told.lock().expect("nobody panics"), 0);
    alone!(&store, audit::insert(event)).await.expect("it is kept");
    assert_eq!(*told.lock().expect("nobody panics"), 1);
}

pub(crate) async fn never_changed(database: Database) {
    let store = database.migrated().await;
    filled(&store).await;
    let done = store.write("samples.change_audit", &[]).await;
    assert!(matches!(done, Err(StoreError::Check(_) | StoreError::Other(_))), "{done:?}");
    assert_eq!(times(&store, &Search::default()).await.len(), 5);
}

pub(crate) async fn swept(database: Database) {
    let store = database.migrated().await;
    filled(&store).await;
    let before = Timestamp::from_seconds(30);
    assert_eq!(audit::sweep(&store, before, 2).await, Ok(2));
    assert_eq!(audit::sweep(&store, before, 2).await, Ok(1));
    assert_eq!(audit::sweep(&store, before, 2).await, Ok(0));
    assert_eq!(times(&store, &Search::default()).await, [40, 30]);
}
