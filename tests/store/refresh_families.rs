//! Refresh families: one winner of a rotation, ends that stay, tombstones.

use avain::account::account::AccountId;
use avain::base::clock::Timestamp;
use avain::base::digest::Digest;
use avain::store::changes::{Change, Feed};
use avain::store::refresh_families::{self, Adopted, EndReason, Origin};
use avain::store::{Store, StoreError, accounts};
use avain::token::claims::{FamilyId, Kind, Stamp};

use crate::accounts::make;
use crate::harness::{Database, NOW};

/// Begins a family whose token has this `jti`.
pub(crate) async fn begin(store: &Store, account: AccountId, jti: &str) -> FamilyId {
    let adopted = adopted(account, jti);
    adopt(store, &adopted).await.expect("it is begun");
    adopted.family
}

async fn adopt(store: &Store, adopted: &Adopted) -> Result<(), StoreError> {
    let mut tx = store.begin("adopt").await?;
    refresh_families::adopt_in(&mut tx, adopted).await?;
    tx.commit().await
}

fn adopted(account: AccountId, jti: &str) -> Adopted {
    Adopted {
        family: FamilyId::adopt(NOW, jti),
        account,
        layout: "simplejwt",
        begun_at: NOW,
        ends_at: at(1000),
        digest: digest(jti),
        token_id: jti.to_owned(),
        issued_at: NOW,
        expires_at: at(100),
        origin: Origin {
            address: "192.0.2.7".parse().ok(),
            user_agent: Some("Firefox".to_owned()),
        },
        used_at: at(1),
    }
}

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_seconds(NOW.seconds() + seconds)
}

fn digest(jti: &str) -> Digest {
    Digest::of(jti.as_bytes())
}

fn stamp(jti: &str, expires: i64) -> Stamp {
    Stamp {
        kind: Kind::Refresh,
        expires_at: at(expires).seconds(),
        issued_at: NOW.seconds(),
        token_id: jti.to_owned(),
    }
}

pub(crate) async fn what_is_begun_is_found(database: Database) {
    let store = database.migrated().await;
    let account = make(&store, "aino").await;
    let id = begin(&store, account, "a").await;
    // Adopting again changes nothing, whatever is said.
    let again =
        Adopted { token_id: "other".to_owned(), digest: digest("other"), ..adopted(account, "a") };
    adopt(&store, &again).await.expect("it runs");
    let family = refresh_families::find(&store, id).await.expect("it runs").expect("is there");
    assert_eq!((family.id, family.account, family.ends_at), (id, account, at(1000)));
    assert_eq!((family.account_is_active, family.ended), (true, false));
    assert_eq!((family.current, family.previous, family.rotated_at), (digest("a"), None, None));
    assert_eq!(family.successor.token_id, "a");
    assert_eq!(family.successor.expires_at, at(100).seconds());
    assert_eq!(id.begun_at(), NOW, "its id tells when it began");
    let unknown = refresh_families::find(&store, FamilyId::adopt(NOW, "b")).await;
    assert!(unknown.expect("it runs").is_none());
    let nobody = adopt(&store, &adopted(AccountId::new(999), "c")).await;
    assert!(matches!(nobody, Err(StoreError::ForeignKey(_))), "{nobody:?}");
}

pub(crate) async fn rotation_asks_for_the_token_in_force(database: Database) {
    let store = database.migrated().await;
    let account = make(&store, "aino").await;
    let id = begin(&store, account, "a").await;
    let rotate = async |from: &str, to: &str| {
        let rotated =
            refresh_families::rotate(&store, id, &digest(from), &stamp(to, 200), at(1)).await;
        rotated.expect("it runs")
    };
    assert!(rotate("x", "b").await.is_none());
    let rotated = rotate("a", "b").await.expect("it was in force");
    assert_eq!((rotated.current, rotated.previous), (digest("b"), Some(digest("a"))));
    assert_eq!((rotated.rotated_at, rotated.successor.token_id.as_str()), (Some(at(1)), "b"));
    assert_eq!(rotated.account, account);
    assert!(rotate("a", "c").await.is_none(), "it is in force no more");
    let found = refresh_families::find(&store, id).await.expect("it runs").expect("is there");
    assert_eq!((found.current, found.previous), (digest("b"), Some(digest("a"))));

    alone!(&store, accounts::set_active_in(account, false, at(2))).await.expect("it runs");
    alone!(&store, accounts::set_active_in(account, true, at(2))).await.expect("it runs");
    assert!(rotate("b", "c").await.is_none(), "an ended family does not rotate");
    let id = begin(&store, account, "z").await;
    let off = if database.engine == crate::harness::Engine::Sqlite { "0" } else { "false" };
    database.script(&format!("UPDATE auth_user SET is_active = {off}")).await;
    let rotated = refresh_families::rotate(&store, id, &digest("z"), &stamp("y", 200), at(1)).await;
    assert!(rotated.expect("it runs").is_none(), "nor does that of an account that is off");
}

