//! User names: which ones may be registered.

use std::fmt;

use unicode_normalization::UnicodeNormalization as _;

/// A name that an account may be made with, folded as Django folds it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Username(String);

/// Why a name may not be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UsernameError {
    /// Nothing, or white space only.
    Blank,
    /// More than 150 characters.
    TooLong,
    /// Other characters than letters, digits and `@.+-_`.
    Characters,
}

impl fmt::Display for UsernameError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Blank => "a user name must not be blank",
            Self::TooLong => "a user name has at most 150 characters",
            Self::Characters => "a user name has only letters, digits and @ . + - _",
        })
    }
}

impl Username {
    /// Reads a name for a new account: 1 to 150 characters `[\w.@+-]`, folded to NFKC
    /// (`UnicodeUsernameValidator` and `AbstractBaseUser.normalize_username`).
    pub fn parse(name: &str) -> Result<Self, UsernameError> {
        let folded: String = name.nfkc().collect();
        if folded.trim().is_empty() {
            return Err(UsernameError::Blank);
        }
        if folded.chars().count() > 150 {
            return Err(UsernameError::TooLong);
        }
        if Self::has_odd_characters(&folded) {
            return Err(UsernameError::Characters);
        }
        Ok(Self(folded))
    }

    /// Whether a name has characters other than `[\w.@+-]` (`UnicodeUsernameValidator`).
    #[must_use]
    pub fn has_odd_characters(name: &str) -> bool {
        !name.chars().all(|c| c.is_alphanumeric() || "@.+-_".contains(c))
    }

    /// The name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_read_as_django_reads_them() {
        assert_eq!(Username::parse("ﬁn").expect("is good").as_str(), "fin");
        assert_eq!(Username::parse("Äiti.1@+-_").expect("is good").as_str(), "Äiti.1@+-_");
        assert_eq!(Username::parse("a b"), Err(UsernameError::Characters));
        assert_eq!(Username::parse(""), Err(UsernameError::Blank));
        assert_eq!(Username::parse(&"a".repeat(151)), Err(UsernameError::TooLong));
    }
}
