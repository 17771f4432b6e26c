//! Refreshing: a refresh token for an access token, and under rotation for its successor.

use std::time::Duration;

use crate::account::account::{Account, AccountId};
use crate::base::clock::Timestamp;
use crate::base::digest::Digest;
use crate::flow::audit::{self, Event};
use crate::flow::{Caller, Context, Error, Fault, LayoutRules, Refusal, RenewedTokens};
use crate::flow::{changed_elsewhere, links};
use crate::mail::message::Message;
use crate::store::refresh_families::EndReason;
use crate::store::{StoreError, accounts, refresh_families};
use crate::token::authenticated::Authenticated;
use crate::token::claims::{FamilyId, Kind};
use crate::token::refresh::{BegunWith, Family, Renewal, Standing};
use crate::token::verify::{self, Rejection, Scratch, Subject, VerifiedToken};

/// A use is noted once in so much time.
const BETWEEN_USES: Duration = Duration::from_mins(1);

/// Answers a refresh token. The rules are told in [`crate::token::refresh`].
pub async fn refresh(
    context: &Context,
    layout: &LayoutRules,
    caller: &Caller,
    presented: &str,
) -> Result<RenewedTokens, Error> {
    let now = context.now();
    let ring = context.ring.load_full();
    let mut scratch = Box::<Scratch>::default();
    let token =
        verify::verify(&ring, &context.expectations, presented.as_bytes(), now, &mut scratch)?;
    let (family_id, digest) = identify(&token)?;
    let issuer = context.issuer(&ring, &layout.tokens, now);

    let family = find_or_adopt(context, layout, caller, &token, family_id, &digest, now).await?;
    check_alive(&family, &token)?;
    token.require(Kind::Refresh)?;
    let standing = family.standing(&digest, context.refresh_grace, now);
    if standing == Standing::Reused {
        return Err(reused(context, caller, &family, now).await);
    }
    check_password(context, &family).await?;

    if layout.tokens.rotation && standing == Standing::Current {
        let stamp = issuer.refresh_stamp(family.ends_at);
        let rotated =
            refresh_families::rotate(&context.store, family_id, &digest, &stamp, now).await?;
        if let Some(rotated) = rotated {
            check_password(context, &rotated).await?;
            let renewal = Renewal::rotated(&token, &rotated)
                .ok_or(Error::Fault(Fault::Broken("a rotated family does not know its token")))?;
            let who = Authenticated::by_renewal(renewal);
            note(context, caller, &rotated, now).await?;
            let refresh = Some(issuer.refresh(&who, &stamp)?);
            return Ok(RenewedTokens { access: issuer.access(&who)?, refresh });
        }
    }
    // Not rotating, a retry, or somebody else has rotated in between: judged by the family as it is now.
    let family = if standing == Standing::Current && layout.tokens.rotation {
        refresh_families::find(&context.store, family_id).await?.ok_or(Rejection::Revoked)?
    } else {
        family
    };
    let Some(renewal) = Renewal::accepted(&token, &family, context.refresh_grace, now) else {
        check_alive(&family, &token)?;
        check_password(context, &family).await?;
        return Err(reused(context, caller, &family, now).await);
    };
    let who = Authenticated::by_renewal(renewal);
    // A rotation notes the use by itself.
    let noted_after = now.minus(BETWEEN_USES);
    if family.used_at.is_none_or(|used_at| used_at <= noted_after) {
        refresh_families::touch(&context.store, family.id, now, noted_after).await?;
    }
    note(context, caller, &family, now).await?;
    let refresh =
        if layout.tokens.rotation { Some(issuer.refresh(&who, &family.successor)?) } else { None };
    Ok(RenewedTokens { access: issuer.access(&who)?, refresh })
}

/// Records a refresh, where the site wants that.
async fn note(
    context: &Context,
    caller: &Caller,
    family: &Family,
    now: Timestamp,
) -> Result<(), StoreError> {
    if !context.audit.refreshes {
        return Ok(());
    }
    let owner = caller.as_owner(family.account);
    let refreshed = audit::event(Event::Refresh, &owner, now).about_id(family.account);
    refreshed.detail("family", family.id.to_string()).record_alone(&context.store).await
}

/// Refuses a token whose family takes none any more. Switching an account off ends its families; clients are
/// told the cause, not the consequence.
fn check_alive(family: &Family, token: &VerifiedToken<'_>) -> Result<(), Error> {
    if family.ended && !family.ended_with_account {
        return Err(Rejection::Revoked.into());
    }
    if !family.account_is_active || !family.is_of(token.subject()) {
        return Err(Refusal::OwnerInactive.into());
    }
    if family.ended {
        return Err(Rejection::Revoked.into());
    }
    Ok(())
}

/// Refuses the token of a family whose account has another password now, which ends it. One of which is not
/// known with what password it began has begun with this one from now on.
async fn check_password(context: &Context, family: &Family) -> Result<(), Error> {
    match family.begun_with {
        BegunWith::ThisPassword => Ok(()),
        BegunWith::AnotherPassword => {
            changed_elsewhere::end_outdated(context, family.account).await?;
            Err(Rejection::Revoked.into())
        }
        BegunWith::Unknown => changed_elsewhere::take_on(context, family.account, family.id).await,
    }
}

