//! Signing in: a user name and a password for a token pair.

use crate::account::hashing::{CheckedPassword, PasswordCheck};
use crate::base::clock::Timestamp;
use crate::flow::{Context, Credentials, Error, LayoutRules, Refusal, TokenPair};
use crate::store::{accounts, refresh_families};
use crate::token::authenticated::Authenticated;
use crate::token::claims::FamilyId;

/// Checks a user name and a password. Unknown, wrong and switched off cost the same time and give the
/// same refusal. A hash below the configured floor is written anew.
pub async fn check_password(
    context: &Context,
    credentials: Credentials,
) -> Result<CheckedPassword, Error> {
    let account = accounts::find_by_username(&context.store, &credentials.username).await?;
    let stored = account.as_ref().map(|account| account.password.clone());
    match context.hashing.check(credentials.password, account).await? {
        PasswordCheck::Wrong => Err(Refusal::WrongCredentials.into()),
        PasswordCheck::Right(checked) if !checked.account().may_hold_tokens() => {
            Err(Refusal::WrongCredentials.into())
        }
        PasswordCheck::Right(checked) => {
            if let (Some(stored), Some(rehashed)) = (stored, checked.rehashed()) {
                let id = checked.account().id;
                accounts::rehash_password(&context.store, id, &stored, rehashed).await?;
            }
            Ok(checked)
        }
    }
}

/// A token pair for a user name and a password; begins a refresh family.
pub async fn sign_in(
    context: &Context,
    layout: &LayoutRules,
    credentials: Credentials,
) -> Result<TokenPair, Error> {
    let checked = check_password(context, credentials).await?;
    let now = context.now();
    let account = checked.account().id;
    // After "signed out everywhere" a family begins no earlier than that moment, whatever the clocks of
    // two instances make of it, so that nobody is signed out again by an older entry.
    let revoked_before = accounts::revoked_before(&context.store, account).await?;
    let begun_at = Timestamp::from_millis(now.millis()).max(revoked_before.unwrap_or(now));
    let family = FamilyId::begin(begun_at, context.random.as_ref());
    let ends_at = context.family_end(begun_at);
    let who = Authenticated::by_password(&checked, &context.shape, &layout.tokens, family, ends_at)
        .ok_or(Refusal::WrongCredentials)?;

    let ring = context.ring.load();
    let issuer = context.issuer(&ring, &layout.tokens, now);
    let stamp = issuer.refresh_stamp(ends_at);
    let pair = TokenPair { access: issuer.access(&who)?, refresh: issuer.refresh(&who, &stamp)? };
    refresh_families::begin(&context.store, &who, layout.name, begun_at, &stamp).await?;
    Ok(pair)
}
