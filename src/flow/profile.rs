//! One's own account: changing what it says, and deleting it. Staff does the same to accounts of others.

use crate::account::account::{Account, AccountId};
use crate::account::email::EmailAddress;
use crate::account::password::StoredPassword;
use crate::base::clock::Timestamp;
use crate::base::random::Random;
use crate::base::secret::Secret;
use crate::flow::audit::{self, Event};
use crate::flow::change_email::{self, EmailChange, NotMoved};
use crate::flow::quota::{self, Quota};
use crate::flow::{
    Caller, Context, Error, Refusal, acting, activate, change_password, personal_keys,
};
use crate::store::accounts::{self, Owner};
use crate::store::refresh_families::EndReason;
use crate::store::{StoreError, Tx};
use crate::token::credential::Denial;

/// What is to be changed; `None` stays.
#[derive(Debug, Default)]
pub struct Changes {
    /// The mail address; the empty one removes it.
    pub email: Option<Option<EmailAddress>>,
    /// The first name.
    pub first_name: Option<String>,
    /// The last name.
    pub last_name: Option<String>,
}

/// Changes one's own account, or another one that `actor` may change. A notice of a new address goes to the old
/// one.
pub async fn edit(
    context: &Context,
    caller: &Caller,
    actor: &Account,
    account: &Account,
    changes: Changes,
    on_email: &EmailChange<'_>,
) -> Result<Result<Account, NotMoved>, Error> {
    let now = context.now();
    let new_email =
        changes.email.filter(|new| new.as_ref().map_or("", EmailAddress::as_str) != account.email);
    if let Some(Some(new)) = &new_email {
        quota::spend(context, caller, Quota::Resend(new.as_str())).await?;
    }
    let mut tx = context.store.begin("edit own account").await?;
    let Some(held) = hold_in(&mut tx, actor, account.id).await? else {
        return Err(refusal(actor, account).into());
    };
    // The address stays the one that was judged: another one that came meanwhile is not overwritten.
    let held = Account { email: account.email.clone(), ..held };
    let mut changed = held.clone();
    if let Some(first_name) = changes.first_name {
        changed.first_name = first_name;
    }
    if let Some(last_name) = changes.last_name {
        changed.last_name = last_name;
    }
    if changed != held {
        let (first_name, last_name) = (&changed.first_name, &changed.last_name);
        accounts::set_names_in(&mut tx, account.id, first_name, last_name, now).await?;
        audit::event(Event::AccountChanged, caller, now).about(account).record(&mut tx).await?;
    }
    if let Some(new) = new_email {
        let new = new.as_ref();
        let done =
            change_email::change_in(context, caller, &mut tx, &mut changed, new, on_email, now);
        if let Err(why) = done.await? {
            return Ok(Err(why));
        }
    }
    tx.commit().await?;
    Ok(Ok(changed))
}

/// Deletes one's own account, or another one that `actor` may change, `actor` having shown their password.
/// `false` where that is wrong. Where Django owns the accounts, its tables refer to the row: it is switched off
/// and loses every credential.
pub async fn delete(
    context: &Context,
    caller: &Caller,
    actor: &Account,
    account: &Account,
    current_password: Secret<String>,
) -> Result<bool, Error> {
    if !change_password::is_current(context, caller, actor, current_password).await? {
        return Ok(false);
    }
    let (now, random) = (context.now(), context.random.as_ref());
    let mut tx = context.store.begin("delete account").await?;
    if hold_in(&mut tx, actor, account.id).await?.is_none() {
        return Err(refusal(actor, account).into());
    }
    audit::event(Event::Deletion, caller, now).about(account).record(&mut tx).await?;
    delete_in(&mut tx, context.owner, account.id, now, random).await?;
    tx.commit().await?;
    Ok(true)
}

/// Whether somebody may change or delete the account of somebody else: staff may a member's, superusers
/// everybody's, as in the administration. djoser 2.x asks for `is_staff` alone, so that staff could move the
/// mail address of somebody who may more, or as much, and have the password reset.
#[must_use]
pub fn may_change(actor: &Account, other: &Account) -> bool {
    actor.is_staff && (actor.is_superuser || acting::power(other) < acting::power(actor))
}

/// Part of a transaction: an account as it is now and stays until the transaction ends, if `actor` may change it
/// still: with the password that they had when they were judged, and the rank that they have now.
async fn hold_in(
    tx: &mut Tx,
    actor: &Account,
    account: AccountId,
) -> Result<Option<Account>, StoreError> {
    let held = accounts::hold_both_in(tx, actor, account).await?;
    let allowed = held.filter(|(actor, held)| actor.id == held.id || may_change(actor, held));
    Ok(allowed.map(|(_, held)| held))
}

/// Part of a transaction: holds one's own account. Refuses who is no longer signed in as they were judged: the
/// password is another one, or the account is off.
pub(super) async fn hold_own_in(tx: &mut Tx, account: &Account) -> Result<(), Error> {
    if accounts::hold_in(tx, account).await? {
        Ok(())
    } else {
        Err(refusal(account, account).into())
    }
}

/// What somebody is told who may not change an account any more: of their own, that they are not signed in.
fn refusal(actor: &Account, account: &Account) -> Refusal {
    let is_own = actor.id == account.id;
    Refusal::Denied(if is_own { Denial::NoCredentials } else { Denial::Forbidden })
}

/// Part of a transaction: deletes an account, or, where Django owns it, leaves nothing of it that opens anything.
pub(super) async fn delete_in(
    tx: &mut Tx,
    owner: Owner,
    account: AccountId,
    now: Timestamp,
    random: &dyn Random,
) -> Result<(), StoreError> {
    match owner {
        Owner::Avain => accounts::delete_in(tx, account, now).await,
        Owner::Django => {
            let unusable = StoredPassword::unusable(random);
            activate::switch_off_in(tx, account, now).await?;
            let reason = EndReason::Deactivation;
            accounts::set_password_in(tx, account, &unusable, reason, now).await?;
            personal_keys::revoke_all_in(tx, account, now).await.map(drop)
        }
    }
}
