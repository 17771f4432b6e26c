//! What the service does, one verb per file: who may, when, and how often. Knows no wire format.

pub mod acting;
pub mod activate;
pub mod administer;
pub mod adopt_addresses;
pub mod attempt;
pub mod audit;
pub mod authenticate;
pub mod authenticate_client;
pub mod change_email;
pub mod change_password;
pub mod change_username;
pub mod changed_elsewhere;
pub mod choose_language;
pub mod client_credentials;
pub mod clients;
pub mod directory;
pub mod emails;
pub mod families;
pub mod introspect;
pub mod key_schedule;
pub mod keys;
pub mod links;
pub mod log_in;
pub mod obtain_key;
pub mod outbox;
pub mod personal_keys;
pub mod profile;
pub mod quota;
pub mod refresh;
pub mod register;
pub mod reset_password;
pub mod revoke;
pub mod sessions;
pub mod sign_in;
pub mod steward;
pub mod verify;

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;

use crate::account::account::AccountId;
use crate::account::breached::Unreadable;
use crate::account::hashing::{Busy, Hashing};
use crate::account::rules::PasswordRules;
use crate::account::throttle::{Subjects, ThrottleRules};
use crate::base::clock::{Clock, Timestamp};
use crate::base::random::Random;
use crate::base::seal::MasterKey;
use crate::base::secret::Secret;
use crate::flow::audit::AuditRules;
use crate::flow::keys::KeyRoom;
use crate::flow::personal_keys::KeyRules;
use crate::flow::sessions::SessionRules;
use crate::mail::Mailer;
use crate::store::Store;
use crate::store::StoreError;
use crate::store::accounts::Owner;
use crate::store::refresh_families::Origin;
use crate::token::claims::{ClaimsShape, TokenRules};
use crate::token::credential::Denial;
use crate::token::django_link::DjangoLinks;
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
    /// What a client asks for at the OAuth endpoints.
    Client(ClientRefusal),
    /// Too often: too many failures, or too much asked for.
    TooMany {
        /// Seconds after which to try again.
        retry_after: u64,
    },
    /// Too much to do at the moment.
    Busy {
        /// Seconds after which to try again.
        retry_after: u64,
    },
}

