//! Mail addresses beside the one in `auth_user`: several for an account, each verified or not.

use crate::account::account::AccountId;
use crate::base::clock::Timestamp;
use crate::store::{Row, Store, StoreError, Tx};

/// An address of an account.
#[derive(Clone, Debug)]
pub struct StoredAddress {
    /// The row's id.
    pub id: i64,
    /// Whose it is.
    pub account: AccountId,
    /// As it was given: what receives mail.
    pub address: String,
    /// What is compared.
    pub folded: String,
    /// Whether mail to it was shown to arrive.
    pub verified: bool,
    /// Whether it is the one in `auth_user`.
    pub primary: bool,
}

/// All addresses of an account.
pub async fn of_account(
    store: &Store,
    account: AccountId,
) -> Result<Vec<StoredAddress>, StoreError> {
    let rows = store.read("email_addresses.of_account", &[account.get().into()]).await?;
    rows.iter().map(stored).collect()
}

/// All accounts' addresses with this folded form.
pub async fn by_folded(store: &Store, folded: &str) -> Result<Vec<StoredAddress>, StoreError> {
    let rows = store.read("email_addresses.by_folded", &[folded.into()]).await?;
    rows.iter().map(stored).collect()
}

/// Part of a transaction: as [`by_folded`].
pub async fn by_folded_in(tx: &mut Tx, folded: &str) -> Result<Vec<StoredAddress>, StoreError> {
    let rows = tx.run("email_addresses.by_folded", &[folded.into()]).await?;
    rows.iter().map(stored).collect()
}

/// The address with this id.
pub async fn by_id(store: &Store, id: i64) -> Result<Option<StoredAddress>, StoreError> {
    let rows = store.read("email_addresses.by_id", &[id.into()]).await?;
    rows.first().map(stored).transpose()
}

/// The address that was taken over from that row of allauth's.
pub async fn by_allauth_id(store: &Store, id: i64) -> Result<Option<StoredAddress>, StoreError> {
    let rows = store.read("email_addresses.by_allauth_id", &[id.into()]).await?;
    rows.first().map(stored).transpose()
}

/// Part of a transaction: keeps from which row of allauth's an address was taken over.
pub async fn note_allauth_id(tx: &mut Tx, id: i64, allauth_id: i64) -> Result<(), StoreError> {
    let params = [id.into(), allauth_id.into()];
    tx.run("email_addresses.note_allauth_id", &params).await.map(drop)
}

/// Part of a transaction: adds an address. `None` where the account has it already.
pub async fn add(
    tx: &mut Tx,
    account: AccountId,
    (address, folded): (&str, &str),
    verified: bool,
    primary: bool,
    now: Timestamp,
) -> Result<Option<i64>, StoreError> {
    let params = [
        account.get().into(),
        address.into(),
        folded.into(),
        verified.then(|| now.seconds()).into(),
        primary.into(),
        now.seconds().into(),
    ];
    let rows = tx.run("email_addresses.add", &params).await?;
    rows.first().map(|row| row.int("id")).transpose()
}

/// Part of a transaction: marks an address as verified. `false` where it was, or where another account has
/// verified the same address.
pub async fn verify(tx: &mut Tx, id: i64, now: Timestamp) -> Result<bool, StoreError> {
    let params = [id.into(), now.seconds().into()];
    Ok(!tx.run("email_addresses.verify", &params).await?.is_empty())
}

/// Part of a transaction: makes an address the account's primary one. `false` where it is not the
/// account's.
pub async fn make_primary(tx: &mut Tx, account: AccountId, id: i64) -> Result<bool, StoreError> {
    tx.run("email_addresses.clear_primary", &[account.get().into()]).await?;
    let params = [id.into(), account.get().into()];
    Ok(!tx.run("email_addresses.make_primary", &params).await?.is_empty())
}

/// Part of a transaction: writes an address as it is spelt now; its folded form stays.
pub async fn respell(
    tx: &mut Tx,
    account: AccountId,
    id: i64,
    address: &str,
) -> Result<(), StoreError> {
    let params = [id.into(), account.get().into(), address.into()];
    tx.run("email_addresses.respell", &params).await.map(drop)
}

/// Part of a transaction: removes an address that is not the primary one.
pub async fn remove(tx: &mut Tx, account: AccountId, id: i64) -> Result<bool, StoreError> {
    let params = [id.into(), account.get().into()];
    Ok(!tx.run("email_addresses.remove", &params).await?.is_empty())
}

fn stored(row: &Row) -> Result<StoredAddress, StoreError> {
    Ok(StoredAddress {
        id: row.int("id")?,
        account: AccountId::new(row.int32("account_id")?),
        address: row.text("address")?,
        folded: row.text("folded")?,
        verified: row.opt_int("verified_at")?.is_some(),
        primary: row.bool("is_primary")?,
    })
}
