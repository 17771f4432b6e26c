//! The outbox: what is leased to whom, and what becomes of it.

use std::collections::HashSet;
use std::time::Duration;

use avain::base::clock::Timestamp;
use avain::flow::{Caller, outbox as queue};
use avain::store::outbox::{self, Depth, MailState, NewMail};
use avain::store::{Change, Store, StoreError};

use crate::harness::{Database, NOW};

/// Whoever does it.
const CALLER: &Caller = Caller::SERVICE;

const MINUTE: Duration = Duration::from_mins(1);

fn id(number: usize) -> String {
    format!("{number:032x}")
}

fn later(seconds: u64) -> Timestamp {
    NOW.plus(Duration::from_secs(seconds))
}

async fn add(store: &Store, number: usize, now: Timestamp) {
    let mut tx = store.begin("add mail").await.expect("begins");
    let id = id(number);
    let mail = NewMail { id: &id, message: "activation", language: "fi", content: Ok(b"sealed") };
    outbox::add(&mut tx, &mail, now).await.expect("is added");
    tx.commit().await.expect("commits");
}

async fn claim(store: &Store, now: Timestamp, most: usize) -> Vec<(String, i64)> {
    let claimed = outbox::claim(store, now, now.plus(MINUTE), most).await.expect("claims");
    let mut claimed: Vec<_> = claimed.into_iter().map(|mail| (mail.id, mail.attempts)).collect();
    claimed.sort();
    claimed
}

async fn states(store: &Store) -> Vec<(MailState, Option<String>)> {
    let list = outbox::list(store, None, None, 100).await.expect("lists");
    list.into_iter().map(|entry| (entry.state, entry.last_error)).collect()
}

pub(crate) async fn a_mail_is_there_when_its_transaction_is_committed(database: Database) {
    let store = database.migrated().await;
    let heard = std::sync::Arc::new(std::sync::Mutex::new(0));
    let counter = std::sync::Arc::clone(&heard);
    store.subscribe(std::sync::Arc::new(move |changes| {
        assert_eq!(changes, [Change::Outbox]);
        *counter.lock().expect("nothing panicked") += 1;
    }));
    let mut tx = store.begin("add mail").await.expect("begins");
    let mail = NewMail { id: &id(1), message: "m", language: "en", content: Ok(b"x") };
    outbox::add(&mut tx, &mail, NOW).await.expect("is added");
    drop(tx);
    assert_eq!(outbox::next_due(&store).await, Ok(None), "rolled back");
    assert_eq!(*heard.lock().expect("nothing panicked"), 0);
    add(&store, 1, NOW).await;
    assert_eq!(outbox::next_due(&store).await, Ok(Some(NOW)));
    assert_eq!(*heard.lock().expect("nothing panicked"), 1);
}

pub(crate) async fn what_is_due_is_leased_once_and_oldest_first(database: Database) {
    let store = database.migrated().await;
    for number in 0..3 {
        add(&store, number, later(10 - number as u64)).await;
    }
    assert_eq!(claim(&store, later(7), 9).await, [], "nothing is due yet");
    assert_eq!(claim(&store, later(10), 2).await, [(id(1), 1), (id(2), 1)], "the oldest two");
    assert_eq!(claim(&store, later(10), 9).await, [(id(0), 1)]);
    assert_eq!(claim(&store, later(69), 9).await, [], "all are leased");
    assert_eq!(outbox::next_due(&store).await, Ok(Some(later(70))));
}

