//! The route table: the only file with URLs. A path is written without its last slash and served with
//! and without it, so that no redirect loses a POST body.

use http::Method;

use crate::dialect::Endpoint;
use crate::page::Page;
use crate::page::section::Section;

/// Which methods a row answers, beside OPTIONS.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Methods {
    /// POST.
    Post,
    /// GET (and so HEAD) and POST.
    GetPost,
    /// HEAD is named though it is refused, as the peer names it.
    PostHead,
    /// GET, PUT and PATCH.
    GetPutPatch,
    /// GET, PUT, PATCH and DELETE.
    GetPutPatchDelete,
    /// DELETE.
    Delete,
    /// GET (and so HEAD).
    Get,
    /// GET and DELETE.
    GetDelete,
    /// GET, PATCH and DELETE.
    GetPatchDelete,
}

impl Methods {
    /// The value of `Allow`, in the order in which Django REST framework lists them.
    #[must_use]
    pub const fn allow(self) -> &'static str {
        match self {
            Self::Post => "POST, OPTIONS",
            Self::GetPost => "GET, POST, HEAD, OPTIONS",
            Self::PostHead => "POST, OPTIONS, HEAD",
            Self::GetPutPatch => "GET, PUT, PATCH, HEAD, OPTIONS",
            Self::GetPutPatchDelete => "GET, PUT, PATCH, DELETE, HEAD, OPTIONS",
            Self::Delete => "DELETE, OPTIONS",
            Self::Get => "GET, HEAD, OPTIONS",
            Self::GetDelete => "GET, DELETE, HEAD, OPTIONS",
            Self::GetPatchDelete => "GET, PATCH, DELETE, HEAD, OPTIONS",
        }
    }

    /// Whether a request with this method is for the endpoint, and not to be answered 405.
    #[must_use]
    pub fn include(self, method: &Method) -> bool {
        match *method {
            Method::POST => matches!(self, Self::Post | Self::GetPost | Self::PostHead),
            Method::GET | Method::HEAD => {
                matches!(
                    self,
                    Self::Get
                        | Self::GetDelete
                        | Self::GetPost
                        | Self::GetPutPatch
                        | Self::GetPutPatchDelete
                        | Self::GetPatchDelete
                )
            }
            Method::PUT => matches!(self, Self::GetPutPatch | Self::GetPutPatchDelete),
            Method::PATCH => {
                matches!(self, Self::GetPutPatch | Self::GetPutPatchDelete | Self::GetPatchDelete)
            }
            Method::DELETE => {
                matches!(
                    self,
                    Self::GetPutPatchDelete | Self::GetPatchDelete | Self::GetDelete | Self::Delete
                )
            }
            _ => false,
        }
    }
}

/// What a row makes of `Authorization`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// Nothing: the JWT views of djangorestframework-simplejwt do not look at it.
    Ignored,
    /// A bad one is refused although none is needed.
    Open,
    /// POST is open; with any other method a credential is asked for before the method is.
    OpenPost,
    /// A credential is needed.
    SignedIn,
}

/// One row: a path under its layout's mount, or for `/.well-known/…` where it is (RFC 8615 3).
#[derive(Clone, Copy, Debug)]
pub struct Row {
    /// The path, without its last slash; empty for the mount itself.
    pub path: &'static str,
    /// Which methods it answers.
    pub methods: Methods,
    /// What it does.
    pub endpoint: Endpoint,
    /// What it makes of `Authorization`.
    pub access: Access,
}

impl Row {
    /// Its path, where its layout is mounted there.
    #[must_use]
    pub fn under(&self, mount: &str) -> String {
        if self.path.starts_with("/.well-known/") {
            self.path.to_owned()
        } else {
            format!("{mount}{}", self.path)
        }
    }
}

/// A set of endpoints that speaks like one of the peers.
#[derive(Clone, Copy, Debug)]
pub struct Layout {
    /// Its name in settings.
    pub name: &'static str,
    /// What it is like.
    pub about: &'static str,
    /// Its rows.
    pub rows: &'static [Row],
}

const fn row(path: &'static str, methods: Methods, endpoint: Endpoint, access: Access) -> Row {
    Row { path, methods, endpoint, access }
}

use Access::{Ignored, Open, OpenPost, SignedIn};
use Endpoint as E;
use Methods::{
    Delete, Get, GetDelete, GetPatchDelete, GetPost, GetPutPatch, GetPutPatchDelete, Post, PostHead,
};

