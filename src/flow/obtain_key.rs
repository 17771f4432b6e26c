//! Obtaining the account's API key for a user name and a password.

use crate::account::account::{Account, AccountId};
use crate::base::clock::Timestamp;
use crate::base::random::Random;
use crate::flow::audit::{self, Event};
use crate::flow::{Caller, Context, Credentials, Error, Fault, sign_in};
use crate::store::{Store, api_keys};
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

/// The classic key of an account whose owner has just shown the password.
pub(super) async fn sign_in_with_key(
    context: &Context,
    caller: &Caller,
    account: &Account,
) -> Result<ClassicKey, Error> {
    let (now, caller) = (context.now(), caller.as_owner(account.id));
    let random = context.random.as_ref();
    let key = key_of(&context.store, &caller, account.id, random, now).await?;
    let signed_in = audit::event(Event::SignIn, &caller, now).about(account);
    signed_in.detail("with", "api_key").record_alone(&context.store).await?;
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
    if let Some(key) = make(store, caller, account, random, now).await? {
        return Ok(key);
    }
    // Somebody else was faster.
    let found = api_keys::find_of_account(store, account).await?;
    found.ok_or(Error::Fault(Fault::Broken("an API key vanished while it was made")))
}

/// Makes the classic key of `account`. `None` where it has one already, which is not told.
pub async fn make(
    store: &Store,
    caller: &Caller,
    account: AccountId,
    random: &dyn Random,
    now: Timestamp,
) -> Result<Option<ClassicKey>, Error> {
    let key = ClassicKey::generate(random);
    let mut tx = store.begin("create API key").await?;
    if !api_keys::create_in(&mut tx, &key, account, now).await? {
        return Ok(None);
    }
    let created = audit::event(Event::ApiKeyCreated, caller, now).about_id(account);
    created.detail("kind", "classic").record(&mut tx).await?;
    tx.commit().await?;
    Ok(Some(key))
}