/// The family of a refresh token and the digest of its `jti`; refuses tokens that cannot have one.
pub(super) fn identify(token: &VerifiedToken<'_>) -> Result<(FamilyId, Digest), Rejection> {
    // An access token is of the wrong kind before it is anything else: its `jti` is no part of a family.
    if !token.is(Kind::Refresh) {
        token.require(Kind::Refresh)?;
    }
    match (token.family(), token.token_id()) {
        (Some(family), Some(token_id)) => Ok((family, Digest::of(token_id.as_bytes()))),
        _ => {
            token.require(Kind::Refresh)?;
            Err(Rejection::NoTokenId)
        }
    }
}

/// The family, which a token from before the change-over begins by being used: only under a key that was
/// imported, and only where the token can have been issued before that.
pub(super) async fn find_or_adopt(
    context: &Context,
    layout: &LayoutRules,
    caller: &Caller,
    token: &VerifiedToken<'_>,
    family: FamilyId,
    digest: &Digest,
    now: Timestamp,
) -> Result<Family, Error> {
    if let Some(found) = refresh_families::find(&context.store, family).await? {
        return Ok(found);
    }
    // What is wrong with the token itself is told before what is wrong with its family or owner.
    token.require(Kind::Refresh)?;
    let Subject::Account(account) = token.subject() else { return Err(Rejection::Revoked.into()) };
    let owner = accounts::standing(&context.store, AccountId::new(account), now).await?;
    let Some(accounts::Found { standing: owner, .. }) = owner else {
        return Err(Refusal::OwnerInactive.into());
    };
    let adoptable = token.imported_at().is_some_and(|imported_at| token.issued_at() < imported_at)
        && owner.revoked_before.is_none_or(|moment| token.begun_at() >= moment);
    // PostgreSQL has no NUL in texts; no issuer of ours or theirs puts one into a `jti`.
    let token_id = token.token_id().filter(|token_id| !token_id.contains('\0'));
    let (true, Some(expires_at), Some(token_id)) = (adoptable, token.expires_at(), token_id) else {
        return Err(Rejection::Revoked.into());
    };
    let adopted = refresh_families::Adopted {
        family,
        account: owner.principal.id,
        layout: layout.name,
        begun_at: token.begun_at(),
        ends_at: context.family_end(now),
        digest: *digest,
        token_id: token_id.to_owned(),
        issued_at: token.issued_at(),
        expires_at: Timestamp::from_seconds(expires_at),
        origin: caller.origin(),
        used_at: now,
    };
    let mut tx = context.store.begin("adopt refresh family").await?;
    if accounts::lock_in(&mut tx, adopted.account).await?.is_none() {
        return Err(Refusal::OwnerInactive.into());
    }
    // What has signed the account out everywhere meanwhile found no family to end.
    let revoked_before = accounts::revoked_before_in(&mut tx, adopted.account).await?;
    if revoked_before.is_some_and(|moment| adopted.begun_at < moment) {
        return Err(Rejection::Revoked.into());
    }
    refresh_families::adopt_in(&mut tx, &adopted).await?;
    tx.commit().await?;
    let found = refresh_families::find(&context.store, family).await?;
    found.ok_or(Error::Fault(Fault::Broken("an adopted family is not there")))
}

/// Ends a family of which somebody else holds a copy of a token, and tells its owner.
pub(super) async fn reused(
    context: &Context,
    caller: &Caller,
    family: &Family,
    now: Timestamp,
) -> Error {
    let owner = match to_be_warned(context, family, now).await {
        Ok(owner) => owner,
        Err(error) => return error,
    };
    let mut ended = end_reused(context, caller, family, owner.as_ref(), now).await;
    if let Err(Error::Fault(Fault::Mail(why))) = &ended {
        tracing::error!(why, "no mail tells of a refresh token that was used again");
        ended = end_reused(context, caller, family, None, now).await;
    }
    match ended {
        Ok(ended) => {
            if ended {
                tracing::warn!(
                    account = family.account.get(),
                    family = %family.id,
                    "a refresh token was used again; its family is ended"
                );
            }
            Rejection::Revoked.into()
        }
        Err(error) => error,
    }
}

/// How seldom an owner is told: a client that goes wrong must not fill their mailbox.
const BETWEEN_WARNINGS: Duration = Duration::from_hours(24);

/// The owner of a family that is about to be ended, where a mail is to tell them.
async fn to_be_warned(
    context: &Context,
    family: &Family,
    now: Timestamp,
) -> Result<Option<Account>, Error> {
    if !context.accounts.warn_of_reuse || family.ended || !family.account_is_active {
        return Ok(None);
    }
    let before = audit::Search {
        account: Some(family.account),
        event: Some(Event::RefreshReuse),
        since: Some(now.minus(BETWEEN_WARNINGS)),
        ..audit::Search::default()
    };
    if !audit::search(&context.store, &before, None, 1).await?.is_empty() {
        return Ok(None);
    }
    Ok(accounts::find_by_id(&context.store, family.account).await?)
}

async fn end_reused(
    context: &Context,
    caller: &Caller,
    family: &Family,
    owner: Option<&Account>,
    now: Timestamp,
) -> Result<bool, Error> {
    let mut tx = context.store.begin("end reused family").await?;
    let ended = refresh_families::end_in(&mut tx, family.id, EndReason::Reuse, now).await?;
    if ended {
        let reuse = audit::event(Event::RefreshReuse, caller, now).about_id(family.account);
        reuse.detail("family", family.id.to_string()).record(&mut tx).await?;
        if let Some(owner) = owner
            && let Some(address) = links::address_of(owner)
        {
            let message = Message::RefreshReuse;
            links::send_notice(context, &mut tx, owner, &address, message, now).await?;
        }
    }
    tx.commit().await?;
    Ok(ended)
}
