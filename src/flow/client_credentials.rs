//! An access token for a client itself (RFC 6749 4.4).

use crate::flow::{ClientRefusal, Context, Error, LayoutRules, Refusal};
use crate::store::accounts;
use crate::store::clients::{self, IssuedToken};
use crate::token::authenticated::AuthorizedClient;
use crate::token::claims::FamilyId;
use crate::token::client::{AuthenticatedClient, ClientScopes, Grant};
use crate::token::issue::AccessToken;

/// What a client is given.
#[derive(Debug)]
pub struct ClientToken {
    /// The token.
    pub access: AccessToken,
    /// Its scopes.
    pub scopes: ClientScopes,
}

/// Issues a token. `asked` are the scopes that are asked for; all that the client has where none are.
pub async fn client_credentials(
    context: &Context,
    layout: &LayoutRules,
    client: &AuthenticatedClient,
    asked: Option<ClientScopes>,
) -> Result<ClientToken, Error> {
    let refused = |refusal| Error::Refused(Refusal::Client(refusal));
    let registered = client.client();
    if !registered.may(Grant::ClientCredentials) {
        return Err(refused(ClientRefusal::Grant));
    }
    let scopes = asked.unwrap_or_else(|| registered.scopes.clone());
    if !registered.scopes.include(&scopes) {
        return Err(refused(ClientRefusal::Scope));
    }
    let account = match registered.account {
        Some(id) => accounts::find_by_id(&context.store, id).await?,
        None => None,
    };
    let now = context.now();
    let token = FamilyId::begin(now, context.random.as_ref());
    let (shape, rules) = (&context.shape, &layout.tokens);
    let who = AuthorizedClient::by_secret(client, &scopes, account.as_ref(), shape, rules, token)
        .ok_or(refused(ClientRefusal::Account))?;
    let ring = context.ring.load();
    let access = context.issuer(&ring, &layout.tokens, now).client_access(&who)?;
    let issued = IssuedToken {
        id: token,
        client: &registered.id,
        secret: client.secret().digest,
        expires_at: access.expires_at(),
    };
    if clients::issue(&context.store, &issued, now).await? {
        Ok(ClientToken { access, scopes })
    } else {
        Err(refused(ClientRefusal::Unauthenticated))
    }
}
