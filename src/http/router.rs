//! From a path to its row, its dialect and its layout's rules.

use std::sync::Arc;

use crate::dialect::dj_rest_auth::{DjRestAuth, Mode};
use crate::dialect::djoser::Djoser;
use crate::dialect::oauth::OAuth;
use crate::dialect::{Dialect, Endpoint, LoginField};
use crate::flow::LayoutRules;
use crate::http::routes::{Access, Layout, Methods};
use crate::token::credential::Schemes;

/// How a layout deals with accounts.
#[derive(Clone, Debug)]
pub enum Manner {
    /// Not at all: tokens only.
    Tokens,
    /// As djoser does.
    Djoser(Djoser),
    /// As dj-rest-auth does.
    DjRestAuth(DjRestAuth),
    /// Not at all, and it authenticates clients instead of people.
    OAuth(OAuth),
}

impl Manner {
    /// Whether it matters what a request says in its body. A log-out by a credential of the head never looks, and
    /// so does not mind what cannot be read.
    #[must_use]
    pub fn reads_body(&self, endpoint: Endpoint) -> bool {
        endpoint != Endpoint::LogOut
            || matches!(self, Self::DjRestAuth(dialect) if dialect.mode == Mode::Jwt)
    }
}

/// Where a request goes.
#[derive(Clone)]
pub struct Route {
    /// What it does.
    pub endpoint: Endpoint,
    /// Which methods it answers.
    pub methods: Methods,
    /// How it is spelt.
    pub dialect: Arc<dyn Dialect>,
    /// What it makes of `Authorization`.
    pub access: Access,
    /// Which credentials count there.
    pub schemes: Arc<Schemes>,
    /// How its layout deals with accounts.
    pub manner: Manner,
    /// What differs by layout.
    pub rules: Arc<LayoutRules>,
    /// Its path, for messages.
    pub path: String,
}

/// A layout as settings have it.
pub struct Mounted {
    /// Its rows.
    pub layout: &'static Layout,
    /// Where they are served: begins with a slash and does not end with one, or is empty.
    pub mount: String,
    /// How they are spelt.
    pub dialect: Arc<dyn Dialect>,
    /// How those rows are spelt that do not look at `Authorization`.
    pub token_dialect: Arc<dyn Dialect>,
    /// Which credentials count.
    pub schemes: Arc<Schemes>,
    /// How it deals with accounts.
    pub manner: Manner,
    /// What accounts sign in with: some rows are there for one or the other.
    pub login: LoginField,
    /// What differs by layout.
    pub rules: Arc<LayoutRules>,
}

/// The routes in force. No two rows share a path.
pub struct Router {
    routes: Vec<Route>,
    paths: matchit::Router<usize>,
}

impl Router {
    /// Puts the layouts under their mounts, beside the path of the gate. Tells every overlap.
    pub fn build(mounted: &[Mounted], gate_path: &str) -> Result<Self, Vec<String>> {
        let mut router = Self { routes: Vec::new(), paths: matchit::Router::new() };
        let mut wrong = Vec::new();
        for layout in mounted {
            for row in layout.layout.rows.iter().filter(|row| row.endpoint.is_for(layout.login)) {
                let path = row.under(&layout.mount);
                let at = router.routes.len();
                let at_gate = path.strip_prefix(gate_path).is_some_and(|rest| {
                    // Below it policies are asked by their names.
                    rest.is_empty() || rest.starts_with('/')
                });
                let taken = at_gate || router.paths.insert(path.clone(), at).is_err();
                if taken {
                    wrong.push(format!(
                        "layouts.{}.mount: {path} is served already, or is no path; move the mount",
                        layout.layout.name
                    ));
                    continue;
                }
                let dialect = match row.access {
                    Access::Ignored => &layout.token_dialect,
                    Access::Open | Access::OpenPost | Access::SignedIn => &layout.dialect,
                };
                router.routes.push(Route {
                    endpoint: row.endpoint,
                    methods: row.methods,
                    dialect: Arc::clone(dialect),
                    access: row.access,
                    schemes: Arc::clone(&layout.schemes),
                    manner: layout.manner.clone(),
                    rules: Arc::clone(&layout.rules),
                    path,
                });
            }
        }
        if wrong.is_empty() { Ok(router) } else { Err(wrong) }
    }

    /// The route of a path, with or without its last slash, and the id in it where it has one.
    #[must_use]
    pub fn find<'p>(&self, path: &'p str) -> Option<(&Route, Option<&'p str>)> {
        let path = path.strip_suffix('/').unwrap_or(path);
        let found = self.paths.at(path).ok()?;
        Some((self.routes.get(*found.value)?, found.params.get("id")))
    }

    /// All routes.
    #[must_use]
    pub fn routes(&self) -> &[Route] {
        &self.routes
    }
}
