//! Attempts: what the store counts is what `account::throttle` decides by, also for many at once.

use std::net::IpAddr;
use std::time::Duration;

use avain::account::throttle::{Limit, Subject, Subjects, Tally};
use avain::base::clock::Timestamp;
use avain::base::digest::DigestKey;
use avain::store::Store;
use avain::store::attempts::{self, Charge};

use crate::harness::Database;

const MINUTE: Duration = Duration::from_mins(1);
const LIMIT: Limit = Limit { most: 3, window: MINUTE, ceiling: 7, rest: Duration::from_mins(5) };

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_seconds(1_795_000_000 + seconds)
}

fn subjects() -> Subjects {
    Subjects::new(DigestKey::new(&[7; 32]))
}

fn address() -> IpAddr {
    "192.0.2.1".parse().expect("is an address")
}

fn charge(subject: Subject, limit: &Limit) -> Charge<'_> {
    Charge { subject, of: None, limit, decides: true }
}

async fn count(store: &Store, subject: Subject, now: Timestamp) -> bool {
    attempts::count(store, &[charge(subject, &LIMIT)], now).await.expect("the store answers")
}

async fn tally(store: &Store, subject: Subject) -> Tally {
    let [tally, ..] = attempts::find(store, [subject; 3]).await.expect("the store answers");
    tally
}

pub(crate) async fn nothing_is_counted_at_first(database: Database) {
    let store = database.migrated().await;
    let (one, other) = (subjects().account("one"), subjects().account("other"));
    assert_eq!(tally(&store, one).await, Tally::NONE);
    assert!(count(&store, one, at(0)).await);
    let [other, one, again] =
        attempts::find(&store, [other, one, one]).await.expect("the store answers");
    assert_eq!(other, Tally::NONE);
    assert_eq!((one.failures, one.began_at, one.streak, one.failed_at), (1, at(0), 1, at(0)));
    assert_eq!(one, again);
}

pub(crate) async fn a_limit_holds_against_many_at_once(database: Database) {
    let store = database.migrated().await;
    let (alice, router) = (subjects().account("alice"), subjects().address(address()));
    let wide = Limit::of(5, MINUTE);
    let callers: Vec<_> = (0..40)
        .map(|caller| {
            let store = store.clone();
            tokio::spawn(async move {
                // Half of them on the account and its address, half on the address alone.
                let both = [charge(alice, &LIMIT), charge(router, &wide)];
                let charges = if caller % 2 == 0 { &both[..] } else { &both[1..] };
                attempts::count(&store, charges, at(0)).await.expect("the store answers")
            })
        })
        .collect();
    let mut passed = 0;
    for caller in callers {
        passed += u32::from(caller.await.expect("no panic"));
    }
    assert_eq!(passed, 5, "as many as the address has room for");
    assert_eq!(tally(&store, router).await.failures, 5);
    assert!(tally(&store, alice).await.failures <= 3);
}

pub(crate) async fn all_that_decide_have_room_or_nothing_is_counted(database: Database) {
    let store = database.migrated().await;
    let (alice, router) = (subjects().account("alice"), subjects().address(address()));
    for _ in 0..3 {
        assert!(count(&store, router, at(0)).await);
    }
    let mut charges = [charge(alice, &LIMIT), charge(router, &LIMIT)];
    let counted = attempts::count(&store, &charges, at(1)).await.expect("the store answers");
    assert!(!counted, "the address has no room");
    assert_eq!(tally(&store, alice).await, Tally::NONE, "and so nothing is counted");
    charges[1].decides = false;
    let counted = attempts::count(&store, &charges, at(1)).await.expect("the store answers");
    assert!(counted, "the address does not matter");
    assert_eq!(tally(&store, alice).await.failures, 1);
    assert_eq!(tally(&store, router).await.failures, 3);
}

