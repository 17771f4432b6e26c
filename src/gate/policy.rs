//! The policy: who may do what. A list of rules of which the first that matches decides; what no rule
//! names is denied.

/// What a rule asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Requirement {
    /// Nothing; but a credential that is presented must be good.
    Anonymous,
    /// An account.
    Authenticated,
}

/// Which methods a rule is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Methods {
    /// Those that only read: GET, HEAD, OPTIONS (`rest_framework.permissions.SAFE_METHODS`).
    Safe,
    /// All.
    Any,
}

impl Methods {
    /// Whether it is about this method.
    #[must_use]
    pub fn include(self, method: &[u8]) -> bool {
        match self {
            Self::Any => true,
            Self::Safe => matches!(method, b"GET" | b"HEAD" | b"OPTIONS"),
        }
    }
}

/// One rule.
#[derive(Clone, Copy, Debug)]
pub struct Rule {
    /// Which methods it is about.
    pub methods: Methods,
    /// What it asks for.
    pub requirement: Requirement,
}

/// The rules, and the protected roots that they hold under.
#[derive(Clone, Debug)]
pub struct Policy {
    /// A path must begin with one of these and hold none further on: the backend would serve its API
    /// under any prefix. Each begins and ends with a slash; `/` alone admits every path.
    roots: Vec<String>,
    rules: Vec<Rule>,
}

impl Policy {
    /// The policy of that name over these roots; `None` for an unknown name. The names are Django REST
    /// framework's permission classes in words: `read-only-for-anonymous` is `IsAuthenticatedOrReadOnly`,
    /// `authenticated` is `IsAuthenticated`, `open` is `AllowAny`.
    #[must_use]
    pub fn preset(name: &str, roots: Vec<String>) -> Option<Self> {
        let anonymous = |methods| Rule { methods, requirement: Requirement::Anonymous };
        let authenticated = Rule { methods: Methods::Any, requirement: Requirement::Authenticated };
        let rules = match name {
            "read-only-for-anonymous" => vec![anonymous(Methods::Safe), authenticated],
            "authenticated" => vec![authenticated],
            "open" => vec![anonymous(Methods::Any)],
            _ => return None,
        };
        Some(Self { roots, rules })
    }

    /// What is asked for a request; `None` denies it to everybody. `path` is decoded, without query.
    #[must_use]
    pub fn requirement(&self, method: &[u8], path: &str) -> Option<Requirement> {
        if !self.is_under_one_root(path) {
            return None;
        }
        let rule = self.rules.iter().find(|rule| rule.methods.include(method))?;
        Some(rule.requirement)
    }

    fn is_under_one_root(&self, path: &str) -> bool {
        self.roots.iter().any(|root| {
            // A path may name the root itself without its last slash.
            let rest = path
                .strip_prefix(root.as_str())
                .or_else(|| (path.len() + 1 == root.len() && root.starts_with(path)).then_some(""));
            rest.is_some_and(|rest| root == "/" || !self.holds_a_root(rest))
        })
    }

    /// Whether a root, without its first slash, stands anywhere in `rest`: Django's unanchored pattern
    /// `api/(v1|…)/` finds it behind any text, `/api/v1/x/mobile-api/v1/…` included.
    fn holds_a_root(&self, rest: &str) -> bool {
        self.roots.iter().any(|root| {
            let name = root.trim_start_matches('/');
            !name.is_empty() && rest.contains(name)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ask(name: &str, method: &str, path: &str) -> Option<Requirement> {
        let roots = vec!["/api/".to_owned(), "/mobile-api/".to_owned()];
        let policy = Policy::preset(name, roots).expect("is a policy");
        policy.requirement(method.as_bytes(), path)
    }

    #[test]
    fn anonymous_may_read_and_writing_needs_an_account() {
        let ask = |method, path| ask("read-only-for-anonymous", method, path);
        assert_eq!(ask("GET", "/api/v1/hobbies/"), Some(Requirement::Anonymous));
        assert_eq!(ask("GET", "/api"), Some(Requirement::Anonymous));
        assert_eq!(ask("OPTIONS", "/mobile-api/v1/"), Some(Requirement::Anonymous));
        assert_eq!(ask("POST", "/api/v1/hobbies/"), Some(Requirement::Authenticated));
        assert_eq!(ask("get", "/api/v1/hobbies/"), Some(Requirement::Authenticated));
        assert_eq!(ask("PROPFIND", "/api/v1/"), Some(Requirement::Authenticated));
    }

    #[test]
    fn a_misplaced_or_second_root_is_denied() {
        for path in [
            "/",
            "/sysadmin/",
            "/accounts/api/v1/hobbies/",
            "/xapi/v1/",
            "/api/v1/benefits/mobile-api/v1/x/",
            "/api/v1/api/v1/",
            "/apix/",
            "/ap",
        ] {
            assert_eq!(ask("open", "GET", path), None, "{path}");
        }
    }
}
