//! From a path to its row, its dialect and its layout's rules.

use std::sync::Arc;

use crate::dialect::{Dialect, Endpoint};
use crate::flow::LayoutRules;
use crate::http::routes::{Layout, Methods};

/// Where a request goes.
#[derive(Clone)]
pub struct Route {
    /// What it does.
    pub endpoint: Endpoint,
    /// Which methods it answers.
    pub methods: Methods,
    /// How it is spelt.
    pub dialect: Arc<dyn Dialect>,
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
            for row in layout.layout.rows {
                let path = format!("{}{}", layout.mount, row.path);
                let at = router.routes.len();
                let taken = path == gate_path || router.paths.insert(path.clone(), at).is_err();
                if taken {
                    wrong.push(format!(
                        "layouts.{}.mount: {path} is served already, or is no path; move the mount",
                        layout.layout.name
                    ));
                    continue;
                }
                router.routes.push(Route {
                    endpoint: row.endpoint,
                    methods: row.methods,
                    dialect: Arc::clone(&layout.dialect),
                    rules: Arc::clone(&layout.rules),
                    path,
                });
            }
        }
        if wrong.is_empty() { Ok(router) } else { Err(wrong) }
    }

    /// The route of a path, with or without its last slash.
    #[must_use]
    pub fn find(&self, path: &str) -> Option<&Route> {
        let path = path.strip_suffix('/').unwrap_or(path);
        let found = self.paths.at(path).ok()?;
        self.routes.get(*found.value)
    }

    /// All routes.
    #[must_use]
    pub fn routes(&self) -> &[Route] {
        &self.routes
    }
}
