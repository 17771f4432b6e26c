//! Fingerprints: what the gate remembers a presented credential by. Taken of every request, so they must be
//! cheap; they are never stored or shown.

use std::fmt;
use std::hash::Hasher as _;

use siphasher::sip128::{Hasher128 as _, SipHasher13};

use crate::base::random::{self, Random};

/// 128 bits that stand for a text in this process.
///
/// Two texts with one fingerprint would be taken for each other. `SipHash` is a keyed function whose values
/// cannot be told from random ones without its key, which is drawn when the process starts and never
/// leaves it; nobody outside ever sees a fingerprint, so even its short form (1-3) gives nothing to work on.
/// What is left to a stranger is to guess: one presented text in 2^113 has the fingerprint of one of 32,768
/// remembered credentials. SHA-256 costs almost four times as much; hashes that are made for tables alone
/// (aHash, FNV) claim nothing of the kind.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Fingerprint(u128);

impl fmt::Debug for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Fingerprint(…)")
    }
}

/// What fingerprints are made with.
#[derive(Clone)]
pub struct FingerprintKey(SipHasher13);

impl FingerprintKey {
    /// A key of this process alone.
    #[must_use]
    pub fn draw(random: &dyn Random) -> Self {
        Self(SipHasher13::new_with_key(&random::bytes(random)))
    }

    /// The fingerprint of a text of some kind: the same text of another kind has another one.
    #[must_use]
    pub fn of(&self, kind: u8, text: &[u8]) -> Fingerprint {
        let mut hasher = self.0;
        hasher.write(text);
        hasher.write_u8(kind);
        Fingerprint(hasher.finish128().as_u128())
    }
}

impl fmt::Debug for FingerprintKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("FingerprintKey([secret])")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::random::SeededRandom;

    #[test]
    fn a_fingerprint_depends_on_text_kind_and_key() {
        let key = FingerprintKey::draw(&SeededRandom::new(1));
        let other = FingerprintKey::draw(&SeededRandom::new(2));
        let one = key.of(b'b', b"text");
        assert_eq!(one, key.of(b'b', b"text"));
        for different in [key.of(b't', b"text"), key.of(b'b', b"texT"), other.of(b'b', b"text")] {
            assert_ne!(one, different);
        }
        assert_eq!(format!("{one:?} {key:?}"), "Fingerprint(…) FingerprintKey([secret])");
    }
}
