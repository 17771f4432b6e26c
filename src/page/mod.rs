//! Pages for people: which there are, their templates, forms and cookies. Rendered here, decided in `flow`,
//! routed in `http`.
//!
//! A page is one answer with its style in it and works without script. The policy for its content allows
//! that one style, by its digest, and nothing else.

pub mod colour;
pub mod cookie;
pub mod csrf;
pub mod form;
pub mod program;
pub mod render;
pub mod section;
mod templates;

use section::Section;

/// A page. Closed: `http` matches it exhaustively.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Page {
    /// Signing in.
    SignIn,
    /// Signing out.
    SignOut,
    /// One's own account, and what it says of oneself.
    Account,
    /// Another mail address.
    Email,
    /// One's mail addresses.
    Addresses,
    /// One of them.
    Address,
    /// Another password.
    Password,
    /// Where one is signed in.
    Devices,
    /// What happened lately.
    Activity,
    /// One's API keys.
    ApiKeys,
    /// One of them.
    ApiKey,
    /// Bearer tokens for scripts, as Metax has them.
    BearerTokens,
    /// Beginning to act as somebody else.
    Acting,
    /// Ceasing to.
    ActingEnd,
    /// Another language.
    Language,
    /// Making an account.
    Register,
    /// Following the link of an activation mail.
    Activate,
    /// Another activation mail.
    ResendActivation,
    /// Asking for a link for a forgotten password.
    ResetRequest,
    /// Following that link.
    Reset,
    /// Following that link as dj-rest-auth sends it.
    AllauthReset,
    /// Following the link for a forgotten user name.
    UsernameReset,
    /// Following the link that shows that mail arrives.
    VerifyEmail,
    /// Following the link to another mail address.
    ConfirmEmail,
    /// Signing in to the administration.
    AdministrationSignIn,
    /// A page of the administration.
    Administration(Section),
}

impl Page {
    /// Its name in metrics and logs.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::SignIn => "page_sign_in",
            Self::SignOut => "page_sign_out",
            Self::Account => "page_account",
            Self::Email => "page_email",
            Self::Addresses => "page_addresses",
            Self::Address => "page_address",
            Self::Password => "page_password",
            Self::Devices => "page_devices",
            Self::Activity => "page_activity",
            Self::ApiKeys => "page_api_keys",
            Self::ApiKey => "page_api_key",
            Self::BearerTokens => "page_bearer_tokens",
            Self::Acting => "page_acting",
            Self::ActingEnd => "page_acting_end",
            Self::Language => "page_language",
            Self::Register => "page_register",
            Self::Activate => "page_activate",
            Self::ResendActivation => "page_resend_activation",
            Self::ResetRequest => "page_reset_request",
            Self::Reset => "page_reset",
            Self::AllauthReset => "page_allauth_reset",
            Self::UsernameReset => "page_username_reset",
            Self::VerifyEmail => "page_verify_email",
            Self::ConfirmEmail => "page_confirm_email",
            Self::AdministrationSignIn => "page_administration_sign_in",
            Self::Administration(section) => section.name(),
        }
    }
}
