//! djoser, of its three generations: 0.1 (`/auth/register login logout me …`, no slashes, 200 everywhere),
//! 0.5 (the same paths, 204), 2.x (`/auth/users/…`, `/auth/token/…`, `/auth/jwt/…`).
//!
//! | Endpoint | Request | Good | Refused |
//! |---|---|---|---|
//! | register | `username`, `email`, `password` (`re_password`) | 201, the record | 400 by field; a name that is taken only once it is folded: a bare list |
//! | activate | `uid`, `token` | 204 | 400 by field, 403 stale |
//! | log in | `username`, `password` | 200 `{"auth_token"}` | 400 `non_field_errors` |
//! | log out | – | 204, the key is gone | 401 |
//! | me | `email` | 200, the record | 401, 400 by field |
//! | set password, set user name | with `current_password` | 204 | 400 by field |
//! | reset, and its confirmation | `email`; `uid`, `token`, … | 204 | 400 by field |
//! | confirm email (ours, for `account.email_change = "confirm"`) | `uid`, `token` | 204 | 400 by field |
//!
//! 0.1 says 200 without a body where the others say 204. Where accounts log in with their mail addresses
//! (`USERNAME_FIELD = "email"`), log-in and registration ask for `email` alone, records have no `username`, the
//! address in them is read-only, and "set user name" is "set email" with `new_email`.

use http::StatusCode;
use serde_json::{Map, Value, json};

use crate::account::account::Account;
use crate::account::email::{EmailAddress, EmailError};
use crate::account::username::Username;
use crate::base::secret::Secret;
use crate::dialect::form::{Reader, Submission, TextField};
use crate::dialect::words::{CURRENT, OLDEST, Words};
use crate::dialect::{Answer, Dialect, Endpoint, LoginField, drf, password_rules};
use crate::flow::activate::NotActivated;
use crate::flow::change_email::NotMoved;
use crate::flow::change_password::NotChanged;
use crate::flow::change_username::NotRenamed;
use crate::flow::register::{NotRegistered, Registration};
use crate::flow::reset_password::NotReset;
use crate::flow::{Credentials, Refusal};
use crate::token::opaque::ClassicKey;

/// Which djoser.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Generation {
    /// djoser 0.1 on Django REST framework 2.4.
    V0_1,
    /// djoser 0.5 on Django REST framework 3.3.
    V0_5,
    /// djoser 2.
    V2,
}

/// What is said of a present password that is wrong.
pub const WRONG_PASSWORD: &str = "Invalid password.";
/// What is said of a text that is no mail address.
pub const BAD_EMAIL: &str = "Enter a valid email address.";

/// What the site wants, where djoser has a setting for it.
#[derive(Clone, Copy, Debug, Default)]
pub struct Options {
    /// Passwords are typed twice.
    pub retype_password: bool,
    /// User names are typed twice.
    pub retype_username: bool,
    /// Clients are told that an address is unknown.
    pub show_unknown: bool,
    /// First and last name must be given at registration.
    pub require_names: bool,
    /// What accounts log in with.
    pub login: LoginField,
}

/// djoser of one generation, with its options.
#[derive(Clone, Debug)]
pub struct Djoser {
    /// Which one.
    pub generation: Generation,
    /// What the site wants.
    pub options: Options,
}

/// What is said of an address that another account has.
pub const TAKEN_EMAIL: &str = "A user with that email already exists.";

/// What a link consists of in a form: the account's part and the secret part.
pub type UidAndToken = (String, String);

/// A new password and the present one.
pub struct PasswordChange<'s> {
    /// What is wrong with the form so far.
    pub reader: Reader<'s>,
    /// The new one.
    pub new: Secret<String>,
    /// The present one.
    pub current: Secret<String>,
    /// The answer to give where the new one was typed in two ways.
    pub mismatch: Option<Answer>,
}

/// A link and a new password.
#[derive(Debug)]
pub struct PasswordReset {
    /// The link.
    pub link: UidAndToken,
    /// The new password.
    pub new: Secret<String>,
    /// The answer to give where it was typed in two ways.
    pub mismatch: Option<Answer>,
}

