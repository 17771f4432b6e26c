//! Accounts: Django's rows, and what is kept beside them.

use avain::account::account::AccountId;
use avain::account::password::StoredPassword;
use avain::base::clock::Timestamp;
use avain::store::accounts::{self, Edit, NewAccount};
use avain::store::changes::{Change, Feed};
use avain::store::refresh_families::{self, EndReason};
use avain::store::{Store, StoreError, api_keys};
use avain::token::opaque::ClassicKey;

use crate::harness::{Database, NOW};
use crate::refresh_families::begin;

/// Makes an ordinary account.
pub(crate) async fn make(store: &Store, username: &str) -> AccountId {
    let password = StoredPassword::new("pbkdf2_sha256$1$salt$hash".to_owned());
    alone!(store, accounts::create_in(&new(username, &password))).await.expect("it is made")
}

fn new<'a>(username: &'a str, password: &'a StoredPassword) -> NewAccount<'a> {
    NewAccount {
        username,
        email: "a@example.org",
        first_name: "Äinö",
        last_name: "",
        password,
        is_active: true,
        is_staff: true,
        is_superuser: false,
        joined: Timestamp::from_micros(1_795_000_000_123_456),
    }
}

pub(crate) async fn what_is_made_is_found(database: Database) {
    let store = database.migrated().await;
    let password = StoredPassword::new("!unusable".to_owned());
    let id = alone!(&store, accounts::create_in(&new("Äinö.1@x+-_", &password)))
        .await
        .expect("it is made");
    let by_name = accounts::find_by_username(&store, "Äinö.1@x+-_").await.expect("it runs");
    let by_id = accounts::find_by_id(&store, id).await.expect("it runs");
    for found in [by_name, by_id] {
        let found = found.expect("it is there");
        assert_eq!(found.id, id);
        assert_eq!((found.email.as_str(), found.first_name.as_str()), ("a@example.org", "Äinö"));
        assert_eq!((found.is_active, found.is_staff, found.is_superuser), (true, true, false));
        assert_eq!(found.password.expose(), "!unusable");
        assert_eq!(found.date_joined, Timestamp::from_micros(1_795_000_000_123_456));
        assert_eq!(found.last_login, None);
    }
    for unknown in ["äinö.1@x+-_", "Äinö", "", "a\0b", "Äinö.1@x+-_ "] {
        let found = accounts::find_by_username(&store, unknown).await.expect("it runs");
        assert!(found.is_none(), "{unknown:?}: names are compared with their case");
    }
    let taken = alone!(&store, accounts::create_in(&new("Äinö.1@x+-_", &password))).await;
    assert!(matches!(taken, Err(StoreError::Unique(_))), "{taken:?}");
    for number in 0..3 {
        make(&store, &format!("more{number}")).await;
    }
    let page = accounts::page_after(&store, id.get(), 2).await.expect("it runs");
    let names: Vec<_> = page.iter().map(|account| account.username.as_str()).collect();
    assert_eq!(names, ["more0", "more1"], "a page begins behind the id and is bounded");
    let sample = accounts::newest_passwords(&store, 3).await.expect("it runs");
    assert_eq!(sample.len(), 3);
    assert!(sample.iter().all(|password| password.expose() != "!unusable"), "the newest");
}

pub(crate) async fn a_hash_is_replaced_only_where_it_still_stands(database: Database) {
    let store = database.migrated().await;
    let id = make(&store, "aino").await;
    let stored = async || {
        let found = accounts::find_by_id(&store, id).await.expect("it runs").expect("it is there");
        found.password.expose().to_owned()
    };
    let [old, new, other] = ["pbkdf2_sha256$1$salt$hash", "new", "other"]
        .map(|text| StoredPassword::new(text.to_owned()));
    accounts::rehash_password(&store, id, &other, &new).await.expect("it runs");
    assert_eq!(stored().await, old.expose(), "somebody has changed it in between");
    accounts::rehash_password(&store, id, &old, &new).await.expect("it runs");
    assert_eq!(stored().await, "new");
    let found = accounts::standing(&store, id, NOW).await.expect("it runs").expect("is there");
    assert_eq!(found.standing.revoked_before, None, "nobody is signed out by it");
}

pub(crate) async fn measures_end_families_and_are_told(database: Database) {
    let store = database.migrated().await;
    let password = StoredPassword::new("new".to_owned());
    for measure in ["password", "deactivation", "administration"] {
        let id = make(&store, measure).await;
        let bystander = make(&store, &format!("{measure} bystander")).await;
        let (family, other) = (
            begin(&store, id, measure).await,
            begin(&store, bystander, &format!("not {measure}")).await,
        );
        let mut feed = Feed::open(&store).await.expect("it opens");
        match measure {
            "password" => {
                alone!(&store, accounts::set_password_in(id, &password, EndReason::Password, NOW))
                    .await
                    .expect("runs");
            }
            "deactivation" => {
                assert_eq!(alone!(&store, accounts::set_active_in(id, false, NOW)).await, Ok(true));
            }
            _ => alone!(&store, accounts::revoke_all_in(id, EndReason::Administration, NOW))
                .await
                .expect("runs"),
        }
        let told = feed.read(&store).await.expect("it runs");
        assert_eq!(told, [Change::Account(id.get())], "{measure}");
        let find = async |family| {
            refresh_families::find(&store, family).await.expect("it runs").expect("it is there")
        };
        let ended = find(family).await;
        assert_eq!((ended.ended, ended.account), (true, id), "{measure}");
        assert_eq!(ended.ended_with_account, measure == "deactivation");
        assert_eq!(ended.account_is_active, measure != "deactivation");
        assert!(!find(other).await.ended, "{measure}: others are untouched");
        let before = accounts::revoked_before(&store, id).await.expect("it runs");
        assert_eq!(before, Some(Timestamp::from_millis(NOW.millis() + 1)), "{measure}");
        assert_eq!(accounts::revoked_before(&store, bystander).await, Ok(None));
        let reason = format!(
            "SELECT end_reason FROM {}refresh_families WHERE end_reason IS NOT NULL
            AND account_id = {}",
            database.pick("", "avain."),
            id.get()
        );
        assert_eq!(database.texts(&reason).await, [measure]);
    }
}

