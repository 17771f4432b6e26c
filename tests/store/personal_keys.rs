//! API keys of our own: digests, terms, and one entry in the feed for each end.

use std::time::Duration;

use avain::account::account::AccountId;
use avain::base::clock::Timestamp;
use avain::base::random::SeededRandom;
use avain::store::changes::{Change, Feed};
use avain::store::personal_keys::{self, NewKey};
use avain::store::{Store, accounts};
use avain::token::personal::{PersonalKey, PersonalKeyId};
use avain::token::scope::Scopes;
use avain::token::terms::{Networks, Terms};

use crate::accounts::make;
use crate::harness::{Database, NOW};

fn later(seconds: u64) -> Timestamp {
    NOW.plus(Duration::from_secs(seconds))
}

fn terms() -> Terms {
    Terms {
        scopes: Scopes::parse("hobbies:read GET:/api/**").expect("they are scopes"),
        networks: Networks::parse("192.0.2.0/24 2001:db8::/32").expect("they are networks"),
        rate: Some(60),
        expires_at: Some(later(100)),
    }
}

async fn keep(store: &Store, account: AccountId, seed: u64, terms: &Terms) -> PersonalKeyId {
    let key = PersonalKey::generate(&SeededRandom::new(seed));
    let (digest, beginning) = (key.digest(), key.beginning());
    let new = NewKey { digest, account, name: "script", beginning, terms };
    let mut tx = store.begin("make a key").await.expect("it begins");
    let id = personal_keys::create(&mut tx, &new, NOW).await.expect("it is made");
    tx.commit().await.expect("it is kept");
    id
}

/// A part of a transaction, in one of its own.
macro_rules! in_tx {
    ($store:expr, $function:ident($($argument:expr),*)) => {
        in_tx!($store, personal_keys::$function($($argument),*))
    };
    ($store:expr, $module:ident::$function:ident($($argument:expr),*)) => {{
        let mut tx = $store.begin("test").await.expect("it begins");
        let done = $module::$function(&mut tx, $($argument),*).await.expect("it runs");
        tx.commit().await.expect("it is kept");
        done
    }};
}

pub(crate) async fn what_is_made_is_found_until_it_ends(database: Database) {
    let store = database.migrated().await;
    let aino = make(&store, "aino").await;
    let mut feed = Feed::open(&store).await.expect("it opens");
    let id = keep(&store, aino, 1, &terms()).await;
    assert_eq!(feed.read(&store).await, Ok(vec![]), "no memory can hold what it did not know");
    let digest = PersonalKey::generate(&SeededRandom::new(1)).digest();
    let key = personal_keys::find(&store, id).await.expect("it runs").expect("it is there");
    assert_eq!((key.account, key.username.as_str(), key.name.as_str()), (aino, "aino", "script"));
    assert_eq!((key.terms.clone(), key.created_at), (terms(), NOW));
    assert_eq!((key.last_used_at, key.replaced_by, key.revoked_at), (None, None, None));
    assert_eq!(personal_keys::find_by_digest(&store, &digest).await, Ok(Some(key.clone())));
    assert_eq!(personal_keys::of_account(&store, aino, NOW, 9).await, Ok(vec![key]));

    let in_force =
        async |now| personal_keys::in_force(&store, &digest, NOW, now).await.expect("it runs");
    let found = in_force(later(99)).await.expect("it is in force");
    assert_eq!((found.id, found.terms), (id, terms()));
    assert_eq!((found.owner.principal.id, found.owner.principal.is_active), (aino, true));
    assert!(in_force(later(100)).await.is_none(), "it ends on its second");
    let other = PersonalKey::generate(&SeededRandom::new(2)).digest();
    assert!(personal_keys::in_force(&store, &other, NOW, NOW).await.expect("it runs").is_none());
    in_tx!(store, accounts::set_active_in(aino, false, NOW));
    assert!(!in_force(NOW).await.expect("it is there").owner.principal.is_active);
    in_tx!(store, accounts::delete_in(aino, NOW));
    assert!(in_force(NOW).await.is_none(), "it goes with its account");
}

pub(crate) async fn an_end_is_one_entry_in_the_feed(database: Database) {
    let store = database.migrated().await;
    let (aino, eino) = (make(&store, "aino").await, make(&store, "eino").await);
    let mine = keep(&store, aino, 1, &Terms::default()).await;
    let other = keep(&store, aino, 2, &Terms::default()).await;
    let ended = keep(&store, aino, 3, &terms()).await;
    let now = later(200);
    let mut feed = Feed::open(&store).await.expect("it opens");
    assert!(!in_tx!(store, revoke(eino, mine, now)), "another account's");
    assert!(!in_tx!(store, revoke(aino, ended, now)), "it has ended already");
    assert!(!in_tx!(store, edit(eino, mine, "x", &Terms::default(), now)));
    assert_eq!(feed.read(&store).await, Ok(vec![]));
    assert_eq!(in_tx!(store, count_live(aino, now)), 2);
    assert!(in_tx!(store, revoke(aino, mine, now)));
    assert!(!in_tx!(store, revoke(aino, mine, now)), "once");
    assert_eq!(feed.read(&store).await, Ok(vec![Change::Account(aino.get())]));
    let key = personal_keys::find(&store, mine).await.expect("it runs").expect("it is kept");
    assert_eq!((key.revoked_at, key.terms.expires_at), (Some(now), Some(now)));
    assert_eq!(in_tx!(store, count_live(aino, now)), 1);

    assert!(in_tx!(store, edit(aino, other, "renamed", &terms(), now)));
    let key = personal_keys::find(&store, other).await.expect("it runs").expect("it is kept");
    assert_eq!(
        (key.name.as_str(), key.terms.rate, key.terms.expires_at),
        ("renamed", Some(60), None)
    );
    assert_eq!(feed.read(&store).await, Ok(vec![Change::Account(aino.get())]));

    keep(&store, aino, 4, &Terms::default()).await;
    assert_eq!(in_tx!(store, revoke_of_account(aino, now)), 2);
    assert_eq!(in_tx!(store, revoke_of_account(aino, now)), 0);
    assert_eq!(feed.read(&store).await, Ok(vec![Change::Account(aino.get())]), "one for all");
}