/// What is to be logged in with from now on, and what shows that it may be set.
pub struct LoginChange<'s, P> {
    /// What is wrong with the form so far.
    pub reader: Reader<'s>,
    /// The new user name or address.
    pub new: String,
    /// The present password, or a link.
    pub proof: P,
    /// The answer to give where it was typed in two ways.
    pub mismatch: Option<Answer>,
}

impl Djoser {
    fn is_old(&self) -> bool {
        self.generation != Generation::V2
    }

    /// Done, with nothing to say.
    #[must_use]
    pub fn nothing(&self) -> Answer {
        let status = match self.generation {
            Generation::V0_1 => StatusCode::OK,
            Generation::V0_5 | Generation::V2 => StatusCode::NO_CONTENT,
        };
        Answer::empty(status)
    }

    /// The record of an account.
    #[must_use]
    pub fn record(&self, account: &Account) -> Value {
        let mut record = Map::new();
        if self.options.require_names {
            record.insert("first_name".to_owned(), account.first_name.as_str().into());
            record.insert("last_name".to_owned(), account.last_name.as_str().into());
        }
        record.insert("email".to_owned(), account.email.as_str().into());
        if self.generation != Generation::V0_1 {
            record.insert("id".to_owned(), account.id.get().into());
        }
        if self.options.login == LoginField::Username {
            record.insert("username".to_owned(), account.username.as_str().into());
        }
        Value::Object(record)
    }

    /// The answer to a registration.
    #[must_use]
    pub fn registered(&self, account: &Account, key: Option<&ClassicKey>) -> Answer {
        let mut record = self.record(account);
        if let (Some(key), Value::Object(members)) = (key, &mut record) {
            members.insert("auth_token".to_owned(), key.expose().into());
        }
        Answer::json(StatusCode::CREATED, record)
    }

    /// The answer to an activation.
    #[must_use]
    pub fn activated(&self, key: Option<&ClassicKey>) -> Answer {
        match (self.generation, key) {
            (Generation::V0_1, Some(key)) => {
                Answer::json(StatusCode::OK, json!({ "auth_token": key.expose() }))
            }
            (Generation::V0_1, None) => Answer::json(StatusCode::OK, json!({})),
            _ => self.nothing(),
        }
    }

    /// The answer to a log-in.
    #[must_use]
    pub fn logged_in(&self, key: &ClassicKey) -> Answer {
        Answer::json(StatusCode::OK, json!({ "auth_token": key.expose() }))
    }

