//! Django's keyed hash (`django.utils.crypto.salted_hmac`): the key is the digest of a salt and the
//! `SECRET_KEY`. SHA-1 to 3.0, and from 3.1 where that is configured; SHA-256 else.

use ring::{digest, hmac};

use crate::base::secret::Secret;

/// A hash that Django signs with.
pub(super) struct SaltedHmac {
    digest: &'static digest::Algorithm,
    hmac: &'static hmac::Algorithm,
}

/// SHA-1.
pub(super) static SHA1: SaltedHmac = SaltedHmac {
    digest: &digest::SHA1_FOR_LEGACY_USE_ONLY,
    hmac: &hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY,
};
/// SHA-256.
pub(super) static SHA256: SaltedHmac =
    SaltedHmac { digest: &digest::SHA256, hmac: &hmac::HMAC_SHA256 };

impl SaltedHmac {
    /// The tag of `value`.
    pub(super) fn of(&self, salt: &[u8], secret_key: &Secret<String>, value: &[u8]) -> hmac::Tag {
        let mut key = digest::Context::new(self.digest);
        key.update(salt);
        key.update(secret_key.expose().as_bytes());
        hmac::sign(&hmac::Key::new(*self.hmac, key.finish().as_ref()), value)
    }
}

/// A number as `django.core.signing.b62_encode` writes it: the times beside its tags.
pub(super) fn unbase62(text: &str) -> Option<i64> {
    let digit = |byte: u8| match byte {
        b'0'..=b'9' => Some(byte - b'0'),
        b'A'..=b'Z' => Some(byte - b'A' + 10),
        b'a'..=b'z' => Some(byte - b'a' + 36),
        _ => None,
    };
    text.bytes()
        .try_fold(0_i64, |sum, byte| sum.checked_mul(62)?.checked_add(i64::from(digit(byte)?)))
}
