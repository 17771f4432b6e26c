//! Signing keys: private material, made, stored and shown.

use std::fmt;
use std::sync::Arc;

use jsonwebtoken::{DecodingKey, EncodingKey};
use ring::hmac;
use ring::rsa::KeyPair as RsaKeyPair;
use ring::signature::{
    ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair, KeyPair as _, RSA_PKCS1_SHA256,
};
use zeroize::Zeroizing;

use super::algorithm::Algorithm;
use super::key_error::KeyError;
use super::verification_key::VerificationKey;
use super::{pkcs8, rsa};
use crate::base::encode::base64url;
use crate::base::random::{Random, bytes, for_ring};
use crate::base::secret::Secret;

/// The fewest bytes of an HMAC secret: as many as the hash has (RFC 7518 3.2).
const SHORTEST_SECRET: usize = 32;

/// What names a key in `kid`.
///
/// The RFC 7638 thumbprint of an asymmetric key. For a secret the start of an HMAC under it: it tells
/// no more about the secret than any token that it signs.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct KeyId(Arc<str>);

impl KeyId {
    /// The id as it stands in `kid`.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// An id as a person or the store gives it; `None` unless it is 1 to 64 base64url characters.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let known = |c: u8| c.is_ascii_alphanumeric() || c == b'-' || c == b'_';
        ((1..=64).contains(&text.len()) && text.bytes().all(known)).then(|| Self(text.into()))
    }

    pub(super) fn of_secret(secret: &hmac::Key) -> Self {
        let tag = hmac::sign(secret, b"avain key id");
        Self(base64url(tag.as_ref().get(..16).unwrap_or_default()).into())
    }

    pub(super) fn of_thumbprint(thumbprint: &[u8; 32]) -> Self {
        Self(base64url(thumbprint).into())
    }
}

impl fmt::Display for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

impl fmt::Debug for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

/// A key that signs. Only keys that passed every check of [`KeyError`] exist.
#[derive(Clone)]
pub struct SigningKey {
    /// The canonical form: the secret itself, `RSAPrivateKey`, or PKCS#8. Wiped when dropped.
    material: EncodingKey,
    public: VerificationKey,
}

