//! dj-rest-auth with allauth: addresses must be verified, names are compared without case.
//!
//! | Endpoint | Good | Refused |
//! |---|---|---|
//! | register | 201 `Verification e-mail sent.` | 400 by field |
//! | verify-email | 200 `ok` | 404: unknown or used |
//! | GET `confirm-email/<key>`, where `account.confirm_on_get` | 200 `ok` | 404: unknown or used |
//! | login | key: `{"key"}`; JWT: `{"access","refresh","user"}`; cookie: the same with `refresh` empty, and cookies | 400 `non_field_errors` |
//! | logout | 200 `Successfully logged out.` | JWT and cookie: 401 without code and challenge |
//! | user | 200 `{"pk","username","email","first_name","last_name"}` | 401, 400 by field |
//! | password change, reset | 200 with a sentence | 400 by field |
//!
//! Several addresses for an account are allauth's pages; here they are endpoints (ours, as dj-rest-auth has
//! none). An address is `{"id","email","verified","primary"}`; others' addresses are 404.
//!
//! | Endpoint | Good | Refused |
//! |---|---|---|
//! | GET `email` | 200, a list of addresses, oldest first | 401 |
//! | POST `email` with `email` | 201, the address, and a mail to it | 400 `email`, 429 |
//! | POST `email/<id>/verify` | 200 `ok`, and another mail | 400 verified, 429 |
//! | POST `email/<id>/primary` | 200, the address; a notice goes to the old one | 400 not verified, or another account's |
//! | DELETE `email/<id>` | 204 | 400 primary |
//! | POST `email/confirm` with `uid`, `token` | 200 `ok`: the link of `account.email_change = "confirm"` | 400 by field |

use http::StatusCode;
use serde_json::{Value, json};

use crate::account::account::Account;
use crate::account::email::EmailAddress;
use crate::account::username::Username;
use crate::base::secret::Secret;
use crate::dialect::djoser::{
    TAKEN_EMAIL, UidAndToken, field, fields, read_asked_email, read_email,
};
use crate::dialect::form::{Reader, Submission, TextField};
use crate::dialect::words::{CURRENT, Words};
use crate::dialect::{
    Answer, BAD_USERNAME, Dialect, Endpoint, LoginField, TAKEN_USERNAME, drf, password_rules,
};
use crate::flow::change_email::NotMoved;
use crate::flow::emails::{NotAdded, NotDone, OwnAddress};
use crate::flow::register::Registration;
use crate::flow::reset_password::NotReset;
use crate::flow::{Refusal, RenewedTokens, TokenPair};
use crate::token::issue::Signed;
use crate::token::opaque::ClassicKey;
use crate::token::verify::Rejection;

/// What a log-in gives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// An API key.
    Key,
    /// A token pair in the body.
    Jwt,
    /// A token pair in cookies.
    Cookie,
}

/// dj-rest-auth in one of its modes.
#[derive(Clone, Debug)]
pub struct DjRestAuth {
    /// What a log-in gives.
    pub mode: Mode,
    /// Whether a user name may be given in place of an address.
    pub by_username: bool,
    /// What accounts log in with: where that is the address, nobody need give a user name at registration.
    pub login: LoginField,
    /// Whether a log-in tells when its tokens expire.
    pub expirations: bool,
    /// Whether the old password is asked for when it is changed.
    pub old_password: bool,
    /// The challenge: `Token`, or that of JWTs.
    pub challenge: String,
}

/// The longest password that forms of allauth take.
const LONGEST_PASSWORD: usize = 128;
/// "The two password fields didn't match." with a typographic apostrophe, as Django's forms have it.
const MISMATCH: &str = "The two password fields didn’t match.";

/// A change of password.
pub struct PasswordChange<'s> {
    /// What is wrong with the form so far.
    pub reader: Reader<'s>,
    /// The new one.
    pub new: String,
    /// The new one once more.
    pub repeated: String,
    /// The old one, where it is asked for.
    pub old: Option<String>,
}