    /// What a registration says, as far as the form alone tells, and what is wrong with it.
    pub fn read_registration<'s>(
        &self,
        submission: &'s Submission,
    ) -> Result<(Reader<'s>, Registration), Answer> {
        let mut reader = Reader::new(self.words(), submission)?;
        let by_username = self.options.login == LoginField::Username;
        let username = by_username.then(|| self.read_username(&mut reader, "username"));
        let email = read_email(&mut reader, "email", by_username);
        let password = reader.text(&TextField::required("password"));
        let names = ["first_name", "last_name"].map(|name| {
            let field = TextField { longest: Some(150), ..TextField::required(name) };
            if self.options.require_names { reader.text(&field) } else { String::new() }
        });
        if self.options.retype_password && !self.is_old() {
            let repeated = reader.text(&TextField::required("re_password"));
            reader.remember_repeat(&password, &repeated);
        }
        let [first_name, last_name] = names;
        let registration = Registration {
            username,
            email: email
                .filter(|email| !email.is_empty())
                .and_then(|email| EmailAddress::parse(&email).ok()),
            password: Secret::new(password),
            first_name,
            last_name,
            language: None,
        };
        Ok((reader, registration))
    }

    /// A user name as it may be registered; what is wrong is noted.
    fn read_username(&self, reader: &mut Reader<'_>, name: &'static str) -> String {
        let longest = if self.is_old() { 30 } else { 150 };
        let text = self.bad_username();
        reader.judged(&TextField { longest: Some(longest), ..TextField::required(name) }, |value| {
            if Username::has_odd_characters(value) { vec![text.to_owned()] } else { Vec::new() }
        })
    }

    fn bad_username(&self) -> &'static str {
        match self.generation {
            Generation::V0_1 => "Enter a valid username.",
            Generation::V0_5 => {
                "Enter a valid username. This value may contain only letters, numbers and @/./+/-/_ \
                 characters."
            }
            Generation::V2 => crate::dialect::BAD_USERNAME,
        }
    }

    /// What is said of a user name that is taken.
    #[must_use]
    pub fn taken_username(&self) -> &'static str {
        match self.generation {
            Generation::V0_1 => "User with this Username already exists.",
            Generation::V0_5 | Generation::V2 => crate::dialect::TAKEN_USERNAME,
        }
    }

    /// The answer to a registration that was refused.
    #[must_use]
    pub fn not_registered(&self, why: &NotRegistered) -> Answer {
        match why {
            NotRegistered::BadUsername => field("username", self.bad_username()),
            NotRegistered::Password(broken) => fields("password", &password_rules(broken)),
            NotRegistered::Taken if self.is_old() => field("username", self.taken_username()),
            NotRegistered::Taken => {
                Answer::json(StatusCode::BAD_REQUEST, json!(["Unable to create account."]))
            }
            NotRegistered::EmailTaken => field("email", TAKEN_EMAIL),
        }
    }

    /// `uid` and `token`.
    pub fn read_link(&self, submission: &Submission) -> Result<UidAndToken, Answer> {
        let mut reader = Reader::new(self.words(), submission)?;
        let uid = reader.text(&TextField::required("uid"));
        let token = reader.text(&TextField::required("token"));
        reader.finish()?;
        Ok((uid, token))
    }

    fn bad_uid(&self) -> Answer {
        field(
            "uid",
            match self.generation {
                Generation::V0_1 => "User matching query does not exist.",
                Generation::V0_5 | Generation::V2 => "Invalid user id or user doesn't exist.",
            },
        )
    }

    fn bad_token(&self) -> Answer {
        let name = if self.is_old() { "non_field_errors" } else { "token" };
        field(name, "Invalid token for given user.")
    }

    /// The answer to an activation that was refused.
    #[must_use]
    pub fn not_activated(&self, why: NotActivated) -> Answer {
        match why {
            NotActivated::NoAccount => self.bad_uid(),
            NotActivated::Stale if self.generation != Generation::V0_1 => {
                Answer::detail(StatusCode::FORBIDDEN, "Stale token for given user.")
            }
            NotActivated::BadToken | NotActivated::Stale => self.bad_token(),
        }
    }

    /// An address that somebody asks for a mail at.
    pub fn read_email(&self, submission: &Submission) -> Result<String, Answer> {
        let mut reader = Reader::new(self.words(), submission)?;
        let email = read_asked_email(&mut reader, "email");
        reader.finish()?;
        Ok(email)
    }

    /// What is said when no account has the address, where the site wants that told.
    #[must_use]
    pub fn unknown_email(&self) -> Answer {
        Answer::json(StatusCode::BAD_REQUEST, json!(["User with given email does not exist."]))
    }

    /// A new password and the present one.
    pub fn read_password_change<'s>(
        &self,
        submission: &'s Submission,
    ) -> Result<PasswordChange<'s>, Answer> {
        let mut reader = Reader::new(self.words(), submission)?;
        let new = reader.text(&TextField::required("new_password"));
        let mismatch = self.read_repeat(&mut reader, "re_new_password", &new);
        let current = reader.text(&TextField::required("current_password"));
        Ok(PasswordChange {
            reader,
            new: Secret::new(new),
            current: Secret::new(current),
            mismatch,
        })
    }

    /// A second typing of a password, where the site wants it; the answer to give where they differ.
    fn read_repeat(
        &self,
        reader: &mut Reader<'_>,
        name: &'static str,
        first: &str,
    ) -> Option<Answer> {
        if !self.options.retype_password {
            return None;
        }
        let second = reader.text(&TextField::required(name));
        (second != first)
            .then(|| field("non_field_errors", "The two password fields didn't match."))
    }

    /// The answer to a change of password that was refused.
    #[must_use]
    pub fn not_changed(&self, why: &NotChanged) -> Answer {
        match why {
            NotChanged::WrongPassword => field("current_password", WRONG_PASSWORD),
            NotChanged::Rules(broken) => fields("new_password", &password_rules(broken)),
        }
    }

    /// A link and the new password.
    pub fn read_reset(&self, submission: &Submission) -> Result<PasswordReset, Answer> {
        let mut reader = Reader::new(self.words(), submission)?;
        let uid = reader.text(&TextField::required("uid"));
        let token = reader.text(&TextField::required("token"));
        let new = reader.text(&TextField::required("new_password"));
        let mismatch = self.read_repeat(&mut reader, "re_new_password", &new);
        reader.finish()?;
        Ok(PasswordReset { link: (uid, token), new: Secret::new(new), mismatch })
    }

    /// The answer to a reset that was refused.
    #[must_use]
    pub fn not_reset(&self, why: &NotReset) -> Answer {
        match why {
            NotReset::NoAccount => self.bad_uid(),
            NotReset::BadToken => self.bad_token(),
            NotReset::Rules(broken) => fields("new_password", &password_rules(broken)),
        }
    }

    /// A new user name or address, and the present password.
    pub fn read_login_change<'s>(
        &self,
        submission: &'s Submission,
    ) -> Result<LoginChange<'s, Secret<String>>, Answer> {
        let mut reader = Reader::new(self.words(), submission)?;
        let (new, mismatch) = self.read_new_login(&mut reader);
        let current = reader.text(&TextField::required("current_password"));
        Ok(LoginChange { reader, new, proof: Secret::new(current), mismatch })
    }

    /// A link and the new user name or address.
    pub fn read_login_reset<'s>(
        &self,
        submission: &'s Submission,
    ) -> Result<LoginChange<'s, UidAndToken>, Answer> {
        let mut reader = Reader::new(self.words(), submission)?;
        let (new, mismatch) = self.read_new_login(&mut reader);
        // Nothing is said of the link's halves before the name is fine.
        let proof = (reader.unjudged("uid"), reader.unjudged("token"));
        Ok(LoginChange { reader, new, proof, mismatch })
    }

    /// The name of the field that [`read_login_change`](Self::read_login_change) reads.
    #[must_use]
    pub const fn new_login(&self) -> &'static str {
        match self.options.login {
            LoginField::Username => "new_username",
            LoginField::Email => "new_email",
        }
    }

    fn read_new_login(&self, reader: &mut Reader<'_>) -> (String, Option<Answer>) {
        let name = self.new_login();
        let (new, again) = match self.options.login {
            LoginField::Username => (self.read_username(reader, name), "re_new_username"),
            LoginField::Email => {
                (read_email(reader, name, false).unwrap_or_default(), "re_new_email")
            }
        };
        if !self.options.retype_username {
            return (new, None);
        }
        let second = reader.text(&TextField::required(again));
        let text = format!("The two {} fields didn't match.", self.options.login.name());
        let mismatch = (second != new).then(|| field("non_field_errors", &text));
        (new, mismatch)
    }

    /// The answer to a change of name that was refused.
    #[must_use]
    pub fn not_renamed(&self, why: NotRenamed) -> Answer {
        match why {
            NotRenamed::WrongPassword => field("current_password", WRONG_PASSWORD),
            NotRenamed::BadUsername => field("new_username", self.bad_username()),
            NotRenamed::Taken => field("new_username", self.taken_username()),
            NotRenamed::NoAccount => self.bad_uid(),
            NotRenamed::BadToken => self.bad_token(),
        }
    }

    /// The answer to another address that was refused.
    #[must_use]
    pub fn not_moved(&self, why: NotMoved) -> Answer {
        self.not_set("email", why)
    }

    /// The answer to an address in field `name` that was refused.
    #[must_use]
    pub fn not_set(&self, name: &str, why: NotMoved) -> Answer {
        match why {
            NotMoved::NoAccount => self.bad_uid(),
            NotMoved::BadToken => self.bad_token(),
            NotMoved::Taken => field(name, TAKEN_EMAIL),
        }
    }

    /// What is to be changed about one's own record: the address, if it is named and nobody logs in with it.
    pub fn read_profile(&self, submission: &Submission) -> Result<Option<String>, Answer> {
        let mut reader = Reader::new(self.words(), submission)?;
        let named = self.options.login == LoginField::Username && reader.has("email");
        let email = if named { read_email(&mut reader, "email", true) } else { None };
        reader.finish()?;
        Ok(email)
    }

    /// The password that deleting one's account asks for.
    pub fn read_deletion(&self, submission: &Submission) -> Result<Secret<String>, Answer> {
        let mut reader = Reader::new(self.words(), submission)?;
        let current = reader.text(&TextField::required("current_password"));
        reader.finish()?;
        Ok(Secret::new(current))
    }

    /// A name and a password to log in with. Only 0.1 marks them as required: elsewhere absence
    /// counts as wrong credentials (`None`).
    pub fn read_login(&self, submission: &Submission) -> Result<Option<Credentials>, Answer> {
        let mut reader = Reader::new(self.words(), submission)?;
        let mut missing = false;
        let mut read = |name| {
            let field = TextField::required(name);
            if self.generation != Generation::V0_1 && !reader.has(name) {
                missing = true;
                return String::new();
            }
            reader.text(&field)
        };
        let password = read("password");
        let name = read(self.options.login.name());
        reader.finish()?;
        Ok((!missing).then(|| Credentials { name, password: Secret::new(password) }))
    }

    /// The answer to a log-in with wrong credentials.
    #[must_use]
    pub fn not_logged_in(&self) -> Answer {
        let text = if self.is_old() {
            "Unable to login with provided credentials."
        } else {
            "Unable to log in with provided credentials."
        };
        field("non_field_errors", text)
    }

    /// The answer to a log-in with right credentials of an account that is switched off: only the old
    /// generations tell.
    #[must_use]
    pub fn disabled(&self) -> Answer {
        if self.is_old() {
            field("non_field_errors", "User account is disabled.")
        } else {
            self.not_logged_in()
        }
    }
}

