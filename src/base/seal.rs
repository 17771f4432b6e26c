//! Sealing what must not lie readable in the store, under the operator's master key.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use ring::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use zeroize::Zeroizing;

use crate::base::digest::DigestKey;
use crate::base::encode::{hex, unhex};
use crate::base::random::{Random, bytes};
use crate::base::secret::Secret;

/// The layout `version, nonce, ciphertext, tag`. Another cipher gets another number.
const VERSION: u8 = 1;

/// The key under which the other keys are stored. Never stored itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MasterKey(Secret<[u8; 32]>);

/// Why nothing was unsealed or no master key read; the sentence says what to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SealError {
    /// The text is no master key.
    NotAKey,
    /// Sealed under another key, for another row, or altered.
    Refused,
    /// Sealed by a later version of this program, or not sealed at all.
    UnknownVersion,
}

impl fmt::Display for SealError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NotAKey => {
                "the master key must be 32 bytes: 64 hexadecimal digits, or base64 of them \
                 (`openssl rand -hex 32` makes one)"
            }
            Self::Refused => {
                "a stored key does not open under this master key: give the master key that it was \
                 stored with (keys.master), or restore the altered row"
            }
            Self::UnknownVersion => {
                "a stored key has a form that this version does not know: run the version that \
                 stored it, or restore the row"
            }
        })
    }
}

impl std::error::Error for SealError {}

impl MasterKey {
    /// A new master key.
    #[must_use]
    pub fn generate(random: &dyn Random) -> Self {
        Self(Secret::new(bytes(random)))
    }

    /// Reads 64 hexadecimal digits, or base64 in either alphabet; white space around is dropped.
    pub fn parse(text: &str) -> Result<Self, SealError> {
        let text = text.trim();
        let key = if text.len() == 64 {
            unhex(&Zeroizing::new(text.to_ascii_lowercase()))
        } else {
            let decoded = STANDARD.decode(text).or_else(|_| URL_SAFE_NO_PAD.decode(text));
            decoded.ok().and_then(|bytes| Zeroizing::new(bytes).as_slice().try_into().ok())
        };
        key.map(|key| Self(Secret::new(key))).ok_or(SealError::NotAKey)
    }

    /// The 64 hexadecimal digits that [`parse`](Self::parse) reads, for the file that keeps the key.
    #[must_use]
    pub fn to_hex(&self) -> Secret<String> {
        Secret::new(hex(self.0.expose()))
    }

    /// Seals `plaintext` (AES-256-GCM, a random nonce). `aad` says where it belongs, such as table, row
    /// and column: it opens only there.
    #[expect(clippy::missing_panics_doc, reason = "no input makes it panic")]
    #[must_use]
    pub fn seal(&self, random: &dyn Random, aad: &[u8], plaintext: &[u8]) -> Vec<u8> {
        let nonce: [u8; NONCE_LEN] = bytes(random);
        let mut sealed = Zeroizing::new(plaintext.to_vec());
        let tag = self
            .cipher()
            .seal_in_place_separate_tag(
                Nonce::assume_unique_for_key(nonce),
                Aad::from(bound(aad)),
                &mut sealed,
            )
            .expect("what is stored is far below the 64 GiB that AES-GCM seals");
        [&[VERSION][..], &nonce, &sealed, tag.as_ref()].concat()
    }

    /// Opens what [`seal`](Self::seal) gave for the same `aad`.
    pub fn open(&self, aad: &[u8], sealed: &[u8]) -> Result<Secret<Vec<u8>>, SealError> {
        let (&version, rest) = sealed.split_first().ok_or(SealError::UnknownVersion)?;
        if version != VERSION {
            return Err(SealError::UnknownVersion);
        }
        let (nonce, rest) = rest.split_first_chunk().ok_or(SealError::Refused)?;
        let mut buffer = Zeroizing::new(rest.to_vec());
        let nonce = Nonce::assume_unique_for_key(*nonce);
        let opened = self.cipher().open_in_place(nonce, Aad::from(bound(aad)), &mut buffer);
        opened.map(|plaintext| Secret::new(plaintext.to_vec())).map_err(|_| SealError::Refused)
    }

