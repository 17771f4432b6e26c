//! Transactions: all or nothing, one winner, and what is told of them.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use avain::base::clock::Timestamp;
use avain::store::{Change, Store, StoreError, Value};

use crate::harness::Database;
use crate::values::add;

fn sample(name: &str) -> [Value; 6] {
    [name.into(), Value::Null, 1.into(), Value::Null, Value::Null, 0_i64.into()]
}

async fn count(store: &Store) -> i64 {
    let rows = store.read("samples.count", &[]).await.expect("samples can be counted");
    rows[0].int("count").expect("a number")
}

pub(crate) async fn commit_keeps(database: Database) {
    let store = database.migrated().await;
    let mut tx = store.begin("test commit").await.expect("it begins");
    tx.run("samples.add", &sample("a")).await.expect("it is added");
    tx.run("samples.add", &sample("b")).await.expect("it is added");
    assert_eq!(tx.run("samples.count", &[]).await.expect("it sees its own")[0].int(0), Ok(2));
    assert_eq!(count(&store).await, 0, "others see nothing before the commit");
    tx.commit().await.expect("it commits");
    assert_eq!(count(&store).await, 2);
    // Another opening of the same database sees it too.
    assert_eq!(count(&database.store()).await, 2);
}

pub(crate) async fn drop_rolls_back(database: Database) {
    let store = database.migrated().await;
    for _ in 0..20 {
        let mut tx = store.begin("test drop").await.expect("it begins");
        tx.run("samples.add", &sample("a")).await.expect("the one before was rolled back");
        drop(tx);
    }
    drop(store.begin("test drop").await.expect("it begins"));
    assert_eq!(count(&store).await, 0);
    add(&store, "a").await;
}

pub(crate) async fn an_error_ends_it(database: Database) {
    let store = database.migrated().await;
    add(&store, "a").await;
    let mut tx = store.begin("test error").await.expect("it begins");
    tx.run("samples.add", &sample("b")).await.expect("it is added");
    tx.run("samples.add", &sample("a")).await.expect_err("the name is taken");
    tx.run("samples.count", &[]).await.expect_err("nothing more can be done");
    tx.commit().await.expect_err("it cannot commit");
    assert_eq!(count(&store).await, 1, "nothing of it is kept");

    let mut tx = store.begin("test error").await.expect("it begins");
    tx.run("samples.add", &sample("b")).await.expect("it is added");
    tx.run("samples.missing", &[]).await.expect_err("there is no such statement");
    tx.commit().await.expect_err("a fault of ours ends it as well");
    assert_eq!(count(&store).await, 1, "nothing of it is kept");
}

pub(crate) async fn one_of_twenty_callers_wins(database: Database) {
    let store = database.migrated().await;
    for round in 0..10 {
        let name = format!("round {round}");
        add(&store, &name).await;
        let callers: Vec<_> = (0..20)
            .map(|_| {
                let (store, name) = (store.clone(), name.clone());
                tokio::spawn(async move { store.write("samples.take", &[name.into()]).await })
            })
            .collect();
        let mut winners = 0;
        for caller in callers {
            winners += caller.await.expect("no panic").expect("no error").len();
        }
        assert_eq!(winners, 1, "{name}");
    }
}

pub(crate) async fn one_of_twenty_transactions_wins(database: Database) {
    let store = database.migrated().await;
    for round in 0..5 {
        let name = format!("round {round}");
        add(&store, &name).await;
        let callers: Vec<_> = (0..20)
            .map(|caller| {
                let (store, name) = (store.clone(), name.clone());
                tokio::spawn(async move {
                    let mut tx = store.begin("take a sample").await?;
                    let taken = tx.run("samples.take", &[name.as_str().into()]).await?;
                    if !taken.is_empty() {
                        tx.run("samples.add", &sample(&format!("{name} to {caller}"))).await?;
                    }
                    tx.commit().await?;
                    Ok::<_, StoreError>(taken.len())
                })
            })
            .collect();
        let mut winners = 0;
        for caller in callers {
            winners += caller.await.expect("no panic").expect("no error");
        }
        assert_eq!(winners, 1, "{name}");
        assert_eq!(count(&store).await, 2 * (round + 1));
    }
}