/// All layouts.
pub const LAYOUTS: &[Layout] = &[
    Layout {
        name: "harrastuspassi",
        about: "the Harrastuspassi backend's own token view",
        rows: &[
            row("/token", GetPost, E::ObtainPair, Ignored),
            row("/token/refresh", Post, E::RefreshPair, Ignored),
        ],
    },
    Layout {
        name: "djoser",
        about: "djoser 2.x",
        rows: &[
            row("/users", GetPost, E::Register, OpenPost),
            row("/users/me", GetPutPatchDelete, E::OwnAccount, SignedIn),
            row("/users/{id}", GetPutPatchDelete, E::AccountById, SignedIn),
            row("/users/activation", Post, E::Activate, OpenPost),
            row("/users/resend_activation", Post, E::ResendActivation, OpenPost),
            row("/users/set_password", Post, E::SetPassword, SignedIn),
            row("/users/reset_password", Post, E::ResetPassword, OpenPost),
            row("/users/reset_password_confirm", Post, E::ResetPasswordConfirm, OpenPost),
            row("/users/set_username", Post, E::SetUsername, SignedIn),
            row("/users/reset_username", Post, E::ResetUsername, OpenPost),
            row("/users/reset_username_confirm", Post, E::ResetUsernameConfirm, OpenPost),
            row("/users/set_email", Post, E::SetEmail, SignedIn),
            row("/users/reset_email", Post, E::ResetEmail, OpenPost),
            row("/users/reset_email_confirm", Post, E::ResetEmailConfirm, OpenPost),
            row("/users/confirm_email", Post, E::ConfirmEmail, OpenPost),
            row("/token/login", Post, E::LogIn, Open),
            row("/token/logout", Post, E::LogOut, SignedIn),
            row("/jwt/create", Post, E::ObtainPair, Ignored),
            row("/jwt/refresh", Post, E::RefreshPair, Ignored),
            row("/jwt/verify", Post, E::VerifyToken, Ignored),
        ],
    },
    Layout {
        name: "djoser-legacy",
        about: "djoser 0.x",
        rows: &[
            row("/register", Post, E::Register, Open),
            row("/login", Post, E::LogIn, Open),
            row("/logout", Post, E::LogOut, SignedIn),
            row("/me", GetPutPatch, E::OwnAccount, SignedIn),
            row("/activate", Post, E::Activate, Open),
            row("/username", Post, E::SetUsername, SignedIn),
            row("/password", Post, E::SetPassword, SignedIn),
            row("/password/reset", Post, E::ResetPassword, Open),
            row("/password/reset/confirm", Post, E::ResetPasswordConfirm, Open),
            row("/email", Post, E::SetEmail, SignedIn),
            row("/email/confirm", Post, E::ConfirmEmail, Open),
        ],
    },
    Layout {
        name: "simplejwt",
        about: "djangorestframework-simplejwt",
        rows: &[
            row("", Post, E::ObtainPair, Ignored),
            row("/refresh", Post, E::RefreshPair, Ignored),
            row("/verify", Post, E::VerifyToken, Ignored),
            row("/blacklist", Post, E::BlacklistToken, Ignored),
        ],
    },
    Layout {
        name: "dj-rest-auth",
        about: "dj-rest-auth with allauth",
        rows: &[
            row("/login", Post, E::LogIn, Open),
            row("/logout", GetPost, E::LogOut, Open),
            row("/register", Post, E::Register, Open),
            row("/register/verify-email", PostHead, E::VerifyEmail, Open),
            row("/register/confirm-email/{id}", Get, E::OpenVerification, Open),
            row("/register/resend-email", Post, E::ResendVerification, Open),
            row("/user", GetPutPatch, E::OwnAccount, SignedIn),
            row("/password/change", Post, E::SetPassword, SignedIn),
            row("/password/reset", Post, E::ResetPassword, Open),
            row("/password/reset/confirm", Post, E::ResetPasswordConfirm, Open),
            row("/email", GetPost, E::Addresses, SignedIn),
            row("/email/confirm", Post, E::ConfirmEmail, Open),
            row("/email/{id}", Delete, E::AddressById, SignedIn),
            row("/email/{id}/verify", Post, E::VerifyAddress, SignedIn),
            row("/email/{id}/primary", Post, E::PrimaryAddress, SignedIn),
            row("/token/refresh", Post, E::RefreshPair, Ignored),
            row("/token/verify", Post, E::VerifyToken, Ignored),
        ],
    },
    Layout {
        name: "metax",
        about: "Django REST framework's token view, as Metax offers it",
        rows: &[row("/drf-token-auth", Post, E::ObtainKey, Open)],
    },
    Layout {
        name: "native",
        about: "what the peers do not have",
        rows: &[
            row("/sessions", GetDelete, E::Families, SignedIn),
            row("/sessions/{id}", Delete, E::FamilyById, SignedIn),
            row("/keys", GetPost, E::ApiKeys, SignedIn),
            row("/keys/upgrade", Post, E::UpgradeApiKey, SignedIn),
            row("/keys/{id}", GetPatchDelete, E::ApiKeyById, SignedIn),
            row("/keys/{id}/rotate", Post, E::RotateApiKey, SignedIn),
        ],
    },
    Layout {
        name: "oauth",
        about: "the OAuth standards",
        rows: &[
            row("/token", Post, E::IssueToken, Ignored),
            row("/introspect", Post, E::IntrospectToken, Ignored),
            row("/revoke", Post, E::RevokeToken, Ignored),
            row("/.well-known/jwks.json", Get, E::KeySet, Ignored),
            row("/.well-known/oauth-authorization-server", Get, E::ServerMetadata, Ignored),
        ],
    },
];