pub(crate) async fn switching_is_told_once(database: Database) {
    let store = database.migrated().await;
    let id = make(&store, "aino").await;
    let mut feed = Feed::open(&store).await.expect("it opens");
    assert_eq!(
        alone!(&store, accounts::set_active_in(id, true, NOW)).await,
        Ok(false),
        "it is on already"
    );
    assert_eq!(
        alone!(&store, accounts::set_active_in(AccountId::new(999), false, NOW)).await,
        Ok(false)
    );
    assert_eq!(feed.read(&store).await, Ok(vec![]), "nothing has changed");
    assert_eq!(alone!(&store, accounts::set_active_in(id, false, NOW)).await, Ok(true));
    assert_eq!(alone!(&store, accounts::set_active_in(id, false, NOW)).await, Ok(false));
    assert_eq!(alone!(&store, accounts::set_active_in(id, true, NOW)).await, Ok(true));
    assert_eq!(feed.read(&store).await, Ok(vec![Change::Account(id.get()); 2]));
}

pub(crate) async fn edits_leave_flags_where_none_are_given(database: Database) {
    let store = database.migrated().await;
    let id = make(&store, "aino").await;
    let edit = |flags| Edit {
        email: "new@example.org".to_owned(),
        first_name: String::new(),
        last_name: "X".to_owned(),
        flags,
    };
    for (flags, expected) in [(None, (true, false)), (Some((false, true)), (false, true))] {
        alone!(&store, accounts::edit_in(id, &edit(flags), NOW)).await.expect("it runs");
        let found = accounts::find_by_id(&store, id).await.expect("it runs").expect("it is there");
        assert_eq!((found.is_staff, found.is_superuser), expected);
        assert_eq!((found.email.as_str(), found.last_name.as_str()), ("new@example.org", "X"));
    }
}

pub(crate) async fn deletion_takes_all_of_ours_along(database: Database) {
    let store = database.migrated().await;
    let id = make(&store, "aino").await;
    let family = begin(&store, id, "a").await;
    let key = ClassicKey::from_stored("0".repeat(40));
    assert_eq!(alone!(&store, api_keys::create_in(&key, id, NOW)).await, Ok(true));
    alone!(&store, accounts::revoke_all_in(id, EndReason::Administration, NOW))
        .await
        .expect("it runs");
    let mut feed = Feed::open(&store).await.expect("it opens");
    alone!(&store, accounts::delete_in(id, NOW)).await.expect("it runs");
    assert_eq!(feed.read(&store).await, Ok(vec![Change::Account(id.get())]));
    assert!(accounts::find_by_id(&store, id).await.expect("it runs").is_none());
    assert!(accounts::standing(&store, id, NOW).await.expect("it runs").is_none());
    assert!(refresh_families::find(&store, family).await.expect("it runs").is_none());
    assert!(api_keys::standing_of_owner(&store, &key, NOW).await.expect("it runs").is_none());
    assert_eq!(accounts::revoked_before(&store, id).await, Ok(None));

    // Where another table refers to it, nothing at all is deleted.
    let id = make(&store, "eino").await;
    assert_eq!(alone!(&store, api_keys::create_in(&key, id, NOW)).await, Ok(true));
    database
        .script(&format!(
            "CREATE TABLE hobbies (owner integer REFERENCES auth_user (id) \
             DEFERRABLE INITIALLY DEFERRED); INSERT INTO hobbies VALUES ({})",
            id.get()
        ))
        .await;
    let refused = alone!(&store, accounts::delete_in(id, NOW)).await;
    assert!(matches!(refused, Err(StoreError::ForeignKey(_))), "{refused:?}");
    assert!(api_keys::standing_of_owner(&store, &key, NOW).await.expect("it runs").is_some());
}

pub(crate) async fn standing_lists_families_that_ended_lately(database: Database) {
    let store = database.migrated().await;
    let id = make(&store, "aino").await;
    let mut ended = Vec::new();
    for (jti, at) in [("c", 10), ("a", 20), ("b", 30)] {
        let family = begin(&store, id, jti).await;
        let at = Timestamp::from_seconds(NOW.seconds() + at);
        let done = alone!(&store, refresh_families::end_in(family, EndReason::SignOut, at)).await;
        assert_eq!(done, Ok(true));
        ended.push(family);
    }
    begin(&store, id, "alive").await;
    let after = async |seconds| {
        let since = Timestamp::from_seconds(NOW.seconds() + seconds);
        let found = accounts::standing(&store, id, since).await.expect("it runs");
        found.expect("it is there").standing
    };
    let standing = after(0).await;
    let mut all = ended.clone();
    all.sort_unstable();
    assert_eq!(standing.ended_families, all, "in ascending order");
    assert_eq!(standing.principal.username, "aino");
    assert!(standing.principal.is_active && standing.principal.is_staff);
    assert_eq!(after(20).await.ended_families, [ended[2]], "not those of long ago");
    assert_eq!(after(30).await.ended_families, []);
}