pub(crate) async fn listeners_hear_after_commit_alone(database: Database) {
    let store = database.migrated().await;
    let heard = Arc::new(Mutex::new(Vec::new()));
    let ear = Arc::clone(&heard);
    // Through another clone: all clones are one store.
    store
        .clone()
        .subscribe(Arc::new(move |changes| ear.lock().expect("ear").push(changes.to_vec())));
    let heard = || heard.lock().expect("ear").clone();

    let mut tx = store.begin("test listeners").await.expect("it begins");
    tx.run("samples.add", &sample("a")).await.expect("it is added");
    tx.changed(Change::Account(7));
    drop(tx);
    assert!(heard().is_empty(), "a roll-back tells nothing");

    let mut tx = store.begin("test listeners").await.expect("it begins");
    let token = ["k".into(), Timestamp::from_seconds(1).into(), 12345.into()];
    tx.run("samples.add_token", &token).await.expect("its key is deferred");
    tx.changed(Change::Account(12345));
    tx.commit().await.expect_err("there is no such account");
    assert!(heard().is_empty(), "a failed commit tells nothing");

    let tx = store.begin("test listeners").await.expect("it begins");
    tx.commit().await.expect("it commits");
    assert!(heard().is_empty(), "nothing changed");

    let mut tx = store.begin("test listeners").await.expect("it begins");
    tx.run("samples.add", &sample("a")).await.expect("it is added");
    for change in [Change::Account(7), Change::Keys, Change::Account(7), Change::Account(8)] {
        tx.changed(change);
    }
    assert!(heard().is_empty(), "nothing is told before the commit");
    tx.commit().await.expect("it commits");
    assert_eq!(heard(), [[Change::Account(7), Change::Keys, Change::Account(8)]]);
}

pub(crate) async fn observers_hear_of_everything(database: Database) {
    let store = database.migrated().await;
    let seen = Arc::new(Mutex::new(Vec::new()));
    let eye = Arc::clone(&seen);
    store.observe(Arc::new(move |seen| {
        eye.lock().expect("eye").push(format!("{} {}", seen.name, seen.outcome));
    }));
    add(&store, "a").await;
    store.write("samples.add", &sample("a")).await.expect_err("the name is taken");
    drop(store.begin("abandon").await.expect("it begins"));
    store.begin("keep").await.expect("it begins").commit().await.expect("it commits");
    let mut tx = store.begin("fail").await.expect("it begins");
    tx.run("samples.add", &sample("a")).await.expect_err("the name is taken");
    drop(tx);
    let seen = seen.lock().expect("eye").clone();
    let expected = ["samples.add ok", "samples.add unique", "abandon rolled_back", "keep ok"];
    assert_eq!(seen[..4], expected);
    assert_eq!(seen[4..], ["fail unique"]);
}

pub(crate) async fn an_idle_one_is_rolled_back(database: Database) {
    database.migrated().await;
    let mut options = database.options.clone();
    options.limits.whole = Duration::from_secs(1);
    let store = database.store_with(&options);
    let mut idle = store.begin("idle").await.expect("it begins");
    idle.run("samples.add", &sample("a")).await.expect("it is added");
    tokio::time::sleep(Duration::from_secs(2)).await;
    let error = idle.run("samples.count", &[]).await.expect_err("its time is over");
    assert!(matches!(error, StoreError::Unavailable(_)), "{error:?}");
    // It still exists, and others go on.
    add(&store, "a").await;
    idle.commit().await.expect_err("its time is over");
    assert_eq!(count(&store).await, 1);
}

pub(crate) async fn a_cancelled_call_spoils_nothing(database: Database) {
    database.migrated().await;
    let mut options = database.options.clone();
    options.connections = 1;
    let store = database.store_with(&options);
    for _ in 0..10 {
        let mut tx = store.begin("cancelled").await.expect("it begins");
        tx.run("samples.add", &sample("a")).await.expect("the one before was rolled back");
        let cancelled = async {
            tx.run("samples.count", &[]).await.expect("it runs");
            std::future::pending::<()>().await;
            tx.commit().await
        };
        // Polled once: in the middle of the statement, or just behind it, the caller is gone.
        tokio::select! {
            biased;
            _ = cancelled => {}
            () = std::future::ready(()) => {}
        }
        assert_eq!(count(&store).await, 0);
    }
}

pub(crate) async fn many_at_once_take_turns(database: Database) {
    let store = database.migrated().await;
    let callers: Vec<_> = (0..100)
        .map(|caller| {
            let store = store.clone();
            tokio::spawn(async move {
                let mut tx = store.begin("crowd").await?;
                tx.run("samples.add", &sample(&format!("caller {caller}"))).await?;
                tx.commit().await
            })
        })
        .collect();
    for caller in callers {
        caller.await.expect("no panic").expect("everyone gets a turn");
    }
    assert_eq!(count(&store).await, 100);
}
