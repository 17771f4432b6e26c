//! Values that must not be printed, compared byte by byte, or left in memory.

use std::fmt;

use zeroize::{Zeroize, Zeroizing};

/// A secret: prints as `[secret]`, compares in constant time, is wiped when dropped. It has no
/// `Display` and no `Serialize`; reading it is [`Secret::expose`], so a reviewer can search for it.
#[derive(Clone)]
pub struct Secret<T: Zeroize>(Zeroizing<T>);

impl<T: Zeroize> Secret<T> {
    /// Wraps a value.
    pub fn new(value: T) -> Self {
        Self(Zeroizing::new(value))
    }

    /// The value itself.
    pub fn expose(&self) -> &T {
        &self.0
    }
}

impl<T: Zeroize> fmt::Debug for Secret<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[secret]")
    }
}

impl<T: Zeroize + AsRef<[u8]>> PartialEq for Secret<T> {
    fn eq(&self, other: &Self) -> bool {
        same_bytes(self.0.as_ref(), other.0.as_ref())
    }
}

impl<T: Zeroize + AsRef<[u8]>> Eq for Secret<T> {}

impl From<&str> for Secret<String> {
    fn from(value: &str) -> Self {
        Self::new(value.to_owned())
    }
}

/// Whether two byte strings are equal, in time that depends on their lengths alone.
#[must_use]
pub fn same_bytes(a: &[u8], b: &[u8]) -> bool {
    // Through digests: equal lengths are not needed and the comparison of the digests leaks nothing
    // that helps to find the bytes.
    ring::digest::digest(&ring::digest::SHA256, a).as_ref()
        == ring::digest::digest(&ring::digest::SHA256, b).as_ref()
}
