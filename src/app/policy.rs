//! The policies of the gate: from what people wrote to what is served.

use std::collections::HashMap;
use std::fmt::Write as _;

use http::HeaderValue;

use super::{Judge, Plan, StartError, tongue};
use crate::base::pattern::Pattern;
use crate::dialect::{Answer, drf};
use crate::gate::answer::{self, Documents};
use crate::gate::conflict::{Conflict, conflicts};
use crate::gate::policies::{Policies, Served};
use crate::gate::policy::{self, Host, Methods, PRESETS, Policy, Requirement, Rule, Scope};
use crate::settings::policies::{PoliciesWritten, PolicyWritten, RuleWritten, Written};
use crate::settings::{self, Settings};
use crate::token::credential::Denial;
use crate::token::verify::{Flaw, Rejection};

/// The policies as settings have them.
#[derive(Clone, Debug, Default)]
pub(super) struct PolicyPlan {
    all: Vec<(String, Policy, String)>,
    default: String,
}

impl PolicyPlan {
    /// Whether somebody who asks without naming a policy may write without saying who they are.
    pub(super) fn opens_writing(&self) -> bool {
        let default = self.all.iter().find(|(name, ..)| *name == self.default);
        let opens = |rule: &Rule| {
            rule.requirement == Requirement::Anonymous
                && rule.paths.is_empty()
                && !rule.methods.shared(Methods::WRITING).is_empty()
        };
        default.is_some_and(|(_, policy, _)| policy.rules().iter().any(opens))
    }
}

impl Plan {
    /// The policies, with what their refusals say.
    pub fn policies(&self) -> Result<Policies, StartError> {
        let served = self.policies.all.iter().map(|(name, policy, dialect)| {
            let documents = documents(&self.settings, dialect)?;
            Ok(Served { name: name.clone(), policy: policy.clone(), documents })
        });
        let served = served.collect::<Result<_, StartError>>()?;
        Policies::new(served, &self.policies.default)
            .ok_or_else(|| StartError::Fault("the default policy vanished".to_owned()))
    }
}

