//! The pages of the administration.

/// A page of the administration. Closed, as [`crate::page::Page`] is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Section {
    /// Its front page.
    Front,
    /// All accounts.
    Accounts,
    /// Making an account.
    NewAccount,
    /// One account: what it says about itself, and what it may.
    Account,
    /// What opens something for it: keys, sign-ins, sessions.
    AccountAccess,
    /// Another password for it.
    AccountPassword,
    /// Deleting it, once one has seen what goes with it.
    AccountDeletion,
    /// Classic API keys of all accounts.
    ApiKeys,
    /// Registered clients.
    Clients,
    /// Registering one.
    NewClient,
    /// One of them.
    Client,
    /// The keys that sign tokens.
    SigningKeys,
    /// The queue of mails.
    Mail,
    /// What happened.
    Audit,
    /// Who is slowed down.
    Throttles,
}

impl Section {
    /// Its name in metrics and logs.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Front => "page_administration",
            Self::Accounts => "page_accounts",
            Self::NewAccount => "page_new_account",
            Self::Account => "page_administered_account",
            Self::AccountAccess => "page_account_access",
            Self::AccountPassword => "page_account_password",
            Self::ApiKeys => "page_administered_api_keys",
            Self::Clients => "page_clients",
            Self::NewClient => "page_new_client",
            Self::Client => "page_client",
            Self::SigningKeys => "page_signing_keys",
            Self::Mail => "page_mail",
            Self::Audit => "page_audit",
            Self::Throttles => "page_throttles",
            Self::AccountDeletion => "page_account_deletion",
        }
    }
}
