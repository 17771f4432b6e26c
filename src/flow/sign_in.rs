//! Signing in: a name and a password for a token pair.

use crate::account::account::{Account, AccountId};
use crate::account::email::EmailAddress;
use crate::account::hashing::{CheckedPassword, PasswordCheck};
use crate::base::clock::Timestamp;
use crate::base::secret::Secret;
use crate::flow::attempt::Attempt;
use crate::flow::audit::{self, Event};
use crate::flow::{Caller, Context, Credentials, Error, LayoutRules, Refusal, TokenPair};
use crate::store::refresh_families::{self, NewFamily};
use crate::store::{accounts, email_addresses};
use crate::token::authenticated::Authenticated;
use crate::token::claims::FamilyId;

/// Checks a presented password against an account, which may be missing. Unknown and wrong cost the same
/// time and give the same refusal. A hash below the configured floor is written anew. Whether the account
/// may do anything is for the caller to judge. `name` is what was typed, for counting failures.
pub async fn check(
    context: &Context,
    caller: &Caller,
    name: &str,
    account: Option<Account>,
    password: Secret<String>,
) -> Result<CheckedPassword, Error> {
    let known = account.clone();
    let meant = known.as_ref().map_or(name, |account| &account.username);
    let attempt = Attempt::begin(context, caller, meant, known.as_ref()).await?;
    match check_and_rehash(context, account, password).await? {
        PasswordCheck::Wrong => {
            attempt.failed("wrong_password").await?;
            Err(Refusal::WrongCredentials.into())
        }
        PasswordCheck::Right(checked) => {
            // An account that is switched off answers like a wrong password almost everywhere.
            if checked.account().may_hold_tokens() {
                attempt.succeeded().await?;
            } else {
                attempt.failed("inactive").await?;
            }
            Ok(checked)
        }
    }
}

/// Checks a password, and stores it anew where its hash is below the floor. Where somebody was faster, by the
/// same password or another, it is held against what they have stored.
async fn check_and_rehash(
    context: &Context,
    account: Option<Account>,
    password: Secret<String>,
) -> Result<PasswordCheck, Error> {
    let once_more = password.clone();
    let PasswordCheck::Right(checked) = context.hashing.check(password, account).await? else {
        return Ok(PasswordCheck::Wrong);
    };
    let Some(rehashed) = checked.rehashed() else { return Ok(PasswordCheck::Right(checked)) };
    let (store, account) = (&context.store, checked.account());
    if accounts::rehash_password(store, account.id, &account.password, rehashed).await? {
        return Ok(PasswordCheck::Right(checked.stored()));
    }
    let account = accounts::find_by_id(store, account.id).await?;
    Ok(context.hashing.check(once_more, account).await?)
}

/// The account that signs in with this: its user name to the letter or, where the site has it so, its
/// mail address.
pub async fn find(context: &Context, name: &str) -> Result<Option<Account>, Error> {
    if !context.accounts.email_login {
        return Ok(accounts::find_by_username(&context.store, name).await?);
    }
    match EmailAddress::parse(name) {
        Ok(email) => find_by_email(context, &email).await,
        Err(_) => Ok(None),
    }
}

/// The account with this address, whatever the case of its letters. Of several, the one that has verified
/// it, else the oldest.
pub async fn find_by_email(
    context: &Context,
    email: &EmailAddress,
) -> Result<Option<Account>, Error> {
    let kept = email_addresses::by_folded(&context.store, &email.folded()).await?;
    Ok(match kept.iter().find(|address| address.verified) {
        Some(address) => accounts::find_by_id(&context.store, address.account).await?,
        None => accounts::find_by_email(&context.store, email.as_str()).await?.into_iter().next(),
    })
}

/// Checks a name and a password. Unknown, wrong and switched off are all alike.
pub async fn check_password(
    context: &Context,
    caller: &Caller,
    credentials: Credentials,
) -> Result<CheckedPassword, Error> {
    let Credentials { name, password } = credentials;
    let account = find(context, &name).await?;
    let checked = check(context, caller, &name, account, password).await?;
    if checked.account().may_hold_tokens() {
        Ok(checked)
    } else {
        Err(Refusal::WrongCredentials.into())
    }
}

/// A token pair for a name and a password; begins a refresh family.
pub async fn sign_in(
    context: &Context,
    layout: &LayoutRules,
    caller: &Caller,
    credentials: Credentials,
) -> Result<TokenPair, Error> {
    let checked = check_password(context, caller, credentials).await?;
    begin(context, layout, caller, &checked).await
}

/// Begins a refresh family for the owner of a checked password, unless it was changed since it was checked.
pub async fn begin(
    context: &Context,
    layout: &LayoutRules,
    caller: &Caller,
    checked: &CheckedPassword,
) -> Result<TokenPair, Error> {
    let now = context.now();
    let account = checked.account().id;
    let begun_at = family_begin(context, account, now).await?;
    let family = FamilyId::begin(begun_at, context.random.as_ref());
    let ends_at = context.family_end(begun_at);
    let who = Authenticated::by_password(checked, &context.shape, &layout.tokens, family, ends_at)
        .ok_or(Refusal::WrongCredentials)?;

    let ring = context.ring.load();
    let issuer = context.issuer(&ring, &layout.tokens, now);
    let stamp = issuer.refresh_stamp(ends_at);
    let pair = TokenPair { access: issuer.access(&who)?, refresh: issuer.refresh(&who, &stamp)? };
    let mut tx = context.store.begin("begin refresh family").await?;
    if !accounts::hold_in(&mut tx, checked.account()).await? {
        return Err(Refusal::WrongCredentials.into());
    }
    let new = NewFamily {
        who: &who,
        layout: layout.name,
        password: &checked.account().password,
        begun_at,
        stamp: &stamp,
        origin: caller.origin(),
        django_session: None,
    };
    refresh_families::begin_in(&mut tx, &new).await?;
    audit::event(Event::SignIn, &caller.as_owner(account), now)
        .about(checked.account())
        .detail("family", family.to_string())
        .record(&mut tx)
        .await?;
    tx.commit().await?;
    Ok(pair)
}

/// When a family begins that begins now: after "signed out everywhere" no earlier than that moment, whatever
/// the clocks of two instances make of it, so that nobody is signed out again by an older entry.
pub(super) async fn family_begin(
    context: &Context,
    account: AccountId,
    now: Timestamp,
) -> Result<Timestamp, Error> {
    let revoked_before = accounts::revoked_before(&context.store, account).await?;
    Ok(Timestamp::from_millis(now.millis()).max(revoked_before.unwrap_or(now)))
}
