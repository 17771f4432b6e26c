//! API keys of our own: digests, and the terms that they are used on.

use std::fmt::Write as _;
use std::time::Duration;

use crate::account::account::AccountId;
use crate::base::clock::Timestamp;
use crate::store::changes::{self, Change};
use crate::store::{Row, Store, StoreError, Tx, Value, accounts};
use crate::token::personal::{PersonalKeyDigest, PersonalKeyId};
use crate::token::scope::Scopes;
use crate::token::standing::Standing;
use crate::token::terms::{Networks, Terms};

/// A key to be kept.
#[derive(Debug)]
pub struct NewKey<'a> {
    /// The digest of it.
    pub digest: PersonalKeyDigest,
    /// Whose it is.
    pub account: AccountId,
    /// What its owner calls it.
    pub name: &'a str,
    /// Its first characters.
    pub beginning: &'a str,
    /// What it may.
    pub terms: &'a Terms,
}

/// A key as it is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredKey {
    /// Its id.
    pub id: PersonalKeyId,
    /// Whose it is.
    pub account: AccountId,
    /// The name of that account.
    pub username: String,
    /// What its owner calls it.
    pub name: String,
    /// Its first characters.
    pub beginning: String,
    /// What it may.
    pub terms: Terms,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it was used last, to the minute.
    pub last_used_at: Option<Timestamp>,
    /// The key that has taken its place.
    pub replaced_by: Option<PersonalKeyId>,
    /// When it was taken back.
    pub revoked_at: Option<Timestamp>,
}

/// A key in force, and how its owner stands.
#[derive(Debug)]
pub struct KeyInForce {
    /// Its id.
    pub id: PersonalKeyId,
    /// What it may.
    pub terms: Terms,
    /// When it was made.
    pub created_at: Timestamp,
    /// How its owner stands.
    pub owner: Standing,
}

/// The key with this digest, with the standing of its owner; `None` where there is none or it has ended. As
/// [`accounts::standing`].
pub async fn in_force(
    store: &Store,
    digest: &PersonalKeyDigest,
    ended_after: Timestamp,
    now: Timestamp,
) -> Result<Option<KeyInForce>, StoreError> {
    let params = [(*digest.digest()).into(), ended_after.seconds().into(), now.seconds().into()];
    let rows = store.read("personal_keys.standing_of_owner", &params).await?;
    let Some(first) = rows.first() else { return Ok(None) };
    let id = PersonalKeyId::new(first.int("key_id")?);
    let (terms, created_at) = (terms(first)?, first.seconds("created_at")?);
    let owner = accounts::read_standing(&rows)?;
    Ok(owner.map(|owner| KeyInForce { id, terms, created_at, owner }))
}

/// The key with this id, in force or not.
pub async fn find(store: &Store, id: PersonalKeyId) -> Result<Option<StoredKey>, StoreError> {
    let rows = store.read("personal_keys.find", &[id.get().into()]).await?;
    rows.first().map(stored).transpose()
}

/// The key with this digest, in force or not.
pub async fn find_by_digest(
    store: &Store,
    digest: &PersonalKeyDigest,
) -> Result<Option<StoredKey>, StoreError> {
    let rows = store.read("personal_keys.find_by_digest", &[(*digest.digest()).into()]).await?;
    rows.first().map(stored).transpose()
}

/// At most `most` keys of an account, in the order in which they were made: those in force, and the newest of
/// the others.
pub async fn of_account(
    store: &Store,
    account: AccountId,
    now: Timestamp,
    most: i64,
) -> Result<Vec<StoredKey>, StoreError> {
    let params = [account.get().into(), now.seconds().into(), most.into()];
    let rows = store.read("personal_keys.of_account", &params).await?;
    let mut keys = rows.iter().map(stored).collect::<Result<Vec<_>, _>>()?;
    keys.sort_unstable_by_key(|key| key.id.get());
    Ok(keys)
}

/// The keys of at most `most` accounts with larger ids than `after`, in the order of those.
pub async fn page_after(
    store: &Store,
    after: i32,
    most: i64,
) -> Result<Vec<StoredKey>, StoreError> {
    let rows = store.read("personal_keys.page_after", &[after.into(), most.into()]).await?;
    rows.iter().map(stored).collect()
}

/// Part of a transaction: how many keys in force an account has.
pub async fn count_live(
    tx: &mut Tx,
    account: AccountId,
    now: Timestamp,
) -> Result<i64, StoreError> {
    let params = [account.get().into(), now.seconds().into()];
    let rows = tx.run("personal_keys.count_live", &params).await?;
    rows.first().map_or(Ok(0), |row| row.int("live"))
}

/// How many keys in force were made for longer than `longest`.
pub async fn count_longer_lived(
    store: &Store,
    longest: Duration,
    now: Timestamp,
) -> Result<i64, StoreError> {
    let longest = i64::try_from(longest.as_secs()).unwrap_or(i64::MAX);
    let params = [now.seconds().into(), longest.into()];
    let rows = store.read("personal_keys.count_longer_lived", &params).await?;
    rows.first().map_or(Ok(0), |row| row.int("keys"))
}

