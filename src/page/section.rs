//! The pages of the administration.

/// A page of the administration. Closed, as [`crate::page::Page`] is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Section {
    /// Its front page.
    Front,
    /// All accounts.
    Accounts,
}

impl Section {
    /// Its name in metrics and logs.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Front => "page_administration",
            Self::Accounts => "page_accounts",
        }
    }
}
