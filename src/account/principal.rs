//! Who acts, as far as decisions need to know.

use crate::account::account::AccountId;

/// The account behind a verified credential.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Principal {
    /// Its id.
    pub id: AccountId,
    /// Its user name.
    pub username: String,
    /// Whether it is switched on.
    pub is_active: bool,
    /// Whether it may enter the administration.
    pub is_staff: bool,
    /// Whether it may do everything.
    pub is_superuser: bool,
}