/// Why a client is refused (RFC 6749 5.2, RFC 6750 3.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ClientRefusal {
    /// Unknown, wrong secret, switched off, or none was shown: one and the same to the outside.
    Unauthenticated,
    /// It may not use this grant.
    Grant,
    /// It does not have a scope that it asks for.
    Scope,
    /// The account that it acts as is switched off or gone.
    Account,
    /// Who it is, is known, and may not do this: the scope that it lacks.
    Lacks(&'static str),
    /// The token was issued to another client.
    OtherClient,
    /// A token from before the change-over, which cannot be taken back alone.
    Unsupported,
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
    /// A mail could not be put into the outbox.
    Mail(String),
    /// A page could not be shown.
    Page(String),
    /// The list of breached passwords could not be read.
    Unreadable(Unreadable),
    /// What should be impossible.
    Broken(&'static str),
}

impl std::fmt::Display for Fault {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Store(error) => error.fmt(f),
            Self::Signing(error) => error.fmt(f),
            Self::Mail(error) | Self::Page(error) => f.write_str(error),
            Self::Unreadable(error) => write!(f, "breached passwords: {error}"),
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

impl From<Unreadable> for Error {
    fn from(error: Unreadable) -> Self {
        Self::Fault(Fault::Unreadable(error))
    }
}

impl From<Fault> for Error {
    fn from(fault: Fault) -> Self {
        Self::Fault(fault)
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

/// Where a request comes from, and who makes it: what is recorded with what it does.
#[derive(Clone, Debug, Default)]
pub struct Caller {
    /// The client's address, as far as it is known.
    pub address: Option<IpAddr>,
    /// What the client's program says it is, without control characters and bounded.
    pub user_agent: Option<String>,
    /// The request's id.
    pub request_id: Option<String>,
    /// The layout that is spoken, or `command-line`.
    pub layout: Option<&'static str>,
    /// Who is signed in, or acts as somebody else.
    pub actor: Option<AccountId>,
}

impl Caller {
    /// Nobody: the service does it by itself.
    pub const SERVICE: &'static Self =
        &Self { address: None, user_agent: None, request_id: None, layout: None, actor: None };

    /// Whoever may run the command line.
    #[must_use]
    pub fn command_line() -> Self {
        Self { layout: Some("command-line"), ..Self::default() }
    }

    /// From where a family is begun.
    pub(crate) fn origin(&self) -> Origin {
        Origin { address: self.address, user_agent: self.user_agent.clone() }
    }

    /// As somebody who has just shown that this account is theirs, unless somebody is signed in already.
    #[must_use]
    pub fn as_owner(&self, account: AccountId) -> Self {
        Self { actor: self.actor.or(Some(account)), ..self.clone() }
    }
}

/// What the site wants of accounts.
#[derive(Debug)]
pub struct AccountRules {
    /// New accounts are switched on by a link.
    pub activation: bool,
    /// Every account that is made gets a classic API key (Metax).
    pub classic_keys: bool,
    /// Registration gives an API key (djoser 0.1).
    pub log_in_after_registration: bool,
    /// Activation gives an API key (djoser 0.1).
    pub log_in_after_activation: bool,
    /// A mail tells of a finished activation.
    pub confirm_activation: bool,
    /// A mail tells of another password.
    pub confirm_password: bool,
    /// A mail tells of a refresh token that somebody else has used.
    pub warn_of_reuse: bool,
    /// A mail tells of another user name.
    pub confirm_username: bool,
    /// Another password ends all API keys too.
    pub end_keys_on_password_change: bool,
    /// No two accounts share an address.
    pub unique_email: bool,
    /// Accounts sign in with their addresses, and are given user names.
    pub email_login: bool,
    /// A new address counts only once a link to it was followed.
    pub confirm_email_change: bool,
    /// Opening the link of a verification mail verifies the address.
    pub confirm_on_get: bool,
    /// How long links live.
    pub link_lifetime: Duration,
    /// Pattern of the links of activation mails.
    pub activation_url: String,
    /// Pattern of the links to another password.
    pub password_reset_url: String,
    /// Pattern of the links to another user name.
    pub username_reset_url: String,
    /// Pattern of the links that show that mail arrives.
    pub email_verification_url: String,
    /// Pattern of allauth's links to another password.
    pub allauth_password_reset_url: String,
    /// Pattern of the links to another address.
    pub email_change_url: String,
    /// What it takes to follow links that Django has sent; `None`: they are not followed.
    pub django_links: Option<DjangoLinks>,
    /// What is asked of passwords.
    pub passwords: PasswordRules,
}

/// A name and a password, as they were presented.
#[derive(Clone, Debug)]
pub struct Credentials {
    /// The user name, compared with its case; or, where the site has it so, the mail address.
    pub name: String,
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

/// How often may be guessed and asked, and who is counted.
#[derive(Debug)]
pub struct Throttle {
    /// The limits.
    pub rules: ThrottleRules,
    /// What is counted.
    pub subjects: Subjects,
}

/// What flows need beside their arguments.
pub struct Context {
    /// The store.
    pub store: Store,
    /// The hashing threads.
    pub hashing: Arc<Hashing>,
    /// Puts mails into the outbox.
    pub mailer: Mailer,
    /// What the site wants of accounts.
    pub accounts: AccountRules,
    /// Who owns the table of accounts.
    pub owner: Owner,
    /// The keys in force.
    pub ring: ArcSwap<KeyRing>,
    /// Under which signing keys are stored.
    pub master: MasterKey,
    /// How often may be guessed and asked; `None`: as often as anybody likes.
    pub throttle: Option<Throttle>,
    /// How audit events are kept.
    pub audit: AuditRules,
    /// How browser sessions are kept.
    pub sessions: SessionRules,
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
    /// For how long what a key has signed lives on at most.
    pub key_overlap: Duration,
    /// What the site wants of API keys.
    pub key_rules: KeyRules,
}

/// Shows nothing: it holds everything.
impl std::fmt::Debug for Context {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Context(…)")
    }
}

impl Context {
    /// The present moment.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// What keys are kept with.
    #[must_use]
    pub fn key_room(&self) -> KeyRoom<'_> {
        KeyRoom {
            store: &self.store,
            master: &self.master,
            random: self.random.as_ref(),
            now: self.now(),
            overlap: self.key_overlap,
            caller: Caller::SERVICE,
        }
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
