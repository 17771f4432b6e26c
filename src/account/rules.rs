//! Which passwords may be chosen: Django's four rules (CONTRACT.md 1.5), and a list of breached ones.
//!
//! They are for new passwords only. A password that is presented is compared and never judged.

use std::collections::HashMap;

use crate::account::breached::{BreachedList, Unreadable};
use crate::account::common_passwords;
use crate::account::spelling::{is_digit, is_word, trimmed};
use crate::base::secret::Secret;

/// What is demanded of a new password.
#[derive(Clone, Debug)]
pub struct PasswordRules {
    /// Characters at least.
    pub minimum: usize,
    /// Whether it must differ from the account's name, names and address.
    pub similarity: bool,
    /// Whether it must not be one of the common ones.
    pub common: bool,
    /// Whether it must not be digits alone.
    pub numeric: bool,
    /// Where breached passwords are looked up.
    pub breached: Option<BreachedList>,
}

/// Whom a password is for.
#[derive(Clone, Copy, Debug, Default)]
pub struct About<'a> {
    /// The user name.
    pub username: &'a str,
    /// The first name; may be empty.
    pub first_name: &'a str,
    /// The last name; may be empty.
    pub last_name: &'a str,
    /// The mail address; may be empty.
    pub email: &'a str,
}

/// What a password is too similar to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Attribute {
    /// The user name.
    Username,
    /// The first name.
    FirstName,
    /// The last name.
    LastName,
    /// The mail address.
    Email,
}

/// A rule that a password breaks. The texts belong to the dialects.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RuleBroken {
    /// It is too similar to this attribute (the first that it is too similar to).
    TooSimilar(Attribute),
    /// It has fewer characters than this.
    TooShort {
        /// How many it must have.
        minimum: usize,
    },
    /// It is one of the common ones.
    TooCommon,
    /// It is digits alone.
    EntirelyNumeric,
    /// It was seen in a breach.
    Breached,
}

impl PasswordRules {
    /// All rules that `password` breaks, in the order in which they are told. The list of breached ones is
    /// read on a thread that may wait.
    pub async fn check(
        &self,
        password: &Secret<String>,
        about: &About<'_>,
    ) -> Result<Vec<RuleBroken>, Unreadable> {
        let mut broken = self.check_offline(password.expose(), about);
        if let Some(list) = &self.breached
            && list.contains(password).await?
        {
            broken.push(RuleBroken::Breached);
        }
        Ok(broken)
    }

    /// As [`check`](Self::check), without the list of breached ones.
    #[must_use]
    pub fn check_offline(&self, password: &str, about: &About<'_>) -> Vec<RuleBroken> {
        let similar = if self.similarity { too_similar(password, about) } else { None };
        let lower = || password.to_lowercase();
        let rules = [
            similar.map(RuleBroken::TooSimilar),
            (password.chars().count() < self.minimum)
                .then_some(RuleBroken::TooShort { minimum: self.minimum }),
            (self.common && common_passwords::contains(trimmed(&lower())))
                .then_some(RuleBroken::TooCommon),
            (self.numeric && !password.is_empty() && password.chars().all(is_digit))
                .then_some(RuleBroken::EntirelyNumeric),
        ];
        rules.into_iter().flatten().collect()
    }
}

/// From this ratio on, two texts are too similar.
const MOST_SIMILAR: f64 = 0.7;

/// The first attribute that is too similar as a whole or in one of its parts
/// (`UserAttributeSimilarityValidator`).
fn too_similar(password: &str, about: &About<'_>) -> Option<Attribute> {
    let password = Characters::of(&password.to_lowercase());
    let attributes = [
        (Attribute::Username, about.username),
        (Attribute::FirstName, about.first_name),
        (Attribute::LastName, about.last_name),
        (Attribute::Email, about.email),
    ];
    let is_similar = |value: &str| {
        let value = value.to_lowercase();
        // A part that is empty is compared too, as Django does: it matters for an empty password alone.
        let mut parts = value.split(|c| !is_word(c)).chain([value.as_str()]);
        parts.any(|part| password.is_similar_to(part))
    };
    let found = attributes.iter().find(|(_, value)| !value.is_empty() && is_similar(value));
    found.map(|(attribute, _)| *attribute)
}

/// A text as a multiset of characters.
struct Characters {
    counts: HashMap<char, usize>,
    length: usize,
}

impl Characters {
    fn of(text: &str) -> Self {
        let mut counts = HashMap::new();
        for c in text.chars() {
            *counts.entry(c).or_default() += 1;
        }
        Self { counts, length: text.chars().count() }
    }

    /// Whether `difflib.SequenceMatcher.quick_ratio` is at least [`MOST_SIMILAR`]: twice the characters in
    /// common, divided by the lengths. (Django skips a part ten times shorter, which saves it time: it
    /// cannot come to 0.7.)
    #[expect(
        clippy::cast_precision_loss,
        reason = "texts are short, and Python divides floats too"
    )]
    fn is_similar_to(&self, part: &str) -> bool {
        let mut left = self.counts.clone();
        let mut is_common = |c: char| match left.get_mut(&c) {
            Some(count) if *count > 0 => {
                *count -= 1;
                true
            }
            _ => false,
        };
        let common = part.chars().filter(|c| is_common(*c)).count();
        let lengths = self.length + part.chars().count();
        lengths == 0 || 2.0 * common as f64 / lengths as f64 >= MOST_SIMILAR
    }
}

#[cfg(test)]
mod tests;