/// Part of a transaction: keeps a new key. Nobody needs to hear of it: no memory can hold what it did not
/// know yet.
pub async fn create(
    tx: &mut Tx,
    new: &NewKey<'_>,
    now: Timestamp,
) -> Result<PersonalKeyId, StoreError> {
    let params = [
        (*new.digest.digest()).into(),
        new.account.get().into(),
        new.name.into(),
        new.beginning.into(),
        new.terms.scopes.to_string().into(),
        new.terms.networks.to_string().into(),
        new.terms.rate.into(),
        now.seconds().into(),
        new.terms.expires_at.map(Timestamp::seconds).into(),
    ];
    let rows = tx.run("personal_keys.create", &params).await?;
    let row = rows.first().ok_or_else(|| StoreError::Other("no id came back".to_owned()))?;
    Ok(PersonalKeyId::new(row.int("id")?))
}

/// Part of a transaction: gives a key in force another name and other terms; its end stays. `false` where
/// the account has no such key.
pub async fn edit(
    tx: &mut Tx,
    account: AccountId,
    id: PersonalKeyId,
    name: &str,
    terms: &Terms,
    now: Timestamp,
) -> Result<bool, StoreError> {
    let params = [
        id.get().into(),
        account.get().into(),
        now.seconds().into(),
        name.into(),
        terms.scopes.to_string().into(),
        terms.networks.to_string().into(),
        terms.rate.into(),
    ];
    changed(tx, "personal_keys.edit", &params, account, now).await
}

/// Part of a transaction: lets a key in force end at `ends_at` at the latest, since `successor` has taken
/// its place. `false` where the account has no such key, or another has taken its place already.
pub async fn replace(
    tx: &mut Tx,
    account: AccountId,
    id: PersonalKeyId,
    successor: PersonalKeyId,
    ends_at: Timestamp,
    now: Timestamp,
) -> Result<bool, StoreError> {
    let params = [
        id.get().into(),
        account.get().into(),
        now.seconds().into(),
        ends_at.seconds().into(),
        successor.get().into(),
    ];
    changed(tx, "personal_keys.replace", &params, account, now).await
}

/// Part of a transaction: takes a key in force back. `false` where the account has no such key.
pub async fn revoke(
    tx: &mut Tx,
    account: AccountId,
    id: PersonalKeyId,
    now: Timestamp,
) -> Result<bool, StoreError> {
    let params = [id.get().into(), account.get().into(), now.seconds().into()];
    changed(tx, "personal_keys.revoke", &params, account, now).await
}

/// Part of a transaction: takes back all keys of an account. Gives how many there were.
pub async fn revoke_of_account(
    tx: &mut Tx,
    account: AccountId,
    now: Timestamp,
) -> Result<usize, StoreError> {
    let params = [account.get().into(), now.seconds().into()];
    let revoked = tx.run("personal_keys.revoke_of_account", &params).await?.len();
    if revoked > 0 {
        changes::note(tx, Change::Account(account.get()), now).await?;
    }
    Ok(revoked)
}

/// One statement that names the key and the account; every instance hears of it if it did something.
async fn changed(
    tx: &mut Tx,
    statement: &'static str,
    params: &[Value],
    account: AccountId,
    now: Timestamp,
) -> Result<bool, StoreError> {
    let changed = !tx.run(statement, params).await?.is_empty();
    if changed {
        changes::note(tx, Change::Account(account.get()), now).await?;
    }
    Ok(changed)
}

/// Notes when keys were used last, all with one statement, and each at most once a minute.
pub async fn note_uses(
    store: &Store,
    uses: &[(PersonalKeyId, Timestamp)],
) -> Result<(), StoreError> {
    let mut json = String::from("{");
    for (id, used_at) in uses {
        let gap = if json.len() > 1 { "," } else { "" };
        // Writing to a string cannot fail.
        let _ = write!(json, "{gap}\"{}\":{}", id.get(), used_at.seconds());
    }
    json.push('}');
    store.write("personal_keys.note_uses", &[json.into()]).await.map(drop)
}

/// Deletes at most `most` keys that ended before `before`. Gives how many there were.
pub async fn sweep(store: &Store, before: Timestamp, most: i64) -> Result<usize, StoreError> {
    let params = [before.seconds().into(), most.into()];
    store.write("personal_keys.sweep", &params).await.map(|rows| rows.len())
}

fn stored(row: &Row) -> Result<StoredKey, StoreError> {
    Ok(StoredKey {
        id: PersonalKeyId::new(row.int("id")?),
        account: AccountId::new(row.int32("account_id")?),
        username: row.text("username")?,
        name: row.text("name")?,
        beginning: row.text("beginning")?,
        terms: terms(row)?,
        created_at: row.seconds("created_at")?,
        last_used_at: row.opt_seconds("last_used_at")?,
        replaced_by: row.opt_int("replaced_by")?.map(PersonalKeyId::new),
        revoked_at: row.opt_seconds("revoked_at")?,
    })
}

/// Terms that cannot be read are a fault: a key must not be taken for one that may everything.
fn terms(row: &Row) -> Result<Terms, StoreError> {
    let odd = |why: String| StoreError::Other(format!("stored terms of a key: {why}"));
    let rate = row.opt_int("rate")?.map(u32::try_from).transpose();
    Ok(Terms {
        scopes: Scopes::parse(&row.text("scope")?).map_err(|why| odd(why.to_string()))?,
        networks: Networks::parse(&row.text("networks")?).map_err(|why| odd(why.to_string()))?,
        rate: rate.map_err(|why| odd(why.to_string()))?,
        expires_at: row.opt_seconds("expires_at")?,
    })
}