impl Judge<'_> {
    pub(super) fn policies(&mut self, settings: &Settings) -> PolicyPlan {
        let gate = &settings.gate;
        self.roots("gate.roots", &gate.roots.0);
        let layouts: Vec<&str> = settings::LAYOUTS.iter().map(|(name, _)| *name).collect();
        self.one_of("gate.dialect", &gate.dialect, &layouts);

        let mut all = Vec::new();
        for preset in PRESETS {
            if let Some(policy) = Policy::preset(preset, gate.roots.0.clone()) {
                all.push(((*preset).to_owned(), policy, gate.dialect.clone()));
            }
        }
        for written in &settings.policies.policies {
            let file = &settings.policies;
            let name = &written.name.value;
            let plain = |byte: u8| {
                byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"-_".contains(&byte)
            };
            if name.is_empty() || !name.bytes().all(plain) {
                let why =
                    "a name is lower-case letters, digits, - and _: nginx asks for it in a path";
                self.at(file, written.name.line, format!("gate.policies.{name}: {why}"));
            } else if policy::access(name).is_some() {
                let why = "is the name of a preset; choose another one";
                self.at(file, written.name.line, format!("gate.policies.{name}: {why}"));
            }
            let policy = self.policy(settings, written);
            let dialect = match &written.dialect {
                Some(dialect) if !layouts.contains(&dialect.value.as_str()) => {
                    let why = format!(
                        "gate.policies.{name}: dialect: `{}` is none of {}",
                        dialect.value,
                        layouts.join(", ")
                    );
                    self.at(file, dialect.line, why);
                    gate.dialect.clone()
                }
                Some(dialect) => dialect.value.clone(),
                None => gate.dialect.clone(),
            };
            all.push((name.clone(), policy, dialect));
        }
        let default = policy::preset_name(&gate.policy).unwrap_or(&gate.policy).to_owned();
        if !all.iter().any(|(name, ..)| *name == default) {
            let names: Vec<&str> = all.iter().map(|(name, ..)| name.as_str()).collect();
            let why = format!(
                "`{}` is none of {}; a policy of your own begins with [gate.policies.{}]",
                gate.policy,
                names.join(", "),
                gate.policy
            );
            self.refuse("gate.policy", why);
        }
        PolicyPlan { all, default }
    }

    fn at(&mut self, file: &PoliciesWritten, line: usize, why: impl std::fmt::Display) {
        self.0.push(file.at(line, why));
    }

    fn roots(&mut self, place: &str, roots: &[String]) {
        if roots.is_empty() {
            self.refuse(place, "names nothing; `/` protects every path");
        }
        for root in roots {
            if let Some(why) = bad_root(root) {
                self.refuse(place, format!("`{root}`: {why}"));
            }
        }
    }

    fn policy(&mut self, settings: &Settings, written: &PolicyWritten) -> Policy {
        let file = &settings.policies;
        let place = format!("gate.policies.{}", written.name.value);
        let roots: Vec<String> = match &written.roots {
            Some(roots) => {
                if roots.is_empty() {
                    let why = "roots: names nothing; `/` protects every path";
                    self.at(file, written.name.line, format!("{place}: {why}"));
                }
                for root in roots {
                    if let Some(why) = bad_root(&root.value) {
                        self.at(
                            file,
                            root.line,
                            format!("{place}: roots: `{}`: {why}", root.value),
                        );
                    }
                }
                roots.iter().map(|root| root.value.clone()).collect()
            }
            None => settings.gate.roots.0.clone(),
        };
        let before = self.0.len();
        let mut rules = Vec::new();
        for rule in &written.rules {
            let place = format!("{place}, rule {}", rule.number);
            rules.extend(self.rule(settings, &place, rule, &roots));
        }
        // Rules are held against each other once each is right by itself.
        if self.0.len() == before {
            for conflict in conflicts(&rules) {
                let (rule, why) = told(&conflict);
                let line = written.rules.iter().find(|found| found.number == rule);
                let line = line.map_or(written.name.line, |found| found.line);
                self.at(file, line, format!("{place}, rule {rule}: {why}"));
            }
        }
        Policy::new(roots, rules)
    }

    /// The rules that one written rule stands for; none where its words mean nothing.
    fn rule(
        &mut self,
        settings: &Settings,
        place: &str,
        rule: &RuleWritten,
        roots: &[String],
    ) -> Vec<Rule> {
        let file = &settings.policies;
        let methods = rule.methods.iter().filter_map(|name| self.methods(file, place, name));
        let methods = methods.reduce(Methods::and).unwrap_or(Methods::ANY);
        let mut paths = Vec::new();
        for path in &rule.paths {
            match Pattern::parse(&path.value) {
                Ok(pattern) if is_outside(&pattern, roots) => {
                    let why = format!(
                        "{place}: paths: `{pattern}` is under none of the roots {}, and everything else is \
                         denied before rules are asked; take it out, or name its root",
                        roots.join(", ")
                    );
                    self.at(file, path.line, why);
                }
                Ok(pattern) => paths.push(pattern),
                Err(why) => {
                    self.at(file, path.line, format!("{place}: paths: `{}` {why}", path.value));
                }
            }
        }
        let mut hosts = Vec::new();
        for host in &rule.hosts {
            match Host::parse(&host.value) {
                Some(found) => hosts.push(found),
                None => {
                    let why = "is no host: write api.example.org or *.example.org, without protocol and port";
                    self.at(file, host.line, format!("{place}: hosts: `{}` {why}", host.value));
                }
            }
        }
        let Some(access) = self.access(settings, place, &rule.access) else { return Vec::new() };
        let parts = access.into_iter().map(|(part, requirement)| Rule {
            number: rule.number,
            methods: methods.shared(part),
            paths: paths.clone(),
            hosts: hosts.clone(),
            requirement,
        });
        parts.filter(|rule| !rule.methods.is_empty()).collect()
    }

    fn methods(
        &mut self,
        file: &PoliciesWritten,
        place: &str,
        name: &Written<String>,
    ) -> Option<Methods> {
        let found = Methods::named(&name.value);
        if found.is_none() {
            let upper = name.value.to_ascii_uppercase();
            let instead = match Methods::named(&upper) {
                Some(_) => format!("write {upper}"),
                None => format!(
                    "write some of {}, or leave methods out for all",
                    Methods::NAMES.join(", ")
                ),
            };
            let why = format!("{place}: methods: `{}` is no method: {instead}", name.value);
            self.at(file, name.line, why);
        }
        found
    }

    fn access(
        &mut self,
        settings: &Settings,
        place: &str,
        access: &Written<String>,
    ) -> Option<Vec<(Methods, Requirement)>> {
        let word = access.value.as_str();
        if let Some(known) = policy::access(word) {
            return Some(known);
        }
        let why = match word.strip_prefix("scope:") {
            Some(name) => match Scope::new(name, &settings.tokens.prefix) {
                Some(scope) => return Some(vec![(Methods::ANY, Requirement::Scope(scope))]),
                None => "names no scope: write scope:NAME, one word of printable ASCII without \" and \\".to_owned(),
            },
            None => {
                let names: Vec<&str> = policy::access_names().collect();
                format!("is none of {}, scope:NAME", names.join(", "))
            }
        };
        self.at(&settings.policies, access.line, format!("{place}: access: `{word}` {why}"));
        None
    }
}

