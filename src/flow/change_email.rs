//! Changing the mail address: at once, or by a link that was sent to the new one. Where accounts sign in with
//! their addresses, also by a link to the present one.

use crate::account::account::{Account, AccountId};
use crate::account::email::EmailAddress;
use crate::base::clock::Timestamp;
use crate::flow::audit::{self, Event};
use crate::flow::links::{self, GoodLink, LinkKind, Presented};
use crate::flow::quota::{self, Quota};
use crate::flow::{Caller, Context, Error, activate, emails, profile};
use crate::mail::message::Message;
use crate::store::deactivations::{self, Cause};
use crate::store::{StoreError, Tx, accounts};
use crate::token::link::Purpose;

/// What a change of address entails.
#[derive(Clone, Debug)]
pub enum EmailChange<'a> {
    /// The new address counts at once.
    AtOnce,
    /// The account is switched off until a link to the new address is followed (djoser with activation).
    Reactivate(LinkKind<'a>),
    /// The new address counts once a link to it is followed; until then nothing changes.
    Confirm(LinkKind<'a>),
}

/// Why an address was not changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NotMoved {
    /// The link names no account.
    NoAccount,
    /// The link is none of ours, was used, has ended, or the account has changed since.
    BadToken,
    /// The address is another account's.
    Taken,
}

/// Part of a transaction: gives an account another address, or none, and says so to the old one.
/// Whether another account has the address is told unless the new one must be confirmed: then it is told to
/// who follows the link.
pub(super) async fn change_in(
    context: &Context,
    caller: &Caller,
    tx: &mut Tx,
    account: &mut Account,
    new: Option<&EmailAddress>,
    how: &EmailChange<'_>,
    now: Timestamp,
) -> Result<Result<(), NotMoved>, Error> {
    if let (EmailChange::Confirm(kind), Some(new)) = (how, new) {
        links::send_link(context, tx, account, new, kind, now).await?;
        return Ok(Ok(()));
    }
    if let Some(new) = new
        && context.accounts.unique_email
        && emails::is_of_another_in(context, tx, new, Some(account.id)).await?
    {
        return Ok(Err(NotMoved::Taken));
    }
    let old = links::address_of(account);
    let address = new.map_or("", EmailAddress::as_str);
    emails::write_own(tx, account, address, now).await?;
    let changed = audit::event(Event::EmailChange, caller, now).about(account);
    changed.detail("from", &account.email).record(tx).await?;
    if let Some(old) = old {
        links::send_notice(context, tx, account, &old, Message::EmailChanged, now).await?;
    }
    address.clone_into(&mut account.email);
    if let (EmailChange::Reactivate(kind), Some(new)) = (how, new) {
        reactivate(context, tx, account, new, kind, now).await?;
    }
    Ok(Ok(()))
}

/// Part of a transaction: switches an account off until the link to its new address is followed. One that
/// an operator has switched off stays off, and gets no link.
async fn reactivate(
    context: &Context,
    tx: &mut Tx,
    account: &mut Account,
    new: &EmailAddress,
    kind: &LinkKind<'_>,
    now: Timestamp,
) -> Result<(), Error> {
    account.is_active = accounts::lock_in(tx, account.id).await?.is_some_and(|now| now.is_active);
    if account.is_active {
        deactivations::note_in(tx, account.id, Cause::Address, now).await?;
        accounts::deactivate_in(tx, account.id, now).await?;
        account.is_active = false;
    } else {
        let deactivation = deactivations::of_account_in(tx, account.id).await?;
        if !activate::awaits_activation(account, deactivation.as_ref()) {
            return Ok(());
        }
    }
    links::send_link(context, tx, account, new, kind, now).await
}

/// Gives an account another address to sign in with, on the word of its owner or by a link to the present
/// one. `notice`: a mail tells the new address of it.
pub async fn change(
    context: &Context,
    caller: &Caller,
    account: &Account,
    new: &EmailAddress,
    how: &EmailChange<'_>,
    link: Option<&GoodLink>,
    notice: bool,
) -> Result<Result<(), NotMoved>, Error> {
    quota::spend(context, caller, Quota::Resend(new.as_str())).await?;
    let now = context.now();
    let mut account = account.clone();
    let mut tx = context.store.begin("change address").await?;
    match link {
        Some(link) if !link.use_up(context, &mut tx, now).await? => {
            return Ok(Err(NotMoved::BadToken));
        }
        Some(_) => {}
        None => profile::hold_own_in(&mut tx, &account).await?,
    }
    if let Err(why) = change_in(context, caller, &mut tx, &mut account, Some(new), how, now).await?
    {
        return Ok(Err(why));
    }
    if notice && account.email == new.as_str() {
        links::send_notice(context, &mut tx, &account, new, Message::UsernameChanged, now).await?;
    }
    tx.commit().await?;
    Ok(Ok(()))
}

/// As [`change`], by the link for an address to sign in with that is to be another.
pub async fn change_by_link(
    context: &Context,
    caller: &Caller,
    account: Option<AccountId>,
    token: &str,
    new: &EmailAddress,
    how: &EmailChange<'_>,
    notice: bool,
) -> Result<Result<(), NotMoved>, Error> {
    let now = context.now();
    match links::look_at(context, account, token, Purpose::UsernameReset, now).await? {
        Presented::NoAccount => Ok(Err(NotMoved::NoAccount)),
        Presented::Bad(_) | Presented::Used(_) => Ok(Err(NotMoved::BadToken)),
        Presented::Good(account, link) => {
            change(context, caller, &account, new, how, Some(&link), notice).await
        }
    }
}

/// Makes the address that a link was sent to the account's. The link is good for one use; a notice goes to
/// the old address. Links that went to the old address end, as the account is another than they were made for.
pub async fn confirm(
    context: &Context,
    caller: &Caller,
    account: Option<AccountId>,
    token: &str,
) -> Result<Result<Account, NotMoved>, Error> {
    let now = context.now();
    let presented = links::look_at(context, account, token, Purpose::EmailChange, now).await?;
    let (mut account, link) = match presented {
        Presented::NoAccount => return Ok(Err(NotMoved::NoAccount)),
        Presented::Good(account, link) if account.is_active => (account, link),
        Presented::Bad(_) | Presented::Used(_) | Presented::Good(..) => {
            return Ok(Err(NotMoved::BadToken));
        }
    };
    let Ok(new) = EmailAddress::parse(&link.address) else { return Ok(Err(NotMoved::BadToken)) };
    let old = links::address_of(&account);
    let mut tx = context.store.begin("confirm new address").await?;
    if !link.use_up(context, &mut tx, now).await? {
        return Ok(Err(NotMoved::BadToken));
    }
    if emails::is_of_another_in(context, &mut tx, &new, Some(account.id)).await? {
        return Ok(Err(NotMoved::Taken));
    }
    match emails::adopt(context, &mut tx, &account, &new, now).await {
        Ok(()) => {}
        Err(Error::Fault(crate::flow::Fault::Store(StoreError::Unique(_)))) => {
            return Ok(Err(NotMoved::Taken));
        }
        Err(error) => return Err(error),
    }
    audit::event(Event::EmailChange, caller, now)
        .about(&account)
        .detail("from", &account.email)
        .record(&mut tx)
        .await?;
    if let Some(old) = old {
        links::send_notice(context, &mut tx, &account, &old, Message::EmailChanged, now).await?;
    }
    tx.commit().await?;
    new.as_str().clone_into(&mut account.email);
    Ok(Ok(account))
}
