//! What pages say, in each language: `<language>.json`, with names such as `sign_in.title`; those of the
//! administration in `administration/<language>.json`.

use std::collections::HashMap;
use std::sync::LazyLock;

use serde_json::Value;

use crate::locale::Language;

type Texts = HashMap<String, String>;

/// The text of that name; English where a language lacks it, `None` where all do. `{name}` in it stands
/// for something to be filled in.
#[must_use]
pub fn text(language: Language, name: &str) -> Option<&'static str> {
    let of = |language| all(language).get(name).map(String::as_str);
    of(language).or_else(|| of(Language::English))
}

/// All texts of a language, by name.
#[must_use]
pub fn all(language: Language) -> &'static Texts {
    static ENGLISH: LazyLock<Texts> =
        LazyLock::new(|| read(&[include_str!("en.json"), include_str!("administration/en.json")]));
    static FINNISH: LazyLock<Texts> =
        LazyLock::new(|| read(&[include_str!("fi.json"), include_str!("administration/fi.json")]));
    static SWEDISH: LazyLock<Texts> =
        LazyLock::new(|| read(&[include_str!("sv.json"), include_str!("administration/sv.json")]));
    match language {
        Language::English => &ENGLISH,
        Language::Finnish => &FINNISH,
        Language::Swedish => &SWEDISH,
    }
}

/// Puts what stands for `{name}` into a text.
#[must_use]
pub fn fill(text: &str, name: &str, value: &str) -> String {
    text.replace(&format!("{{{name}}}"), value)
}

fn read(files: &[&str]) -> Texts {
    let mut texts = Texts::new();
    for json in files {
        let parsed: Value = serde_json::from_str(json).expect("a test reads our own files");
        flatten("", &parsed, &mut texts);
    }
    texts
}

/// `{"sign_in": {"title": …}}` is `sign_in.title`.
fn flatten(prefix: &str, value: &Value, texts: &mut Texts) {
    match value {
        Value::Object(members) => {
            for (name, member) in members {
                let dot = if prefix.is_empty() { "" } else { "." };
                flatten(&format!("{prefix}{dot}{name}"), member, texts);
            }
        }
        Value::String(text) => drop(texts.insert(prefix.to_owned(), text.clone())),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    /// The names in braces.
    fn places(text: &str) -> BTreeSet<&str> {
        text.split('{')
            .skip(1)
            .filter_map(|rest| rest.split_once('}'))
            .map(|(name, _)| name)
            .collect()
    }

    #[test]
    fn every_language_says_everything() {
        let english = all(Language::English);
        assert!(english.len() > 100);
        for language in Language::ALL {
            let texts = all(language);
            let names = |texts: &Texts| texts.keys().cloned().collect::<BTreeSet<_>>();
            assert_eq!(names(texts), names(english), "{language}");
            for (name, text) in texts {
                assert_eq!(places(text), places(&english[name]), "{language}: {name}");
                assert!(!text.trim().is_empty(), "{language}: {name}");
            }
        }
    }

    #[test]
    fn what_is_nowhere_is_none() {
        assert_eq!(text(Language::Finnish, "no.such.text"), None);
        assert_eq!(fill("in {n} minutes", "n", "3"), "in 3 minutes");
    }
}
