//! Signing keys: one signs for each purpose, whoever asks when.

use avain::base::clock::Timestamp;
use avain::store::audit::{Event, Record};
use avain::store::changes::{Change, Feed};
use avain::store::signing_keys::{self, KeyState, Purpose, StoredKey, Succession};

use crate::harness::{Database, NOW};

fn key(id: &str, purpose: Purpose, state: KeyState) -> StoredKey {
    StoredKey {
        id: id.to_owned(),
        purpose,
        algorithm: "HS256".to_owned(),
        state,
        sealed: vec![0, 255, 7],
        imported_at: None,
        created_at: NOW,
        signs_at: None,
        signed_since: (state != KeyState::Published).then_some(NOW),
        retires_at: None,
    }
}

fn record() -> Record {
    crate::audit::record(Event::SigningKeyRotated, NOW.seconds(), None, "")
}

const LATER: Timestamp = Timestamp::from_seconds(NOW.seconds() + 1000);

fn succession<'a>(from: Option<&'a str>, to: &'a str) -> Succession<'a> {
    Succession { purpose: Purpose::Token, from, to, retires_at: LATER }
}

pub(crate) async fn one_signs_for_each_purpose(database: Database) {
    let store = database.migrated().await;
    let mut feed = Feed::open(&store).await.expect("it opens");
    let create = async |id, purpose, state| {
        signing_keys::create(&store, &key(id, purpose, state), record()).await.expect("it runs")
    };
    assert!(create("a", Purpose::Token, KeyState::Signing).await);
    assert!(!create("b", Purpose::Token, KeyState::Signing).await, "another one signs already");
    assert!(create("c", Purpose::Phantom, KeyState::Signing).await, "for something else");
    assert!(!create("a", Purpose::Token, KeyState::Verifying).await, "its id is taken");
    assert!(create("b", Purpose::Token, KeyState::Verifying).await);
    assert_eq!(feed.read(&store).await, Ok(vec![Change::Keys; 3]));

    let imported =
        StoredKey { imported_at: Some(NOW), ..key("0", Purpose::Token, KeyState::Verifying) };
    let later = StoredKey { created_at: Timestamp::from_seconds(NOW.seconds() + 1), ..imported };
    assert_eq!(signing_keys::create(&store, &later, record()).await, Ok(true));
    let all = signing_keys::all(&store).await.expect("it runs");
    let ids: Vec<_> = all.iter().map(|key| key.id.as_str()).collect();
    assert_eq!(ids, ["a", "b", "c", "0"], "oldest first");
    let last = all.last().expect("there are four");
    assert_eq!((last.imported_at, last.purpose), (Some(NOW), Purpose::Token));
    assert_eq!(
        (last.sealed.as_slice(), last.algorithm.as_str()),
        ([0, 255, 7].as_slice(), "HS256")
    );
}

pub(crate) async fn rotating_and_retiring(database: Database) {
    let store = database.migrated().await;
    for (id, state) in [("a", KeyState::Signing), ("b", KeyState::Published)] {
        let created = signing_keys::create(&store, &key(id, Purpose::Token, state), record()).await;
        assert_eq!(created, Ok(true));
    }
    let states = async || {
        let keys = signing_keys::list(&store).await.expect("it runs");
        keys.iter().map(|key| key.state).collect::<Vec<_>>()
    };
    let mut feed = Feed::open(&store).await.expect("it opens");
    let succeed = async |from, to| {
        signing_keys::succeed(&store, &succession(from, to), NOW, record()).await.expect("it runs")
    };
    for (from, to) in [(Some("a"), "x"), (Some("b"), "a"), (None, "b"), (Some("x"), "b")] {
        assert!(!succeed(from, to).await, "{from:?} {to}");
        assert_eq!(
            states().await,
            [KeyState::Signing, KeyState::Published],
            "nothing is half done"
        );
    }
    let retire = async |id| signing_keys::retire(&store, id, NOW, record()).await.expect("it runs");
    assert!(!retire("a").await, "the key that signs stays");
    assert_eq!(feed.read(&store).await, Ok(vec![]));
    assert!(succeed(Some("a"), "b").await);
    assert_eq!(states().await, [KeyState::Verifying, KeyState::Signing]);
    let all = signing_keys::all(&store).await.expect("it runs");
    let dates: Vec<_> = all.iter().map(|key| (key.signed_since, key.retires_at)).collect();
    assert_eq!(dates, [(Some(NOW), Some(LATER)), (Some(NOW), None)]);
    assert_eq!(signing_keys::retire_due(&store, NOW, &record()).await, Ok(vec![]));
    assert_eq!(feed.read(&store).await, Ok(vec![Change::Keys]));
    assert_eq!(signing_keys::retire_due(&store, LATER, &record()).await, Ok(vec!["a".to_owned()]));
    assert!(!retire("a").await);
    assert!(!succeed(Some("b"), "a").await, "a retired key stays retired");
    assert_eq!(feed.read(&store).await, Ok(vec![Change::Keys]));
    assert_eq!(states().await, [KeyState::Retired, KeyState::Signing]);
    let in_use = signing_keys::all(&store).await.expect("it runs");
    assert_eq!(in_use.iter().map(|key| key.id.as_str()).collect::<Vec<_>>(), ["b"]);
}

