//! From a path to its row, its dialect and its layout's rules.

use std::sync::Arc;

use crate::dialect::dj_rest_auth::{DjRestAuth, Mode};
use crate::dialect::djoser::Djoser;
use crate::dialect::native::Native;
use crate::dialect::oauth::OAuth;
use crate::dialect::{Dialect, Endpoint, LoginField};
use crate::flow::LayoutRules;
use crate::http::routes::{Access, Audience, Layout, Methods, PageMount, PageRow};
use crate::page::Page;
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
    /// In our own way: what the peers do not have.
    Native(Native),
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

/// Where the pages are; begin with a slash and do not end with one.
#[derive(Clone, Debug)]
pub struct PageMounts {
    /// Those of one's account.
    pub account: String,
    /// The administration; `None`: not served.
    pub administration: Option<String>,
    /// That of classic API keys.
    pub authtoken: Option<String>,
    /// The layout `metax`, which has a page; `None`: not served.
    pub metax: Option<String>,
}

impl PageMounts {
    /// Where such pages are.
    #[must_use]
    pub fn of(&self, mount: PageMount) -> Option<&str> {
        match mount {
            PageMount::Account => Some(&self.account),
            PageMount::Administration => self.administration.as_deref(),
            PageMount::ApiKeys => self.authtoken.as_deref(),
            PageMount::Metax => self.metax.as_deref(),
        }
    }
}

/// Where a request for a page goes.
#[derive(Clone, Copy, Debug)]
pub struct PageRoute {
    /// Which page.
    pub page: Page,
    /// Who may see it.
    pub audience: Audience,
}

/// What a path leads to.
#[derive(Clone)]
pub enum Found {
    /// An endpoint, and the id in the path where it has one.
    Endpoint(Route, Option<String>),
    /// A page, and what stands in the path for its places.
    Page(PageRoute, Vec<(String, String)>),
}

/// The routes in force. No two rows share a path.
pub struct Router {
    routes: Vec<Route>,
    paths: matchit::Router<Target>,
}

#[derive(Clone, Copy)]
enum Target {
    Endpoint(usize),
    Page(PageRoute),
}

impl Router {
    /// Puts the layouts under their mounts, beside the path of the gate, and the pages under theirs. Tells
    /// every overlap.
    pub fn build(
        mounted: &[Mounted],
        gate_path: &str,
        pages: Option<(&PageMounts, &[PageRow])>,
    ) -> Result<Self, Vec<String>> {
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
                let target = Target::Endpoint(at);
                let taken = at_gate || router.paths.insert(path.clone(), target).is_err();
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
        for row in pages.map_or(&[][..], |(_, rows)| rows) {
            let Some(mount) = pages.and_then(|(mounts, _)| mounts.of(row.mount)) else { continue };
            let path = format!("{mount}{}", row.path);
            let target = Target::Page(PageRoute { page: row.page, audience: row.audience });
            if path == gate_path || router.paths.insert(path.clone(), target).is_err() {
                let name = match row.mount {
                    PageMount::Account => "pages.mount",
                    PageMount::Administration => "pages.administration",
                    PageMount::ApiKeys => "pages.authtoken",
                    PageMount::Metax => "layouts.metax.mount",
                };
                wrong.push(format!("{name}: {path} is served already, or is no path; move it"));
            }
        }
        if wrong.is_empty() { Ok(router) } else { Err(wrong) }
    }

    /// What a path leads to, with or without its last slash.
    #[must_use]
    pub fn find(&self, path: &str) -> Option<Found> {
        let path = path.strip_suffix('/').unwrap_or(path);
        let found = self.paths.at(path).ok()?;
        Some(match *found.value {
            Target::Endpoint(at) => {
                let id = found.params.get("id").map(str::to_owned);
                Found::Endpoint(self.routes.get(at)?.clone(), id)
            }
            Target::Page(route) => {
                let owned = |(name, value): (&str, &str)| (name.to_owned(), value.to_owned());
                Found::Page(route, found.params.iter().map(owned).collect())
            }
        })
    }

    /// All routes.
    #[must_use]
    pub fn routes(&self) -> &[Route] {
        &self.routes
    }
}
