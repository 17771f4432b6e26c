//! Changing the user name: by somebody who is signed in, or by a link for somebody who has forgotten it.

use crate::account::account::{Account, AccountId};
use crate::account::username::Username;
use crate::base::secret::Secret;
use crate::flow::audit::{self, Event};
use crate::flow::links::{self, Presented};
use crate::flow::{Caller, Context, Error, acting, change_password, profile};
use crate::mail::message::Message;
use crate::store::{StoreError, accounts};
use crate::token::link::Purpose;

/// Why a user name was not changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NotRenamed {
    /// The present password is not that.
    WrongPassword,
    /// The name may not be used at all.
    BadUsername,
    /// The name is taken.
    Taken,
    /// The link names no account.
    NoAccount,
    /// The link is none of ours, was used, has ended, or the account has changed since.
    BadToken,
}

/// Renames an account whose owner shows the password.
pub async fn change_username(
    context: &Context,
    caller: &Caller,
    account: &Account,
    current_password: Secret<String>,
    new: &str,
    notice: bool,
) -> Result<Result<(), NotRenamed>, Error> {
    if !change_password::is_current(context, caller, account, current_password).await? {
        return Ok(Err(NotRenamed::WrongPassword));
    }
    Ok(rename(context, caller, account, new, notice, None).await?.map(drop))
}

/// Renames the account of a link. Good for one use.
pub async fn confirm(
    context: &Context,
    caller: &Caller,
    account: Option<AccountId>,
    token: &str,
    new: &str,
    notice: bool,
) -> Result<Result<(), NotRenamed>, Error> {
    let now = context.now();
    match links::look_at(context, account, token, Purpose::UsernameReset, now).await? {
        Presented::NoAccount => Ok(Err(NotRenamed::NoAccount)),
        Presented::Bad(_) | Presented::Used(_) => Ok(Err(NotRenamed::BadToken)),
        Presented::Good(account, link) => {
            Ok(rename(context, caller, &account, new, notice, Some(&link)).await?.map(drop))
        }
    }
}

/// Gives an account another name, and says how it is spelt once it is folded.
pub async fn rename(
    context: &Context,
    caller: &Caller,
    account: &Account,
    new: &str,
    notice: bool,
    link: Option<&links::GoodLink>,
) -> Result<Result<String, NotRenamed>, Error> {
    let Ok(new) = Username::parse(new) else { return Ok(Err(NotRenamed::BadUsername)) };
    if new.as_str() != account.username && acting::is_reserved(context, new.as_str()) {
        return Ok(Err(NotRenamed::Taken));
    }
    let now = context.now();
    let mut tx = context.store.begin("change username").await?;
    match link {
        Some(link) if !link.use_up(context, &mut tx, now).await? => {
            return Ok(Err(NotRenamed::BadToken));
        }
        Some(_) => {}
        None => profile::hold_own_in(&mut tx, account).await?,
    }
    match accounts::set_username_in(&mut tx, account.id, new.as_str(), now).await {
        Ok(()) => {}
        Err(StoreError::Unique(_)) => return Ok(Err(NotRenamed::Taken)),
        Err(error) => return Err(error.into()),
    }
    audit::event(Event::UsernameChange, caller, now)
        .about(account)
        .detail("to", new.as_str())
        .record(&mut tx)
        .await?;
    if notice && let Some(address) = links::address_of(account) {
        links::send_notice(context, &mut tx, account, &address, Message::UsernameChanged, now)
            .await?;
    }
    tx.commit().await?;
    Ok(Ok(new.as_str().to_owned()))
}
