//! The policies in force: nginx asks `/gate` for the default one and `/gate/NAME` for any of them.

use std::collections::BTreeSet;

use crate::gate::answer::Documents;
use crate::gate::policy::{Policy, Requirement};

/// A policy as it is served.
#[derive(Debug)]
pub struct Served {
    /// Its name.
    pub name: String,
    /// Its rules.
    pub policy: Policy,
    /// What its refusals say.
    pub documents: Documents,
}

/// All of them. Never changes: what an operator changes makes a new one.
#[derive(Debug)]
pub struct Policies {
    all: Vec<Served>,
    default: usize,
}

impl Policies {
    /// These policies, of which the one named `default` is asked by those who name none. `None` if it is not
    /// among them.
    #[must_use]
    pub fn new(all: Vec<Served>, default: &str) -> Option<Self> {
        let default = all.iter().position(|served| served.name == default)?;
        Some(Self { all, default })
    }

    /// The policy of that name; an empty name means the default one.
    #[must_use]
    pub fn find(&self, name: &str) -> Option<&Served> {
        if name.is_empty() {
            return Some(self.default_policy());
        }
        self.all.iter().find(|served| served.name == name)
    }

    /// The policy that is asked by those who name none.
    #[must_use]
    pub fn default_policy(&self) -> &Served {
        self.all.get(self.default).expect("it was found when they were put together")
    }

    /// All names.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.all.iter().map(|served| served.name.as_str())
    }

    /// The scopes that rules ask for, each once and in order.
    #[must_use]
    pub fn scopes(&self) -> Vec<&str> {
        let rules = self.all.iter().flat_map(|served| served.policy.rules());
        let asked = rules.filter_map(|rule| match &rule.requirement {
            Requirement::Scope(scope) => Some(scope.name()),
            _ => None,
        });
        asked.collect::<BTreeSet<_>>().into_iter().collect()
    }
}
