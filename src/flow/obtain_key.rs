//! Obtaining the account's API key for a user name and a password.

use crate::account::account::AccountId;
use crate::base::clock::Timestamp;
use crate::base::random::Random;
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
    let account = checked.account().id;
    key_of(&context.store, account, context.random.as_ref(), context.now()).await
}

/// The classic key of `account`, made where there is none.
pub async fn key_of(
    store: &Store,
    account: AccountId,
    random: &dyn Random,
    now: Timestamp,
) -> Result<ClassicKey, Error> {
    if let Some(key) = api_keys::find_of_account(store, account).await? {
        return Ok(key);
    }
    let key = ClassicKey::generate(random);
    if api_keys::create(store, &key, account, now).await? {
        return Ok(key);
    }
    // Somebody else was faster.
    let found = api_keys::find_of_account(store, account).await?;
    found.ok_or(Error::Fault(Fault::Broken("an API key vanished while it was made")))
}
