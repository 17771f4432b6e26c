//! Verifying: whether a token, of either kind, is good.

use crate::account::account::AccountId;
use crate::base::digest::Digest;
use crate::flow::authenticate::standing_of;
use crate::flow::{Context, Error, introspect};
use crate::store::refresh_families;
use crate::token::claims::Kind;
use crate::token::verify::{self, Rejection, Scratch, Subject};

/// Verifies a token. Stricter than djangorestframework-simplejwt, which looks at the token alone: what
/// was taken back (sign-out, change of password, deactivation, deletion; the token of a client by itself or
/// with the client) does not verify. Tokens without `token_type` or without an account verify, as there.
pub async fn verify_token(context: &Context, presented: &str) -> Result<(), Error> {
    let now = context.now();
    let ring = context.ring.load_full();
    let mut scratch = Box::<Scratch>::default();
    let token =
        verify::verify(&ring, &context.expectations, presented.as_bytes(), now, &mut scratch)?;
    token.require_identity()?;
    if let Subject::Account(account) = token.subject() {
        match standing_of(context, AccountId::new(account)).await? {
            Some(standing) if standing.principal.is_active && !standing.revokes(&token) => {}
            _ => return Err(Rejection::Revoked.into()),
        }
    }
    if token.subject() == Subject::Absent
        && token.client_id().is_some()
        && !introspect::is_of_live_client(context, &token).await?
    {
        return Err(Rejection::Revoked.into());
    }
    if token.is(Kind::Refresh)
        && let (Some(family), Some(token_id)) = (token.family(), token.token_id())
        && let Some(family) = refresh_families::find(&context.store, family).await?
        && (family.ended || family.current != Digest::of(token_id.as_bytes()))
    {
        return Err(Rejection::Revoked.into());
    }
    Ok(())
}
