//! Logging in and out with API keys, as djoser and dj-rest-auth do.

use crate::account::account::Account;
use crate::account::email::EmailAddress;
use crate::account::hashing::CheckedPassword;
use crate::base::secret::Secret;
use crate::flow::audit::{self, Event};
use crate::flow::authenticate::UsedKey;
use crate::flow::{Caller, Context, Credentials, Error, obtain_key, sign_in};
use crate::store::{accounts, api_keys, personal_keys};
use crate::token::opaque::ClassicKey;

/// The account of a name and a password, switched on or not: what to make of that is the layout's.
pub async fn by_name(
    context: &Context,
    caller: &Caller,
    credentials: Credentials,
) -> Result<Account, Error> {
    let Credentials { name, password } = credentials;
    let account = sign_in::find(context, &name).await?;
    let checked = sign_in::check(context, caller, &name, account, password).await?;
    Ok(checked.into_account())
}

/// Checks a user name, whatever the case of its letters, and a password.
pub async fn check_username(
    context: &Context,
    caller: &Caller,
    credentials: Credentials,
) -> Result<CheckedPassword, Error> {
    let Credentials { name, password } = credentials;
    let account = accounts::find_by_username_in_any_case(&context.store, &name).await?;
    sign_in::check(context, caller, &name, account, password).await
}

/// Checks an address and a password.
pub async fn check_email(
    context: &Context,
    caller: &Caller,
    email: &EmailAddress,
    password: Secret<String>,
) -> Result<CheckedPassword, Error> {
    let account = sign_in::find_by_email(context, email).await?;
    sign_in::check(context, caller, email.as_str(), account, password).await
}

/// The account's key, and the time noted at which it logged in, as Django's forms do.
pub async fn with_key(
    context: &Context,
    caller: &Caller,
    account: &Account,
) -> Result<ClassicKey, Error> {
    let key = obtain_key::sign_in_with_key(context, caller, account).await?;
    accounts::touch_last_login(&context.store, account.id, context.now()).await?;
    Ok(key)
}

/// Takes back the account's classic key: it is logged out on all devices. Who is signed in by another key
/// ends that one instead.
pub async fn end_key(
    context: &Context,
    caller: &Caller,
    account: &Account,
    key: Option<&UsedKey>,
) -> Result<(), Error> {
    let now = context.now();
    let mut tx = context.store.begin("revoke API key").await?;
    let ended = match key {
        Some(key) => personal_keys::revoke(&mut tx, account.id, key.id, now).await?,
        None => api_keys::delete_of_account_in(&mut tx, account.id, now).await?,
    };
    if ended {
        let ended = audit::event(Event::SignOut, caller, now).about(account);
        ended.detail("with", "api_key").record(&mut tx).await?;
    }
    Ok(tx.commit().await?)
}
