//! Obtaining the account's API key for a user name and a password.

use crate::account::account::{Account, AccountId};
use crate::base::clock::Timestamp;
use crate::base::random::Random;
use crate::flow::audit::{self, Event};
use crate::flow::{Caller, Context, Credentials, Error, Fault, Refusal, profile, sign_in};
use crate::store::{Store, Tx, accounts, api_keys};
use crate::token::opaque::ClassicKey;

/// The classic key of the account, made where there is none: the same each time
/// (`rest_framework.authtoken.views.ObtainAuthToken`).
pub async fn obtain_key(
    context: &Context,
    caller: &Caller,
    credentials: Credentials,
) -> Result<ClassicKey, Error> {
    let checked = sign_in::check_password(context, caller, credentials).await?;
    sign_in_with_key(context, caller, checked.account()).await
}

/// The classic key of an account whose owner has just shown the password, unless it was changed since.
pub(super) async fn sign_in_with_key(
    context: &Context,
    caller: &Caller,
    account: &Account,
) -> Result<ClassicKey, Error> {
    let (now, caller) = (context.now(), caller.as_owner(account.id));
    let random = context.random.as_ref();
    let mut tx = context.store.begin("sign in with API key").await?;
    if !accounts::hold_in(&mut tx, account).await? {
        return Err(Refusal::WrongCredentials.into());
    }
    let key = key_in(&mut tx, &caller, account.id, random, now).await?;
    let signed_in = audit::event(Event::SignIn, &caller, now).about(account);
    signed_in.detail("with", "api_key").record(&mut tx).await?;
    tx.commit().await?;
    Ok(key)
}

/// The classic key of `account`, made where there is none.
pub async fn key_of(
    store: &Store,
    caller: &Caller,
    account: AccountId,
    random: &dyn Random,
    now: Timestamp,
) -> Result<ClassicKey, Error> {
    if let Some(key) = api_keys::find_of_account(store, account).await? {
        return Ok(key);
    }
    let mut tx = store.begin("create API key").await?;
    let key = key_in(&mut tx, caller, account, random, now).await?;
    tx.commit().await?;
    Ok(key)
}

/// Part of a transaction: as [`key_of`].
async fn key_in(
    tx: &mut Tx,
    caller: &Caller,
    account: AccountId,
    random: &dyn Random,
    now: Timestamp,
) -> Result<ClassicKey, Error> {
    if let Some(key) = make_in(tx, caller, account, random, now).await? {
        return Ok(key);
    }
    // It has one, or somebody else was faster.
    let found = api_keys::find_of_account_in(tx, account).await?;
    found.ok_or(Error::Fault(Fault::Broken("an API key vanished while it was made")))
}

/// Makes the classic key of one's own account. `None` where it has one already, which is not told.
pub async fn make(
    context: &Context,
    caller: &Caller,
    account: &Account,
) -> Result<Option<ClassicKey>, Error> {
    let mut tx = context.store.begin("create API key").await?;
    profile::hold_own_in(&mut tx, account).await?;
    let (random, now) = (context.random.as_ref(), context.now());
    let key = make_in(&mut tx, caller, account.id, random, now).await?;
    tx.commit().await?;
    Ok(key)
}

/// Part of a transaction: as [`make`].
pub(super) async fn make_in(
    tx: &mut Tx,
    caller: &Caller,
    account: AccountId,
    random: &dyn Random,
    now: Timestamp,
) -> Result<Option<ClassicKey>, Error> {
    let key = ClassicKey::generate(random);
    if !api_keys::create_in(tx, &key, account, now).await? {
        return Ok(None);
    }
    let created = audit::event(Event::ApiKeyCreated, caller, now).about_id(account);
    created.detail("kind", "classic").record(tx).await?;
    Ok(Some(key))
}
