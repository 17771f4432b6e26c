//! The policy: who may do what. A list of rules of which the first that matches decides; what no rule
//! names is denied.

use std::fmt;

use http::HeaderValue;

use crate::base::pattern::Pattern;
use crate::gate::path::Path;

/// What a rule asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Requirement {
    /// Nothing; but a credential that is presented must be good.
    Anonymous,
    /// An account.
    Authenticated,
    /// An account that may enter the administration (`rest_framework.permissions.IsAdminUser`).
    Staff,
    /// A credential with this scope.
    Scope(Scope),
    /// What nobody has.
    Deny,
}

/// A scope that is asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Scope {
    name: String,
    challenge: HeaderValue,
}

impl Scope {
    /// The scope of that name, to be asked for under the word that stands before bearer tokens. `None` for
    /// a text that cannot be one: a scope is printable ASCII without space, `"` and `\` (RFC 6749 3.3).
    #[must_use]
    pub fn new(name: &str, bearer_prefix: &str) -> Option<Self> {
        let plain = |byte: u8| byte.is_ascii_graphic() && !matches!(byte, b'"' | b'\\');
        if name.is_empty() || !name.bytes().all(plain) {
            return None;
        }
        let challenge = format!(r#"{bearer_prefix} error="insufficient_scope", scope="{name}""#);
        let challenge = HeaderValue::from_maybe_shared(challenge).ok()?;
        Some(Self { name: name.to_owned(), challenge })
    }

    /// Its name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// What a credential without it is told in `WWW-Authenticate` (RFC 6750 3.1).
    #[must_use]
    pub const fn challenge(&self) -> &HeaderValue {
        &self.challenge
    }

    /// Whether it is among `granted`, scopes separated by spaces (RFC 6749 3.3).
    #[must_use]
    pub fn is_among(&self, granted: Option<&HeaderValue>) -> bool {
        let granted = granted.map_or(&b""[..], HeaderValue::as_bytes);
        granted.split(|byte| *byte == b' ').any(|granted| granted == self.name.as_bytes())
    }
}

/// Who asks, as far as rules tell apart.
#[derive(Clone, Copy, Debug)]
pub enum Caller<'c> {
    /// Nobody in particular.
    Anonymous,
    /// An account, by a credential.
    Account {
        /// Whether it may enter the administration.
        is_staff: bool,
        /// The scopes of the credential, separated by spaces.
        scope: Option<&'c HeaderValue>,
    },
}

/// Why a requirement is not met.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unmet<'r> {
    /// An account is needed.
    NoAccount,
    /// This scope is needed.
    NoScope(&'r Scope),
    /// This account may not.
    Forbidden,
}

/// As `access` of a rule says it.
impl fmt::Display for Requirement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Anonymous => f.write_str("anonymous"),
            Self::Authenticated => f.write_str("authenticated"),
            Self::Staff => f.write_str("staff"),
            Self::Scope(scope) => write!(f, "scope:{}", scope.name),
            Self::Deny => f.write_str("deny"),
        }
    }
}

impl Requirement {
    /// Whether `caller` may pass.
    pub fn judge(&self, caller: Caller<'_>) -> Result<(), Unmet<'_>> {
        match (self, caller) {
            (Self::Deny, _) => Err(Unmet::Forbidden),
            (Self::Anonymous, _)
            | (Self::Authenticated, Caller::Account { .. })
            | (Self::Staff, Caller::Account { is_staff: true, .. }) => Ok(()),
            (_, Caller::Anonymous) => Err(Unmet::NoAccount),
            (Self::Staff, Caller::Account { .. }) => Err(Unmet::Forbidden),
            (Self::Scope(needed), Caller::Account { scope, .. }) => {
                if needed.is_among(scope) {
                    Ok(())
                } else {
                    Err(Unmet::NoScope(needed))
                }
            }
        }
    }
}

/// A set of methods: one bit for each that is known, one for all others.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Methods(u8);

impl Methods {
    /// All of them.
    pub const ANY: Self = Self(u8::MAX);
    /// Those that only read: GET, HEAD, OPTIONS (`rest_framework.permissions.SAFE_METHODS`).
    pub const SAFE: Self = Self(0b111);
    /// All but those.
    pub const WRITING: Self = Self(!Self::SAFE.0);
    /// Those that have a name here, in the order of their bits; the last bit is for all others.
    pub const NAMES: [&str; 7] = ["GET", "HEAD", "OPTIONS", "POST", "PUT", "PATCH", "DELETE"];

    /// The set with this method alone; a method without a name here stands for all such.
    #[must_use]
    pub fn of(method: &[u8]) -> Self {
        let at = Self::NAMES.iter().position(|name| name.as_bytes() == method);
        Self(1 << at.unwrap_or(Self::NAMES.len()))
    }