/// Whatever comes in whatever order: a write is refused exactly where the rules say wait, and what is
/// counted is what a plain list of failures says.
pub(crate) async fn windows_and_rows_are_as_the_rules_say(database: Database) {
    let store = database.migrated().await;
    let alice = subjects().account("alice");
    let mut seed = 88_172_645_463_325_252_u64;
    let mut random = |below: u64| {
        seed ^= seed << 13;
        seed ^= seed >> 7;
        seed ^= seed << 17;
        seed % below
    };
    let (mut now, mut window, mut row) = (0_i64, Vec::<i64>::new(), Vec::<i64>::new());
    let (mut refused_by_window, mut refused_by_row) = (0, 0);
    for step in 0..300 {
        now += [0, 0, 1, 7, 30, 61, 310][usize::try_from(random(7)).expect("below 7")];
        if random(40) == 0 {
            attempts::succeed(&store, alice, None, false).await.expect("the store answers");
            row.clear();
            continue;
        }
        if window.first().is_some_and(|began| now - began >= 60) {
            window.clear();
        }
        if row.last().is_some_and(|last| now - last >= 300) {
            row.clear();
        }
        let (window_is_full, row_is_full) = (window.len() >= 3, row.len() >= 7);
        refused_by_window += u32::from(window_is_full);
        refused_by_row += u32::from(row_is_full && !window_is_full);

        let told = LIMIT.wait(&tally(&store, alice).await, at(now));
        assert_eq!(told.is_some(), window_is_full || row_is_full, "step {step}");
        assert_eq!(count(&store, alice, at(now)).await, told.is_none(), "step {step}");
        if told.is_none() {
            window.push(now);
            row.push(now);
            let counted = tally(&store, alice).await;
            let expected = (window.len(), row.len(), at(window[0]), at(now));
            let (failures, streak) = (counted.failures as usize, counted.streak as usize);
            let found = (failures, streak, counted.began_at, counted.failed_at);
            assert_eq!(found, expected, "step {step}");
        }
    }
    assert!(refused_by_window > 20 && refused_by_row > 5, "{refused_by_window} {refused_by_row}");
}

pub(crate) async fn a_success_ends_a_row_and_makes_known(database: Database) {
    let store = database.migrated().await;
    let (account, pair) = (subjects().account("alice"), subjects().pair("alice", address()));
    for subject in [account, pair] {
        for _ in 0..3 {
            assert!(count(&store, subject, at(0)).await);
        }
    }
    attempts::succeed(&store, account, Some((pair, at(1000))), false).await.expect("it is noted");
    let [of_account, of_pair, _] =
        attempts::find(&store, [account, pair, pair]).await.expect("the store answers");
    assert_eq!((of_account.failures, of_account.streak), (3, 0), "strangers still wait");
    assert_eq!((of_pair.failures, of_pair.streak), (0, 0));
    assert_eq!(of_pair.known_until, at(1000));

    // Failures at a known pair do not end that it is known.
    assert!(count(&store, pair, at(1)).await);
    assert_eq!(tally(&store, pair).await.known_until, at(1000));
    attempts::succeed(&store, account, None, true).await.expect("it is noted");
    assert_eq!(tally(&store, account).await.failures, 0, "a recovery forgives strangers too");
    assert_eq!(tally(&store, pair).await.failures, 1);
}

pub(crate) async fn expired_ones_are_swept(database: Database) {
    let store = database.migrated().await;
    let (short, known) = (subjects().account("short"), subjects().account("known"));
    for subject in [short, known] {
        assert!(count(&store, subject, at(0)).await);
    }
    attempts::succeed(&store, short, Some((known, at(5000))), false).await.expect("it is noted");
    // The row in a row outlives the window.
    assert_eq!(attempts::sweep(&store, at(300), 10).await.expect("it sweeps"), 0);
    assert_eq!(attempts::sweep(&store, at(301), 10).await.expect("it sweeps"), 1);
    assert_eq!(tally(&store, short).await, Tally::NONE);
    assert!(count(&store, known, at(4990)).await, "a late failure");
    assert_eq!(attempts::sweep(&store, at(5001), 10).await.expect("it sweeps"), 0);
    assert_eq!(attempts::sweep(&store, at(5291), 10).await.expect("it sweeps"), 1);
}

pub(crate) async fn a_clock_that_leaps_locks_nobody_out(database: Database) {
    let store = database.migrated().await;
    let alice = subjects().account("alice");
    for _ in 0..3 {
        assert!(count(&store, alice, at(3600)).await, "on an instance whose clock is wrong");
    }
    assert!(!count(&store, alice, at(3600)).await);
    assert!(count(&store, alice, at(0)).await, "on one whose clock is right");
    assert_eq!(tally(&store, alice).await.failures, 1);
    assert_eq!(tally(&store, alice).await.streak, 1);
}