fn bad_root(root: &str) -> Option<String> {
    if !root.starts_with('/') || !root.ends_with('/') {
        return Some("write it with a slash at both ends".to_owned());
    }
    if root.contains(['*', '{', '}']) {
        return Some("roots are literal: patterns belong into rules".to_owned());
    }
    root_pattern(root).err().map(|why| why.to_string())
}

/// What lies under a root.
fn root_pattern(root: &str) -> Result<Pattern, crate::base::pattern::BadPattern> {
    Pattern::parse(&format!("{root}**"))
}

/// Whether no path under any root matches.
fn is_outside(pattern: &Pattern, roots: &[String]) -> bool {
    let under = |root: &String| {
        // What cannot be found out is not refused here.
        let overlap = root_pattern(root).and_then(|root| root.overlap(pattern));
        overlap.map_or(true, |overlap| overlap.both.is_some())
    };
    !roots.iter().any(under)
}

/// The rule that is to be changed, and why.
fn told(conflict: &Conflict) -> (usize, String) {
    match conflict {
        Conflict::Unreachable { rule, by } => (
            *rule,
            format!(
                "never decides, as rule {by} matches first whatever it matches; put it before rule {by}, or \
                 take it out"
            ),
        ),
        Conflict::NeedlessPath { rule, path, by } if rule == by => {
            (*rule, format!("paths: `{path}` is among its other paths already; take it out"))
        }
        Conflict::NeedlessPath { rule, path, by } => (
            *rule,
            format!(
                "paths: `{path}` never counts, as rule {by} matches it first; take it out, or put the rule before rule {by}"
            ),
        ),
        Conflict::Ambiguous { first, second, methods, path } => (
            *second,
            format!(
                "{methods} {path} matches rule {first} too, which asks for something else, and neither is the \
                 exception of the other; put the narrower one first, or make their paths differ"
            ),
        ),
        Conflict::TooMuch { first, second, why } => {
            (*second, format!("cannot be held against rule {first}: the path {why}"))
        }
    }
}

/// What the gate says when it refuses, in a dialect.
fn documents(settings: &Settings, dialect: &str) -> Result<Documents, StartError> {
    let dialect = tongue(settings, dialect)
        .ok_or_else(|| StartError::Fault("the gate's dialect vanished".to_owned()))?
        .dialect;
    let document = |answer: &Answer| {
        let json = answer.body.as_ref().map(ToString::to_string).unwrap_or_default();
        HeaderValue::from_str(&ascii(&json)).map_err(StartError::fault)
    };
    let mut denials = HashMap::new();
    for denial in all_denials() {
        denials.insert(answer::worded(denial), document(&dialect.deny(denial))?);
    }
    Ok(Documents {
        denials,
        challenge: HeaderValue::from_str(dialect.challenge()).map_err(StartError::fault)?,
        unavailable: document(&drf::unavailable(1))?,
        throttled: document(&Answer::detail(
            http::StatusCode::TOO_MANY_REQUESTS,
            dialect.words().throttled,
        ))?,
        misconfigured: document(&Answer::detail(
            http::StatusCode::BAD_REQUEST,
            "The gateway does not say what it asks about.",
        ))?,
    })
}

/// Every denial, tokens that are invalid in one way standing for all.
fn all_denials() -> Vec<Denial> {
    let rejections = [
        Rejection::Invalid(Flaw::Signature),
        Rejection::Expired,
        Rejection::Revoked,
        Rejection::NoExpiry,
        Rejection::NoTokenId,
        Rejection::NoKind,
        Rejection::WrongKind,
    ];
    let mut denials = rejections.map(Denial::Bearer).to_vec();
    denials.extend([
        Denial::NoCredentials,
        Denial::BearerHeader,
        Denial::NoSubject,
        Denial::SubjectNotFound,
        Denial::SubjectInactive,
        Denial::TokenHeaderEmpty,
        Denial::TokenHeaderSpaces,
        Denial::TokenHeaderCharacters,
        Denial::UnknownApiKey,
        Denial::ApiKeyOwnerInactive,
        Denial::Forbidden,
    ]);
    denials
}

/// JSON in ASCII: header values hold nothing else safely.
fn ascii(json: &str) -> String {
    let mut out = String::with_capacity(json.len());
    for c in json.chars() {
        if c.is_ascii() {
            out.push(c);
        } else {
            for unit in c.encode_utf16(&mut [0; 2]) {
                // Writing to a string cannot fail.
                let _ = write!(out, "\\u{unit:04x}");
            }
        }
    }
    out
}
