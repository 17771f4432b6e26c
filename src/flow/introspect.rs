//! Telling other services what a token is worth now (RFC 7662): what expired, what was taken back and what never
//! was one are all the same to them, inactive.

use crate::account::account::AccountId;
use crate::account::principal::Principal;
use crate::base::digest::Digest;
use crate::flow::authenticate::standing_of;
use crate::flow::authenticate_client::{ClientCredentials, authenticate_client};
use crate::flow::personal_keys::{KeyFacts, identify};
use crate::flow::{Caller, ClientRefusal, Context, Error, Refusal};
use crate::store::{clients, refresh_families};
use crate::token::claims::Kind;
use crate::token::client::{ClientScopes, INTROSPECT};
use crate::token::credential::{Credential, Denial};
use crate::token::personal;
use crate::token::refresh;
use crate::token::verify::{self, Flaw, Rejection, Scratch, Subject, VerifiedToken};

/// What a token is worth.
#[derive(Debug)]
pub enum Introspected {
    /// Nothing: expired, taken back, or no token of ours.
    Inactive,
    /// A token that would be accepted now.
    Token(ActiveToken),
    /// An API key whose owner may act.
    Key(KeyFacts),
}

/// A token that would be accepted now.
#[derive(Debug)]
pub struct ActiveToken {
    /// What it is for.
    pub kind: Kind,
    /// Its claims: a JSON object.
    pub payload: Vec<u8>,
    /// Its owner; `None` for a client that acts as nobody.
    pub owner: Option<Principal>,
    /// The client that it was issued to, if it was issued to one.
    pub client: Option<String>,
    /// Its scopes.
    pub scopes: ClientScopes,
}

/// Who wants to know.
pub enum Asker<'r> {
    /// A client, by its secret.
    Client(ClientCredentials),
    /// Somebody, by what stands in `Authorization`.
    Credential(Credential<'r>),
}

/// Whether somebody may introspect: a client with the scope `introspect`, by its secret or by a token of its
/// own, and staff.
pub async fn may_introspect(
    context: &Context,
    caller: &Caller,
    asker: &Asker<'_>,
) -> Result<(), Error> {
    let lacks = || Err(Refusal::Client(ClientRefusal::Lacks(INTROSPECT)).into());
    let denied = |denial| Err(Refusal::Denied(denial).into());
    let found = match asker {
        Asker::Client(presented) => {
            let client = authenticate_client(context, caller, presented).await?;
            return if client.client().scopes.has(INTROSPECT) { Ok(()) } else { lacks() };
        }
        Asker::Credential(Credential::None) => {
            return Err(Refusal::Client(ClientRefusal::Unauthenticated).into());
        }
        Asker::Credential(Credential::Bearer(key)) if personal::is_claimed(key) => {
            key_of(context, std::str::from_utf8(key).unwrap_or_default()).await?
        }
        Asker::Credential(Credential::Bearer(token)) => token_of(context, token).await?,
        Asker::Credential(Credential::ApiKey(key)) => key_of(context, key).await?,
    };
    match found {
        // A key with narrow terms must not shed them here.
        Introspected::Key(key) if key.owner.is_staff && !key.terms.are_narrow() => Ok(()),
        Introspected::Token(token) if token.kind == Kind::Access => match &token.client {
            // A client has its own scopes, whoever it acts as.
            Some(_) if token.scopes.has(INTROSPECT) => Ok(()),
            None if token.owner.as_ref().is_some_and(|owner| owner.is_staff) => Ok(()),
            Some(_) | None => lacks(),
        },
        Introspected::Token(_) => denied(Denial::Bearer(Rejection::WrongKind)),
        Introspected::Key(_) => lacks(),
        Introspected::Inactive => match asker {
            Asker::Credential(Credential::ApiKey(_)) => denied(Denial::UnknownApiKey),
            _ => denied(Denial::Bearer(Rejection::Invalid(Flaw::Signature))),
        },
    }
}

/// What a text is worth as a token: an access token, a refresh token, or an API key. Changes nothing.
pub async fn introspect(context: &Context, presented: &str) -> Result<Introspected, Error> {
    if presented.contains('.') {
        token_of(context, presented.as_bytes()).await
    } else {
        key_of(context, presented).await
    }
}

async fn key_of(context: &Context, presented: &str) -> Result<Introspected, Error> {
    Ok(identify(context, presented).await?.map_or(Introspected::Inactive, Introspected::Key))
}

async fn token_of(context: &Context, presented: &[u8]) -> Result<Introspected, Error> {
    let ring = context.ring.load_full();
    let mut scratch = Box::<Scratch>::default();
    let verified =
        verify::verify(&ring, &context.expectations, presented, context.now(), &mut scratch);
    let Ok(token) = verified else { return Ok(Introspected::Inactive) };
    let kind = if token.is(Kind::Refresh) { Kind::Refresh } else { Kind::Access };
    if token.require(kind).is_err() {
        return Ok(Introspected::Inactive);
    }
    let owner = match token.subject() {
        Subject::Account(id) => Some(AccountId::new(id)),
        Subject::Absent if kind == Kind::Access => None,
        Subject::Absent | Subject::Nobody => return Ok(Introspected::Inactive),
    };
    let owner = match owner {
        None if is_of_live_client(context, &token).await? => None,
        None => return Ok(Introspected::Inactive),
        Some(account) => {
            let standing = standing_of(context, account).await?;
            let lives = standing
                .filter(|standing| standing.principal.is_active && !standing.revokes(&token));
            match lives {
                Some(standing) => Some(standing.principal),
                None => return Ok(Introspected::Inactive),
            }
        }
    };
    if kind == Kind::Refresh && !could_be_refreshed(context, &token).await? {
        return Ok(Introspected::Inactive);
    }
    Ok(Introspected::Token(ActiveToken {
        kind,
        payload: token.payload().to_vec(),
        owner,
        client: token.client_id().map(str::to_owned),
        scopes: token.scope().and_then(ClientScopes::parse).unwrap_or_default(),
    }))
}

/// Whether a token without an account is one of a client, and was not taken back.
pub(super) async fn is_of_live_client(
    context: &Context,
    token: &VerifiedToken<'_>,
) -> Result<bool, Error> {
    let (Some(client), Some(id)) = (token.client_id(), token.family()) else { return Ok(false) };
    let owner = clients::owner_of_token(&context.store, id, context.now()).await?;
    Ok(owner.as_deref() == Some(client))
}

/// Whether a refresh token is the one in force in its family, or one step behind and excused; or whether it is
/// from before the change-over and would begin one.
async fn could_be_refreshed(context: &Context, token: &VerifiedToken<'_>) -> Result<bool, Error> {
    let (Some(id), Some(token_id)) = (token.family(), token.token_id()) else { return Ok(false) };
    let Some(family) = refresh_families::find(&context.store, id).await? else {
        return Ok(token.imported_at().is_some_and(|imported_at| token.issued_at() < imported_at));
    };
    let digest = Digest::of(token_id.as_bytes());
    let standing = family.standing(&digest, context.refresh_grace, context.now());
    Ok(!family.ended
        && !family.is_outdated()
        && family.is_of(token.subject())
        && standing != refresh::Standing::Reused)
}
