//! The feed of changes: everything that is committed is read once, however late it commits.

use std::collections::BTreeSet;

use avain::base::clock::Timestamp;
use avain::store::changes::{self, Change, Feed};
use avain::store::{Store, StoreError};

use crate::harness::{Database, Engine, NOW};

async fn note(store: &Store, account: i32) {
    let mut tx = store.begin("note a change").await.expect("it begins");
    changes::note(&mut tx, Change::Account(account), NOW).await.expect("it is noted");
    tx.commit().await.expect("it commits");
}

pub(crate) async fn a_feed_begins_when_it_is_opened(database: Database) {
    let store = database.migrated().await;
    note(&store, 1).await;
    let mut feed = Feed::open(&store).await.expect("it opens");
    assert_eq!(feed.read(&store).await, Ok(vec![]));
    note(&store, 2).await;
    let mut tx = store.begin("note two").await.expect("it begins");
    changes::note(&mut tx, Change::Keys, NOW).await.expect("it is noted");
    changes::note(&mut tx, Change::Account(3), NOW).await.expect("it is noted");
    tx.commit().await.expect("it commits");
    let mut tx = store.begin("note and roll back").await.expect("it begins");
    changes::note(&mut tx, Change::Account(4), NOW).await.expect("it is noted");
    drop(tx);
    let told = feed.read(&store).await;
    assert_eq!(told, Ok(vec![Change::Account(2), Change::Keys, Change::Account(3)]));
    assert_eq!(feed.read(&store).await, Ok(vec![]), "each is told once");
    // Another instance has a feed of its own.
    let other = database.store();
    note(&other, 5).await;
    assert_eq!(feed.read(&store).await, Ok(vec![Change::Account(5)]));
}

pub(crate) async fn none_of_many_is_missed(database: Database) {
    let store = database.migrated().await;
    let mut feed = Feed::open(&store).await.expect("it opens");
    // More than are read at once, and more than the overlap.
    let mut tx = store.begin("note many").await.expect("it begins");
    for account in 0..2500 {
        changes::note(&mut tx, Change::Account(account), NOW).await.expect("it is noted");
    }
    tx.commit().await.expect("it commits");
    let told = feed.read(&store).await.expect("it runs");
    assert_eq!(told.len(), 2500);
    let distinct: BTreeSet<i32> = told
        .iter()
        .map(|change| match change {
            Change::Account(account) => *account,
            other => panic!("no {other:?} was changed"),
        })
        .collect();
    assert_eq!(distinct.len(), 2500);
    assert_eq!(feed.read(&store).await, Ok(vec![]));
}

/// Ids are given out before a transaction commits: PostgreSQL's transactions overlap.
pub(crate) async fn a_late_commit_is_not_missed(database: Database) {
    if database.engine == Engine::Sqlite {
        // Its transactions follow one another.
        return;
    }
    let store = database.migrated().await;
    let mut feed = Feed::open(&store).await.expect("it opens");
    let mut late = store.begin("a slow one").await.expect("it begins");
    changes::note(&mut late, Change::Account(1), NOW).await.expect("it is noted");
    for account in 2..200 {
        note(&store, account).await;
    }
    assert_eq!(feed.read(&store).await.map(|told| told.len()), Ok(198));
    late.commit().await.expect("it commits");
    assert_eq!(feed.read(&store).await, Ok(vec![Change::Account(1)]));
    assert_eq!(feed.read(&store).await, Ok(vec![]));
}

pub(crate) async fn sweeping_forgets_the_old(database: Database) {
    let store = database.migrated().await;
    let mut feed = Feed::open(&store).await.expect("it opens");
    note(&store, 1).await;
    changes::sweep(&store, NOW).await.expect("it runs");
    assert_eq!(feed.read(&store).await, Ok(vec![Change::Account(1)]), "not what is that young");
    let later = Timestamp::from_seconds(NOW.seconds() + 1);
    changes::sweep(&store, later).await.expect("it runs");
    let mut fresh = Feed::open(&store).await.expect("it opens");
    note(&store, 2).await;
    for feed in [&mut feed, &mut fresh] {
        assert_eq!(feed.read(&store).await, Ok(vec![Change::Account(2)]), "ids go on");
    }
}

pub(crate) async fn an_unknown_kind_is_a_fault(database: Database) {
    let store = database.migrated().await;
    let mut feed = Feed::open(&store).await.expect("it opens");
    let table = database.pick("changes", "avain.changes");
    let insert =
        format!("INSERT INTO {table} (kind, account_id, changed_at) VALUES ('account', NULL, 1)");
    database.script(&insert).await;
    let error = feed.read(&store).await.expect_err("an account has an id");
    assert!(matches!(error, StoreError::Other(_)), "{error:?}");
}