/// Which mount a page lies under.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PageMount {
    /// `pages.mount`.
    Account,
    /// `pages.administration`.
    Administration,
    /// `pages.authtoken`.
    ApiKeys,
    /// `layouts.metax.mount`, where that layout is on.
    Metax,
}

/// Who may see a page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Audience {
    /// Anybody.
    Anybody,
    /// Who is signed in; others are asked to.
    SignedIn,
    /// Staff; others are asked to sign in as such.
    Staff,
}

/// A page: a path under its mount. It answers GET, and POST where it has a form.
#[derive(Clone, Copy, Debug)]
pub struct PageRow {
    /// What it lies under.
    pub mount: PageMount,
    /// The path, without its last slash; empty for the mount itself.
    pub path: &'static str,
    /// Which page it is.
    pub page: Page,
    /// Who may see it.
    pub audience: Audience,
}

const fn page(mount: PageMount, path: &'static str, page: Page, audience: Audience) -> PageRow {
    PageRow { mount, path, page, audience }
}

const fn section(path: &'static str, section: Section) -> PageRow {
    page(Administration, path, Page::Administration(section), Staff)
}

use Audience::{Anybody, SignedIn as Member, Staff};
use PageMount::{Account, Administration, ApiKeys, Metax};

/// All pages. Paths are Django's where it has them (`django.contrib.auth.urls`, `admin.site.urls`).
pub const PAGES: &[PageRow] = &[
    page(Account, "", Page::Account, Member),
    page(Account, "/login", Page::SignIn, Anybody),
    page(Account, "/logout", Page::SignOut, Anybody),
    page(Account, "/email", Page::Email, Member),
    page(Account, "/addresses", Page::Addresses, Member),
    page(Account, "/addresses/{id}", Page::Address, Member),
    page(Account, "/password_change", Page::Password, Member),
    page(Account, "/devices", Page::Devices, Member),
    page(Account, "/activity", Page::Activity, Member),
    page(Account, "/keys", Page::ApiKeys, Member),
    page(Account, "/keys/{id}", Page::ApiKey, Member),
    page(Account, "/acting", Page::Acting, Member),
    page(Account, "/acting/end", Page::ActingEnd, Member),
    page(Account, "/language", Page::Language, Anybody),
    page(Account, "/register", Page::Register, Anybody),
    page(Account, "/activate", Page::ResendActivation, Anybody),
    page(Account, "/activate/{uid}/{token}", Page::Activate, Anybody),
    page(Account, "/password_reset", Page::ResetRequest, Anybody),
    page(Account, "/reset/{uid}/{token}", Page::Reset, Anybody),
    page(Account, "/reset/key/{uid}/{token}", Page::AllauthReset, Anybody),
    page(Account, "/username_reset/{uid}/{token}", Page::UsernameReset, Anybody),
    page(Account, "/email/verify/{key}", Page::VerifyEmail, Anybody),
    page(Account, "/email/confirm/{uid}/{token}", Page::ConfirmEmail, Anybody),
    page(Metax, "/auth/tokens", Page::BearerTokens, Member),
    page(Administration, "/login", Page::AdministrationSignIn, Anybody),
    section("", Section::Front),
    section("/auth/user", Section::Accounts),
    section("/auth/user/add", Section::NewAccount),
    section("/auth/user/{id}/change", Section::Account),
    section("/auth/user/{id}/access", Section::AccountAccess),
    section("/auth/user/{id}/password", Section::AccountPassword),
    section("/auth/user/{id}/delete", Section::AccountDeletion),
    page(ApiKeys, "/token", Page::Administration(Section::ApiKeys), Staff),
    page(ApiKeys, "/token/add", Page::Administration(Section::ApiKeys), Staff),
    section("/clients", Section::Clients),
    section("/clients/add", Section::NewClient),
    section("/clients/{id}/change", Section::Client),
    section("/keys", Section::SigningKeys),
    section("/mail", Section::Mail),
    section("/audit", Section::Audit),
    section("/throttles", Section::Throttles),
];
