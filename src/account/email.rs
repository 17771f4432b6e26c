//! Mail addresses: which ones are taken, and which look alike.

use std::fmt;
use std::net::{Ipv4Addr, Ipv6Addr};

use crate::account::spelling::folded;

/// What `auth_user.email` holds (CONTRACT.md 1.2).
const LONGEST: usize = 254;
/// What Django's validator takes at all (RFC 3696 3).
const LONGEST_AT_ALL: usize = 320;

/// A well-formed mail address, its domain in lower case. It holds no white space outside of quotes and no
/// control characters, so it can end no line of a mail's head.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct EmailAddress(String);

/// Why a text is no mail address that may be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EmailError {
    /// It is no mail address.
    Malformed,
    /// It is one, but has more than 254 characters.
    TooLong,
}

impl fmt::Display for EmailError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Malformed => "that is no mail address",
            Self::TooLong => "a mail address has at most 254 characters",
        })
    }
}

impl std::error::Error for EmailError {}

impl EmailAddress {
    /// Reads an address as Django does (`EmailValidator`, `BaseUserManager.normalize_email`): a dot-atom or
    /// a quoted string, `@`, and a domain with a dot, `localhost`, or an IP address in brackets; the domain
    /// in lower case. What Django admits beyond is refused: control characters in quotes, the four letters
    /// that are no ASCII but match `[A-Z]` without regard to case (`ı`, `İ`, `ſ`, the Kelvin sign), and
    /// invisible characters in domains. Trimming is the dialect's.
    pub fn parse(text: &str) -> Result<Self, EmailError> {
        let (local, domain) = text.rsplit_once('@').ok_or(EmailError::Malformed)?;
        let characters = text.chars().count();
        if characters > LONGEST_AT_ALL || !is_local_part(local) || !is_domain_part(domain) {
            return Err(EmailError::Malformed);
        }
        let address = Self(format!("{local}@{}", domain.to_lowercase()));
        // Lower case can be longer, by `İ` alone.
        if characters > LONGEST || address.0.chars().count() > LONGEST {
            return Err(EmailError::TooLong);
        }
        Ok(address)
    }

    /// The address.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The part behind the last `@`.
    #[must_use]
    pub fn domain(&self) -> &str {
        self.0.rsplit_once('@').map_or("", |(_, domain)| domain)
    }

    /// What is compared where case and ways of writing do not count.
    #[must_use]
    pub fn folded(&self) -> String {
        folded(&self.0)
    }

    /// Whether a reader would take `stored` for this address: it may be looked up by that, but mail goes to
    /// the stored one only. Two addresses that look alike may belong to two people (CVE-2019-19844).
    #[must_use]
    pub fn looks_like(&self, stored: &str) -> bool {
        folded(&self.0) == folded(stored)
    }
}

/// Shows nothing: addresses do not belong in logs.
impl fmt::Debug for EmailAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("EmailAddress(…)")
    }
}

/// `dot-atom` or `quoted-string` of RFC 5322 3.2, in ASCII.
fn is_local_part(local: &str) -> bool {
    match local.strip_prefix('"') {
        Some(quoted) => quoted.strip_suffix('"').is_some_and(is_quoted_content),
        None => local.split('.').all(|atom| {
            !atom.is_empty()
                && atom
                    .bytes()
                    .all(|b| b.is_ascii_alphanumeric() || b"-!#$%&'*+/=?^_`{}|~".contains(&b))
        }),
    }
}

fn is_quoted_content(content: &str) -> bool {
    let mut bytes = content.bytes();
    while let Some(byte) = bytes.next() {
        let right = match byte {
            b'\\' => bytes.next().is_some_and(|escaped| (b' '..=b'~').contains(&escaped)),
            b'"' => false,
            _ => byte.is_ascii_graphic(),
        };
        if !right {
            return false;
        }
    }
    true
}

fn is_domain_part(domain: &str) -> bool {
    domain == "localhost" || is_host_name(domain) || is_address_literal(domain)
}

/// Two labels or more (RFC 1034 3.1) of ASCII letters, digits and hyphens, and of what an internationalised
/// name may hold; digits stand in the last one only where it is in Punycode.
fn is_host_name(domain: &str) -> bool {
    let Some((rest, last)) = domain.rsplit_once('.') else { return false };
    let international = |c: char| {
        ('\u{a1}'..='\u{ffff}').contains(&c)
            && !c.is_control()
            && !c.is_whitespace()
            && !is_invisible(c)
    };
    let is_label = |label: &str, shortest: usize, digits: bool| {
        let letter = |c: char| c.is_ascii_alphabetic() || c == '-' || international(c);
        (shortest..=63).contains(&label.chars().count())
            && !label.starts_with('-')
            && !label.ends_with('-')
            && label.chars().all(|c| letter(c) || (digits && c.is_ascii_digit()))
    };
    let is_punycode = |label: &str| {
        let prefix = label.get(..4).is_some_and(|prefix| prefix.eq_ignore_ascii_case("xn--"));
        let encoded = label.get(4..).unwrap_or_default();
        prefix
            && (1..=59).contains(&encoded.len())
            && encoded.bytes().all(|b| b.is_ascii_alphanumeric())
    };
    rest.split('.').all(|label| is_label(label, 1, true))
        && (is_label(last, 2, false) || is_punycode(last))
}

/// Characters that are not seen, or that turn the direction of those around them.
fn is_invisible(c: char) -> bool {
    matches!(
        c,
        '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff0}'..='\u{ffff}'
    )
}

/// `[192.0.2.1]` or `[2001:db8::1]` (RFC 5321 4.1.3, without its `IPv6:`, as Django has it).
fn is_address_literal(domain: &str) -> bool {
    let inner = domain.strip_prefix('[').and_then(|rest| rest.strip_suffix(']'));
    inner.is_some_and(|ip| ip.parse::<Ipv4Addr>().is_ok() || ip.parse::<Ipv6Addr>().is_ok())
}

#[cfg(test)]
mod tests;
