//! How requests and answers are spelt. An endpoint is what we do; a dialect is how one of the peers says
//! it. The trait's default methods behave like Django REST framework; each dialect overrides what differs.

pub mod dj_rest_auth;
pub mod djoser;
pub mod drf;
pub mod form;
pub mod metax;
pub mod native;
pub mod oauth;
pub mod sessions;
pub mod simplejwt;
pub mod words;

use http::header::SET_COOKIE;
use http::{HeaderName, HeaderValue, StatusCode};
use serde_json::{Value, json};

use crate::account::rules::{Attribute, RuleBroken};
use crate::dialect::form::{Reader, Submission, TextField};
use crate::dialect::words::Words;
use crate::flow::{ClientRefusal, Credentials, Refusal, RenewedTokens, TokenPair};
use crate::token::credential::Denial;
use crate::token::opaque::ClassicKey;

/// What a client can ask for. Closed: `http` matches it exhaustively.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Endpoint {
    /// A token pair for a user name and a password, or for a browser session.
    ObtainPair,
    /// A new access token (and a new refresh token, under rotation) for a refresh token.
    RefreshPair,
    /// Whether a token is good.
    VerifyToken,
    /// Taking back a refresh token and its family.
    BlacklistToken,
    /// The account's API key for a user name and a password.
    ObtainKey,
    /// Making an account, by its owner.
    Register,
    /// All accounts that one may see: oneself.
    ListAccounts,
    /// Following an activation link.
    Activate,
    /// Another activation mail.
    ResendActivation,
    /// One's own account.
    OwnAccount,
    /// An account by its id.
    AccountById,
    /// Another password for oneself.
    SetPassword,
    /// A link for a forgotten password.
    ResetPassword,
    /// Following that link.
    ResetPasswordConfirm,
    /// Another user name for oneself.
    SetUsername,
    /// A link for a forgotten user name.
    ResetUsername,
    /// Following that link.
    ResetUsernameConfirm,
    /// Another address to log in with, for oneself.
    SetEmail,
    /// A link for another address to log in with.
    ResetEmail,
    /// Following that link.
    ResetEmailConfirm,
    /// Logging in.
    LogIn,
    /// Logging out.
    LogOut,
    /// Showing that mail to an address arrives.
    VerifyEmail,
    /// As [`Self::VerifyEmail`], by opening the link.
    OpenVerification,
    /// Another mail for that.
    ResendVerification,
    /// Following the link to another address.
    ConfirmEmail,
    /// All addresses of one's own, and adding one.
    Addresses,
    /// Removing an address.
    AddressById,
    /// Another mail to verify an address.
    VerifyAddress,
    /// Making an address the primary one.
    PrimaryAddress,
    /// Where one is signed in, and signing out everywhere else.
    Families,
    /// Signing out in one place.
    FamilyById,
    /// Tokens for a client itself, or for a refresh token (RFC 6749 3.2).
    IssueToken,
    /// What a token is worth (RFC 7662).
    IntrospectToken,
    /// Taking back whatever somebody holds (RFC 7009).
    RevokeToken,
    /// The public keys that tokens verify with (RFC 7517 5).
    KeySet,
    /// What the authorization server says of itself (RFC 8414).
    ServerMetadata,
    /// The API keys of one's own account, and making one.
    ApiKeys,
    /// One of them.
    ApiKeyById,
    /// A new key in place of one of them.
    RotateApiKey,
    /// A new key in place of the classic one.
    UpgradeApiKey,
}

impl Endpoint {
    /// Whether it is there where accounts sign in with `login`: user names that are made from addresses are
    /// nobody's to change.
    #[must_use]
    pub const fn is_for(self, login: LoginField) -> bool {
        match self {
            Self::SetUsername | Self::ResetUsername | Self::ResetUsernameConfirm => {
                matches!(login, LoginField::Username)
            }
            Self::SetEmail | Self::ResetEmail | Self::ResetEmailConfirm => {
                matches!(login, LoginField::Email)
            }
            _ => true,
        }
    }

