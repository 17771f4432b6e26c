//! Changing the password, by somebody who is signed in.

use crate::account::account::Account;
use crate::account::hashing::PasswordCheck;
use crate::account::password::StoredPassword;
use crate::account::rules::{About, RuleBroken};
use crate::base::secret::Secret;
use crate::flow::attempt::Attempt;
use crate::flow::audit::{self, Event};
use crate::flow::{Caller, Context, Error, links, personal_keys, register};
use crate::mail::message::Message;
use crate::store::refresh_families::EndReason;
use crate::store::{Tx, accounts};

/// Why a password was not changed.
#[derive(Debug, PartialEq, Eq)]
pub enum NotChanged {
    /// The present password is not that.
    WrongPassword,
    /// The new one breaks rules.
    Rules(Vec<RuleBroken>),
}

/// Whether `password` is the account's present one.
pub async fn is_current(
    context: &Context,
    caller: &Caller,
    account: &Account,
    password: Secret<String>,
) -> Result<bool, Error> {
    // Whoever has somebody's key must not be able to try passwords with it either.
    let attempt = Attempt::begin(context, caller, &account.username, Some(account)).await?;
    match context.hashing.check(password, Some(account.clone())).await? {
        PasswordCheck::Right(_) => {
            attempt.succeeded().await?;
            Ok(true)
        }
        PasswordCheck::Wrong => {
            attempt.failed("wrong_password").await?;
            Ok(false)
        }
    }
}

/// What is wrong with a password for this account.
pub async fn judge(
    context: &Context,
    account: &Account,
    password: &Secret<String>,
) -> Result<Vec<RuleBroken>, Error> {
    let about = About {
        username: &account.username,
        first_name: &account.first_name,
        last_name: &account.last_name,
        email: &account.email,
    };
    register::judge_password(context, password, &about).await
}

/// How a layout changes passwords.
#[derive(Clone, Copy, Debug)]
pub struct ChangeRules {
    /// Whether passwords are held against the rules.
    pub judges_password: bool,
    /// Whether a mail tells of it.
    pub notice: bool,
}

/// Sets another password, unless somebody else has done so since `account` was read; gives it as it is stored
/// now. Ends every refresh family of the account, and its API keys where the site
/// wants that.
pub async fn change_password(
    context: &Context,
    caller: &Caller,
    account: &Account,
    current: Option<Secret<String>>,
    new: Secret<String>,
    rules: ChangeRules,
) -> Result<Result<StoredPassword, NotChanged>, Error> {
    if let Some(current) = current
        && !is_current(context, caller, account, current).await?
    {
        return Ok(Err(NotChanged::WrongPassword));
    }
    if rules.judges_password {
        let broken = judge(context, account, &new).await?;
        if !broken.is_empty() {
            return Ok(Err(NotChanged::Rules(broken)));
        }
    }
    let password = context.hashing.hash(new).await?;
    let same = |now: &Account| now.password == account.password;
    let done = store(context, caller, account, &password, rules.notice, None, same).await?;
    Ok(if done { Ok(password) } else { Err(NotChanged::WrongPassword) })
}

/// Keeps another password, in one transaction with all that hangs on it. `link`, where given, is used up
/// with it. `still` holds the account, as it is now and stays until then, against what was judged before.
/// `false` where that has changed, or somebody else was faster with the link.
pub(super) async fn store(
    context: &Context,
    caller: &Caller,
    account: &Account,
    password: &StoredPassword,
    notice: bool,
    link: Option<&links::GoodLink>,
    still: impl Fn(&Account) -> bool + Send,
) -> Result<bool, Error> {
    let now = context.now();
    let mut tx = context.store.begin("change password").await?;
    if !accounts::lock_in(&mut tx, account.id).await?.is_some_and(|now| still(&now)) {
        return Ok(false);
    }
    if let Some(link) = link
        && !link.use_up(context, &mut tx, now).await?
    {
        return Ok(false);
    }
    let event = if link.is_some() { Event::PasswordReset } else { Event::PasswordChange };
    store_in(context, caller, &mut tx, account, password, notice, event).await?;
    tx.commit().await?;
    Ok(true)
}

/// Part of a transaction: keeps another password of an account that the transaction holds, with all that hangs
/// on it.
pub(super) async fn store_in(
    context: &Context,
    caller: &Caller,
    tx: &mut Tx,
    account: &Account,
    password: &StoredPassword,
    notice: bool,
    event: Event,
) -> Result<(), Error> {
    let now = context.now();
    accounts::set_password_in(tx, account.id, password, EndReason::Password, now).await?;
    if context.accounts.end_keys_on_password_change {
        personal_keys::revoke_all_in(tx, account.id, now).await?;
    }
    audit::event(event, caller, now).about(account).record(tx).await?;
    if notice && let Some(address) = links::address_of(account) {
        links::send_notice(context, tx, account, &address, Message::PasswordChanged, now).await?;
    }
    Ok(())
}