    /// The set that a rule means by this name: GET includes HEAD, as every view of Django's that answers
    /// the one answers the other. `None` for an unknown name.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        match name {
            "GET" => Some(Self::of(b"GET").and(Self::of(b"HEAD"))),
            known => Self::NAMES.contains(&known).then(|| Self::of(known.as_bytes())),
        }
    }

    /// The methods of both.
    #[must_use]
    pub const fn and(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// The methods that both have.
    #[must_use]
    pub const fn shared(self, other: Self) -> Self {
        Self(self.0 & other.0)
    }

    /// These methods but for those of `other`.
    #[must_use]
    pub const fn without(self, other: Self) -> Self {
        Self(self.0 & !other.0)
    }

    /// Whether there is none.
    #[must_use]
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// One set for each method.
    pub fn each(self) -> impl Iterator<Item = Self> {
        (0..u8::BITS).map(|bit| Self(1 << bit)).filter(move |one| self.0 & one.0 != 0)
    }

    /// The names, for people.
    #[must_use]
    pub fn shown(self) -> String {
        if self == Self::ANY {
            return "any method".to_owned();
        }
        let named = |one: Self| {
            let at = usize::try_from(one.0.trailing_zeros()).unwrap_or(usize::MAX);
            Self::NAMES.get(at).copied().unwrap_or("other methods")
        };
        self.each().map(named).collect::<Vec<_>>().join(", ")
    }
}

/// A host that a rule is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Host {
    /// This one.
    Name(String),
    /// Every host whose name ends like this, with a dot before it: `*.example.org`.
    Under(String),
}

impl Host {
    /// Reads a host name, or `*.` and one; `None` for anything else, a port included.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let (name, under) = match text.strip_prefix("*.") {
            Some(name) => (name, true),
            None => (text, false),
        };
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-.[:]".contains(&byte);
        let address = name.starts_with('[') && name.ends_with(']') && !under;
        if name.is_empty() || !name.bytes().all(plain) || (name.contains([':', '[']) && !address) {
            return None;
        }
        let name = name.to_ascii_lowercase();
        Some(if under { Self::Under(format!(".{name}")) } else { Self::Name(name) })
    }

    /// As it was written.
    #[must_use]
    pub fn shown(&self) -> String {
        match self {
            Self::Name(name) => name.clone(),
            Self::Under(end) => format!("*{end}"),
        }
    }

    /// Whether `host`, without a port, is meant.
    #[must_use]
    pub fn matches(&self, host: &[u8]) -> bool {
        match self {
            Self::Name(name) => host.eq_ignore_ascii_case(name.as_bytes()),
            Self::Under(end) => {
                let begin = host.len().saturating_sub(end.len());
                begin > 0 && host.split_at(begin).1.eq_ignore_ascii_case(end.as_bytes())
            }
        }
    }

    /// Whether every host that `other` means is meant.
    #[must_use]
    pub fn holds(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Name(name), Self::Name(other)) => name == other,
            (Self::Name(_), Self::Under(_)) => false,
            (Self::Under(_), Self::Name(other)) => self.matches(other.as_bytes()),
            (Self::Under(end), Self::Under(other)) => other.ends_with(end.as_str()),
        }
    }
}

/// One rule.
#[derive(Clone, Debug)]
pub struct Rule {
    /// Its number in the list that people wrote, from 1 on. What was written as one rule may be several.
    pub number: usize,
    /// Which methods it is about.
    pub methods: Methods,
    /// Which paths; none: all.
    pub paths: Vec<Pattern>,
    /// Which hosts; none: all.
    pub hosts: Vec<Host>,
    /// What it asks for.
    pub requirement: Requirement,
}

/// What of a rule does not match a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mismatch {
    /// The method is another one.
    Method,
    /// The host is another one.
    Host,
    /// The path is another one.
    Path,
}

impl Rule {
    /// Whether the rule is about such a request, or what is different.
    pub fn matches(&self, method: Methods, host: &[u8], path: &str) -> Result<(), Mismatch> {
        if self.methods.shared(method).is_empty() {
            return Err(Mismatch::Method);
        }
        if !self.hosts.is_empty() && !self.hosts.iter().any(|found| found.matches(host)) {
            return Err(Mismatch::Host);
        }
        if !self.paths.is_empty() && !self.paths.iter().any(|found| found.matches(path.as_bytes()))
        {
            return Err(Mismatch::Path);
        }
        Ok(())
    }
}

/// A word for what is asked for.
struct Access {
    name: &'static str,
    /// The permission class of Django REST framework that asks for the same.
    django: Option<&'static str>,
    to_read: Requirement,
    to_write: Requirement,
}