pub(crate) async fn a_killed_key_is_replaced_in_one_step(database: Database) {
    let store = database.migrated().await;
    for (id, state) in [("a", KeyState::Signing), ("b", KeyState::Published)] {
        let created = signing_keys::create(&store, &key(id, Purpose::Token, state), record()).await;
        assert_eq!(created, Ok(true));
    }
    let kill = async |from, to| {
        signing_keys::kill(&store, &succession(from, to), NOW, record()).await.expect("it runs")
    };
    for (from, to) in [(Some("a"), "x"), (Some("b"), "a"), (None, "b")] {
        assert!(!kill(from, to).await, "{from:?} {to}");
    }
    let mut feed = Feed::open(&store).await.expect("it opens");
    assert!(kill(Some("a"), "b").await);
    assert_eq!(feed.read(&store).await, Ok(vec![Change::Keys]));
    let keys = signing_keys::list(&store).await.expect("it runs");
    let states: Vec<_> = keys.iter().map(|key| key.state).collect();
    assert_eq!(states, [KeyState::Retired, KeyState::Signing]);
}

/// The calendar runs on every instance; one key is next.
pub(crate) async fn one_of_twenty_next_keys_is_published(database: Database) {
    let store = database.migrated().await;
    let signing = key("a", Purpose::Token, KeyState::Signing);
    assert_eq!(signing_keys::create(&store, &signing, record()).await, Ok(true));
    let instances = (0..20).map(|number| {
        let store = store.clone();
        tokio::spawn(async move {
            let next = key(&format!("key{number}"), Purpose::Token, KeyState::Published);
            let next = StoredKey { signs_at: Some(LATER), ..next };
            let published = signing_keys::create(&store, &next, record()).await.expect("no error");
            let succession = succession(Some("a"), &next.id);
            let signs = published
                && signing_keys::succeed(&store, &succession, LATER, record())
                    .await
                    .expect("no error");
            (published, signs)
        })
    });
    let mut done = Vec::new();
    for instance in instances.collect::<Vec<_>>() {
        done.push(instance.await.expect("no panic"));
    }
    // Once one signs the next may be published, but nothing takes the place of a key that signs no more.
    assert_eq!(done.iter().filter(|(_, signs)| *signs).count(), 1, "{done:?}");
    let keys = signing_keys::all(&store).await.expect("it runs");
    let count = |state| keys.iter().filter(|key| key.state == state).count();
    assert_eq!((count(KeyState::Signing), count(KeyState::Verifying)), (1, 1));
    assert!(count(KeyState::Published) <= 1, "{keys:?}");
}

/// Several instances start at once on an empty database.
pub(crate) async fn one_of_twenty_first_keys_signs(database: Database) {
    let store = database.migrated().await;
    let starters: Vec<_> = (0..20)
        .map(|number| {
            let store = store.clone();
            tokio::spawn(async move {
                let key = key(&format!("key{number}"), Purpose::Token, KeyState::Signing);
                signing_keys::create(&store, &key, record()).await
            })
        })
        .collect();
    let mut made = 0;
    for starter in starters {
        made += usize::from(starter.await.expect("no panic").expect("no error"));
    }
    assert_eq!(made, 1);
    assert_eq!(signing_keys::all(&store).await.map(|keys| keys.len()), Ok(1));
}
