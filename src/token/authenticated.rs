//! Who has proved to be somebody. An [`Authenticated`] is made only here, and only out of another proof:
//! a checked password, or a refresh token whose family is alive.

use serde_json::{Map, Value};

use crate::account::account::AccountId;
use crate::account::hashing::CheckedPassword;
use crate::base::clock::Timestamp;
use crate::token::claims::{ClaimsShape, FamilyId, TokenRules};
use crate::token::refresh::Renewal;

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