/// All words but scopes.
static ACCESS: [Access; 6] = {
    use Requirement::{Anonymous, Authenticated, Deny, Staff};
    const fn word(
        name: &'static str,
        django: Option<&'static str>,
        to_read: Requirement,
        to_write: Requirement,
    ) -> Access {
        Access { name, django, to_read, to_write }
    }
    [
        word("anonymous", None, Anonymous, Anonymous),
        word("open", Some("AllowAny"), Anonymous, Anonymous),
        word(
            "read-only-for-anonymous",
            Some("IsAuthenticatedOrReadOnly"),
            Anonymous,
            Authenticated,
        ),
        word("authenticated", Some("IsAuthenticated"), Authenticated, Authenticated),
        word("staff", Some("IsAdminUser"), Staff, Staff),
        word("deny", None, Deny, Deny),
    ]
};

/// The names of the policies that are there without being written.
pub const PRESETS: &[&str] = &["read-only-for-anonymous", "authenticated", "staff", "open"];

/// What `access = NAME` asks for, by method: a preset, the permission class of Django REST framework that
/// it follows, or one of `anonymous`, `staff`, `deny`.
#[must_use]
pub fn access(name: &str) -> Option<Vec<(Methods, Requirement)>> {
    let Access { to_read, to_write, .. } = known(name)?;
    Some(if to_read == to_write {
        vec![(Methods::ANY, to_read.clone())]
    } else {
        vec![(Methods::SAFE, to_read.clone()), (Methods::WRITING, to_write.clone())]
    })
}

/// All names that [`access`] knows.
pub fn access_names() -> impl Iterator<Item = &'static str> {
    ACCESS.iter().flat_map(|known| [Some(known.name), known.django]).flatten()
}

/// The preset that a name means: its own, or that of the permission class of Django REST framework.
#[must_use]
pub fn preset_name(name: &str) -> Option<&'static str> {
    known(name).map(|known| known.name).filter(|name| PRESETS.contains(name))
}

fn known(name: &str) -> Option<&'static Access> {
    ACCESS.iter().find(|known| known.name == name || known.django == Some(name))
}

/// What decides about a request.
#[derive(Clone, Copy, Debug)]
pub enum Found<'p> {
    /// No protected root holds the path, or a second one stands in it: denied.
    NoRoot,
    /// No rule names it: denied.
    NoRule,
    /// This rule.
    Rule(&'p Rule),
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
    /// These rules over these roots.
    #[must_use]
    pub const fn new(roots: Vec<String>, rules: Vec<Rule>) -> Self {
        Self { roots, rules }
    }

    /// The preset of that name over these roots; `None` for an unknown name.
    #[must_use]
    pub fn preset(name: &str, roots: Vec<String>) -> Option<Self> {
        let rules = access(preset_name(name)?)?.into_iter().map(|(methods, requirement)| Rule {
            number: 1,
            methods,
            paths: Vec::new(),
            hosts: Vec::new(),
            requirement,
        });
        Some(Self { roots, rules: rules.collect() })
    }

    /// The rules.
    #[must_use]
    pub fn rules(&self) -> &[Rule] {
        &self.rules
    }

    /// Whether some rule is about some hosts only.
    #[must_use]
    pub fn names_hosts(&self) -> bool {
        self.rules.iter().any(|rule| !rule.hosts.is_empty())
    }

    /// What is asked for a request, in every view of its path the same. Where two views would meet
    /// different rules it is denied to everybody: such a path is a way around one of them. So is a method in
    /// small letters, which some servers take for the one in capitals (RFC 9110 9.1 tells them apart).
    #[must_use]
    pub fn requirement(&self, method: &[u8], host: &[u8], path: &Path<'_>) -> &Requirement {
        if has_small_letters(method) {
            return &Requirement::Deny;
        }
        let method = Methods::of(method);
        let asked = self.requirement_of(method, host, path.decoded);
        let same =
            |view: &str| view == path.decoded || self.requirement_of(method, host, view) == asked;
        if same(path.raw) && same(path.bare) { asked } else { &Requirement::Deny }
    }

    fn requirement_of(&self, method: Methods, host: &[u8], path: &str) -> &Requirement {
        match self.find(method, host, path) {
            Found::Rule(rule) => &rule.requirement,
            Found::NoRoot | Found::NoRule => &Requirement::Deny,
        }
    }

    /// What decides about one view of a path.
    #[must_use]
    pub fn find(&self, method: Methods, host: &[u8], path: &str) -> Found<'_> {
        if !self.is_under_one_root(path) {
            return Found::NoRoot;
        }
        let rule = self.rules.iter().find(|rule| rule.matches(method, host, path).is_ok());
        rule.map_or(Found::NoRule, Found::Rule)
    }

    /// Whether a path begins with a protected root and holds no second one.
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

/// Whether a method is one that some servers take for another.
#[must_use]
pub fn has_small_letters(method: &[u8]) -> bool {
    method.iter().any(u8::is_ascii_lowercase)
}

#[cfg(test)]
pub(super) mod tests;
