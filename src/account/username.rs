//! User names: which ones may be registered.

use std::fmt;

use unicode_normalization::UnicodeNormalization as _;

use crate::account::email::EmailAddress;
use crate::account::spelling::is_word;
use crate::base::random::{self, Random};

/// How long `auth_user.username` is.
const LONGEST: usize = 150;

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
    /// Reads a name for a new account: 1 to 150 characters `[\w.@+-]`, judged as it was typed and then folded
    /// to NFKC (`UnicodeUsernameValidator` and `AbstractBaseUser.normalize_username`). Where folding makes it
    /// longer than the column is, Django fails; here it is too long.
    pub fn parse(name: &str) -> Result<Self, UsernameError> {
        if name.trim().is_empty() {
            return Err(UsernameError::Blank);
        }
        let folded: String = name.nfkc().collect();
        if [name, &folded].into_iter().any(|name| name.chars().count() > LONGEST) {
            return Err(UsernameError::TooLong);
        }
        if Self::has_odd_characters(name) {
            return Err(UsernameError::Characters);
        }
        Ok(Self(folded))
    }

    /// A name for an account whose owner was asked for none: what stands before the `@` of its address, in
    /// lower case, without what no name may hold (`allauth.utils.generate_unique_username`).
    #[must_use]
    pub fn of_address(address: &EmailAddress) -> Self {
        let local = address.as_str().split('@').next().unwrap_or_default();
        let plain = |c: &char| c.is_ascii_alphanumeric() || ".+-_".contains(*c);
        let name: String = local.to_ascii_lowercase().chars().filter(plain).collect();
        Self(if name.is_empty() { "user".to_owned() } else { name })
    }

    /// The same name with so many random digits behind it, for where it is taken.
    #[must_use]
    pub fn numbered(&self, digits: u8, random: &dyn Random) -> Self {
        let number: String =
            (0..digits).map(|_| char::from(b'0' + random::bytes::<1>(random)[0] % 10)).collect();
        let room = LONGEST - number.len();
        Self(self.0.chars().take(room).chain(number.chars()).collect())
    }

    /// Whether a name has characters other than `[\w.@+-]` (`UnicodeUsernameValidator`).
    #[must_use]
    pub fn has_odd_characters(name: &str) -> bool {
        !name.chars().all(|c| is_word(c) || "@.+-".contains(c))
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
        // Judged before it is folded: a circled letter is none, a fraction is a number.
        assert_eq!(Username::parse("ⓐino"), Err(UsernameError::Characters));
        assert_eq!(Username::parse("aino½").expect("is good").as_str(), "aino1⁄2");
        assert_eq!(Username::parse(&"ﷺ".repeat(9)), Err(UsernameError::TooLong));
        assert_eq!(Username::parse("a b"), Err(UsernameError::Characters));
        assert_eq!(Username::parse(""), Err(UsernameError::Blank));
        assert_eq!(Username::parse(&"a".repeat(151)), Err(UsernameError::TooLong));
    }

    #[test]
    fn names_are_made_from_addresses() {
        let name = |address| {
            let address = EmailAddress::parse(address).expect("is an address");
            Username::of_address(&address)
        };
        assert_eq!(name("Aino.M+x_1-2@Example.org").as_str(), "aino.m+x_1-2");
        assert_eq!(name("o'brien@example.org").as_str(), "obrien");
        assert_eq!(name("\"a@b\"@example.org").as_str(), "a");
        assert_eq!(name("!#$@example.org").as_str(), "user");
        let random = random::SeededRandom::new(1);
        let long = Username("a".repeat(150)).numbered(3, &random);
        assert_eq!(long.as_str().len(), 150);
        assert!(long.as_str().ends_with(|c: char| c.is_ascii_digit()));
        assert!(Username::parse(name("aino@example.org").numbered(2, &random).as_str()).is_ok());
    }
}