pub(crate) async fn a_lease_ends_and_can_be_prolonged(database: Database) {
    let store = database.migrated().await;
    add(&store, 1, NOW).await;
    assert_eq!(claim(&store, NOW, 1).await, [(id(1), 1)]);
    assert_eq!(outbox::prolong(&store, &id(1), 1, later(90)).await, Ok(true));
    assert_eq!(claim(&store, later(89), 1).await, []);
    assert_eq!(claim(&store, later(90), 1).await, [(id(1), 2)], "its holder is gone");
    // The one whose lease ended can neither prolong nor give back nor give up what is another's now.
    assert_eq!(outbox::prolong(&store, &id(1), 1, later(500)).await, Ok(false));
    assert_eq!(outbox::defer(&store, &id(1), 1, NOW, "late").await, Ok(false));
    assert_eq!(outbox::fail(&store, &id(1), 1, "late").await, Ok(false));
    assert_eq!(states(&store).await, [(MailState::Sending, None)]);
    // But where it had been sent after all, nobody sends it again.
    assert_eq!(outbox::sent(&store, &id(1), later(91)).await, Ok(true));
    assert_eq!(outbox::defer(&store, &id(1), 2, NOW, "later").await, Ok(false));
    assert_eq!(outbox::sent(&store, &id(1), later(92)).await, Ok(false));
    assert_eq!(claim(&store, later(5000), 1).await, []);
}

pub(crate) async fn a_mail_that_was_sent_keeps_nothing_of_what_it_said(database: Database) {
    let store = database.migrated().await;
    for number in [1, 2] {
        add(&store, number, NOW).await;
    }
    claim(&store, NOW, 2).await;
    outbox::sent(&store, &id(1), later(3)).await.expect("is noted");
    let sealed = "SELECT id FROM outbox WHERE sealed IS NOT NULL";
    let schema = if store.is_postgres() { "avain." } else { "" };
    let left = database.texts(&sealed.replace("outbox", &format!("{schema}outbox"))).await;
    assert_eq!(left, [id(2)]);
    let list = outbox::list(&store, Some(MailState::Sent), None, 9).await.expect("lists");
    let [sent] = list.as_slice() else { panic!("{list:?}") };
    assert_eq!(
        (sent.id.as_str(), sent.sent_at, sent.attempts),
        (id(1).as_str(), Some(later(3)), 1)
    );
}

pub(crate) async fn failures_are_kept_with_the_servers_words(database: Database) {
    let store = database.migrated().await;
    for number in [1, 2] {
        add(&store, number, NOW).await;
    }
    claim(&store, NOW, 2).await;
    assert_eq!(outbox::fail(&store, &id(1), 1, "550 no").await, Ok(true));
    assert_eq!(outbox::defer(&store, &id(2), 1, later(9), "451 later").await, Ok(true));
    let expected = [
        (MailState::Failed, Some("550 no".to_owned())),
        (MailState::Queued, Some("451 later".to_owned())),
    ];
    assert_eq!(states(&store).await, expected);
    let depth = Depth { waiting: 1, failed: 1, oldest: Some(NOW) };
    assert_eq!(outbox::depth(&store).await, Ok(depth));
    assert_eq!(claim(&store, later(8), 2).await, []);
    assert_eq!(claim(&store, later(9), 2).await, [(id(2), 2)], "the failed one stays");
}

pub(crate) async fn operators_retry_and_drop_what_is_not_being_sent(database: Database) {
    let store = database.migrated().await;
    for number in 1..=4 {
        add(&store, number, NOW).await;
    }
    claim(&store, NOW, 4).await;
    outbox::fail(&store, &id(1), 1, "550").await.expect("is noted");
    outbox::defer(&store, &id(2), 1, later(999), "451").await.expect("is noted");
    outbox::sent(&store, &id(3), NOW).await.expect("is noted");
    for (number, retried) in [(1, true), (2, true), (3, false), (4, false), (5, false)] {
        assert_eq!(
            queue::retry(&store, CALLER, &id(number), later(1)).await,
            Ok(retried),
            "{number}"
        );
    }
    assert_eq!(claim(&store, later(1), 9).await, [(id(1), 2), (id(2), 2)]);
    outbox::fail(&store, &id(1), 2, "550").await.expect("is noted");
    outbox::defer(&store, &id(2), 2, later(999), "451").await.expect("is noted");
    assert_eq!(queue::retry_all(&store, CALLER, later(2)).await, Ok(2));
    for (number, dropped) in [(1, true), (2, true), (3, false), (4, false), (1, false)] {
        assert_eq!(queue::drop(&store, CALLER, &id(number), NOW).await, Ok(dropped), "{number}");
    }
}

