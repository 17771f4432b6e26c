//! The route table: the only file with URLs. A path is written without its last slash and served with
//! and without it, so that no redirect loses a POST body.

use crate::dialect::Endpoint;

/// Which methods a row answers, beside OPTIONS.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Methods {
    /// POST.
    Post,
    /// GET (and so HEAD) and POST.
    GetPost,
}

impl Methods {
    /// The value of `Allow`, in the order in which Django REST framework lists them.
    #[must_use]
    pub const fn allow(self) -> &'static str {
        match self {
            Self::Post => "POST, OPTIONS",
            Self::GetPost => "GET, POST, HEAD, OPTIONS",
        }
    }
}

/// One row: a path under its layout's mount.
#[derive(Clone, Copy, Debug)]
pub struct Row {
    /// The path, without its last slash; empty for the mount itself.
    pub path: &'static str,
    /// Which methods it answers.
    pub methods: Methods,
    /// What it does.
    pub endpoint: Endpoint,
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

const fn row(path: &'static str, methods: Methods, endpoint: Endpoint) -> Row {
    Row { path, methods, endpoint }
}

/// All layouts.
pub const LAYOUTS: &[Layout] = &[
    Layout {
        name: "harrastuspassi",
        about: "the Harrastuspassi backend's own token view",
        rows: &[
            row("/token", Methods::GetPost, Endpoint::ObtainPair),
            row("/token/refresh", Methods::Post, Endpoint::RefreshPair),
        ],
    },
    Layout {
        name: "simplejwt",
        about: "djangorestframework-simplejwt",
        rows: &[
            row("", Methods::Post, Endpoint::ObtainPair),
            row("/refresh", Methods::Post, Endpoint::RefreshPair),
            row("/verify", Methods::Post, Endpoint::VerifyToken),
            row("/blacklist", Methods::Post, Endpoint::BlacklistToken),
        ],
    },
    Layout {
        name: "metax",
        about: "Django REST framework's token view, as Metax offers it",
        rows: &[row("/drf-token-auth", Methods::Post, Endpoint::ObtainKey)],
    },
];