    /// Its name in metrics and logs.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::ObtainPair => "obtain_pair",
            Self::RefreshPair => "refresh_pair",
            Self::VerifyToken => "verify_token",
            Self::BlacklistToken => "blacklist_token",
            Self::ObtainKey => "obtain_key",
            Self::Register => "register",
            Self::ListAccounts => "list_accounts",
            Self::Activate => "activate",
            Self::ResendActivation => "resend_activation",
            Self::OwnAccount => "own_account",
            Self::AccountById => "account_by_id",
            Self::SetPassword => "set_password",
            Self::ResetPassword => "reset_password",
            Self::ResetPasswordConfirm => "reset_password_confirm",
            Self::SetUsername => "set_username",
            Self::ResetUsername => "reset_username",
            Self::ResetUsernameConfirm => "reset_username_confirm",
            Self::SetEmail => "set_email",
            Self::ResetEmail => "reset_email",
            Self::ResetEmailConfirm => "reset_email_confirm",
            Self::LogIn => "log_in",
            Self::LogOut => "log_out",
            Self::VerifyEmail => "verify_email",
            Self::OpenVerification => "open_verification",
            Self::ResendVerification => "resend_verification",
            Self::ConfirmEmail => "confirm_email",
            Self::Addresses => "addresses",
            Self::AddressById => "address_by_id",
            Self::VerifyAddress => "verify_address",
            Self::PrimaryAddress => "primary_address",
            Self::Families => "families",
            Self::FamilyById => "family_by_id",
            Self::IssueToken => "issue_token",
            Self::IntrospectToken => "introspect_token",
            Self::RevokeToken => "revoke_token",
            Self::KeySet => "key_set",
            Self::ServerMetadata => "server_metadata",
            Self::ApiKeys => "api_keys",
            Self::ApiKeyById => "api_key_by_id",
            Self::RotateApiKey => "rotate_api_key",
            Self::UpgradeApiKey => "upgrade_api_key",
        }
    }
}

/// An answer: everything about it that a dialect decides.
#[derive(Clone, Debug, PartialEq)]
pub struct Answer {
    /// The status.
    pub status: StatusCode,
    /// The JSON body; `None` for none at all.
    pub body: Option<Value>,
    /// Whether the `WWW-Authenticate` challenge of the dialect belongs to it.
    pub challenge: bool,
    /// Seconds for `Retry-After`.
    pub retry_after: Option<u64>,
    /// Further headers, cookies among them; one that every answer has takes its place.
    pub headers: Vec<(HeaderName, HeaderValue)>,
}

impl Answer {
    /// An answer with a JSON body.
    #[must_use]
    pub fn json(status: StatusCode, body: Value) -> Self {
        Self { status, body: Some(body), ..Self::empty(status) }
    }

    /// An answer without a body.
    #[must_use]
    pub const fn empty(status: StatusCode) -> Self {
        Self { status, body: None, challenge: false, retry_after: None, headers: Vec::new() }
    }

    /// An answer `{"detail": …}`.
    #[must_use]
    pub fn detail(status: StatusCode, detail: &str) -> Self {
        Self::json(status, json!({ "detail": detail }))
    }

    /// Sets a cookie beside what is said.
    pub fn set_cookie(&mut self, cookie: &str) {
        if let Ok(cookie) = HeaderValue::from_str(cookie) {
            self.headers.push((SET_COOKIE, cookie));
        }
    }

    /// 401 with the challenge of the dialect.
    #[must_use]
    pub fn unauthenticated(body: Value) -> Self {
        Self { challenge: true, ..Self::json(StatusCode::UNAUTHORIZED, body) }
    }
}

/// One of the peers' ways of speaking.
pub trait Dialect: Send + Sync {
    /// The texts that Django REST framework says.
    fn words(&self) -> &'static Words;

    /// The value of `WWW-Authenticate` on its 401 answers.
    fn challenge(&self) -> &str;

    /// A user name and a password; both trimmed, as Django REST framework's `CharField` does.
    fn read_credentials(&self, submission: &Submission) -> Result<Credentials, Answer> {
        read_credentials(self.words(), submission, "username", true)
    }

    /// The refresh token of a request.
    fn read_refresh(&self, submission: &Submission) -> Result<String, Answer> {
        read_one(self.words(), submission, "refresh")
    }