pub(crate) async fn what_can_never_be_sent_is_not_retried(database: Database) {
    let store = database.migrated().await;
    let mut tx = store.begin("add mail").await.expect("begins");
    let mail = NewMail { id: &id(1), message: "m", language: "en", content: Err("no address") };
    outbox::add(&mut tx, &mail, NOW).await.expect("is added");
    tx.commit().await.expect("commits");
    assert_eq!(states(&store).await, [(MailState::Failed, Some("no address".to_owned()))]);
    assert_eq!(queue::retry(&store, CALLER, &id(1), NOW).await, Ok(false));
    assert_eq!(queue::retry_all(&store, CALLER, NOW).await, Ok(0));
    assert_eq!(outbox::next_due(&store).await, Ok(None));
    assert_eq!(queue::drop(&store, CALLER, &id(1), NOW).await, Ok(true));
}

pub(crate) async fn lists_go_on_where_they_ended(database: Database) {
    let store = database.migrated().await;
    for number in 0..7 {
        add(&store, number, later(number as u64 / 3)).await;
    }
    let mut seen = Vec::new();
    let mut last = None;
    loop {
        let page = outbox::list(&store, Some(MailState::Queued), last.as_ref(), 2).await;
        let page = page.expect("lists");
        seen.extend(page.iter().map(|entry| entry.id.clone()));
        match page.into_iter().next_back() {
            Some(entry) => last = Some(entry),
            None => break,
        }
    }
    assert_eq!(seen, (0..7).map(id).collect::<Vec<_>>());
}

pub(crate) async fn sweeping_leaves_what_waits(database: Database) {
    let store = database.migrated().await;
    for number in 1..=4 {
        add(&store, number, NOW).await;
    }
    claim(&store, NOW, 3).await;
    outbox::sent(&store, &id(1), later(5)).await.expect("is noted");
    outbox::fail(&store, &id(2), 1, "550").await.expect("is noted");
    assert_eq!(outbox::sweep(&store, later(5), NOW, 9).await, Ok(0));
    assert_eq!(outbox::sweep(&store, later(6), NOW, 9).await, Ok(1));
    assert_eq!(outbox::sweep(&store, later(9999), later(9999), 9).await, Ok(1));
    assert_eq!(states(&store).await, [(MailState::Sending, None), (MailState::Queued, None)]);
}

pub(crate) async fn of_many_claimers_one_gets_each(database: Database) {
    const MAILS: usize = 60;
    let store = database.migrated().await;
    for number in 0..MAILS {
        add(&store, number, NOW).await;
    }
    let mut claimers = tokio::task::JoinSet::new();
    for _ in 0..6 {
        let store = store.clone();
        claimers.spawn(async move {
            let mut mine = Vec::new();
            while outbox::next_due(&store).await.expect("tells").is_some_and(|due| due <= NOW) {
                mine.extend(claim(&store, NOW, 3).await);
            }
            mine
        });
    }
    let all: Vec<_> = claimers.join_all().await.into_iter().flatten().collect();
    let distinct: HashSet<_> = all.iter().map(|(id, _)| id.clone()).collect();
    assert_eq!((all.len(), distinct.len()), (MAILS, MAILS));
    assert!(all.iter().all(|(_, attempts)| *attempts == 1));
}

pub(crate) async fn odd_rows_are_refused(database: Database) {
    let store = database.migrated().await;
    let mut tx = store.begin("add mail").await.expect("begins");
    let mail = NewMail { id: "short", message: "m", language: "en", content: Ok(b"x") };
    let refused = outbox::add(&mut tx, &mail, NOW).await;
    assert!(matches!(refused, Err(StoreError::Check(_))), "{refused:?}");
}
