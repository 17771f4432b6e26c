//! Logging in and out with API keys, as djoser and dj-rest-auth do.

use crate::account::account::{Account, AccountId};
use crate::account::email::EmailAddress;
use crate::account::hashing::CheckedPassword;
use crate::base::secret::Secret;
use crate::flow::{Caller, Context, Credentials, Error, obtain_key, sign_in};
use crate::store::{accounts, api_keys, email_addresses};
use crate::token::opaque::ClassicKey;

/// The account of a user name and a password, switched on or not: what to make of that is the layout's.
pub async fn by_username(
    context: &Context,
    caller: &Caller,
    credentials: Credentials,
) -> Result<Account, Error> {
    let Credentials { username, password } = credentials;
    let account = accounts::find_by_username(&context.store, &username).await?;
    let checked = sign_in::check(context, caller, &username, account, password).await?;
    Ok(checked.into_account())
}

/// As [`by_username`], whatever the case of the name's letters; gives the proof that tokens are issued for.
pub async fn check_username(
    context: &Context,
    caller: &Caller,
    credentials: Credentials,
) -> Result<CheckedPassword, Error> {
    let Credentials { username, password } = credentials;
    let account = accounts::find_by_username_in_any_case(&context.store, &username).await?;
    sign_in::check(context, caller, &username, account, password).await
}

/// The account of an address and a password. Of several accounts with the address, the one that has
/// verified it, else the oldest.
pub async fn check_email(
    context: &Context,
    caller: &Caller,
    email: &EmailAddress,
    password: Secret<String>,
) -> Result<CheckedPassword, Error> {
    let kept = email_addresses::by_folded(&context.store, &email.folded()).await?;
    let account = match kept.iter().find(|address| address.verified) {
        Some(address) => accounts::find_by_id(&context.store, address.account).await?,
        None => accounts::find_by_email(&context.store, email.as_str()).await?.into_iter().next(),
    };
    sign_in::check(context, caller, email.as_str(), account, password).await
}

/// Notes that an account logged in now, as Django's forms do.
pub async fn note(context: &Context, account: AccountId) -> Result<(), Error> {
    Ok(accounts::touch_last_login(&context.store, account, context.now()).await?)
}

/// The account's key, and the time noted at which it logged in, as Django's forms do.
pub async fn with_key(context: &Context, account: &Account) -> Result<ClassicKey, Error> {
    let now = context.now();
    let random = context.random.as_ref();
    let key = obtain_key::key_of(&context.store, account.id, random, now).await?;
    accounts::touch_last_login(&context.store, account.id, now).await?;
    Ok(key)
}

/// Takes back the account's key: it is logged out on all devices.
pub async fn end_key(context: &Context, account: AccountId) -> Result<(), Error> {
    api_keys::delete_of_account(&context.store, account, context.now()).await?;
    Ok(())
}
