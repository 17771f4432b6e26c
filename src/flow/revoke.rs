//! Taking back: a refresh token, and with it its family and the access tokens of that.

use crate::flow::audit::{self, Event};
use crate::flow::refresh::{find_or_adopt, identify, reused};
use crate::flow::{Caller, Context, Error, LayoutRules, Refusal};
use crate::store::refresh_families::{self, EndReason};
use crate::token::claims::Kind;
use crate::token::refresh::Standing;
use crate::token::verify::{self, Rejection, Scratch};

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
