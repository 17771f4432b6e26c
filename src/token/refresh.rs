//! Refresh families: what a refresh token is worth, judged against the state of its family.
//!
//! A family is one sign-in on one device. Under rotation each refresh replaces the family's token; a
//! token one step behind is answered with the *same* successor while that successor is unused and the
//! grace period runs (a lost answer, several tabs); anything older is reuse and ends the family (RFC
//! 9700 4.14.2). Without rotation the first token serves until it expires.

use std::time::Duration;

use serde_json::{Map, Value};

use crate::account::account::AccountId;
use crate::base::clock::Timestamp;
use crate::base::digest::Digest;
use crate::token::claims::{FamilyId, Kind, Stamp};
use crate::token::verify::{Subject, VerifiedToken};

/// Whether an account still has the password with which a family began.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BegunWith {
    /// It has.
    ThisPassword,
    /// It has another one, and nobody who changed it has ended the family.
    AnotherPassword,
    /// The family is from before that was kept.
    Unknown,
}

/// The state of a family, as the store keeps it. It holds digests of token ids, never tokens.
#[derive(Clone, Debug)]
pub struct Family {
    /// Its id, the claim `sid`.
    pub id: FamilyId,
    /// Whose it is.
    pub account: AccountId,
    /// Whether that account is active now.
    pub account_is_active: bool,
    /// Whether the family was ended: by sign-out, reuse, or a change of password.
    pub ended: bool,
    /// Whether it was ended because the account was switched off.
    pub ended_with_account: bool,
    /// Whether the account has the password still with which it began.
    pub begun_with: BegunWith,
    /// When it ends at the latest.
    pub ends_at: Timestamp,
    /// Digest of the `jti` of the token in force.
    pub current: Digest,
    /// What is needed to sign the token in force once more.
    pub successor: Stamp,
    /// Digest of the `jti` of the token before it.
    pub previous: Option<Digest>,
    /// When the token in force replaced the one before it.
    pub rotated_at: Option<Timestamp>,
    /// When a token of it was used the last time, to the minute.
    pub used_at: Option<Timestamp>,
}

/// Where a presented token stands in its family.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// It is the token in force.
    Current,
    /// It is one step behind, its successor unused, the grace period running.
    Retry,
    /// It is older: somebody else holds a copy.
    Reused,
}

impl Family {
    /// Whether it is as good as ended: its account has another password now.
    #[must_use]
    pub fn is_outdated(&self) -> bool {
        !self.ended && self.begun_with == BegunWith::AnotherPassword
    }

    /// Whether a token with this subject can belong to it: the same account, or (as the peers allow) none
    /// named at all.
    #[must_use]
    pub fn is_of(&self, subject: Subject) -> bool {
        match subject {
            Subject::Account(id) => id == self.account.get(),
            Subject::Absent => true,
            Subject::Nobody => false,
        }
    }

    /// Where the token whose `jti` has the digest `presented` stands at `now`.
    #[must_use]
    pub fn standing(&self, presented: &Digest, grace: Duration, now: Timestamp) -> Standing {
        if *presented == self.current {
            Standing::Current
        } else if self.previous.as_ref() == Some(presented)
            && self.rotated_at.is_some_and(|rotated_at| now < rotated_at.plus(grace))
        {
            Standing::Retry
        } else {
            Standing::Reused
        }
    }
}

/// Proof that a refresh token may be answered: it verified, and its family is alive and owned by an
/// active account, whose password is the one that it began with. Made only in this file.
///
/// ```compile_fail
/// let renewal = avain::token::refresh::Renewal { family: todo!() };
/// ```
#[derive(Debug)]
pub struct Renewal {
    account: AccountId,
    family: FamilyId,
    ends_at: Timestamp,
    claims: Map<String, Value>,
}

impl Renewal {
    /// The family accepts the token as the one in force, or as one step behind within the grace period.
    #[must_use]
    pub fn accepted(
        token: &VerifiedToken<'_>,
        family: &Family,
        grace: Duration,
        now: Timestamp,
    ) -> Option<Self> {
        let presented = Self::presented(token, family)?;
        (family.standing(&presented, grace, now) != Standing::Reused)
            .then(|| Self::new(token, family))
            .flatten()
    }

    /// The token has just been replaced by `family`'s token in force, in one conditional statement.
    #[must_use]
    pub fn rotated(token: &VerifiedToken<'_>, family: &Family) -> Option<Self> {
        let presented = Self::presented(token, family)?;
        (family.previous == Some(presented)).then(|| Self::new(token, family)).flatten()
    }

    fn presented(token: &VerifiedToken<'_>, family: &Family) -> Option<Digest> {
        token.require(Kind::Refresh).ok()?;
        let live = !family.ended
            && !family.is_outdated()
            && family.account_is_active
            && token.family() == Some(family.id)
            && family.is_of(token.subject());
        live.then(|| token.token_id().map(|id| Digest::of(id.as_bytes()))).flatten()
    }

    fn new(token: &VerifiedToken<'_>, family: &Family) -> Option<Self> {
        let mut claims: Map<String, Value> = serde_json::from_slice(token.payload()).ok()?;
        claims.insert("sid".to_owned(), Value::from(family.id.to_string()));
        Some(Self { account: family.account, family: family.id, ends_at: family.ends_at, claims })
    }

    pub(super) fn into_parts(self) -> (AccountId, FamilyId, Timestamp, Map<String, Value>) {
        (self.account, self.family, self.ends_at, self.claims)
    }
}
