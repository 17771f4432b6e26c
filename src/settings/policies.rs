//! `[gate.policies]` of `avain.toml`: what people wrote, each piece with its line. What the words mean is
//! for `app` to judge.

use std::fmt;
use std::ops::Range;

use toml::Spanned;
use toml::de::{DeString, DeTable, DeValue};

use super::nearest;

/// A piece of the file, and where it stands.
#[derive(Clone, Debug)]
pub struct Written<T> {
    /// What is written.
    pub value: T,
    /// The line, from 1 on.
    pub line: usize,
}

/// A policy: `[gate.policies.NAME]`.
#[derive(Clone, Debug)]
pub struct PolicyWritten {
    /// Its name.
    pub name: Written<String>,
    /// `dialect`.
    pub dialect: Option<Written<String>>,
    /// `roots`.
    pub roots: Option<Vec<Written<String>>>,
    /// Its rules, in their order.
    pub rules: Vec<RuleWritten>,
}

/// A rule: `[[gate.policies.NAME.rules]]`.
#[derive(Clone, Debug)]
pub struct RuleWritten {
    /// Its number in the list, from 1 on.
    pub number: usize,
    /// Where it begins.
    pub line: usize,
    /// `methods`; none written: all.
    pub methods: Vec<Written<String>>,
    /// `paths`; none written: all.
    pub paths: Vec<Written<String>>,
    /// `hosts`; none written: all.
    pub hosts: Vec<Written<String>>,
    /// `access`.
    pub access: Written<String>,
}

/// All policies of a file.
#[derive(Clone, Debug, Default)]
pub struct PoliciesWritten {
    /// The file, as it is shown.
    pub file: String,
    /// In the order of the file.
    pub policies: Vec<PolicyWritten>,
}

impl PoliciesWritten {
    /// What is wrong at a line of the file.
    #[must_use]
    pub fn at(&self, line: usize, why: impl fmt::Display) -> String {
        format!("{}, line {line}: {why}", self.file)
    }

    /// Reads the policies of a file that parses, and adds what is wrong with them to `wrong`.
    pub(super) fn read(text: &str, file: &str, wrong: &mut Vec<String>) -> Self {
        let mut reader =
            Reader { text, found: Self { file: file.to_owned(), policies: Vec::new() }, wrong };
        if let Ok(document) = DeTable::parse(text) {
            let gate = document.get_ref().get("gate").and_then(|gate| gate.get_ref().as_table());
            if let Some(policies) = gate.and_then(|gate| gate.get("policies")) {
                reader.policies(policies);
            }
        }
        reader.found
    }
}

struct Reader<'r> {
    text: &'r str,
    found: PoliciesWritten,
    wrong: &'r mut Vec<String>,
}

