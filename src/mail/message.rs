//! What can be said by mail, and to whom.

use std::fmt;

use crate::account::email::EmailAddress;
use crate::locale::Language;

/// What a mail is about. Its name is that of its templates.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Message {
    /// A link that activates a new account.
    Activation,
    /// The account was activated.
    ActivationDone,
    /// A link to choose a new password.
    PasswordReset,
    /// The password was changed.
    PasswordChanged,
    /// A link to choose a new user name.
    UsernameReset,
    /// The user name was changed.
    UsernameChanged,
    /// A link that proves an address.
    EmailVerification,
    /// A link, to the new address, that completes a change of address.
    EmailChange,
    /// The address was changed; goes to the old one.
    EmailChanged,
    /// A refresh token was used again by somebody else, and its sign-in was ended.
    RefreshReuse,
}

/// What a row of the outbox is about that is no mail: made where a mail was asked for that nobody gets, so
/// that nobody can tell by the time it takes. The worker throws it away.
pub const NOTHING: &str = "nothing";

impl Message {
    /// All of them.
    pub const ALL: [Self; 10] = [
        Self::Activation,
        Self::ActivationDone,
        Self::PasswordReset,
        Self::PasswordChanged,
        Self::UsernameReset,
        Self::UsernameChanged,
        Self::EmailVerification,
        Self::EmailChange,
        Self::EmailChanged,
        Self::RefreshReuse,
    ];

    /// Its name in files, in the outbox and in metrics.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Activation => "activation",
            Self::ActivationDone => "activation_done",
            Self::PasswordReset => "password_reset",
            Self::PasswordChanged => "password_changed",
            Self::UsernameReset => "username_reset",
            Self::UsernameChanged => "username_changed",
            Self::EmailVerification => "email_verification",
            Self::EmailChange => "email_change",
            Self::EmailChanged => "email_changed",
            Self::RefreshReuse => "refresh_reuse",
        }
    }

    /// The message of that name.
    #[must_use]
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|message| message.as_str() == name)
    }

    /// Whether it is sent for its link.
    #[must_use]
    pub const fn has_link(self) -> bool {
        match self {
            Self::Activation
            | Self::PasswordReset
            | Self::UsernameReset
            | Self::EmailVerification
            | Self::EmailChange => true,
            Self::ActivationDone
            | Self::PasswordChanged
            | Self::UsernameChanged
            | Self::EmailChanged
            | Self::RefreshReuse => false,
        }
    }
}

impl fmt::Display for Message {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A mail to be written.
#[derive(Clone, Copy, Debug)]
pub struct Draft<'a> {
    /// What it is about.
    pub message: Message,
    /// Where it goes: an address that is stored, never one that a request named for the purpose.
    pub to: &'a EmailAddress,
    /// In which language.
    pub language: Language,
    /// Whose account it is about.
    pub user: MailUser<'a>,
    /// The one-time link, where it is about one.
    pub link: Option<Link<'a>>,
}

/// The account that a mail is about, as templates see it.
#[derive(Clone, Copy, Debug)]
pub struct MailUser<'a> {
    /// Its user name.
    pub username: &'a str,
    /// Its given name.
    pub first_name: &'a str,
    /// Its family name.
    pub last_name: &'a str,
    /// Its address.
    pub email: &'a str,
}

/// A one-time link, as templates see it. `Debug` does not show it.
#[derive(Clone, Copy)]
pub struct Link<'a> {
    /// What stands after `protocol://domain/`, as in djoser: the configured pattern, filled in. A whole
    /// URL is left as it is.
    pub url: &'a str,
    /// The account, as it stands in the link.
    pub uid: &'a str,
    /// The one-time token.
    pub token: &'a str,
}

impl fmt::Debug for Link<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[secret]")
    }
}

/// Who writes: the same in all mails.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Site {
    /// What people call it.
    pub name: String,
    /// The front end's host, with its port where that is unusual. From the configuration alone: a `Host`
    /// header never reaches a link.
    pub domain: String,
    /// `https`, or `http` in development.
    pub protocol: String,
}

/// A mail as it is read.
#[derive(Clone, PartialEq, Eq)]
pub struct Rendered {
    /// One line.
    pub subject: String,
    /// The plain part.
    pub text: String,
    /// The HTML part.
    pub html: String,
}

impl fmt::Debug for Rendered {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Rendered").finish_non_exhaustive()
    }
}
