//! Who has proved to be somebody. An [`Authenticated`] is made only here, and only out of another proof:
//! a checked password, a refresh token whose family is alive, or a browser session that is. So is an
//! [`AuthorizedClient`], out of a secret.

use serde_json::{Map, Value, json};

use crate::account::account::{Account, AccountId};
use crate::account::hashing::CheckedPassword;
use crate::base::clock::Timestamp;
use crate::token::claims::{ClaimsShape, FamilyId, TokenRules};
use crate::token::client::{AuthenticatedClient, ClientScopes, Grant};
use crate::token::refresh::Renewal;
use crate::token::session::LiveSession;

/// Somebody for whom tokens may be issued: the account, its family, and the claims to put into tokens.
///
/// ```compile_fail
/// let anybody = avain::token::authenticated::Authenticated { family: todo!() };
/// ```
#[derive(Debug)]
pub struct Authenticated {
    account: AccountId,
    family: FamilyId,
    ends_at: Timestamp,
    claims: Map<String, Value>,
}

impl Authenticated {
    /// The owner of a checked password, who begins `family`. `None` for an account that may not hold
    /// tokens: switched off, or the row `AnonymousUser` that django-guardian keeps for nobody.
    #[must_use]
    pub fn by_password(
        checked: &CheckedPassword,
        shape: &ClaimsShape,
        rules: &TokenRules,
        family: FamilyId,
        ends_at: Timestamp,
    ) -> Option<Self> {
        let account = checked.account();
        account.may_hold_tokens().then(|| Self {
            account: account.id,
            family,
            ends_at,
            claims: shape.of_account(account, rules, family),
        })
    }

    /// The owner of a browser session, who begins `family`. Where somebody acts as the account, the tokens
    /// tell who (claim `act`, RFC 8693 4.1), and end with the session.
    #[must_use]
    pub fn by_session(
        session: &LiveSession,
        shape: &ClaimsShape,
        rules: &TokenRules,
        family: FamilyId,
        ends_at: Timestamp,
    ) -> Self {
        let account = session.account();
        let mut claims = shape.of_account(account, rules, family);
        let mut ends_at = ends_at;
        if let Some(actor) = session.acting() {
            claims.insert("act".to_owned(), json!({ "sub": actor.to_string() }));
            ends_at = ends_at.min(session.ends_at());
        }
        Self { account: account.id, family, ends_at, claims }
    }

    /// The holder of a refresh token whose family is alive. The claims are those that the family began
    /// with: they are copied from token to token, so names stay as they were at sign-in.
    #[must_use]
    pub fn by_renewal(renewal: Renewal) -> Self {
        let (account, family, ends_at, claims) = renewal.into_parts();
        Self { account, family, ends_at, claims }
    }

    /// The account.
    #[must_use]
    pub const fn account(&self) -> AccountId {
        self.account
    }

    /// The refresh family.
    #[must_use]
    pub const fn family(&self) -> FamilyId {
        self.family
    }

    /// When the family ends at the latest, however often it is refreshed.
    #[must_use]
    pub const fn ends_at(&self) -> Timestamp {
        self.ends_at
    }

    pub(super) const fn claims(&self) -> &Map<String, Value> {
        &self.claims
    }
}

/// A client for which an access token may be issued (RFC 6749 4.4).
///
/// ```compile_fail
/// let anybody = avain::token::authenticated::AuthorizedClient { family: todo!() };
/// ```
#[derive(Debug)]
pub struct AuthorizedClient {
    family: FamilyId,
    ends_at: Option<Timestamp>,
    claims: Map<String, Value>,
}

impl AuthorizedClient {
    /// A client that has shown its secret, and asks for `scopes` of those that it has. `account` is the one that
    /// it acts as; `None` where that is another one, is missing, or may not hold tokens.
    #[must_use]
    pub fn by_secret(
        client: &AuthenticatedClient,
        scopes: &ClientScopes,
        account: Option<&Account>,
        shape: &ClaimsShape,
        rules: &TokenRules,
        family: FamilyId,
    ) -> Option<Self> {
        let (client, ends_at) = (client.client(), client.secret().ends_at);
        let acts_as = account.map(|account| account.id);
        let allowed = client.may(Grant::ClientCredentials)
            && client.scopes.include(scopes)
            && client.account == acts_as
            && account.is_none_or(Account::may_hold_tokens);
        let claims = || shape.of_client(client, scopes, account, rules, family);
        allowed.then(|| Self { family, ends_at, claims: claims() })
    }

    /// The id of the token: its claim `sid`.
    #[must_use]
    pub const fn family(&self) -> FamilyId {
        self.family
    }

    /// When the secret ends, and what was obtained with it: `None` while nothing has taken its place.
    #[must_use]
    pub const fn ends_at(&self) -> Option<Timestamp> {
        self.ends_at
    }

    pub(super) const fn claims(&self) -> &Map<String, Value> {
        &self.claims
    }
}
