//! Where an account is signed in: its refresh families, one for each sign-in, and ending them. An id is what the
//! claim `sid` says: with it alone nothing is opened, so it may be shown, logged and put into paths.

use crate::account::account::AccountId;
use crate::base::clock::Timestamp;
use crate::flow::Caller;
use crate::flow::audit::{self, Event};
use crate::store::refresh_families::{self, EndReason};
use crate::store::{Store, StoreError, Tx, accounts};
use crate::token::claims::FamilyId;

pub use crate::store::refresh_families::ListedFamily;

/// So many are listed: nobody looks at more.
const MOST: i64 = 500;
/// So many are shown on a page.
const MOST_ON_A_PAGE: i64 = 30;

/// The families of an account that can be refreshed now, the one that was used last first.
pub async fn list(
    store: &Store,
    account: AccountId,
    now: Timestamp,
) -> Result<Vec<ListedFamily>, StoreError> {
    refresh_families::of_account(store, account, now, MOST).await
}

/// As [`list`], without those that end with a browser session: programs and front ends that people have
/// signed in to by themselves.
pub async fn list_outside_sessions(
    store: &Store,
    account: AccountId,
    now: Timestamp,
) -> Result<Vec<ListedFamily>, StoreError> {
    refresh_families::of_account_outside_sessions(store, account, now, MOST_ON_A_PAGE).await
}

/// Ends one family of an account, and its access tokens everywhere. `false` where the account has no such
/// family, or that has ended.
pub async fn end(
    store: &Store,
    caller: &Caller,
    account: AccountId,
    family: FamilyId,
    now: Timestamp,
) -> Result<bool, StoreError> {
    let mut tx = store.begin("end refresh family").await?;
    let ended = end_in(&mut tx, caller, account, family, now).await?;
    tx.commit().await?;
    Ok(ended)
}

/// Part of a transaction: as [`end`].
pub(super) async fn end_in(
    tx: &mut Tx,
    caller: &Caller,
    account: AccountId,
    family: FamilyId,
    now: Timestamp,
) -> Result<bool, StoreError> {
    let reason = EndReason::SignOut;
    let ended = refresh_families::end_one_in(tx, account, family, reason, now).await?;
    if ended {
        let event = audit::event(Event::SignOut, caller, now).about_id(account);
        event.detail("family", family.to_string()).record(tx).await?;
    }
    Ok(ended)
}

/// Ends every family of an account but the one in use, if one is, and every browser session but the one in
/// which that began. Tokens from before the change-over that were
/// not used yet end with those that began before the one that is kept.
pub async fn end_others(
    store: &Store,
    caller: &Caller,
    account: AccountId,
    kept: Option<FamilyId>,
    now: Timestamp,
) -> Result<(), StoreError> {
    let mut tx = store.begin("sign out elsewhere").await?;
    let mut draft = audit::event(Event::SignOutEverywhere, caller, now).about_id(account);
    match kept {
        Some(kept) => {
            draft = draft.detail("kept", kept.to_string());
            refresh_families::end_others_in(&mut tx, account, kept, EndReason::SignOut, now)
                .await?;
        }
        None => accounts::revoke_all_in(&mut tx, account, EndReason::SignOut, now).await?,
    }
    draft.record(&mut tx).await?;
    tx.commit().await
}
