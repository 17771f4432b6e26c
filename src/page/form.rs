//! What somebody has typed into a page's form, and what is wrong with it.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::base::secret::Secret;

/// A form as it was sent, or as it is shown first.
#[derive(Clone, Debug, Default)]
pub struct Form {
    values: BTreeMap<String, String>,
    errors: BTreeMap<&'static str, Vec<String>>,
    /// What is wrong with the whole.
    summary: Vec<String>,
}

/// Whether a field of that name holds what must not be shown again.
#[must_use]
pub fn is_secret(name: &str) -> bool {
    name.contains("password") || name == super::csrf::FIELD
}

impl Form {
    /// The form of these fields; of one that stands twice the last counts.
    #[must_use]
    pub fn sent(fields: Vec<(String, String)>) -> Self {
        Self { values: fields.into_iter().collect(), ..Self::default() }
    }

    /// Fills a field of a form that is shown first.
    #[must_use]
    pub fn with(mut self, name: &str, value: &str) -> Self {
        self.values.insert(name.to_owned(), value.to_owned());
        self
    }

    /// Fills a field that was not sent.
    #[must_use]
    pub fn or(self, name: &str, value: &str) -> Self {
        if self.has(name) { self } else { self.with(name, value) }
    }

    /// What was typed, without space around it; empty where nothing was.
    #[must_use]
    pub fn text(&self, name: &str) -> String {
        self.values.get(name).map(|value| value.trim().to_owned()).unwrap_or_default()
    }

    /// A password as it was typed.
    #[must_use]
    pub fn secret(&self, name: &str) -> Secret<String> {
        Secret::new(self.values.get(name).cloned().unwrap_or_default())
    }

    /// Whether the field was sent: a box that is ticked, a button that was pressed.
    #[must_use]
    pub fn has(&self, name: &str) -> bool {
        self.values.contains_key(name)
    }

    /// Notes what is wrong with a field.
    pub fn refuse(&mut self, name: &'static str, text: String) {
        self.errors.entry(name).or_default().push(text);
    }

    /// Notes what is wrong with the whole.
    pub fn refuse_all(&mut self, text: String) {
        self.summary.push(text);
    }

    /// Whether nothing is wrong so far.
    #[must_use]
    pub fn is_fine(&self) -> bool {
        self.errors.is_empty() && self.summary.is_empty()
    }

    /// For a template: `values` without passwords, `errors` by field, `summary`.
    #[must_use]
    pub fn view(&self) -> Value {
        json!({ "values": self.shown(), "errors": self.errors, "summary": self.summary })
    }

    /// What was typed, without what must not be shown again.
    #[must_use]
    pub fn shown(&self) -> BTreeMap<&str, &str> {
        let shown = self.values.iter().filter(|(name, _)| !is_secret(name));
        shown.map(|(name, value)| (name.as_str(), value.as_str())).collect()
    }

    /// The names of all fields, secret ones too.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.values.keys().map(String::as_str)
    }
}
