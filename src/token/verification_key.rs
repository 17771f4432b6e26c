//! Verification keys: parsed once, used for every token.

use std::fmt;

use jsonwebtoken::DecodingKey;
use ring::hmac;
use ring::signature::{
    ECDSA_P256_SHA256_FIXED, ED25519, RSA_PKCS1_2048_8192_SHA256, RsaPublicKeyComponents,
    UnparsedPublicKey,
};

use super::algorithm::Algorithm;
use super::key::KeyId;
use super::key_error::KeyError;
use super::{ed25519, jwk, key_import, p256, pem, pkcs8, rsa};

/// A key that verifies signatures of one algorithm.
#[derive(Clone)]
pub struct VerificationKey {
    id: KeyId,
    material: Material,
}

/// The key as ring takes it.
#[derive(Clone)]
pub(super) enum Material {
    Hmac(hmac::Key),
    Rsa(RsaPublicKeyComponents<Box<[u8]>>),
    /// The uncompressed point.
    P256(UnparsedPublicKey<[u8; 65]>),
    Ed25519(UnparsedPublicKey<[u8; 32]>),
}

impl VerificationKey {
    /// What names the key in `kid`.
    #[must_use]
    pub const fn id(&self) -> &KeyId {
        &self.id
    }

    /// The one algorithm that the key is for; never chosen by a token.
    #[must_use]
    pub const fn algorithm(&self) -> Algorithm {
        match self.material {
            Material::Hmac(_) => Algorithm::Hs256,
            Material::Rsa(_) => Algorithm::Rs256,
            Material::P256(_) => Algorithm::Es256,
            Material::Ed25519(_) => Algorithm::EdDsa,
        }
    }

    /// Whether `signature` is this key's for `message`. Allocates nothing, except inside ring for RSA.
    #[must_use]
    pub fn verify_signature(&self, message: &[u8], signature: &[u8]) -> bool {
        match &self.material {
            Material::Hmac(key) => hmac::verify(key, message, signature).is_ok(),
            Material::Rsa(key) => {
                key.verify(&RSA_PKCS1_2048_8192_SHA256, message, signature).is_ok()
            }
            Material::P256(key) => key.verify(message, signature).is_ok(),
            Material::Ed25519(key) => key.verify(message, signature).is_ok(),
        }
    }

    /// A key out of a JWK (RFC 7517): `oct`, `RSA`, `EC` with P-256 or `OKP` with Ed25519, whose `use`,
    /// `key_ops` and `alg`, where present, allow verifying with the algorithm that goes with it.
    pub fn from_jwk(jwk: &serde_json::Value) -> Result<Self, KeyError> {
        jwk::read(jwk)
    }

    /// A key out of a PEM file: a public key, or the public half of a private one.
    pub fn from_pem(text: &str) -> Result<Self, KeyError> {
        key_import::public(text, "FILE")
    }

    /// A key as people give it for verifying: PEM, a JWK as JSON, or `hs256:` and a secret.
    pub fn parse(text: &str) -> Result<Self, KeyError> {
        if text.trim_start().starts_with('{') {
            let jwk = serde_json::from_str(text).map_err(|_| KeyError::Malformed("JWK"))?;
            return Self::from_jwk(&jwk);
        }
        Self::from_pem(text)
    }

    /// The key as a PEM file (`SubjectPublicKeyInfo`, RFC 5280 4.1); none for a secret.
    #[must_use]
    pub fn public_pem(&self) -> Option<String> {
        Some(pem::write("PUBLIC KEY", &pkcs8::write_public(self)?))
    }

    /// The key as a public JWK with `kid`, `use` and `alg`; none for a secret.
    #[must_use]
    pub fn jwk(&self) -> Option<serde_json::Value> {
        jwk::write(self)
    }

    /// The key as `jsonwebtoken` takes it; none for a secret, which cannot be read back out of ring.
    #[must_use]
    pub fn decoding_key(&self) -> Option<DecodingKey> {
        match &self.material {
            Material::Hmac(_) => None,
            Material::Rsa(key) => Some(DecodingKey::from_rsa_raw_components(&key.n, &key.e)),
            Material::P256(key) => Some(DecodingKey::from_ec_der(key.as_ref())),
            Material::Ed25519(key) => Some(DecodingKey::from_ed_der(key.as_ref())),
        }
    }

    pub(super) const fn material(&self) -> &Material {
        &self.material
    }

    pub(super) fn from_hmac(key: hmac::Key) -> Self {
        Self { id: KeyId::of_secret(&key), material: Material::Hmac(key) }
    }

    /// An RSA key from big-endian numbers without leading zeros.
    pub(super) fn from_rsa(n: &[u8], e: &[u8]) -> Result<Self, KeyError> {
        rsa::refuse_weak(n, e)?;
        let key = RsaPublicKeyComponents { n: n.into(), e: e.into() };
        Ok(Self::named(Material::Rsa(key)))
    }

    /// A P-256 key from the uncompressed point (SEC 1 2.3.3).
    pub(super) fn from_p256(point: &[u8]) -> Result<Self, KeyError> {
        let point: [u8; 65] = point.try_into().map_err(|_| KeyError::Malformed("P-256 key"))?;
        if !p256::is_on_curve(&point) {
            return Err(KeyError::NotOnCurve);
        }
        let key = UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, point);
        Ok(Self::named(Material::P256(key)))
    }

    /// An Ed25519 key from its 32 bytes.
    pub(super) fn from_ed25519(public: &[u8]) -> Result<Self, KeyError> {
        let public: [u8; 32] = public.try_into().map_err(|_| KeyError::Malformed("Ed25519 key"))?;
        if ed25519::has_small_order(&public) {
            return Err(KeyError::SmallOrder);
        }
        Ok(Self::named(Material::Ed25519(UnparsedPublicKey::new(&ED25519, public))))
    }

    fn named(material: Material) -> Self {
        Self { id: KeyId::of_thumbprint(&jwk::thumbprint(&material)), material }
    }
}

impl fmt::Debug for VerificationKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("VerificationKey")
            .field("id", self.id())
            .field("algorithm", &self.algorithm())
            .finish_non_exhaustive()
    }
}
