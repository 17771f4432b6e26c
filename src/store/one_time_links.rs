//! One-time links: digests of their tokens.

use crate::account::account::AccountId;
use crate::base::clock::Timestamp;
use crate::base::digest::Digest;
use crate::store::{Store, StoreError, Tx};
use crate::token::link::Purpose;

/// A link that was made.
#[derive(Debug)]
pub struct NewLink<'a> {
    /// Digest of its token.
    pub digest: Digest,
    /// What it is for.
    pub purpose: Purpose,
    /// Whose it is.
    pub account: AccountId,
    /// The address that it was sent to.
    pub address: &'a str,
    /// The state of the account that it depends on.
    pub state: Digest,
    /// When it was made.
    pub issued_at: Timestamp,
    /// When it ends.
    pub expires_at: Timestamp,
}

/// A link as it is kept.
#[derive(Debug)]
pub struct StoredLink {
    /// Whose it is.
    pub account: AccountId,
    /// The address that it was sent to.
    pub address: String,
    /// The state of the account that it depends on.
    pub state: Digest,
    /// Whether it was used.
    pub used: bool,
}

/// Part of a transaction: keeps a new link.
pub async fn create(tx: &mut Tx, link: &NewLink<'_>) -> Result<(), StoreError> {
    let params = [
        link.digest.into(),
        link.purpose.as_str().into(),
        link.account.get().into(),
        link.address.into(),
        link.state.into(),
        link.issued_at.seconds().into(),
        link.expires_at.seconds().into(),
    ];
    tx.run("one_time_links.create", &params).await.map(drop)
}

/// Part of a transaction: asks the store as often as [`create`] does, and keeps nothing.
pub async fn create_none(tx: &mut Tx, purpose: Purpose) -> Result<(), StoreError> {
    tx.run("one_time_links.create_none", &[purpose.as_str().into()]).await.map(drop)
}

/// Part of a transaction: uses a link up, if it was not used before and has not ended. Of several at once
/// exactly one succeeds. Whether the account is still in the state that it depends on is for the caller to
/// judge, by [`crate::store::accounts::lock_in`].
pub async fn use_up(
    tx: &mut Tx,
    digest: &Digest,
    purpose: Purpose,
    account: AccountId,
    now: Timestamp,
) -> Result<bool, StoreError> {
    let params =
        [(*digest).into(), purpose.as_str().into(), account.get().into(), now.seconds().into()];
    Ok(!tx.run("one_time_links.use", &params).await?.is_empty())
}

/// Part of a transaction: uses up a link that another service has made; `false` where it was used before.
pub async fn use_up_foreign(tx: &mut Tx, link: &NewLink<'_>) -> Result<bool, StoreError> {
    let params = [
        link.digest.into(),
        link.purpose.as_str().into(),
        link.account.get().into(),
        link.address.into(),
        link.state.into(),
        link.issued_at.seconds().into(),
        link.expires_at.seconds().into(),
    ];
    Ok(!tx.run("one_time_links.use_foreign", &params).await?.is_empty())
}

/// The link with this digest, used or not, unless it has ended.
pub async fn find(
    store: &Store,
    digest: &Digest,
    purpose: Purpose,
    now: Timestamp,
) -> Result<Option<StoredLink>, StoreError> {
    let params = [(*digest).into(), purpose.as_str().into(), now.seconds().into()];
    let rows = store.read("one_time_links.find", &params).await?;
    let link = rows.first().map(|row| {
        Ok(StoredLink {
            account: AccountId::new(row.int32("account_id")?),
            address: row.text("address")?,
            state: row.digest("state_digest")?,
            used: row.opt_int("used_at")?.is_some(),
        })
    });
    link.transpose()
}

/// Whether a link was sent to an account for this purpose at or after `since`.
pub async fn was_sent_since(
    store: &Store,
    account: AccountId,
    purpose: Purpose,
    since: Timestamp,
) -> Result<bool, StoreError> {
    let params = [account.get().into(), purpose.as_str().into(), since.seconds().into()];
    Ok(!store.read("one_time_links.sent_since", &params).await?.is_empty())
}

/// Part of a transaction: ends all unused links of an account for one purpose.
pub async fn end_of_account(
    tx: &mut Tx,
    account: AccountId,
    purpose: Purpose,
    now: Timestamp,
) -> Result<(), StoreError> {
    let params = [account.get().into(), purpose.as_str().into(), now.seconds().into()];
    tx.run("one_time_links.end_of_account", &params).await.map(drop)
}

/// Deletes at most `most` links that have expired. Gives how many there were.
pub async fn sweep(store: &Store, now: Timestamp, most: i64) -> Result<usize, StoreError> {
    let params = [now.seconds().into(), most.into()];
    store.write("one_time_links.sweep", &params).await.map(|rows| rows.len())
}