    /// A key of its own for digests of what must not be readable, nor guessable, in the store. `purpose`
    /// keeps those of different uses apart.
    #[must_use]
    pub fn digest_key(&self, purpose: &str) -> DigestKey {
        let derived =
            DigestKey::new(self.0.expose()).of_parts(&[b"digest key: ", purpose.as_bytes()]);
        DigestKey::new(derived.as_bytes())
    }

    fn cipher(&self) -> LessSafeKey {
        let key = UnboundKey::new(&AES_256_GCM, self.0.expose());
        LessSafeKey::new(key.expect("AES-256 takes 32 bytes"))
    }
}

/// What is authenticated beside the text: the version too, so that it cannot be exchanged.
fn bound(aad: &[u8]) -> Vec<u8> {
    [&[VERSION], aad].concat()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::base::random::SystemRandom;

    #[test]
    fn what_is_sealed_opens_only_under_its_key_in_its_place() {
        let random = SystemRandom::new();
        let (key, other) = (MasterKey::generate(&random), MasterKey::generate(&random));
        let sealed = key.seal(&random, b"keys/1", b"material");
        assert_eq!(key.open(b"keys/1", &sealed).expect("opens").expose(), b"material");
        assert_eq!(key.open(b"keys/2", &sealed), Err(SealError::Refused));
        assert_eq!(other.open(b"keys/1", &sealed), Err(SealError::Refused));
        assert_ne!(sealed, key.seal(&random, b"keys/1", b"material"), "nonces differ");
        assert!(!sealed.windows(8).any(|window| window == b"material"));
    }

    #[test]
    fn every_alteration_is_refused() {
        let random = SystemRandom::new();
        let key = MasterKey::generate(&random);
        let sealed = key.seal(&random, b"", b"material");
        for position in 0..sealed.len() {
            let mut altered = sealed.clone();
            altered[position] ^= 0x80;
            assert!(key.open(b"", &altered).is_err(), "{position}");
            assert!(key.open(b"", &sealed[..position]).is_err(), "{position}");
        }
        assert_eq!(key.open(b"", b""), Err(SealError::UnknownVersion));
        assert_eq!(key.open(b"", b"\x02material"), Err(SealError::UnknownVersion));
    }

    #[test]
    fn digest_keys_differ_by_master_key_and_purpose() {
        let of = |master: u8, purpose: &str| {
            let key = MasterKey(Secret::new([master; 32]));
            key.digest_key(purpose).of_parts(&[b"te", b"xt"])
        };
        assert_eq!(of(1, "a"), of(1, "a"));
        assert_ne!(of(1, "a"), of(2, "a"));
        assert_ne!(of(1, "a"), of(1, "b"));
        assert_ne!(of(1, "a"), DigestKey::new(&[1; 32]).of_parts(&[b"text"]));
    }

    #[test]
    fn master_keys_are_read_in_three_spellings_and_never_shown() {
        let digits = "fb".repeat(32);
        let key = MasterKey::parse(&digits).expect("hexadecimal digits");
        let spellings = [
            format!(" {}\n", digits.to_uppercase()),
            STANDARD.encode([0xfb; 32]),
            URL_SAFE_NO_PAD.encode([0xfb; 32]),
        ];
        for text in &spellings {
            assert_eq!(MasterKey::parse(text).as_ref(), Ok(&key), "{text}");
        }
        assert_eq!(key.to_hex().expose(), &digits);
        assert_eq!(format!("{key:?}"), "MasterKey([secret])");
        for text in ["", "fb", &digits[1..], &"fg".repeat(32), &STANDARD.encode([1; 31])] {
            assert_eq!(MasterKey::parse(text), Err(SealError::NotAKey), "{text}");
        }
    }

    proptest! {
        #[test]
        fn opening_never_panics(sealed in prop::collection::vec(any::<u8>(), 0..80), text in ".*") {
            let key = MasterKey(Secret::new([7; 32]));
            prop_assert!(key.open(b"", &sealed).is_err());
            let _ = MasterKey::parse(&text);
        }
    }
}