    /// The token that a request wants verified.
    fn read_token(&self, submission: &Submission) -> Result<String, Answer> {
        read_one(self.words(), submission, "token")
    }

    /// A new token pair.
    fn pair(&self, pair: &TokenPair) -> Answer {
        let body = json!({ "refresh": pair.refresh.expose(), "access": pair.access.expose() });
        Answer::json(StatusCode::OK, body)
    }

    /// What a refresh gives.
    fn renewed(&self, renewed: &RenewedTokens) -> Answer {
        let body = match &renewed.refresh {
            Some(refresh) => {
                json!({ "access": renewed.access.expose(), "refresh": refresh.expose() })
            }
            None => json!({ "access": renewed.access.expose() }),
        };
        Answer::json(StatusCode::OK, body)
    }

    /// The API key of an account.
    fn api_key(&self, key: &ClassicKey) -> Answer {
        Answer::json(StatusCode::OK, json!({ "token": key.expose() }))
    }

    /// Done, with nothing to say.
    fn done(&self) -> Answer {
        Answer::json(StatusCode::OK, json!({}))
    }

    /// What is said around a request: that its method or its body is refused before anybody looks at what it
    /// asks for, or that we are at fault. `answer` is as Django REST framework says it.
    fn around(&self, answer: Answer) -> Answer {
        answer
    }

    /// A refused request.
    fn refuse(&self, endpoint: Endpoint, refusal: &Refusal) -> Answer;

    /// A refused client. Only the OAuth endpoints know any.
    fn refuse_client(&self, _: ClientRefusal) -> Answer {
        self.deny(Denial::NoCredentials)
    }

    /// A refused credential in `Authorization`.
    fn deny(&self, denial: Denial) -> Answer {
        drf::deny(self.words(), denial)
    }
}

/// What accounts sign in with, and what forms call it: Django's `USERNAME_FIELD`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum LoginField {
    /// The user name.
    #[default]
    Username,
    /// The mail address.
    Email,
}

impl LoginField {
    /// The field's name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Username => "username",
            Self::Email => "email",
        }
    }
}

/// A name, in the field `login`, and a password.
fn read_credentials(
    words: &'static Words,
    submission: &Submission,
    login: &'static str,
    trim_password: bool,
) -> Result<Credentials, Answer> {
    let mut reader = Reader::new(words, submission)?;
    let name = reader.text(&TextField::required(login));
    let password =
        reader.text(&TextField { trim: trim_password, ..TextField::required("password") });
    reader.finish()?;
    Ok(Credentials { name, password: crate::base::secret::Secret::new(password) })
}

fn read_one(
    words: &'static Words,
    submission: &Submission,
    name: &'static str,
) -> Result<String, Answer> {
    let mut reader = Reader::new(words, submission)?;
    let value = reader.text(&TextField::required(name));
    reader.finish()?;
    Ok(value)
}

/// What Django says of a user name with odd characters.
pub const BAD_USERNAME: &str = "Enter a valid username. This value may contain only letters, numbers, and \
    @/./+/-/_ characters.";
/// What Django says of a user name that is taken.
pub const TAKEN_USERNAME: &str = "A user with that username already exists.";

/// What Django says of the rules that a password breaks (CONTRACT.md 1.5).
#[must_use]
pub fn password_rules(broken: &[RuleBroken]) -> Vec<String> {
    let told = broken.iter().map(|rule| match rule {
        RuleBroken::TooSimilar(attribute) => {
            let attribute = match attribute {
                Attribute::Username => "username",
                Attribute::FirstName => "first name",
                Attribute::LastName => "last name",
                Attribute::Email => "email address",
            };
            format!("The password is too similar to the {attribute}.")
        }
        RuleBroken::TooShort { minimum } => {
            let plural = if *minimum == 1 { "" } else { "s" };
            format!(
                "This password is too short. It must contain at least {minimum} character{plural}."
            )
        }
        RuleBroken::TooCommon => "This password is too common.".to_owned(),
        RuleBroken::EntirelyNumeric => "This password is entirely numeric.".to_owned(),
        RuleBroken::Breached => {
            "This password has appeared in a data breach and should not be used.".to_owned()
        }
    });
    told.collect()
}
