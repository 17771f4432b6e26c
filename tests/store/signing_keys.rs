//! Signing keys: one signs for each purpose, whoever asks when.

use avain::base::clock::Timestamp;
use avain::store::changes::{Change, Feed};
use avain::store::signing_keys::{self, KeyState, Purpose, StoredKey};

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
    }
}

pub(crate) async fn one_signs_for_each_purpose(database: Database) {
    let store = database.migrated().await;
    let mut feed = Feed::open(&store).await.expect("it opens");
    let create = async |id, purpose, state| {
        signing_keys::create(&store, &key(id, purpose, state)).await.expect("it runs")
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
    assert_eq!(signing_keys::create(&store, &later).await, Ok(true));
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
    for (id, state) in [("a", KeyState::Signing), ("b", KeyState::Verifying)] {
        let created = signing_keys::create(&store, &key(id, Purpose::Token, state)).await;
        assert_eq!(created, Ok(true));
    }
    let states = async || {
        let keys = signing_keys::list(&store).await.expect("it runs");
        keys.iter().map(|key| key.state).collect::<Vec<_>>()
    };
    let mut feed = Feed::open(&store).await.expect("it opens");
    let sign_with = async |purpose, id| {
        signing_keys::sign_with(&store, purpose, id, NOW).await.expect("it runs")
    };
    for (purpose, id) in [(Purpose::Token, "x"), (Purpose::Phantom, "b")] {
        assert!(!sign_with(purpose, id).await, "{id}");
        assert_eq!(
            states().await,
            [KeyState::Signing, KeyState::Verifying],
            "nothing is half done"
        );
    }
    let retire = async |id| signing_keys::retire(&store, id, NOW).await.expect("it runs");
    assert!(!retire("a").await, "the key that signs stays");
    assert_eq!(feed.read(&store).await, Ok(vec![]));
    assert!(sign_with(Purpose::Token, "b").await);
    assert_eq!(states().await, [KeyState::Verifying, KeyState::Signing]);
    assert!(retire("a").await);
    assert!(!retire("a").await);
    assert!(!sign_with(Purpose::Token, "a").await, "a retired key stays retired");
    assert_eq!(feed.read(&store).await, Ok(vec![Change::Keys; 2]));
    assert_eq!(states().await, [KeyState::Retired, KeyState::Signing]);
    let in_use = signing_keys::all(&store).await.expect("it runs");
    assert_eq!(in_use.iter().map(|key| key.id.as_str()).collect::<Vec<_>>(), ["b"]);
}

/// Several instances start at once on an empty database.
pub(crate) async fn one_of_twenty_first_keys_signs(database: Database) {
    let store = database.migrated().await;
    let starters: Vec<_> = (0..20)
        .map(|number| {
            let store = store.clone();
            tokio::spawn(async move {
                let key = key(&format!("key{number}"), Purpose::Token, KeyState::Signing);
                signing_keys::create(&store, &key).await
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
