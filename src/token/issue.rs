//! Issuing: the only place that signs. Takes an [`Authenticated`] or an [`AuthorizedClient`], never a name or an id.

use std::time::Duration;

use serde_json::{Map, Value, json};

use crate::account::account::AccountId;
use crate::base::clock::Timestamp;
use crate::base::digest::Digest;
use crate::base::encode::{base64url, hex};
use crate::base::random::{self, Random};
use crate::base::secret::Secret;
use crate::token::authenticated::{Authenticated, AuthorizedClient};
use crate::token::claims::{ClaimsShape, Kind, Stamp, TokenRules};
use crate::token::key::SigningKey;
use crate::token::key_ring::KeyRing;

/// A signed token: what travels. The store never sees one.
#[derive(Clone, Debug)]
pub struct Signed {
    text: Secret<String>,
    issued_at: i64,
    expires_at: i64,
}

impl Signed {
    /// The text to hand to the client, once.
    #[must_use]
    pub fn expose(&self) -> &str {
        self.text.expose()
    }

    /// When it expires.
    #[must_use]
    pub const fn expires_at(&self) -> Timestamp {
        Timestamp::from_seconds(self.expires_at)
    }

    /// For how many seconds it lives from when it was issued.
    #[must_use]
    pub const fn seconds(&self) -> i64 {
        self.expires_at - self.issued_at
    }
}

/// An access token: opens resources until it expires or is revoked.
#[derive(Clone, Debug)]
pub struct AccessToken(Signed);

/// A refresh token: obtains access tokens while its family lives.
#[derive(Clone, Debug)]
pub struct RefreshToken(Signed);

impl std::ops::Deref for AccessToken {
    type Target = Signed;

    fn deref(&self) -> &Signed {
        &self.0
    }
}

impl std::ops::Deref for RefreshToken {
    type Target = Signed;

    fn deref(&self) -> &Signed {
        &self.0
    }
}

/// The signature could not be made: a fault of ours.
#[derive(Debug)]
pub struct SigningFailed(pub String);

impl std::fmt::Display for SigningFailed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "cannot sign a token: {}", self.0)
    }
}

/// Issues tokens of one layout at one moment.
pub struct Issuer<'a> {
    /// The key that signs is in here.
    pub ring: &'a KeyRing,
    /// What the claims look like.
    pub shape: &'a ClaimsShape,
    /// What differs by layout.
    pub rules: &'a TokenRules,
    /// The moment.
    pub now: Timestamp,
    /// For token ids.
    pub random: &'a dyn Random,
}

impl Issuer<'_> {
    /// The stamp of a new refresh token, which ends with its family at `ends_at` at the latest.
    #[must_use]
    pub fn refresh_stamp(&self, ends_at: Timestamp) -> Stamp {
        let mut stamp = self.stamp(Kind::Refresh, self.rules.refresh_lifetime);
        stamp.expires_at = stamp.expires_at.min(ends_at.seconds());
        stamp
    }

    /// A new access token, which ends with its family at the latest.
    pub fn access(&self, who: &Authenticated) -> Result<AccessToken, SigningFailed> {
        let mut stamp = self.stamp(Kind::Access, self.rules.access_lifetime);
        stamp.expires_at = stamp.expires_at.min(who.ends_at().seconds());
        self.sign_claims(&stamp, who.claims()).map(AccessToken)
    }

    /// An access token for a client itself. It does not outlive the secret that was shown for it.
    pub fn client_access(&self, client: &AuthorizedClient) -> Result<AccessToken, SigningFailed> {
        let mut stamp = self.stamp(Kind::Access, self.rules.access_lifetime);
        if let Some(ends_at) = client.ends_at() {
            stamp.expires_at = stamp.expires_at.min(ends_at.seconds());
        }
        self.sign_claims(&stamp, client.claims()).map(AccessToken)
    }

    /// The refresh token of that stamp. Signing the same stamp again gives a token with the same `jti`
    /// (the bytes may differ: some algorithms are randomised).
    pub fn refresh(
        &self,
        who: &Authenticated,
        stamp: &Stamp,
    ) -> Result<RefreshToken, SigningFailed> {
        self.sign_claims(stamp, who.claims()).map(RefreshToken)
    }

    fn stamp(&self, kind: Kind, lifetime: Duration) -> Stamp {
        let issued_at = self.now.seconds();
        Stamp {
            kind,
            issued_at,
            expires_at: issued_at
                + i64::try_from(lifetime.as_secs()).unwrap_or(i64::from(u32::MAX)),
            token_id: hex(&random::bytes::<16>(self.random)),
        }
    }

    fn sign_claims(
        &self,
        stamp: &Stamp,
        claims: &Map<String, Value>,
    ) -> Result<Signed, SigningFailed> {
        let claims = self.shape.stamped(stamp, claims);
        let text = sign(self.ring.signing(), true, &claims)?;
        Ok(Signed { text, issued_at: stamp.issued_at, expires_at: stamp.expires_at })
    }
}

impl Stamp {
    /// What the store keeps and compares in place of the token.
    #[must_use]
    pub fn digest(&self) -> Digest {
        Digest::of(self.token_id.as_bytes())
    }
}

/// A phantom token: what the backend sees in place of the client's credential. Signed with a key of its
/// own and short-lived; the claims are the fewest that an unmodified djangorestframework-simplejwt
/// backend asks for, without `aud`, which its old release refuses.
pub fn phantom(
    key: &SigningKey,
    account: AccountId,
    now: Timestamp,
    lifetime: Duration,
    random: &dyn Random,
) -> Result<String, SigningFailed> {
    let claims = json!({
        "token_type": Kind::Access.as_str(),
        "exp": now.plus(lifetime).seconds(),
        "jti": hex(&random::bytes::<16>(random)),
        "user_id": account.get(),
    });
    let claims = claims.as_object().expect("the literal above is an object");
    sign(key, false, claims).map(|token| token.expose().clone())
}

/// The header of the tokens that `key` signs for clients, base64url as it stands in them.
pub(super) fn header_of_tokens(key: &SigningKey) -> String {
    let header = serde_json::to_vec(&header(key, true)).expect("texts are always JSON");
    base64url(&header)
}

fn header(key: &SigningKey, with_key_id: bool) -> jsonwebtoken::Header {
    let mut header = jsonwebtoken::Header::new(key.algorithm().for_jsonwebtoken());
    if with_key_id {
        header.kid = Some(key.id().as_str().to_owned());
    }
    header
}

/// Signs `claims`; the header has `typ`, `alg` and, where asked for, `kid`.
fn sign(
    key: &SigningKey,
    with_key_id: bool,
    claims: &Map<String, Value>,
) -> Result<Secret<String>, SigningFailed> {
    jsonwebtoken::encode(&header(key, with_key_id), claims, key.encoding_key())
        .map(Secret::new)
        .map_err(|error| SigningFailed(error.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::random::SystemRandom;
    use crate::token::algorithm::Algorithm;
    use crate::token::provider;

    #[test]
    fn tokens_have_the_header_that_the_ring_knows() {
        provider::install();
        for algorithm in [Algorithm::Hs256, Algorithm::Es256, Algorithm::EdDsa] {
            let key = SigningKey::generate(algorithm, &SystemRandom::new());
            let token = sign(&key, true, &Map::new()).expect("the key signs");
            let header = token.expose().split('.').next().expect("there is a first part");
            assert_eq!(header_of_tokens(&key), header);
        }
    }
}
