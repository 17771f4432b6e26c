//! Languages that people are addressed in.

pub mod texts;

use std::fmt;

/// A language that mails and pages are written in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Language {
    /// English.
    #[default]
    English,
    /// Finnish.
    Finnish,
    /// Swedish.
    Swedish,
}

impl Language {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::English, Self::Finnish, Self::Swedish];

    /// Its tag (RFC 5646), which is also the name of its folder of templates.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::English => "en",
            Self::Finnish => "fi",
            Self::Swedish => "sv",
        }
    }

    /// Its name in itself.
    #[must_use]
    pub const fn own_name(self) -> &'static str {
        match self {
            Self::English => "English",
            Self::Finnish => "Suomi",
            Self::Swedish => "Svenska",
        }
    }

    /// The language of a tag such as `fi`, `sv-FI` or `en_GB`; `None` for languages that we do not write.
    #[must_use]
    pub fn parse(tag: &str) -> Option<Self> {
        let primary = tag.split(['-', '_']).next().unwrap_or_default();
        Self::ALL.into_iter().find(|language| language.as_str().eq_ignore_ascii_case(primary))
    }

    /// The language that a client prefers among ours, by the header `Accept-Language` (RFC 9110 12.5.4);
    /// `default` where it names none of ours, or any (`*`) before one of ours.
    #[must_use]
    pub fn negotiate(accept_language: &str, default: Self) -> Self {
        Self::negotiate_among(accept_language, &Self::ALL, default)
    }

    /// As [`Language::negotiate`], among some of ours.
    #[must_use]
    pub fn negotiate_among(accept_language: &str, offered: &[Self], default: Self) -> Self {
        let mut best = (0, default);
        for range in accept_language.split(',') {
            let mut parts = range.split(';');
            let tag = parts.next().unwrap_or_default().trim();
            let weight = parts.find_map(weight).unwrap_or(1000);
            let language = if tag == "*" { Some(default) } else { Self::parse(tag) };
            let language = language.filter(|language| offered.contains(language));
            // Of equal weights the first wins, as browsers write them.
            if let Some(language) = language
                && weight > best.0
            {
                best = (weight, language);
            }
        }
        best.1
    }
}

impl fmt::Display for Language {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Thousandths of a `q=0.5`; `None` for another parameter. What cannot be read counts as 0.
fn weight(parameter: &str) -> Option<u32> {
    let (name, value) = parameter.split_once('=')?;
    if !name.trim().eq_ignore_ascii_case("q") {
        return None;
    }
    let value = value.trim();
    let (whole, fraction) = value.split_once('.').unwrap_or((value, ""));
    let digits = format!("{fraction:0<3}");
    let thousandths = digits.get(..3).and_then(|digits| digits.parse::<u32>().ok());
    match (whole, thousandths) {
        ("1", Some(_)) => Some(1000),
        ("0", Some(thousandths)) => Some(thousandths),
        _ => Some(0),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tags_are_read_with_and_without_a_region() {
        assert_eq!(Language::parse("fi"), Some(Language::Finnish));
        assert_eq!(Language::parse("sv-FI"), Some(Language::Swedish));
        assert_eq!(Language::parse("EN_gb"), Some(Language::English));
        for tag in ["", "f", "fin", "de", "-fi"] {
            assert_eq!(Language::parse(tag), None, "{tag}");
        }
    }

    #[test]
    fn the_client_decides() {
        for (header, language) in [
            ("fi", Language::Finnish),
            ("de, sv;q=0.8, en;q=0.9", Language::English),
            ("en;q=0.1,fi;q=0.12", Language::Finnish),
            ("sv, fi", Language::Swedish),
            ("FI-fi;q=1.000", Language::Finnish),
            ("sv;level=2;q=0.3, en;q=0.2", Language::Swedish),
        ] {
            assert_eq!(Language::negotiate(header, Language::English), language, "{header}");
        }
    }

    #[test]
    fn without_a_wish_of_the_client_the_default_stands() {
        for header in ["", "*", "de", "en;q=0", "fi;q=nonsense", ";;,,=", "en;q=0.0005", "q=1"] {
            assert_eq!(
                Language::negotiate(header, Language::Swedish),
                Language::Swedish,
                "{header}"
            );
        }
        assert_eq!(Language::negotiate("*, fi;q=0.5", Language::Swedish), Language::Swedish);
    }
}