impl Reader<'_> {
    fn line(&self, span: &Range<usize>) -> usize {
        1 + self.text.get(..span.start).map_or(0, |before| before.matches('\n').count())
    }

    fn refuse(&mut self, span: &Range<usize>, why: impl fmt::Display) {
        let line = self.line(span);
        self.wrong.push(self.found.at(line, why));
    }

    fn policies(&mut self, policies: &Spanned<DeValue<'_>>) {
        let Some(table) = policies.get_ref().as_table() else {
            return self
                .refuse(&policies.span(), "gate.policies: write each as [gate.policies.NAME]");
        };
        let mut read = Vec::new();
        for (name, policy) in sorted(table) {
            let place = format!("gate.policies.{}", name.get_ref());
            let Some(members) = policy.get_ref().as_table() else {
                self.refuse(&name.span(), format!("{place}: write a policy as [{place}]"));
                continue;
            };
            let mut found = PolicyWritten {
                name: Written { value: name.get_ref().to_string(), line: self.line(&name.span()) },
                dialect: None,
                roots: None,
                rules: Vec::new(),
            };
            for (key, value) in sorted(members) {
                match key.get_ref().as_ref() {
                    "dialect" => found.dialect = self.text(&place, "dialect", value),
                    "roots" => found.roots = Some(self.texts(&place, "roots", value)),
                    "rules" => found.rules = self.rules(&place, value),
                    other => {
                        self.unknown(&key.span(), &place, other, &["dialect", "roots", "rules"]);
                    }
                }
            }
            if !members.contains_key("rules") {
                let why = "has no rules, so it would deny everything; begin one with";
                self.refuse(&name.span(), format!("{place}: {why} [[{place}.rules]]"));
            }
            read.push(found);
        }
        self.found.policies = read;
    }

    fn rules(&mut self, policy: &str, rules: &Spanned<DeValue<'_>>) -> Vec<RuleWritten> {
        let Some(list) = rules.get_ref().as_array() else {
            self.refuse(
                &rules.span(),
                format!("{policy}.rules: write each rule as [[{policy}.rules]]"),
            );
            return Vec::new();
        };
        let mut read = Vec::new();
        for (at, rule) in list.iter().enumerate() {
            let place = format!("{policy}, rule {}", at + 1);
            let Some(members) = rule.get_ref().as_table() else {
                self.refuse(&rule.span(), format!("{place}: write a rule as [[{policy}.rules]]"));
                continue;
            };
            let (mut methods, mut paths, mut hosts) = (Vec::new(), Vec::new(), Vec::new());
            let (mut access, mut is_known) = (None, true);
            for (key, value) in sorted(members) {
                match key.get_ref().as_ref() {
                    "methods" => methods = self.some_texts(&place, "methods", value),
                    "paths" => paths = self.some_texts(&place, "paths", value),
                    "hosts" => hosts = self.some_texts(&place, "hosts", value),
                    "access" => access = self.text(&place, "access", value),
                    other => {
                        is_known = false;
                        let known = ["methods", "paths", "hosts", "access"];
                        self.unknown(&key.span(), &place, other, &known);
                    }
                }
            }
            let line = self.line(&rule.span());
            let Some(access) = access else {
                // What was misspelt is told already.
                if is_known && !members.contains_key("access") {
                    let why = "does not say who may: write access = \"authenticated\", say";
                    self.refuse(&rule.span(), format!("{place}: {why}"));
                }
                continue;
            };
            read.push(RuleWritten { number: at + 1, line, methods, paths, hosts, access });
        }
        read
    }

    fn unknown(&mut self, span: &Range<usize>, place: &str, key: &str, known: &[&str]) {
        let hint = match nearest(key, known.iter().copied()) {
            hint if hint.starts_with("; did") => hint,
            _ => format!("; there are {}", known.join(", ")),
        };
        self.refuse(span, format!("{place}: there is no `{key}`{hint}"));
    }

    fn text(
        &mut self,
        place: &str,
        key: &str,
        value: &Spanned<DeValue<'_>>,
    ) -> Option<Written<String>> {
        if let Some(text) = value.get_ref().as_str() {
            return Some(Written { value: text.to_owned(), line: self.line(&value.span()) });
        }
        self.refuse(&value.span(), format!("{place}: {key}: write one text, in quotation marks"));
        None
    }

    /// A text, or a list of them.
    fn texts(
        &mut self,
        place: &str,
        key: &str,
        value: &Spanned<DeValue<'_>>,
    ) -> Vec<Written<String>> {
        match value.get_ref().as_array() {
            Some(list) => list.iter().filter_map(|item| self.text(place, key, item)).collect(),
            None => self.text(place, key, value).into_iter().collect(),
        }
    }

    /// As [`Self::texts`], and not none.
    fn some_texts(
        &mut self,
        place: &str,
        key: &str,
        value: &Spanned<DeValue<'_>>,
    ) -> Vec<Written<String>> {
        if value.get_ref().as_array().is_some_and(|list| list.iter().next().is_none()) {
            let why = format!("{place}: {key}: names none; leave it out for all");
            self.refuse(&value.span(), why);
        }
        self.texts(place, key, value)
    }
}

/// The members of a table in the order of the file.
fn sorted<'t, 'i>(
    table: &'t DeTable<'i>,
) -> Vec<(&'t Spanned<DeString<'i>>, &'t Spanned<DeValue<'i>>)> {
    let mut members: Vec<_> = table.iter().collect();
    members.sort_by_key(|(key, _)| key.span().start);
    members
}