pub(crate) async fn one_of_twenty_rotations_wins(database: Database) {
    let store = database.migrated().await;
    let account = make(&store, "aino").await;
    for round in 0..10 {
        let first = format!("{round}");
        let id = begin(&store, account, &first).await;
        let callers: Vec<_> = (0..20)
            .map(|caller| {
                let (store, first) = (store.clone(), first.clone());
                tokio::spawn(async move {
                    let successor = stamp(&format!("{first}-{caller}"), 200);
                    refresh_families::rotate(&store, id, &digest(&first), &successor, at(1)).await
                })
            })
            .collect();
        let mut winners = Vec::new();
        for caller in callers {
            winners.extend(caller.await.expect("no panic").expect("no error"));
        }
        let [winner] = winners.as_slice() else { panic!("{} winners", winners.len()) };
        let found = refresh_families::find(&store, id).await.expect("it runs").expect("is there");
        assert_eq!(found.current, winner.current, "what was told is what is kept");
    }
}

pub(crate) async fn an_end_is_told_once_and_stays(database: Database) {
    let store = database.migrated().await;
    let account = make(&store, "aino").await;
    let id = begin(&store, account, "a").await;
    let mut feed = Feed::open(&store).await.expect("it opens");
    let end = async |reason| alone!(&store, refresh_families::end_in(id, reason, at(1))).await;
    assert_eq!(end(EndReason::Reuse).await, Ok(true));
    assert_eq!(end(EndReason::SignOut).await, Ok(false), "it was ended before");
    assert_eq!(feed.read(&store).await, Ok(vec![Change::Account(account.get())]));
    let reason = format!("SELECT end_reason FROM {}refresh_families", database.pick("", "avain."));
    assert_eq!(database.texts(&reason).await, ["reuse"], "the first reason stays");
    adopt(&store, &adopted(account, "a")).await.expect("it runs");
    let found = refresh_families::find(&store, id).await.expect("it runs").expect("is there");
    assert!(found.ended && !found.ended_with_account, "it is not begun again");
    let unknown = FamilyId::adopt(NOW, "b");
    let nothing = alone!(&store, refresh_families::end_in(unknown, EndReason::SignOut, NOW)).await;
    assert_eq!(nothing, Ok(false));
}

pub(crate) async fn sweeping_takes_what_has_expired(database: Database) {
    let store = database.migrated().await;
    let account = make(&store, "aino").await;
    let (ended, alive, renewed) = (
        begin(&store, account, "a").await,
        begin(&store, account, "b").await,
        begin(&store, account, "c").await,
    );
    alone!(&store, refresh_families::end_in(ended, EndReason::SignOut, NOW))
        .await
        .expect("it runs");
    let (before, after) = (digest("c"), stamp("d", 500));
    let rotated = refresh_families::rotate(&store, renewed, &before, &after, NOW).await;
    assert!(rotated.expect("it runs").is_some());
    // Expiry at 100 for the first two: an ended family is a tombstone until then.
    assert_eq!(refresh_families::sweep(&store, at(100), 10).await, Ok(0));
    assert_eq!(refresh_families::sweep(&store, at(101), 1).await, Ok(1), "no more than asked for");
    assert_eq!(refresh_families::sweep(&store, at(101), 10).await, Ok(1));
    for (family, expected) in [(ended, false), (alive, false), (renewed, true)] {
        let found = refresh_families::find(&store, family).await.expect("it runs");
        assert_eq!(found.is_some(), expected);
    }
}
