//! Activating: following the link of an activation mail, or asking for another one. What an operator has
//! switched off only an operator switches on.

use crate::account::account::{Account, AccountId};
use crate::base::clock::Timestamp;
use crate::flow::audit::{self, Event};
use crate::flow::links::{self, LinkKind, Presented};
use crate::flow::quota::{self, Quota};
use crate::flow::reset_password::Matching;
use crate::flow::{Caller, Context, Error};
use crate::mail::message::Message;
use crate::store::deactivations::{self, Cause, Deactivation};
use crate::store::{StoreError, Tx, accounts, one_time_links};
use crate::token::link::Purpose;

/// Why an activation was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NotActivated {
    /// The link names no account.
    NoAccount,
    /// The link is none of ours, has ended, or the account has changed since.
    BadToken,
    /// The link was followed before, and the account is active.
    Stale,
}

/// Switches the account of an activation link on. A link is good for one use; one that was used before
/// is told apart from a bad one as long as nothing about the account has changed. `active_before`: the
/// layout lets people in before they have followed it (djoser 0.1), so that an active account is no sign of
/// use.
pub async fn activate(
    context: &Context,
    caller: &Caller,
    account: Option<AccountId>,
    token: &str,
    notice: Option<Message>,
    active_before: bool,
) -> Result<Result<Account, NotActivated>, Error> {
    let now = context.now();
    let (mut account, link) =
        match links::look_at(context, account, token, Purpose::Activation, now).await? {
            Presented::NoAccount => return Ok(Err(NotActivated::NoAccount)),
            Presented::Used(account) if account.is_active => return Ok(Err(NotActivated::Stale)),
            // Used, and switched off since: a link that was used up does not undo that.
            Presented::Used(_) | Presented::Bad(_) => return Ok(Err(NotActivated::BadToken)),
            Presented::Good(account, link) => (account, link),
        };
    if account.is_active && !active_before {
        return Ok(Err(NotActivated::Stale));
    }
    let mut tx = context.store.begin("activate account").await?;
    let is_active =
        accounts::lock_in(&mut tx, account.id).await?.is_some_and(|account| account.is_active);
    let deactivation = deactivations::of_account_in(&mut tx, account.id).await?;
    if !is_active && !awaits_activation(&account, deactivation.as_ref()) {
        return Ok(Err(NotActivated::BadToken));
    }
    if !link.use_up(context, &mut tx, now).await? {
        return Ok(Err(NotActivated::Stale));
    }
    switch_on_in(&mut tx, account.id, now).await?;
    audit::event(Event::Activation, caller, now).about(&account).record(&mut tx).await?;
    if let (Some(message), Some(address)) = (notice, links::address_of(&account)) {
        links::send_notice(context, &mut tx, &account, &address, message, now).await?;
    }
    tx.commit().await?;
    account.is_active = true;
    Ok(Ok(account))
}

/// Sends another activation mail, to accounts with this address that are switched off and have a usable
/// password. Gives whether there was one; a client learns that only where the site wants it to.
pub async fn resend(
    context: &Context,
    caller: &Caller,
    email: &str,
    matching: Matching,
    kind: &LinkKind<'_>,
) -> Result<bool, Error> {
    quota::spend(context, caller, Quota::Resend(email)).await?;
    let waiting = waiting(context, email, matching).await?.into_iter();
    let addressed: Vec<_> = waiting.filter_map(links::addressed).collect();
    links::send_to_all(context, "resend activation", &addressed, kind, None).await
}

/// Accounts with this address that an activation mail could switch on.
pub async fn waiting(
    context: &Context,
    email: &str,
    matching: Matching,
) -> Result<Vec<Account>, Error> {
    let mut found = accounts::find_by_email(&context.store, email).await?;
    let deactivations = deactivations::by_email(&context.store, email).await?;
    found.retain(|account| {
        let deactivation = deactivations.iter().find(|known| known.account == account.id);
        matching.admits(&account.email, email)
            && !account.is_active
            && account.password.is_usable()
            && awaits_activation(account, deactivation)
    });
    Ok(found)
}

/// Whether an account that is switched off waits for its owner to follow a link. One that we know nothing of
/// and that somebody has signed in to was switched off by others, as Django's admin does.
pub(super) fn awaits_activation(account: &Account, deactivation: Option<&Deactivation>) -> bool {
    let signed_in_after = |moment: i64| account.last_login.is_some_and(|at| at.seconds() > moment);
    match deactivation {
        Some(known) if known.cause == Cause::Administration => false,
        Some(known) => !signed_in_after(known.at.seconds()),
        None => account.last_login.is_none(),
    }
}

/// Part of a transaction: switches an account on. Gives whether it was off.
pub(super) async fn switch_on_in(
    tx: &mut Tx,
    account: AccountId,
    now: Timestamp,
) -> Result<bool, StoreError> {
    deactivations::forget_in(tx, account).await?;
    accounts::set_active_in(tx, account, true, now).await
}

/// Part of a transaction: switches an account off, and leaves its owner no link to switch it on with. Gives
/// whether that changed anything: an account that waited to be activated was off and waits no more.
pub(super) async fn switch_off_in(
    tx: &mut Tx,
    account: AccountId,
    now: Timestamp,
) -> Result<bool, StoreError> {
    if accounts::lock_in(tx, account).await?.is_none() {
        return Ok(false);
    }
    one_time_links::end_of_account(tx, account, Purpose::Activation, now).await?;
    let is_news = deactivations::note_in(tx, account, Cause::Administration, now).await?;
    Ok(accounts::set_active_in(tx, account, false, now).await? || is_news)
}
