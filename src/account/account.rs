//! The account: one row of Django's `auth_user`.

use std::fmt;

use crate::account::password::StoredPassword;
use crate::base::clock::Timestamp;

/// The id of an account. Django's `auth_user.id` is an int4 in every version.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AccountId(i32);

impl AccountId {
    /// The account whose row has this id.
    #[must_use]
    pub const fn new(id: i32) -> Self {
        Self(id)
    }

    /// The number, as the store and the claim `user_id` have it.
    #[must_use]
    pub const fn get(self) -> i32 {
        self.0
    }
}

impl fmt::Display for AccountId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// A stored account, with the columns and the meaning of Django's `auth_user`.
#[derive(Clone, PartialEq, Eq)]
pub struct Account {
    /// The primary key.
    pub id: AccountId,
    /// The name to sign in with; unique, compared with regard to case.
    pub username: String,
    /// The mail address; may be empty, may be shared by several accounts.
    pub email: String,
    /// The first name; may be empty.
    pub first_name: String,
    /// The last name; may be empty.
    pub last_name: String,
    /// Whether the account may be used at all.
    pub is_active: bool,
    /// Whether it may enter the administration pages.
    pub is_staff: bool,
    /// Whether it has every permission.
    pub is_superuser: bool,
    /// The stored form of the password.
    pub password: StoredPassword,
    /// When it was made.
    pub date_joined: Timestamp,
    /// When it last signed in, if ever.
    pub last_login: Option<Timestamp>,
}

impl Account {
    /// Whether tokens may be issued for it: it is switched on, and it is not the row that
    /// django-guardian keeps for people who are not signed in.
    #[must_use]
    pub fn may_hold_tokens(&self) -> bool {
        self.is_active && !self.is_nobody()
    }

    /// Whether it is the row that django-guardian keeps for people who are not signed in: hidden from
    /// lists, and never renamed.
    #[must_use]
    pub fn is_nobody(&self) -> bool {
        self.username == "AnonymousUser"
    }
}

/// Shows the id alone: names and addresses do not belong in logs.
impl fmt::Debug for Account {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Account").field("id", &self.id).finish_non_exhaustive()
    }
}
