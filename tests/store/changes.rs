//! The feed of changes: everything that is committed is read once, however late it commits.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use avain::base::clock::Timestamp;
use avain::store::changes::{self, Change, Feed};
use avain::store::{Store, StoreError};
use tokio::sync::Notify;

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

/// So many changes of as many accounts, in one transaction.
async fn note_many(database: &Database, count: usize) {
    let table = database.pick("changes", "avain.changes");
    let insert = format!(
        "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {count})
         INSERT INTO {table} (kind, account_id, changed_at) SELECT 'account', i, 1 FROM n"
    );
    database.script(&insert).await;
}

pub(crate) async fn none_of_many_is_missed(database: Database) {
    let store = database.migrated().await;
    let mut feed = Feed::open(&store).await.expect("it opens");
    note_many(&database, 2500).await;
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

/// Ids are given out before a transaction commits, and PostgreSQL's transactions overlap: here the oldest of
/// three commits last, after more ids than any overlap could hold, and the newest before the middle one.
pub(crate) async fn commits_out_of_order_are_each_told_once(database: Database) {
    if database.engine == Engine::Sqlite {
        // Its transactions follow one another.
        return;
    }
    let store = database.migrated().await;
    let mut feed = Feed::open(&store).await.expect("it opens");
    let mut open = Vec::new();
    for account in 1..=3 {
        let mut tx = store.begin("a slow one").await.expect("it begins");
        changes::note(&mut tx, Change::Account(account), NOW).await.expect("it is noted");
        open.push(tx);
    }
    let rolled_back = open.remove(1);
    let (newest, oldest) = (open.remove(1), open.remove(0));
    assert_eq!(feed.read(&store).await, Ok(vec![]), "nothing is committed");
    newest.commit().await.expect("it commits");
    assert_eq!(feed.read(&store).await, Ok(vec![Change::Account(3)]));
    drop(rolled_back);
    let insert = "INSERT INTO avain.changes (kind, account_id, changed_at)
        SELECT 'account', i, 1 FROM generate_series(1001, 2000) i";
    database.script(insert).await;
    assert_eq!(feed.read(&store).await.map(|told| told.len()), Ok(1000));
    let mut fresh = Feed::open(&store).await.expect("it opens");
    oldest.commit().await.expect("it commits");
    for feed in [&mut feed, &mut fresh] {
        assert_eq!(feed.read(&store).await, Ok(vec![Change::Account(1)]), "late, and once");
        assert_eq!(feed.read(&store).await, Ok(vec![]), "what was rolled back never was");
    }
}

pub(crate) async fn more_than_can_be_told_is_everything(database: Database) {
    let store = database.migrated().await;
    let mut feed = Feed::open(&store).await.expect("it opens");
    note_many(&database, 10_001).await;
    assert_eq!(feed.read(&store).await, Ok(vec![Change::Everything]));
    assert_eq!(feed.read(&store).await, Ok(vec![]));
}

/// Whoever is told by its own commit is not told again by the feed; others are.
pub(crate) async fn what_listeners_were_told_is_not_told_again(database: Database) {
    let store = database.migrated().await;
    let other = database.store();
    store.subscribe(Arc::new(|_| {}));
    let mut feed = Feed::open(&store).await.expect("it opens");
    let mut others = Feed::open(&other).await.expect("it opens");
    note(&store, 1).await;
    note(&other, 2).await;
    assert_eq!(feed.read(&store).await, Ok(vec![Change::Account(2)]));
    assert_eq!(others.read(&other).await, Ok(vec![Change::Account(1), Change::Account(2)]));
}

/// A link is woken by every commit of a change, whoever makes it, and the feed can be read over it.
pub(crate) async fn a_link_is_told_of_commits(database: Database) {
    let store = database.migrated().await;
    let woken = Arc::new(Notify::new());
    let wake = Arc::clone(&woken);
    let link = store.listen(move || wake.notify_one()).await.expect("it connects");
    let Some(link) = link else {
        assert_ne!(database.engine, Engine::Postgres, "only a pgbouncer, or SQLite, tells nobody");
        return;
    };
    changes::check_link(&store, &link).await.expect("it is the same database");
    let mut feed = Feed::open(&store).await.expect("it opens");
    let mut tx = store.begin("a late one").await.expect("it begins");
    changes::note(&mut tx, Change::Account(1), NOW).await.expect("it is noted");
    database.script("INSERT INTO avain.changes (kind, changed_at) VALUES ('keys', 1)").await;
    soon("the first notice", woken.notified()).await;
    assert_eq!(feed.read_over(&link, &store).await, Ok(vec![Change::Keys]));
    tx.commit().await.expect("it commits");
    soon("the second notice", woken.notified()).await;
    assert_eq!(feed.read_over(&link, &store).await, Ok(vec![Change::Account(1)]));

    let kill = "SELECT pg_terminate_backend(pid)::text FROM pg_stat_activity
        WHERE datname = current_database() AND application_name = 'avain changes'";
    assert_eq!(database.texts(kill).await, ["true"]);
    let why = soon("the end", link.ended()).await;
    assert!(why.contains("administrator command"), "{why}");
    let error = feed.read_over(&link, &store).await.expect_err("it has ended");
    assert!(matches!(error, StoreError::Unavailable(_)), "{error:?}");
    note(&store, 2).await;
    assert_eq!(feed.read(&store).await, Ok(vec![Change::Account(2)]), "the pool tells it too");
}

/// Behind a pgbouncer in transaction mode only a URL past it leads to a link; one that leads elsewhere is found.
pub(crate) async fn a_link_has_a_url_of_its_own(mut database: Database) {
    if database.engine != Engine::PostgresUnprepared {
        return;
    }
    drop(database.migrated().await);
    database.options.listen_url = Some(database.options.url.clone());
    let store = database.store();
    let link = store.listen(|| {}).await.expect("it connects").expect("there is a URL for it");
    changes::check_link(&store, &link).await.expect("it is the same database");
    let elsewhere = Database::empty(Engine::Postgres).await;
    database.options.listen_url = Some(elsewhere.options.url.clone());
    let store = database.store();
    let link = store.listen(|| {}).await.expect("it connects").expect("there is a URL for it");
    let error = changes::check_link(&store, &link).await.expect_err("it is another database");
    assert!(error.sentence().contains("database.listen_url"), "{error}");
}

async fn soon<T>(what: &str, done: impl Future<Output = T>) -> T {
    let done = tokio::time::timeout(Duration::from_secs(10), done).await;
    done.unwrap_or_else(|_| panic!("{what} does not come"))
}

pub(crate) async fn sweeping_forgets_the_old(database: Database) {
    let store = database.migrated().await;
    let mut feed = Feed::open(&store).await.expect("it opens");
    note(&store, 1).await;
    assert_eq!(changes::sweep(&store, NOW, 10).await, Ok(0));
    assert_eq!(feed.read(&store).await, Ok(vec![Change::Account(1)]), "not what is that young");
    let later = Timestamp::from_seconds(NOW.seconds() + 1);
    assert_eq!(changes::sweep(&store, later, 10).await, Ok(1));
    let mut fresh = Feed::open(&store).await.expect("it opens");
    note(&store, 2).await;
    for feed in [&mut feed, &mut fresh] {
        assert_eq!(feed.read(&store).await, Ok(vec![Change::Account(2)]), "ids go on");
    }
}

/// A newer version may note what we do not know.
pub(crate) async fn an_unknown_change_is_everything(database: Database) {
    let store = database.migrated().await;
    let mut feed = Feed::open(&store).await.expect("it opens");
    let table = database.pick("changes", "avain.changes");
    let insert =
        format!("INSERT INTO {table} (kind, account_id, changed_at) VALUES ('account', NULL, 1)");
    database.script(&insert).await;
    assert_eq!(feed.read(&store).await, Ok(vec![Change::Everything]));
}
