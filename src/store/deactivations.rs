//! Why accounts are switched off, as far as avain has done it.

use crate::account::account::AccountId;
use crate::base::clock::Timestamp;
use crate::store::{Row, Store, StoreError, Tx};

/// Why an account was switched off.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cause {
    /// An operator wanted it so, or its owner has deleted it.
    Administration,
    /// Its address is another, to which mail has to be shown to arrive.
    Address,
}

impl Cause {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Administration => "administration",
            Self::Address => "address",
        }
    }
}

/// That an account was switched off.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Deactivation {
    /// Which account.
    pub account: AccountId,
    /// Why.
    pub cause: Cause,
    /// When.
    pub at: Timestamp,
}

/// Part of a transaction: why an account was switched off; `None` where avain has not done it.
pub async fn of_account_in(
    tx: &mut Tx,
    account: AccountId,
) -> Result<Option<Deactivation>, StoreError> {
    let rows = tx.run("deactivations.of_account", &[account.get().into()]).await?;
    rows.first().map(read).transpose()
}

/// Why accounts with an address, in any case of letters, were switched off.
pub async fn by_email(store: &Store, email: &str) -> Result<Vec<Deactivation>, StoreError> {
    if email.contains('\0') {
        return Ok(Vec::new());
    }
    store.read("deactivations.by_email", &[email.into()]).await?.iter().map(read).collect()
}

/// Part of a transaction: keeps why an account is switched off. `false` where it is known to be for an
/// operator to switch on already.
pub async fn note_in(
    tx: &mut Tx,
    account: AccountId,
    cause: Cause,
    now: Timestamp,
) -> Result<bool, StoreError> {
    let params = [account.get().into(), cause.as_str().into(), now.seconds().into()];
    Ok(!tx.run("deactivations.note", &params).await?.is_empty())
}

/// Part of a transaction: forgets it, as the account is on.
pub async fn forget_in(tx: &mut Tx, account: AccountId) -> Result<(), StoreError> {
    tx.run("deactivations.forget", &[account.get().into()]).await.map(drop)
}

fn read(row: &Row) -> Result<Deactivation, StoreError> {
    let is_for_operators = row.text("reason")? == Cause::Administration.as_str();
    Ok(Deactivation {
        account: AccountId::new(row.int32("account_id")?),
        cause: if is_for_operators { Cause::Administration } else { Cause::Address },
        at: Timestamp::from_seconds(row.int("deactivated_at")?),
    })
}
