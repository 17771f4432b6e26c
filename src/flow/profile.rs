//! One's own account: changing what it says, and deleting it.

use crate::account::account::{Account, AccountId};
use crate::account::email::EmailAddress;
use crate::account::password::StoredPassword;
use crate::base::clock::Timestamp;
use crate::base::random::Random;
use crate::base::secret::Secret;
use crate::flow::audit::{self, Event};
use crate::flow::change_email::{self, EmailChange, NotMoved};
use crate::flow::quota::{self, Quota};
use crate::flow::{Caller, Context, Error, acting, activate, change_password, personal_keys};
use crate::store::accounts::{self, Owner};
use crate::store::refresh_families::EndReason;
use crate::store::{StoreError, Tx};

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

/// Changes one's own account. A notice of a new address goes to the old one.
pub async fn edit(
    context: &Context,
    caller: &Caller,
    account: &Account,
    changes: Changes,
    on_email: &EmailChange<'_>,
) -> Result<Result<Account, NotMoved>, Error> {
    let now = context.now();
    let mut changed = account.clone();
    if let Some(first_name) = changes.first_name {
        changed.first_name = first_name;
    }
    if let Some(last_name) = changes.last_name {
        changed.last_name = last_name;
    }
    let new_email =
        changes.email.filter(|new| new.as_ref().map_or("", EmailAddress::as_str) != account.email);
    if let Some(Some(new)) = &new_email {
        quota::spend(context, caller, Quota::Resend(new.as_str())).await?;
    }
    let mut tx = context.store.begin("edit own account").await?;
    let (first_name, last_name) = (&changed.first_name, &changed.last_name);
    if changed != *account {
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

/// Deletes one's own account, having shown the password. `false` where that is wrong. Where Django owns
/// the accounts, its tables refer to the row: it is switched off and loses every credential.
pub async fn delete(
    context: &Context,
    caller: &Caller,
    account: &Account,
    current_password: Secret<String>,
) -> Result<bool, Error> {
    if !change_password::is_current(context, caller, account, current_password).await? {
        return Ok(false);
    }
    remove(context, caller, account).await?;
    Ok(true)
}

/// Whether somebody may change or delete the account of somebody else: staff may a member's, superusers
/// everybody's, as in the administration. djoser 2.x asks for `is_staff` alone, so that staff could move the
/// mail address of somebody who may more, or as much, and have the password reset.
#[must_use]
pub fn may_change(actor: &Account, other: &Account) -> bool {
    actor.is_staff && (actor.is_superuser || acting::power(other) < acting::power(actor))
}

/// Deletes an account, or, where Django owns it, leaves nothing of it that opens anything.
pub async fn remove(context: &Context, caller: &Caller, account: &Account) -> Result<(), Error> {
    let (now, random) = (context.now(), context.random.as_ref());
    let mut tx = context.store.begin("delete account").await?;
    audit::event(Event::Deletion, caller, now).about(account).record(&mut tx).await?;
    delete_in(&mut tx, context.owner, account.id, now, random).await?;
    Ok(tx.commit().await?)
}

/// Part of a transaction: as [`remove`].
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
