//! API keys: Django's `authtoken_token`, one classic key for each account.

use crate::account::account::AccountId;
use crate::base::clock::Timestamp;
use crate::store::account_pages::{self, Place, Turn};
use crate::store::changes::{self, Change};
use crate::store::{Row, Store, StoreError, Tx, accounts};
use crate::token::opaque::ClassicKey;
use crate::token::standing::Standing;

/// How the owner of a key stands; `None` where there is no such key. As [`accounts::standing`].
pub async fn standing_of_owner(
    store: &Store,
    key: &ClassicKey,
    ended_after: Timestamp,
) -> Result<Option<Standing>, StoreError> {
    let params = [key.expose().into(), ended_after.seconds().into()];
    accounts::read_standing(&store.read("api_keys.standing_of_owner", &params).await?)
}

/// The key of an account.
pub async fn find_of_account(
    store: &Store,
    account: AccountId,
) -> Result<Option<ClassicKey>, StoreError> {
    first_key(&store.read("api_keys.find_of_account", &[account.get().into()]).await?)
}

/// Part of a transaction: as [`find_of_account`].
pub async fn find_of_account_in(
    tx: &mut Tx,
    account: AccountId,
) -> Result<Option<ClassicKey>, StoreError> {
    first_key(&tx.run("api_keys.find_of_account", &[account.get().into()]).await?)
}

fn first_key(rows: &[Row]) -> Result<Option<ClassicKey>, StoreError> {
    let key = rows.first().map(|row| row.text("key")).transpose()?;
    Ok(key.map(ClassicKey::from_stored))
}

/// Part of a transaction: keeps a new key. `false` where the account has one already.
pub async fn create_in(
    tx: &mut Tx,
    key: &ClassicKey,
    account: AccountId,
    now: Timestamp,
) -> Result<bool, StoreError> {
    let params = [key.expose().into(), now.into(), account.get().into()];
    let created = !tx.run("api_keys.create", &params).await?.is_empty();
    if created {
        changes::note(tx, Change::Account(account.get()), now).await?;
    }
    Ok(created)
}

/// A key in a list for operators.
#[derive(Debug)]
pub struct ListedKey {
    /// The key.
    pub key: ClassicKey,
    /// When it was made.
    pub created: Timestamp,
    /// Whose it is.
    pub account: AccountId,
    /// Its owner's name.
    pub username: String,
}

/// At most `most` keys of accounts with larger ids than `after`, in the order of those.
pub async fn page_after(
    store: &Store,
    after: i32,
    most: i64,
) -> Result<Vec<ListedKey>, StoreError> {
    let rows = store.read("api_keys.page_after", &[after.into(), most.into()]).await?;
    rows.iter().map(listed).collect()
}

/// At most `most` keys from a place on: of accounts whose names begin so, in the order of those, or of all in
/// the order of their ids. Those before a place are given backwards.
pub async fn page(
    store: &Store,
    beginning: &str,
    turn: &Turn<Place>,
    most: i64,
) -> Result<Vec<ListedKey>, StoreError> {
    if beginning.is_empty() {
        return match turn {
            Turn::First => page_after(store, i32::MIN, most).await,
            Turn::After(place) => page_after(store, place.id, most).await,
            Turn::Before(place) => {
                let params = [place.id.into(), most.into()];
                let rows = store.read("api_keys.page_before", &params).await?;
                rows.iter().map(listed).collect()
            }
        };
    }
    let Some((text, id, is_backwards)) = turn.start(beginning) else { return Ok(Vec::new()) };
    let end = format!("{beginning}{}", account_pages::LAST);
    let params = [beginning.into(), end.into(), text.into(), id.into(), most.into()];
    let rows = if is_backwards {
        store.read("api_keys.page_of_names_backwards", &params).await?
    } else {
        store.read("api_keys.page_of_names", &params).await?
    };
    rows.iter().map(listed).collect()
}

fn listed(row: &Row) -> Result<ListedKey, StoreError> {
    Ok(ListedKey {
        key: ClassicKey::from_stored(row.text("key")?),
        created: row.time("created")?,
        account: AccountId::new(row.int32("id")?),
        username: row.text("username")?,
    })
}

/// How many accounts of staff and superusers have a key.
pub async fn count_of_staff(store: &Store) -> Result<i64, StoreError> {
    let rows = store.read("api_keys.count_of_staff", &[]).await?;
    rows.first().map_or(Ok(0), |row| row.int("staff"))
}

/// Part of a transaction: takes a key back. Gives whose it was.
pub async fn delete_in(
    tx: &mut Tx,
    key: &ClassicKey,
    now: Timestamp,
) -> Result<Option<AccountId>, StoreError> {
    let rows = tx.run("api_keys.delete", &[key.expose().into()]).await?;
    let owner = rows.first().map(|row| row.int32("user_id")).transpose()?;
    if let Some(owner) = owner {
        changes::note(tx, Change::Account(owner), now).await?;
    }
    Ok(owner.map(AccountId::new))
}

/// Part of a transaction: takes back the key of an account. Gives whether it had one.
pub async fn delete_of_account_in(
    tx: &mut Tx,
    account: AccountId,
    now: Timestamp,
) -> Result<bool, StoreError> {
    let deleted = !tx.run("api_keys.delete_of_account", &[account.get().into()]).await?.is_empty();
    if deleted {
        changes::note(tx, Change::Account(account.get()), now).await?;
    }
    Ok(deleted)
}
