//! One's own account: changing what it says, and deleting it.

use crate::account::account::Account;
use crate::account::email::EmailAddress;
use crate::account::password::StoredPassword;
use crate::base::secret::Secret;
use crate::flow::links::{self, LinkKind};
use crate::flow::{Caller, Context, Error, change_password};
use crate::mail::message::Message;
use crate::store::accounts::{self, Edit, Owner};
use crate::store::api_keys;

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
    account: &Account,
    changes: Changes,
    on_email: &EmailChange<'_>,
) -> Result<Account, Error> {
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
    let confirms = matches!(on_email, EmailChange::Confirm(_));
    if let Some(new) = &new_email
        && !(confirms && new.is_some())
    {
        changed.email = new.as_ref().map_or_else(String::new, |new| new.as_str().to_owned());
    }
    let mut tx = context.store.begin("edit own account").await?;
    let edit = Edit {
        email: changed.email.clone(),
        first_name: changed.first_name.clone(),
        last_name: changed.last_name.clone(),
        flags: None,
    };
    accounts::edit_in(&mut tx, account.id, &edit, now).await?;
    if let Some(new) = &new_email {
        match (on_email, new) {
            (EmailChange::Reactivate(kind), Some(new)) => {
                accounts::deactivate_in(&mut tx, account.id, now).await?;
                changed.is_active = false;
                links::send_link(context, &mut tx, &changed, new, kind, now).await?;
            }
            (EmailChange::Confirm(kind), Some(new)) => {
                links::send_link(context, &mut tx, &changed, new, kind, now).await?;
            }
            _ => {}
        }
        if !confirms && let Some(old) = links::address_of(account) {
            links::send_notice(context, &mut tx, account, &old, Message::EmailChanged, now).await?;
        }
    }
    tx.commit().await?;
    Ok(changed)
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
    remove(context, account).await?;
    Ok(true)
}

/// Whether somebody may change or delete the account of somebody else: staff may, but only a superuser a
/// superuser's. djoser 2.x asks for `is_staff` alone, so that staff could move a superuser's mail address and
/// have the password reset.
#[must_use]
pub const fn may_change(actor: &Account, other: &Account) -> bool {
    actor.is_staff && (actor.is_superuser || !other.is_superuser)
}

/// Deletes an account, or, where Django owns it, leaves nothing of it that opens anything.
pub async fn remove(context: &Context, account: &Account) -> Result<(), Error> {
    let now = context.now();
    if context.owner == Owner::Avain {
        accounts::delete(&context.store, account.id, now).await?;
    } else {
        let unusable = StoredPassword::unusable(context.random.as_ref());
        accounts::set_active(&context.store, account.id, false, now).await?;
        accounts::set_password(&context.store, account.id, &unusable, now).await?;
        api_keys::delete_of_account(&context.store, account.id, now).await?;
    }
    Ok(())
}