/// Somebody who wants to log in.
#[derive(Debug)]
pub struct LogIn {
    /// The user name, where one was given.
    pub username: Option<String>,
    /// The address, where one was given: it counts before the name.
    pub email: Option<String>,
    /// The password.
    pub password: Secret<String>,
}

impl DjRestAuth {
    /// A sentence under `detail`.
    #[must_use]
    pub fn sentence(&self, text: &str) -> Answer {
        Answer::detail(StatusCode::OK, text)
    }

    /// The profile of an account.
    #[must_use]
    pub fn profile(&self, account: &Account) -> Value {
        json!({
            "pk": account.id.get(),
            "username": account.username,
            "email": account.email,
            "first_name": account.first_name,
            "last_name": account.last_name,
        })
    }

    /// The answer to a log-in with a key.
    #[must_use]
    pub fn logged_in_with_key(&self, key: &ClassicKey) -> Answer {
        Answer::json(StatusCode::OK, json!({ "key": key.expose() }))
    }

    /// The answer to a log-in with tokens.
    #[must_use]
    pub fn logged_in(&self, account: &Account, pair: &TokenPair) -> Answer {
        let refresh = if self.mode == Mode::Cookie { "" } else { pair.refresh.expose() };
        let mut body = json!({
            "access": pair.access.expose(),
            "refresh": refresh,
            "user": self.profile(account),
        });
        if self.expirations {
            body["access_expiration"] = pair.access.expires_at().rfc3339().into();
            body["refresh_expiration"] = pair.refresh.expires_at().rfc3339().into();
        }
        let mut answer = Answer::json(StatusCode::OK, body);
        if self.mode == Mode::Cookie {
            answer.set_cookie(&cookie("access-token", &pair.access));
            answer.set_cookie(&cookie("refresh-token", &pair.refresh));
        }
        answer
    }

    /// What a log-in says.
    pub fn read_login(&self, submission: &Submission) -> Result<LogIn, Answer> {
        let mut reader = Reader::new(self.words(), submission)?;
        let username = reader.optional(&TextField::required("username"), |_| Vec::new());
        let email = read_email(&mut reader, "email", true);
        let password = reader.text(&TextField::required("password"));
        reader.finish()?;
        let given = |text: Option<String>| text.filter(|text| !text.is_empty());
        let username = if self.by_username { given(username) } else { None };
        let email = given(email);
        if username.is_none() && email.is_none() {
            let text = if self.by_username {
                "Must include either \"username\" or \"email\" and \"password\"."
            } else {
                "Must include \"email\" and \"password\"."
            };
            return Err(field("non_field_errors", text));
        }
        Ok(LogIn { username, email, password: Secret::new(password) })
    }

    /// The answer to a log-in that is right but for the address, which nobody has verified.
    #[must_use]
    pub fn not_verified(&self) -> Answer {
        field("non_field_errors", "E-mail is not verified.")
    }

