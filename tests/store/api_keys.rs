//! API keys: Django's table, one key for each account.

use avain::account::account::AccountId;
use avain::base::random::SeededRandom;
use avain::store::changes::{Change, Feed};
use avain::store::{StoreError, accounts, api_keys};
use avain::token::opaque::ClassicKey;

use crate::accounts::make;
use crate::harness::{Database, NOW};

fn key(seed: u64) -> ClassicKey {
    ClassicKey::generate(&SeededRandom::new(seed))
}

pub(crate) async fn one_key_for_each_account(database: Database) {
    let store = database.migrated().await;
    let (aino, eino) = (make(&store, "aino").await, make(&store, "eino").await);
    let mut feed = Feed::open(&store).await.expect("it opens");
    assert_eq!(api_keys::find_of_account(&store, aino).await, Ok(None));
    assert_eq!(alone!(&store, api_keys::create_in(&key(1), aino, NOW)).await, Ok(true));
    assert_eq!(
        alone!(&store, api_keys::create_in(&key(2), aino, NOW)).await,
        Ok(false),
        "there is one"
    );
    assert_eq!(api_keys::find_of_account(&store, aino).await, Ok(Some(key(1))));
    assert_eq!(alone!(&store, api_keys::create_in(&key(3), eino, NOW)).await, Ok(true));
    let told = feed.read(&store).await.expect("it runs");
    assert_eq!(told, [aino, eino].map(|id| Change::Account(id.get())), "a new key counts at once");
    let nobody = alone!(&store, api_keys::create_in(&key(4), AccountId::new(999), NOW)).await;
    assert!(matches!(nobody, Err(StoreError::ForeignKey(_))), "{nobody:?}");

    let listed = api_keys::page_after(&store, 0, 10).await.expect("it runs");
    let shown: Vec<_> =
        listed.iter().map(|each| (each.username.as_str(), each.key.expose())).collect();
    assert_eq!(shown, [("aino", key(1).expose()), ("eino", key(3).expose())]);
    assert!(listed.iter().all(|each| each.created == NOW));
    let page = api_keys::page_after(&store, aino.get(), 1).await.expect("it runs");
    assert_eq!(page.first().map(|each| each.account), Some(eino));
}

pub(crate) async fn a_key_tells_how_its_owner_stands(database: Database) {
    let store = database.migrated().await;
    let aino = make(&store, "aino").await;
    // Django's admin admits keys of any form.
    let odd = ClassicKey::from_stored("Any Form".to_owned());
    assert_eq!(alone!(&store, api_keys::create_in(&odd, aino, NOW)).await, Ok(true));
    let standing = api_keys::standing_of_owner(&store, &odd, NOW).await.expect("it runs");
    let principal = standing.expect("it is known").principal;
    assert_eq!((principal.id, principal.is_active), (aino, true));
    alone!(&store, accounts::set_active_in(aino, false, NOW)).await.expect("it runs");
    let standing = api_keys::standing_of_owner(&store, &odd, NOW).await.expect("it runs");
    assert!(!standing.expect("it is known").principal.is_active);
    for unknown in ["any form", "Any Form ", "", "0"] {
        let unknown = ClassicKey::from_stored(unknown.to_owned());
        let standing = api_keys::standing_of_owner(&store, &unknown, NOW).await.expect("it runs");
        assert!(standing.is_none(), "keys are compared exactly");
    }
}

pub(crate) async fn revoking_is_told_once(database: Database) {
    let store = database.migrated().await;
    let aino = make(&store, "aino").await;
    for by_account in [false, true] {
        assert_eq!(alone!(&store, api_keys::create_in(&key(1), aino, NOW)).await, Ok(true));
        let mut feed = Feed::open(&store).await.expect("it opens");
        for first in [true, false] {
            let revoked = if by_account {
                alone!(&store, api_keys::delete_of_account_in(aino, NOW)).await.expect("it runs")
            } else {
                let owner =
                    alone!(&store, api_keys::delete_in(&key(1), NOW)).await.expect("it runs");
                assert!(owner.is_none_or(|owner| owner == aino));
                owner.is_some()
            };
            assert_eq!(revoked, first);
        }
        assert_eq!(feed.read(&store).await, Ok(vec![Change::Account(aino.get())]));
        assert!(api_keys::standing_of_owner(&store, &key(1), NOW).await.expect("runs").is_none());
    }
}

/// Several at once: exactly one key comes of it.
pub(crate) async fn one_of_twenty_keys_is_kept(database: Database) {
    let store = database.migrated().await;
    let aino = make(&store, "aino").await;
    let makers: Vec<_> = (0..20)
        .map(|seed| {
            let store = store.clone();
            tokio::spawn(
                async move { alone!(&store, api_keys::create_in(&key(seed), aino, NOW)).await },
            )
        })
        .collect();
    let mut made = 0;
    for maker in makers {
        made += usize::from(maker.await.expect("no panic").expect("no error"));
    }
    assert_eq!(made, 1);
    assert_eq!(api_keys::page_after(&store, 0, 10).await.map(|keys| keys.len()), Ok(1));
}
