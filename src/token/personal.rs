//! API keys of our own: several for each account, each with a name and with terms.
//!
//! ```text
//! avn_ 7Hq2…(32 characters)…x9 Kd03Zt
//! ──── ─────────────────────── ──────
//! says whose   190 random bits  checksum of what stands before it
//! ```
//!
//! The prefix lets scanners for leaked secrets find keys, and the checksum tells garbage from a key without
//! asking the store.

use crate::base::digest::Digest;
use crate::base::random::{self, Random};
use crate::base::secret::Secret;

/// What every key begins with.
pub const PREFIX: &str = "avn_";

/// How long every key is.
pub const LENGTH: usize = PREFIX.len() + RANDOM + CHECK;

/// Random characters.
const RANDOM: usize = 32;
/// Characters of the checksum.
const CHECK: usize = 6;
/// How many characters of a key may be shown: enough to tell keys apart, too few to guess the rest.
const SHOWN: usize = PREFIX.len() + 6;

const ALPHABET: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

/// A new key, in clear: it exists in the answer that issues it and nowhere else.
#[derive(Debug)]
pub struct PersonalKey(Secret<String>);

impl PersonalKey {
    /// A new key.
    pub fn generate(random: &dyn Random) -> Self {
        let mut text = String::with_capacity(LENGTH);
        text.push_str(PREFIX);
        while text.len() < PREFIX.len() + RANDOM {
            // Six bits at a time; the two numbers beyond the alphabet are thrown away, so that every
            // character is as likely as any other.
            let drawn = random::bytes::<64>(random);
            let drawn = drawn.iter().filter_map(|byte| ALPHABET.get(usize::from(byte & 63)));
            let missing = PREFIX.len() + RANDOM - text.len();
            text.extend(drawn.take(missing).copied().map(char::from));
        }
        text.extend(checksum(text.as_bytes()).map(char::from));
        Self(Secret::new(text))
    }

    /// The text of the key.
    #[must_use]
    pub fn expose(&self) -> &str {
        self.0.expose()
    }

    /// What is kept of it.
    #[must_use]
    pub fn digest(&self) -> PersonalKeyDigest {
        PersonalKeyDigest(Digest::of(self.expose().as_bytes()))
    }

    /// Its first characters, by which its owner knows it again.
    #[must_use]
    pub fn beginning(&self) -> &str {
        self.expose().get(..SHOWN).unwrap_or_default()
    }
}

/// The id of a key: public, unlike the key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct PersonalKeyId(i64);

impl PersonalKeyId {
    /// The id with this number.
    #[must_use]
    pub const fn new(id: i64) -> Self {
        Self(id)
    }

    /// Its number.
    #[must_use]
    pub const fn get(self) -> i64 {
        self.0
    }
}

impl std::fmt::Display for PersonalKeyId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.fmt(f)
    }
}

/// Whether a presented text claims to be one of our keys.
#[must_use]
pub fn is_claimed(presented: &[u8]) -> bool {
    presented.starts_with(PREFIX.as_bytes())
}

/// The digest of a key: all that the store and the caches know.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct PersonalKeyDigest(Digest);

impl PersonalKeyDigest {
    /// The digest of a presented key; `None` unless it has the form of one and its checksum is right:
    /// anything else is unknown without a look.
    #[must_use]
    pub fn of_presented(presented: &[u8]) -> Option<Self> {
        if presented.len() != LENGTH || !is_claimed(presented) {
            return None;
        }
        let (head, check) = presented.split_at(PREFIX.len() + RANDOM);
        let random = head.get(PREFIX.len()..)?;
        (random.iter().all(u8::is_ascii_alphanumeric) && check == checksum(head))
            .then(|| Self(Digest::of(presented)))
    }

    /// The digest.
    #[must_use]
    pub const fn digest(&self) -> &Digest {
        &self.0
    }
}

/// Six characters that depend on every character of `head`: the first bits of its SHA-256.
fn checksum(head: &[u8]) -> [u8; CHECK] {
    let digest = Digest::of(head);
    let first = digest.as_bytes().first_chunk().copied().unwrap_or_default();
    let mut rest = u64::from_be_bytes(first);
    [(); CHECK].map(|()| {
        let digit = usize::try_from(rest % 62).unwrap_or(0);
        rest /= 62;
        ALPHABET.get(digit).copied().unwrap_or(b'0')
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::random::SeededRandom;

    #[test]
    fn what_is_generated_is_well_formed_and_each_time_another() {
        let random = SeededRandom::new(1);
        let keys: Vec<PersonalKey> = (0..200).map(|_| PersonalKey::generate(&random)).collect();
        let mut texts: Vec<&str> = keys.iter().map(PersonalKey::expose).collect();
        texts.sort_unstable();
        texts.dedup();
        assert_eq!(texts.len(), keys.len());
        for key in &keys {
            assert_eq!(key.expose().len(), 42);
            let presented = PersonalKeyDigest::of_presented(key.expose().as_bytes());
            assert_eq!(presented, Some(key.digest()));
            assert!(key.expose().starts_with(key.beginning()) && key.beginning().len() == 10);
        }
    }

    #[test]
    fn one_wrong_character_anywhere_is_noticed() {
        let key = PersonalKey::generate(&SeededRandom::new(2));
        for at in 0..key.expose().len() {
            for other in [b'0', b'a', b'_', b' ', 0x80] {
                let mut text = key.expose().as_bytes().to_vec();
                let byte = text.get_mut(at).expect("is there");
                if *byte == other {
                    continue;
                }
                *byte = other;
                assert_eq!(PersonalKeyDigest::of_presented(&text), None, "{at} {other}");
            }
        }
        for odd in ["", "avn_", "avn", "avn_aaaa", &format!("{}x", key.expose())] {
            assert_eq!(PersonalKeyDigest::of_presented(odd.as_bytes()), None, "{odd}");
        }
    }
}
