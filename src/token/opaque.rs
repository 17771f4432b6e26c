//! API keys as Django REST framework makes them: 40 lower-case hex digits.

use crate::base::encode::{hex, unhex};
use crate::base::random::{self, Random};
use crate::base::secret::Secret;

/// A classic API key: Django's `authtoken_token.key`. It is the table's primary key, hence the one
/// credential that the store knows in clear.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClassicKey(Secret<String>);

impl ClassicKey {
    /// A new key of 160 random bits (`rest_framework.authtoken.models.Token.generate_key`).
    pub fn generate(random: &dyn Random) -> Self {
        Self(Secret::new(hex(&random::bytes::<20>(random))))
    }

    /// A presented key, `None` unless it has the form of one: anything else is unknown without a look.
    #[must_use]
    pub fn parse(presented: &str) -> Option<Self> {
        unhex::<20>(presented).map(|_| Self(presented.into()))
    }

    /// A key read back from the store. Django's admin admits keys of any form there.
    #[must_use]
    pub fn from_stored(key: String) -> Self {
        Self(Secret::new(key))
    }

    /// Its first characters: enough to tell keys apart, too few to use one.
    #[must_use]
    pub fn beginning(&self) -> String {
        self.expose().chars().take(8).collect()
    }

    /// The text of the key.
    #[must_use]
    pub fn expose(&self) -> &str {
        self.0.expose()
    }
}