impl Dialect for Djoser {
    fn words(&self) -> &'static Words {
        match self.generation {
            Generation::V0_1 => &OLDEST,
            Generation::V0_5 | Generation::V2 => &CURRENT,
        }
    }

    fn challenge(&self) -> &'static str {
        "Token"
    }

    fn refuse(&self, _: Endpoint, refusal: &Refusal) -> Answer {
        match refusal {
            Refusal::WrongCredentials | Refusal::OwnerInactive => self.not_logged_in(),
            Refusal::Token(rejection) => Answer::unauthenticated(
                json!({ "detail": drf::rejection(self.words(), *rejection) }),
            ),
            Refusal::Denied(denial) => self.deny(*denial),
            Refusal::Client(why) => self.refuse_client(*why),
            Refusal::Busy { retry_after } => drf::unavailable(*retry_after),
            Refusal::TooMany { retry_after } => drf::throttled(self.words(), *retry_after),
        }
    }
}

/// 400 with one complaint about one field.
#[must_use]
pub fn field(name: &str, text: &str) -> Answer {
    fields(name, &[text.to_owned()])
}

/// 400 with complaints about one field.
#[must_use]
pub fn fields(name: &str, texts: &[String]) -> Answer {
    Answer::json(StatusCode::BAD_REQUEST, json!({ name: texts }))
}

/// An address that somebody asks for a mail at: of any length, since it is only looked for.
pub fn read_asked_email(reader: &mut Reader<'_>, name: &'static str) -> String {
    let spec =
        TextField { not_text: Some(BAD_EMAIL), judged_last: true, ..TextField::required(name) };
    reader
        .judged(&spec, |value| bad_email(value).then(|| BAD_EMAIL.to_owned()).into_iter().collect())
}

/// Whether a text is no address; one that is too long is one.
fn bad_email(value: &str) -> bool {
    matches!(EmailAddress::parse(value), Err(EmailError::Malformed))
}

/// A mail address; what is wrong is noted. `None` where it is absent and may be.
pub fn read_email(reader: &mut Reader<'_>, name: &'static str, optional: bool) -> Option<String> {
    let spec = TextField {
        longest: Some(254),
        not_text: Some(BAD_EMAIL),
        judged_last: true,
        ..TextField::required(name)
    };
    let judge = |value: &str| bad_email(value).then(|| BAD_EMAIL.to_owned()).into_iter().collect();
    if optional { reader.optional(&spec, judge) } else { Some(reader.judged(&spec, judge)) }
}