    /// What a registration says, as far as the form alone tells, and what is wrong with it.
    pub fn read_registration<'s>(
        &self,
        submission: &'s Submission,
    ) -> Result<(Reader<'s>, Registration, String), Answer> {
        let mut reader = Reader::new(self.words(), submission)?;
        let longest = TextField { longest: Some(150), ..TextField::required("username") };
        let asked = self.login == LoginField::Username || reader.has("username");
        let username = asked.then(|| reader.text(&longest));
        // allauth looks at the characters of what is a text of good length.
        if let Some(username) = username.as_deref().filter(|_| reader.is_fine("username"))
            && Username::has_odd_characters(username)
        {
            reader.refuse("username", BAD_USERNAME);
        }
        let email = read_email(&mut reader, "email", false).unwrap_or_default();
        let password = reader.text(&TextField::required("password1"));
        let repeated = reader.text(&TextField::required("password2"));
        let registration = Registration {
            username,
            email: EmailAddress::parse(&email).ok(),
            password: Secret::new(password),
            first_name: String::new(),
            last_name: String::new(),
            language: None,
        };
        Ok((reader, registration, repeated))
    }

    /// The answer to two passwords that differ at registration.
    #[must_use]
    pub fn registration_mismatch(&self) -> Answer {
        field("non_field_errors", "The two password fields didn't match.")
    }

    /// The answer to a password that is too similar to what else was typed.
    #[must_use]
    pub fn too_similar(&self, broken: &[crate::account::rules::RuleBroken]) -> Answer {
        fields("non_field_errors", &password_rules(broken))
    }

    /// What is said of an address that somebody has registered.
    pub const TAKEN_EMAIL: &str = "User is already registered with this e-mail address.";

    /// The answer to an address that was taken meanwhile.
    #[must_use]
    pub fn taken_email(&self) -> Answer {
        field("email", Self::TAKEN_EMAIL)
    }

    /// The answer to a name that was taken meanwhile, or cannot be used once it is folded.
    #[must_use]
    pub fn bad_username(&self, taken: bool) -> Answer {
        field("username", if taken { TAKEN_USERNAME } else { BAD_USERNAME })
    }

    /// The key of a verification mail.
    pub fn read_key(&self, submission: &Submission) -> Result<String, Answer> {
        let mut reader = Reader::new(self.words(), submission)?;
        let key = reader.text(&TextField::required("key"));
        reader.finish()?;
        Ok(key)
    }

    /// The answer to a key that is unknown or used.
    #[must_use]
    pub fn not_found(&self) -> Answer {
        drf::not_found(self.words())
    }

    /// An address that somebody asks for a mail at.
    pub fn read_email(&self, submission: &Submission) -> Result<String, Answer> {
        let mut reader = Reader::new(self.words(), submission)?;
        let email = read_asked_email(&mut reader, "email");
        reader.finish()?;
        Ok(email)
    }

    /// `uid` and `token` of a link to another address.
    pub fn read_link(&self, submission: &Submission) -> Result<UidAndToken, Answer> {
        let mut reader = Reader::new(self.words(), submission)?;
        let uid = reader.text(&TextField::required("uid"));
        let token = reader.text(&TextField::required("token"));
        reader.finish()?;
        Ok((uid, token))
    }

    /// The answer to a link to another address that was refused.
    #[must_use]
    pub fn not_moved(&self, why: NotMoved) -> Answer {
        match why {
            NotMoved::NoAccount => field("uid", "Invalid value"),
            NotMoved::BadToken => field("token", "Invalid value"),
            NotMoved::Taken => field("email", TAKEN_EMAIL),
        }
    }

    /// An address of an account.
    #[must_use]
    pub fn address(&self, address: &OwnAddress) -> Value {
        json!({
            "id": address.id,
            "email": address.email,
            "verified": address.verified,
            "primary": address.primary,
        })
    }

    /// The answer to an address that was not added.
    #[must_use]
    pub fn not_added(&self, why: NotAdded) -> Answer {
        let text = match why {
            NotAdded::Known => "This e-mail address is already associated with this account.",
            NotAdded::TooMany => "This account has as many e-mail addresses as it may have.",
        };
        field("email", text)
    }

    /// The answer to a mail that was not sent again, as there is nothing to verify.
    #[must_use]
    pub fn verified_already(&self) -> Answer {
        field("non_field_errors", "This e-mail address is already verified.")
    }

    /// The answer to an address that was not made the primary one, or not removed.
    #[must_use]
    pub fn not_done(&self, why: NotDone) -> Answer {
        let text = match why {
            NotDone::Unknown => return self.not_found(),
            NotDone::Unverified => "The primary e-mail address must be verified.",
            NotDone::Primary => "The primary e-mail address cannot be removed.",
            NotDone::Taken => TAKEN_EMAIL,
        };
        field("non_field_errors", text)
    }

    /// What is to be changed about one's own profile. `whole`: PUT, which needs the user name.
    pub fn read_profile<'s>(
        &self,
        submission: &'s Submission,
        whole: bool,
    ) -> Result<(Reader<'s>, Profile), Answer> {
        let mut reader = Reader::new(self.words(), submission)?;
        let username = (whole || reader.has("username")).then(|| read_username(&mut reader));
        let [first_name, last_name] = ["first_name", "last_name"].map(|name| {
            let spec = TextField { longest: Some(150), ..TextField::required(name) };
            reader.optional(&spec, |_| Vec::new())
        });
        Ok((reader, Profile { username, first_name, last_name }))
    }

    /// A change of password: the new one, the repeated one, and the old one where it is asked for.
    pub fn read_password_change<'s>(
        &self,
        submission: &'s Submission,
    ) -> Result<PasswordChange<'s>, Answer> {
        let mut reader = Reader::new(self.words(), submission)?;
        let old = self.old_password.then(|| reader.text(&password_field("old_password")));
        let new = reader.text(&password_field("new_password1"));
        let repeated = reader.text(&password_field("new_password2"));
        Ok(PasswordChange { reader, new, repeated, old })
    }

    /// A reset: the link, and the new password twice.
    pub fn read_reset(
        &self,
        submission: &Submission,
    ) -> Result<(UidAndToken, String, String), Answer> {
        let mut reader = Reader::new(self.words(), submission)?;
        let new = reader.text(&password_field("new_password1"));
        let repeated = reader.text(&password_field("new_password2"));
        let uid = reader.text(&TextField::required("uid"));
        let token = reader.text(&TextField::required("token"));
        reader.finish()?;
        Ok(((uid, token), new, repeated))
    }

    /// The answer to two new passwords that differ.
    #[must_use]
    pub fn mismatch(&self) -> Answer {
        field("new_password2", MISMATCH)
    }

    /// The answer to a new password that breaks rules.
    #[must_use]
    pub fn weak(&self, broken: &[crate::account::rules::RuleBroken]) -> Answer {
        fields("new_password2", &password_rules(broken))
    }

    /// The answer to a reset that was refused.
    #[must_use]
    pub fn not_reset(&self, why: &NotReset) -> Answer {
        match why {
            NotReset::NoAccount => field("uid", "Invalid value"),
            NotReset::BadToken => field("token", "Invalid value"),
            NotReset::Rules(broken) => self.weak(broken),
        }
    }

    /// The refresh token of a refresh, where the body has one.
    pub fn read_refresh_if_any(&self, submission: &Submission) -> Result<Option<String>, Answer> {
        let mut reader = Reader::new(self.words(), submission)?;
        if !reader.has("refresh") {
            return Ok(None);
        }
        let refresh = reader.text(&TextField { trim: false, ..TextField::required("refresh") });
        reader.finish()?;
        Ok(Some(refresh))
    }

    /// The refresh token of a log-out, where the body has one, be it what it may.
    pub fn read_refresh_to_end(&self, submission: &Submission) -> Result<Option<String>, Answer> {
        let reader = Reader::new(self.words(), submission)?;
        Ok(reader.is_given("refresh").then(|| reader.unjudged("refresh")))
    }

    /// The answer to a refresh without a token.
    #[must_use]
    pub fn no_refresh_token(&self) -> Answer {
        Answer::unauthenticated(json!({
            "detail": "No valid refresh token found.",
            "code": "token_not_valid",
        }))
    }

    /// The answer to a log-out that was refused: 401 without code and challenge.
    #[must_use]
    pub fn not_logged_out(&self, why: Option<Rejection>) -> Answer {
        let detail = match why {
            Some(rejection) => drf::rejection(self.words(), rejection),
            None if self.mode == Mode::Cookie => "Refresh token was not included in cookie data.",
            None => "Refresh token was not included in request data.",
        };
        self.without_cookies(Answer::detail(StatusCode::UNAUTHORIZED, detail))
    }

    /// The same answer; a browser forgets its tokens by it.
    fn without_cookies(&self, mut answer: Answer) -> Answer {
        if self.mode == Mode::Cookie {
            answer.set_cookie(&no_cookie("access-token"));
            answer.set_cookie(&no_cookie("refresh-token"));
        }
        answer
    }

    /// The answer to a log-out.
    #[must_use]
    pub fn logged_out(&self) -> Answer {
        self.without_cookies(self.sentence("Successfully logged out."))
    }

    /// What a refresh gives.
    #[must_use]
    pub fn refreshed(&self, renewed: &RenewedTokens) -> Answer {
        // Where tokens live in cookies, scripts never see the refresh token.
        let hidden = self.mode == Mode::Cookie;
        let mut body = json!({ "access": renewed.access.expose() });
        if let Some(refresh) = renewed.refresh.as_ref().filter(|_| !hidden) {
            body["refresh"] = refresh.expose().into();
        }
        body["access_expiration"] = renewed.access.expires_at().rfc3339().into();
        if let Some(refresh) = renewed.refresh.as_ref().filter(|_| !hidden) {
            body["refresh_expiration"] = refresh.expires_at().rfc3339().into();
        }
        let mut answer = Answer::json(StatusCode::OK, body);
        if hidden {
            answer.set_cookie(&cookie("access-token", &renewed.access));
            if let Some(refresh) = &renewed.refresh {
                answer.set_cookie(&cookie("refresh-token", refresh));
            }
        }
        answer
    }
}

