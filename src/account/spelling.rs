//! How Django, and so Python, reads characters, where Rust reads them a little differently; and when two
//! spellings are one.

use unicode_normalization::UnicodeNormalization as _;
use unicode_normalization::char::is_combining_mark;

/// One form for all spellings that a reader takes for the same: NFKC, without regard to case
/// (`django.contrib.auth.forms._unicode_ci_compare`). Upper and then lower case is what Unicode's full
/// case folding comes to (`ß`, `ſ` and `ς` included), but that it also joins `ı` to `i`.
#[must_use]
pub fn folded(text: &str) -> String {
    text.nfkc().flat_map(char::to_uppercase).flat_map(char::to_lowercase).collect()
}

/// `\w` of Python's regular expressions: `str.isalnum` and the underscore. Unlike in Rust, vowel signs
/// and circled letters are no letters.
#[must_use]
pub fn is_word(c: char) -> bool {
    let is_circled = matches!(
        c,
        '\u{24b6}'..='\u{24e9}'
            | '\u{1f130}'..='\u{1f149}'
            | '\u{1f150}'..='\u{1f169}'
            | '\u{1f170}'..='\u{1f189}'
    );
    c == '_' || (c.is_alphanumeric() && !is_combining_mark(c) && !is_circled)
}

/// `str.isdigit` for one character: decimal digits of all scripts, and superscript, subscript and circled
/// ones, but no fractions and no Roman numerals.
#[must_use]
pub fn is_digit(c: char) -> bool {
    let c = u32::from(c);
    let after = DIGITS.partition_point(|(first, _)| *first <= c);
    after.checked_sub(1).and_then(|at| DIGITS.get(at)).is_some_and(|(first, n)| c - first < *n)
}

/// `str.strip`: white space, and the four separators U+001C to U+001F that Rust does not count as such.
#[must_use]
pub fn trimmed(text: &str) -> &str {
    text.trim_matches(|c: char| c.is_whitespace() || ('\u{1c}'..='\u{1f}').contains(&c))
}

/// Unicode's `Numeric_Type` Decimal and Digit: the first of a run, and how many there are.
const DIGITS: &[(u32, u32)] = &[
    (0x0030, 10),
    (0x00b2, 2),
    (0x00b9, 1),
    (0x0660, 10),
    (0x06f0, 10),
    (0x07c0, 10),
    (0x0966, 10),
    (0x09e6, 10),
    (0x0a66, 10),
    (0x0ae6, 10),
    (0x0b66, 10),
    (0x0be6, 10),
    (0x0c66, 10),
    (0x0ce6, 10),
    (0x0d66, 10),
    (0x0de6, 10),
    (0x0e50, 10),
    (0x0ed0, 10),
    (0x0f20, 10),
    (0x1040, 10),
    (0x1090, 10),
    (0x1369, 9),
    (0x17e0, 10),
    (0x1810, 10),
    (0x1946, 10),
    (0x19d0, 11),
    (0x1a80, 10),
    (0x1a90, 10),
    (0x1b50, 10),
    (0x1bb0, 10),
    (0x1c40, 10),
    (0x1c50, 10),
    (0x2070, 1),
    (0x2074, 6),
    (0x2080, 10),
    (0x2460, 9),
    (0x2474, 9),
    (0x2488, 9),
    (0x24ea, 1),
    (0x24f5, 9),
    (0x24ff, 1),
    (0x2776, 9),
    (0x2780, 9),
    (0x278a, 9),
    (0xa620, 10),
    (0xa8d0, 10),
    (0xa900, 10),
    (0xa9d0, 10),
    (0xa9f0, 10),
    (0xaa50, 10),
    (0xabf0, 10),
    (0xff10, 10),
    (0x104a0, 10),
    (0x10a40, 4),
    (0x10d30, 10),
    (0x10e60, 9),
    (0x11052, 9),
    (0x11066, 10),
    (0x110f0, 10),
    (0x11136, 10),
    (0x111d0, 10),
    (0x112f0, 10),
    (0x11450, 10),
    (0x114d0, 10),
    (0x11650, 10),
    (0x116c0, 10),
    (0x11730, 10),
    (0x118e0, 10),
    (0x11950, 10),
    (0x11c50, 10),
    (0x11d50, 10),
    (0x11da0, 10),
    (0x16a60, 10),
    (0x16ac0, 10),
    (0x16b50, 10),
    (0x1d7ce, 50),
    (0x1e140, 10),
    (0x1e2f0, 10),
    (0x1e950, 10),
    (0x1f100, 11),
    (0x1fbf0, 10),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spellings_are_one() {
        for (one, other) in [
            ("Alice", "aLICE"),
            ("ａｌｉｃｅ", "alice"),
            ("ﬁn", "FIN"),
            ("straße", "STRASSE"),
            ("mi\u{17f}a", "misa"),
            ("\u{212a}ai", "kai"),
            ("Σίσυφος", "ΣΊΣΥΦΟΣ"),
            ("A\u{308}iti", "äiti"),
        ] {
            assert_eq!(folded(one), folded(other), "{one} {other}");
        }
        assert_ne!(folded("alice"), folded("a1ice"));
    }

    #[test]
    fn characters_are_read_as_python_reads_them() {
        for c in "aZ_ä9٣ⅷ½²中ª𝟗".chars() {
            assert!(is_word(c), "{c}");
        }
        for c in "-.@ \u{301}\u{93e}Ⓐⓩ🄰🅰€".chars() {
            assert!(!is_word(c), "{c}");
        }
        for c in "09٣²₉①𝟗９".chars() {
            assert!(is_digit(c), "{c}");
        }
        for c in "a½ⅷ〇一-/:".chars() {
            assert!(!is_digit(c), "{c}");
        }
        assert_eq!(trimmed("\u{1c} a\u{a0}b\u{3000}\r\n"), "a\u{a0}b");
        assert!(DIGITS.windows(2).all(|pair| pair[0].0 + pair[0].1 <= pair[1].0));
    }
}
