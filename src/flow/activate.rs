//! Activating: following the link of an activation mail, or asking for another one.

use crate::account::account::{Account, AccountId};
use crate::flow::audit::{self, Event};
use crate::flow::links::{self, LinkKind, Presented};
use crate::flow::quota::{self, Quota};
use crate::flow::reset_password::Matching;
use crate::flow::{Caller, Context, Error};
use crate::mail::message::Message;
use crate::store::accounts;
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
    if !link.use_up(context, &mut tx, now).await? {
        return Ok(Err(NotActivated::Stale));
    }
    accounts::activate_in(&mut tx, account.id, now).await?;
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
    let found = accounts::find_by_email(&context.store, email).await?.into_iter();
    let waiting = found.filter(|account| {
        matching.admits(&account.email, email) && !account.is_active && account.password.is_usable()
    });
    let addressed: Vec<_> = waiting.filter_map(links::addressed).collect();
    links::send_to_all(context, "resend activation", &addressed, kind, None).await
}
