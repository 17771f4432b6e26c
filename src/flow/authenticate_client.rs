//! Which client asks: by its id and its secret (RFC 6749 2.3.1).
//!
//! A right secret is right however many wrong ones were tried: nobody guesses 256 bits, so counting failures
//! keeps nobody out who should be out, and must not keep out the client itself. Wrong ones are counted and
//! slowed down as wrong passwords are, so that they cost us little and can be seen.

use crate::base::secret::Secret;
use crate::flow::attempt::Attempt;
use crate::flow::{Caller, ClientRefusal, Context, Error, Refusal};
use crate::store::clients;
use crate::token::client::{AuthenticatedClient, ClientId, is_secret};

/// What a client has presented.
#[derive(Clone, Debug)]
pub struct ClientCredentials {
    /// Its id.
    pub id: String,
    /// Its secret.
    pub secret: Secret<String>,
}

/// Authenticates a client. Unknown, wrong and switched off are one and the same to the outside.
pub async fn authenticate_client(
    context: &Context,
    caller: &Caller,
    presented: &ClientCredentials,
) -> Result<AuthenticatedClient, Error> {
    let now = context.now();
    let secret = presented.secret.expose();
    if let Some(id) = ClientId::parse(&presented.id).filter(|_| is_secret(secret))
        && let Some(client) = clients::find(&context.store, &id, now).await?
        && let Some(authenticated) = client.authenticate(secret, now)
    {
        return Ok(authenticated);
    }
    // No account has a name with this character in it.
    let name = format!("client\u{1f}{}", presented.id);
    Attempt::begin(context, caller, &name, None).await?.failed_for("client").await?;
    Err(Refusal::Client(ClientRefusal::Unauthenticated).into())
}
