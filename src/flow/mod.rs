//! What the service does, one verb per file: who may, when, and how often. Knows no wire format.

pub mod administer;
pub mod authenticate;
pub mod keys;
pub mod obtain_key;
pub mod refresh;
pub mod revoke;
pub mod sign_in;
pub mod verify;

use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;

use crate::account::hashing::{Busy, Hashing};
use crate::base::clock::{Clock, Timestamp};
use crate::base::random::Random;
use crate::base::seal::MasterKey;
use crate::base::secret::Secret;
use crate::store::Store;
use crate::store::StoreError;
use crate::token::claims::{ClaimsShape, TokenRules};
use crate::token::credential::Denial;
use crate::token::issue::{AccessToken, Issuer, RefreshToken, SigningFailed};
use crate::token::key_ring::KeyRing;
use crate::token::verify::{Expectations, Rejection};

/// An expected answer that is no: part of the contract, worded by a dialect.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// Unknown name, wrong password, switched off: one and the same to the outside.
    WrongCredentials,
    /// The presented token is refused.
    Token(Rejection),
    /// The token is good, but its owner is switched off or gone.
    OwnerInactive,
    /// The credential in `Authorization` is refused.
    Denied(Denial),
    /// Too much to do at the moment.
    Busy {
        /// Seconds after which to try again.
        retry_after: u64,
    },
}

/// Why a flow did not do what it was asked.
#[derive(Debug)]
pub enum Error {
    /// An expected answer that is no.
    Refused(Refusal),
    /// Something is wrong with us. Logged once, where it is turned into an answer.
    Fault(Fault),
}

/// Something is wrong with us, not with the request.
#[derive(Debug)]
pub enum Fault {
    /// The store did not answer, or not as it should.
    Store(StoreError),
    /// A token could not be signed.
    Signing(SigningFailed),
    /// What should be impossible.
    Broken(&'static str),
}

impl std::fmt::Display for Fault {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Store(error) => error.fmt(f),
            Self::Signing(error) => error.fmt(f),
            Self::Broken(what) => f.write_str(what),
        }
    }
}

impl std::fmt::Display for Error {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Refused(refusal) => write!(f, "refused: {refusal:?}"),
            Self::Fault(fault) => fault.fmt(f),
        }
    }
}

impl From<StoreError> for Error {
    fn from(error: StoreError) -> Self {
        Self::Fault(Fault::Store(error))
    }
}

impl From<SigningFailed> for Error {
    fn from(error: SigningFailed) -> Self {
        Self::Fault(Fault::Signing(error))
    }
}

impl From<Refusal> for Error {
    fn from(refusal: Refusal) -> Self {
        Self::Refused(refusal)
    }
}

impl From<Rejection> for Error {
    fn from(rejection: Rejection) -> Self {
        Self::Refused(Refusal::Token(rejection))
    }
}

impl From<Busy> for Error {
    fn from(_: Busy) -> Self {
        Self::Refused(Refusal::Busy { retry_after: 2 })
    }
}

/// A user name and a password, as they were presented.
#[derive(Clone, Debug)]
pub struct Credentials {
    /// The name, compared with its case.
    pub username: String,
    /// The password.
    pub password: Secret<String>,
}

/// What a sign-in gives.
#[derive(Debug)]
pub struct TokenPair {
    /// Opens resources.
    pub access: AccessToken,
    /// Obtains the next access token.
    pub refresh: RefreshToken,
}

/// What a refresh gives.
#[derive(Debug)]
pub struct RenewedTokens {
    /// Opens resources.
    pub access: AccessToken,
    /// The next refresh token, under rotation.
    pub refresh: Option<RefreshToken>,
}

/// What differs by layout.
#[derive(Clone, Debug)]
pub struct LayoutRules {
    /// Its name, kept with the families that begin under it.
    pub name: &'static str,
    /// Lifetimes and rotation.
    pub tokens: TokenRules,
}

/// What flows need beside their arguments.
pub struct Context {
    /// The store.
    pub store: Store,
    /// The hashing threads.
    pub hashing: Arc<Hashing>,
    /// The keys in force.
    pub ring: ArcSwap<KeyRing>,
    /// Under which signing keys are stored.
    pub master: MasterKey,
    /// The clock.
    pub clock: Arc<dyn Clock>,
    /// The source of randomness.
    pub random: Arc<dyn Random>,
    /// What claims look like.
    pub shape: ClaimsShape,
    /// What is expected of presented tokens.
    pub expectations: Expectations,
    /// How long the token before the last one may be used once more.
    pub refresh_grace: Duration,
    /// How long a family may be refreshed; `None`: for ever.
    pub family_lifetime: Option<Duration>,
    /// The longest life of an access token under any layout.
    pub longest_access: Duration,
}

impl Context {
    /// The present moment.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// When a family that begins at `begun_at` ends at the latest.
    fn family_end(&self, begun_at: Timestamp) -> Timestamp {
        // A century from now is for ever, and still fits into every column and claim.
        begun_at.plus(self.family_lifetime.unwrap_or(Duration::from_hours(24 * 36_500)))
    }

    fn issuer<'a>(
        &'a self,
        ring: &'a KeyRing,
        rules: &'a TokenRules,
        now: Timestamp,
    ) -> Issuer<'a> {
        Issuer { ring, shape: &self.shape, rules, now, random: self.random.as_ref() }
    }
}