impl SigningKey {
    /// A new key: 384 bits as 64 characters for HS256 (text, so that a backend's settings can hold it),
    /// RSA of 2048 bits, P-256 or Ed25519. P-256 keys are drawn by ring from its own randomness.
    #[expect(clippy::missing_panics_doc, reason = "no input makes it panic")]
    #[must_use]
    pub fn generate(algorithm: Algorithm, random: &dyn Random) -> Self {
        let made = match algorithm {
            Algorithm::Hs256 => {
                let secret = Zeroizing::new(bytes::<48>(random));
                Self::from_secret(Zeroizing::new(base64url(&*secret)).as_bytes())
            }
            Algorithm::Rs256 => Self::from_rsa(&rsa::generate(random)),
            Algorithm::Es256 => {
                let made =
                    EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &for_ring())
                        .expect("the operating system provides random numbers");
                pkcs8::read_private(made.as_ref())
            }
            Algorithm::EdDsa => Self::from_ed25519(&*Zeroizing::new(bytes::<32>(random)), None),
        };
        made.expect("a key that was just made passes its checks")
    }

    /// The key that [`to_stored`](Self::to_stored) gave.
    pub fn from_stored(algorithm: Algorithm, stored: &[u8]) -> Result<Self, KeyError> {
        let read = match algorithm {
            Algorithm::Hs256 => Self::from_secret(stored),
            Algorithm::Rs256 => Self::from_rsa(stored),
            Algorithm::Es256 | Algorithm::EdDsa => pkcs8::read_private(stored),
        };
        // What another program or a fault of the disk wrote differs from what we write.
        let same = |key: &Self| key.algorithm() == algorithm && key.material.as_bytes() == stored;
        read.ok().filter(same).ok_or(KeyError::Stored)
    }

    /// The material to be sealed and stored: the secret, `RSAPrivateKey` (RFC 8017 A.1.2) or PKCS#8.
    #[must_use]
    pub fn to_stored(&self) -> Secret<Vec<u8>> {
        Secret::new(self.material.as_bytes().to_vec())
    }

    /// What names the key in `kid`.
    #[must_use]
    pub const fn id(&self) -> &KeyId {
        self.public.id()
    }

    /// The one algorithm that the key is for.
    #[must_use]
    pub const fn algorithm(&self) -> Algorithm {
        self.public.algorithm()
    }

    /// The half that verifies (for HS256 the same secret, ready for use).
    #[must_use]
    pub fn verification_key(&self) -> VerificationKey {
        self.public.clone()
    }

    /// The key as `jsonwebtoken` signs with it.
    #[must_use]
    pub const fn encoding_key(&self) -> &EncodingKey {
        &self.material
    }

    /// The key as `jsonwebtoken` verifies with it: the second opinion of tests.
    #[must_use]
    pub fn decoding_key(&self) -> DecodingKey {
        self.public.decoding_key().unwrap_or_else(|| {
            // Only a secret has no public half.
            DecodingKey::from_secret(self.material.as_bytes())
        })
    }

    /// The public half as a PEM file (`SubjectPublicKeyInfo`, RFC 5280 4.1); none for a secret.
    #[must_use]
    pub fn public_pem(&self) -> Option<String> {
        self.public.public_pem()
    }

    /// The public half as a JWK (RFC 7517) with `kid`, `use` and `alg`; none for a secret.
    #[must_use]
    pub fn jwk(&self) -> Option<serde_json::Value> {
        self.public.jwk()
    }

    /// The secret as text, for the settings of a backend that verifies; none for other algorithms
    /// and for secrets that are not text.
    #[must_use]
    pub fn secret_text(&self) -> Option<Secret<String>> {
        if self.algorithm() != Algorithm::Hs256 {
            return None;
        }
        std::str::from_utf8(self.material.as_bytes()).ok().map(Secret::from)
    }

    /// An HMAC secret, of any bytes.
    pub(super) fn from_secret(secret: &[u8]) -> Result<Self, KeyError> {
        let public = secret_key(secret)?;
        Ok(Self { material: EncodingKey::from_secret(secret), public })
    }

    /// An RSA key from `RSAPrivateKey`. A signature is tried, since ring looks at some parts only then.
    pub(super) fn from_rsa(der: &[u8]) -> Result<Self, KeyError> {
        let (n, e) = rsa::parts_of_private(der)?;
        rsa::refuse_weak(n, e)?;
        if rsa::bits(n) > 4096 {
            return Err(KeyError::RsaTooLongToSign(rsa::bits(n)));
        }
        let pair = RsaKeyPair::from_der(der).map_err(|_| KeyError::Mismatch)?;
        let mut signature = vec![0; pair.public().modulus_len()];
        pair.sign(&RSA_PKCS1_SHA256, &for_ring(), b"", &mut signature)
            .map_err(|_| KeyError::Mismatch)?;
        let public = VerificationKey::from_rsa(n, e)?;
        Ok(Self { material: EncodingKey::from_rsa_der(der), public })
    }

    /// A P-256 key from its two halves.
    pub(super) fn from_p256(private: &[u8], public: &[u8]) -> Result<Self, KeyError> {
        let algorithm = &ECDSA_P256_SHA256_FIXED_SIGNING;
        let verification_key = VerificationKey::from_p256(public)?;
        EcdsaKeyPair::from_private_key_and_public_key(algorithm, private, public, &for_ring())
            .map_err(|_| KeyError::Mismatch)?;
        let material = EncodingKey::from_ec_der(&pkcs8::write_p256(private, public));
        Ok(Self { material, public: verification_key })
    }

    /// An Ed25519 key from its seed; a public half that comes with it must belong to it.
    pub(super) fn from_ed25519(seed: &[u8], public: Option<&[u8]>) -> Result<Self, KeyError> {
        let pair = Ed25519KeyPair::from_seed_unchecked(seed)
            .map_err(|_| KeyError::Malformed("Ed25519 key"))?;
        let derived = pair.public_key().as_ref();
        if public.is_some_and(|public| public != derived) {
            return Err(KeyError::Mismatch);
        }
        let verification_key = VerificationKey::from_ed25519(derived)?;
        let material = EncodingKey::from_ed_der(&pkcs8::write_ed25519(seed));
        Ok(Self { material, public: verification_key })
    }
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SigningKey")
            .field("id", self.id())
            .field("algorithm", &self.algorithm())
            .finish_non_exhaustive()
    }
}

/// The verifying form of an HMAC secret that passes the checks: long enough, and not a key file, whose
/// public part others know (CVE-2024-33663 of python-jose).
pub(super) fn secret_key(secret: &[u8]) -> Result<VerificationKey, KeyError> {
    const KEY_FILES: [&[u8]; 4] = [b"-----BEGIN", b"ssh-", b"ecdsa-sha2-", b"---- BEGIN"];
    if KEY_FILES.iter().any(|start| secret.trim_ascii_start().starts_with(start)) {
        return Err(KeyError::SecretIsKey);
    }
    if secret.len() < SHORTEST_SECRET {
        return Err(KeyError::ShortSecret(secret.len()));
    }
    Ok(VerificationKey::from_hmac(hmac::Key::new(hmac::HMAC_SHA256, secret)))
}

#[cfg(test)]
mod tests;
