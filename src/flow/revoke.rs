//! Taking back: a refresh token, and with it its family and the access tokens of that; and whatever else somebody
//! holds (RFC 7009).

use crate::account::account::AccountId;
use crate::flow::audit::{self, Event};
use crate::flow::refresh::{find_or_adopt, identify, reused};
use crate::flow::{Caller, ClientRefusal, Context, Error, LayoutRules, Refusal};
use crate::store::refresh_families::{self, EndReason};
use crate::store::{api_keys, clients};
use crate::token::claims::Kind;
use crate::token::client::AuthenticatedClient;
use crate::token::opaque::ClassicKey;
use crate::token::personal::PersonalKeyDigest;
use crate::token::refresh::Standing;
use crate::token::verify::{self, Rejection, Scratch, Subject, VerifiedToken};

/// Ends the family of a refresh token. Holding the token is enough. A token that was taken back or
/// replaced already is refused as such; one that somebody else must hold a copy of ends the family too.
pub async fn revoke_refresh_token(
    context: &Context,
    layout: &LayoutRules,
    caller: &Caller,
    presented: &str,
) -> Result<(), Error> {
    let now = context.now();
    let ring = context.ring.load_full();
    let mut scratch = Box::<Scratch>::default();
    let token =
        verify::verify(&ring, &context.expectations, presented.as_bytes(), now, &mut scratch)?;
    let (family_id, digest) = identify(&token)?;
    let family = find_or_adopt(context, layout, caller, &token, family_id, &digest, now).await?;
    if !family.is_of(token.subject()) {
        return Err(Refusal::OwnerInactive.into());
    }
    if family.ended && !family.ended_with_account {
        return Err(Rejection::Revoked.into());
    }
    token.require(Kind::Refresh)?;
    if family.standing(&digest, context.refresh_grace, now) == Standing::Reused {
        return Err(reused(context, caller, &family, now).await);
    }
    let mut tx = context.store.begin("sign out").await?;
    if refresh_families::end_in(&mut tx, family_id, EndReason::SignOut, now).await? {
        audit::event(Event::SignOut, &caller.as_owner(family.account), now)
            .about_id(family.account)
            .detail("family", family_id.to_string())
            .record(&mut tx)
            .await?;
        Ok(tx.commit().await?)
    } else {
        Err(Rejection::Revoked.into())
    }
}

/// Takes back whatever `presented` is. A refresh token ends its family, and so does an access token, since it
/// ends with that; an API key ends; a token of a client ends, if that client asks. Holding it is enough
/// for all others. What is no token, or no longer one, is no error (RFC 7009 2.2).
pub async fn revoke_token(
    context: &Context,
    layout: &LayoutRules,
    caller: &Caller,
    client: Option<&AuthenticatedClient>,
    presented: &str,
) -> Result<(), Error> {
    if let Some(digest) = PersonalKeyDigest::of_presented(presented.as_bytes()) {
        context.cabinet(caller).revoke_presented(&digest).await?;
        return Ok(());
    }
    if let Some(key) = ClassicKey::parse(presented) {
        return revoke_api_key(context, caller, &key).await;
    }
    let ring = context.ring.load_full();
    let mut scratch = Box::<Scratch>::default();
    let (expect, now) = (&context.expectations, context.now());
    let Ok(token) = verify::verify(&ring, expect, presented.as_bytes(), now, &mut scratch) else {
        return Ok(());
    };
    if token.require(Kind::Refresh).is_ok() {
        return match revoke_refresh_token(context, layout, caller, presented).await {
            // It was taken back before, in one way or another.
            Err(Error::Refused(Refusal::Token(_) | Refusal::OwnerInactive)) => Ok(()),
            other => other,
        };
    }
    if token.require(Kind::Access).is_ok() {
        return revoke_access_token(context, caller, client, &token).await;
    }
    Ok(())
}

async fn revoke_api_key(context: &Context, caller: &Caller, key: &ClassicKey) -> Result<(), Error> {
    let now = context.now();
    let mut tx = context.store.begin("revoke API key").await?;
    if let Some(owner) = api_keys::delete_in(&mut tx, key, now).await? {
        audit::event(Event::ApiKeyRevoked, &caller.as_owner(owner), now)
            .about_id(owner)
            .record(&mut tx)
            .await?;
        tx.commit().await?;
    }
    Ok(())
}

async fn revoke_access_token(
    context: &Context,
    caller: &Caller,
    client: Option<&AuthenticatedClient>,
    token: &VerifiedToken<'_>,
) -> Result<(), Error> {
    let Some(id) = token.family() else { return Ok(()) };
    let (store, now) = (&context.store, context.now());
    if let Some(owner) = clients::owner_of_token(store, id, now).await? {
        let Some(client) = client else {
            return Err(Refusal::Client(ClientRefusal::Unauthenticated).into());
        };
        if client.client().id.as_str() != owner {
            return Err(Refusal::Client(ClientRefusal::OtherClient).into());
        }
        clients::end_token(store, id, now).await?;
        return Ok(());
    }
    let mut tx = store.begin("sign out").await?;
    if refresh_families::end_in(&mut tx, id, EndReason::SignOut, now).await? {
        let caller = match token.subject() {
            Subject::Account(owner) => caller.as_owner(AccountId::new(owner)),
            Subject::Nobody | Subject::Absent => caller.clone(),
        };
        let event = audit::event(Event::SignOut, &caller, now).detail("family", id.to_string());
        let event = match token.subject() {
            Subject::Account(owner) => event.about_id(AccountId::new(owner)),
            Subject::Nobody | Subject::Absent => event,
        };
        event.record(&mut tx).await?;
        return Ok(tx.commit().await?);
    }
    drop(tx);
    // A family that is not there cannot be ended, and to say that it is would be a lie.
    if matches!(token.subject(), Subject::Account(_))
        && token.imported_at().is_some()
        && refresh_families::find(store, id).await?.is_none()
    {
        return Err(Refusal::Client(ClientRefusal::Unsupported).into());
    }
    Ok(())
}