/// What is to be changed about a profile; `None` stays.
#[derive(Debug)]
pub struct Profile {
    /// The user name.
    pub username: Option<String>,
    /// The first name.
    pub first_name: Option<String>,
    /// The last name.
    pub last_name: Option<String>,
}

impl Dialect for DjRestAuth {
    fn words(&self) -> &'static Words {
        &CURRENT
    }

    fn challenge(&self) -> &str {
        &self.challenge
    }

    fn refuse(&self, endpoint: Endpoint, refusal: &Refusal) -> Answer {
        match refusal {
            Refusal::WrongCredentials => {
                field("non_field_errors", "Unable to log in with provided credentials.")
            }
            Refusal::Token(Rejection::Revoked) if endpoint == Endpoint::VerifyToken => {
                field("non_field_errors", "Token is blacklisted")
            }
            Refusal::Token(rejection) => Answer::unauthenticated(json!({
                "detail": drf::rejection(self.words(), *rejection),
                "code": "token_not_valid",
            })),
            Refusal::OwnerInactive => Answer::unauthenticated(
                json!({ "detail": "No active account found for the given token." }),
            ),
            Refusal::Denied(denial) => self.deny(*denial),
            Refusal::Client(why) => self.refuse_client(*why),
            Refusal::Busy { retry_after } => drf::unavailable(*retry_after),
            Refusal::TooMany { retry_after } => drf::throttled(self.words(), *retry_after),
        }
    }
}

fn password_field(name: &'static str) -> TextField {
    TextField { longest: Some(LONGEST_PASSWORD), ..TextField::required(name) }
}

fn read_username(reader: &mut Reader<'_>) -> String {
    let spec = TextField { longest: Some(150), ..TextField::required("username") };
    reader.judged(&spec, |value| {
        if Username::has_odd_characters(value) { vec![BAD_USERNAME.to_owned()] } else { Vec::new() }
    })
}

/// A cookie that scripts cannot read, for as long as its token lives.
fn cookie(name: &str, token: &Signed) -> String {
    let expires = token.expires_at().http_date();
    let (value, seconds) = (token.expose(), token.seconds());
    format!("{name}={value}; expires={expires}; HttpOnly; Max-Age={seconds}; Path=/; SameSite=Lax")
}

/// A cookie that is to be forgotten.
fn no_cookie(name: &str) -> String {
    format!("{name}=\"\"; expires=Thu, 01 Jan 1970 00:00:00 GMT; Max-Age=0; Path=/; SameSite=Lax")
}