pub(crate) async fn one_of_twenty_rotations_takes_a_keys_place(database: Database) {
    let store = database.migrated().await;
    let aino = make(&store, "aino").await;
    let long = keep(&store, aino, 1, &Terms::default()).await;
    let short = keep(&store, aino, 2, &terms()).await;
    let rotations: Vec<_> = (0..20)
        .map(|number| {
            let store = store.clone();
            tokio::spawn(async move {
                let successor = PersonalKeyId::new(1000 + number);
                in_tx!(store, replace(aino, long, successor, later(60), NOW))
            })
        })
        .collect();
    let mut replaced = 0;
    for rotation in rotations {
        replaced += usize::from(rotation.await.expect("no panic"));
    }
    assert_eq!(replaced, 1);
    let key = personal_keys::find(&store, long).await.expect("it runs").expect("it is kept");
    assert_eq!(key.terms.expires_at, Some(later(60)), "it goes on for the overlap");
    // An overlap makes no key live longer.
    assert!(in_tx!(store, replace(aino, short, PersonalKeyId::new(7), later(500), NOW)));
    let key = personal_keys::find(&store, short).await.expect("it runs").expect("it is kept");
    assert_eq!(
        (key.terms.expires_at, key.replaced_by),
        (Some(later(100)), Some(PersonalKeyId::new(7)))
    );
}

pub(crate) async fn a_list_has_an_end_and_begins_with_what_is_in_force(database: Database) {
    let store = database.migrated().await;
    let aino = make(&store, "aino").await;
    let mut ids = Vec::new();
    for seed in 0..5 {
        ids.push(keep(&store, aino, seed, &Terms::default()).await);
    }
    for id in &ids[1..] {
        assert!(in_tx!(store, revoke(aino, *id, later(1))));
    }
    for (most, expected) in [(1, vec![0]), (3, vec![0, 3, 4]), (9, vec![0, 1, 2, 3, 4])] {
        let listed = personal_keys::of_account(&store, aino, later(2), most).await;
        let listed: Vec<_> = listed.expect("it runs").iter().map(|key| key.id).collect();
        assert_eq!(listed, expected.iter().map(|at| ids[*at]).collect::<Vec<_>>());
    }
}

pub(crate) async fn uses_are_noted_together_and_once_a_minute(database: Database) {
    let store = database.migrated().await;
    let aino = make(&store, "aino").await;
    let mut ids = Vec::new();
    for seed in 0..5 {
        ids.push(keep(&store, aino, seed, &Terms::default()).await);
    }
    let used = async |seconds: &[(usize, u64)]| {
        let uses: Vec<_> = seconds.iter().map(|(at, second)| (ids[*at], later(*second))).collect();
        personal_keys::note_uses(&store, &uses).await.expect("it runs");
        let keys = personal_keys::of_account(&store, aino, NOW, 99).await.expect("it runs");
        keys.iter()
            .map(|key| key.last_used_at.map(|at| at.seconds() - NOW.seconds()))
            .collect::<Vec<_>>()
    };
    assert_eq!(used(&[]).await, [None; 5]);
    let first = used(&[(0, 5), (1, 6), (3, 7)]).await;
    assert_eq!(first, [Some(5), Some(6), None, Some(7), None]);
    // Another instance, within the minute, or behind.
    let second = used(&[(0, 64), (1, 66), (3, 1), (4, 9)]).await;
    assert_eq!(second, [Some(5), Some(66), None, Some(7), Some(9)]);
    personal_keys::note_uses(&store, &[(PersonalKeyId::new(999), NOW)]).await.expect("it runs");
}

pub(crate) async fn sweeping_takes_what_ended_long_ago_in_small_batches(database: Database) {
    let store = database.migrated().await;
    let aino = make(&store, "aino").await;
    for seed in 0..5 {
        let expires_at = Some(later(10 * (seed + 1)));
        keep(&store, aino, seed, &Terms { expires_at, ..Terms::default() }).await;
    }
    let revoked = keep(&store, aino, 10, &Terms::default()).await;
    assert!(in_tx!(store, revoke(aino, revoked, later(15))));
    keep(&store, aino, 11, &Terms::default()).await;
    let sweep = async |before| personal_keys::sweep(&store, later(before), 2).await.expect("runs");
    assert_eq!(sweep(10).await, 0);
    assert_eq!((sweep(35).await, sweep(35).await, sweep(35).await), (2, 2, 0));
    let left = personal_keys::page_after(&store, 0, 10).await.expect("it runs");
    assert_eq!(left.len(), 3, "two that ended later, and one that does not end");
    assert_eq!(personal_keys::page_after(&store, aino.get(), 10).await, Ok(vec![]));
}
