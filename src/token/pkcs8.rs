//! The containers of keys: PKCS#8 (RFC 5958), SEC 1's `ECPrivateKey` (RFC 5915) and
//! `SubjectPublicKeyInfo` (RFC 5280 4.1.2.7, RFC 8410).

use zeroize::Zeroizing;

use super::der::{self, Damaged, Reader, element};
use super::key::SigningKey;
use super::key_error::KeyError;
use super::rsa;
use super::verification_key::{Material, VerificationKey};

const RSA: &[u8] = b"\x2a\x86\x48\x86\xf7\x0d\x01\x01\x01";
const RSA_PSS: &[u8] = b"\x2a\x86\x48\x86\xf7\x0d\x01\x01\x0a";
const EC: &[u8] = b"\x2a\x86\x48\xce\x3d\x02\x01";
const P256: &[u8] = b"\x2a\x86\x48\xce\x3d\x03\x01\x07";
const ED25519: &[u8] = b"\x2b\x65\x70";

const OTHER_CURVE: KeyError = KeyError::Unsupported("an elliptic curve other than P-256");
const OTHER_TYPE: KeyError = KeyError::Unsupported("this type of key");

/// What an `AlgorithmIdentifier` names.
#[derive(Clone, Copy)]
enum Kind {
    Rsa,
    P256,
    Ed25519,
}

/// Reads `PrivateKeyInfo` or `OneAsymmetricKey` (RFC 5958 2).
pub(super) fn read_private(bytes: &[u8]) -> Result<SigningKey, KeyError> {
    let mut info = Reader::enter_only(bytes, der::SEQUENCE)?;
    let version = info.unsigned()?;
    if !matches!(version, [] | [1]) {
        return Err(Damaged.into());
    }
    let kind = kind(&mut info)?;
    let key = info.take(der::OCTET_STRING)?;
    info.take_optional(der::CONTEXT_0)?;
    let public = info.take_optional(der::IMPLICIT_1)?;
    // ring tags the public key explicitly in what it writes.
    let wrapped = info.take_optional(der::CONTEXT_1)?;
    info.end()?;
    let public = match (public, wrapped) {
        (Some(bits), _) => Some(bits.strip_prefix(&[0]).ok_or(Damaged)?),
        (None, Some(wrapped)) => Some(Reader::new(wrapped).bits()?),
        (None, None) => None,
    };
    match kind {
        Kind::Rsa => SigningKey::from_rsa(key),
        Kind::P256 => read_sec1(key, public),
        Kind::Ed25519 => {
            let seed = Reader::new(key).take(der::OCTET_STRING)?;
            SigningKey::from_ed25519(seed, public)
        }
    }
}

/// Reads `ECPrivateKey` (RFC 5915 3); `public` is what a container around it knows.
pub(super) fn read_sec1(bytes: &[u8], public: Option<&[u8]>) -> Result<SigningKey, KeyError> {
    let mut key = Reader::enter_only(bytes, der::SEQUENCE)?;
    if key.unsigned()? != [1] {
        return Err(Damaged.into());
    }
    let private = key.take(der::OCTET_STRING)?;
    let curve = key.take_optional(der::CONTEXT_0)?;
    if curve.is_some_and(|curve| Reader::new(curve).take(der::OBJECT_ID) != Ok(P256)) {
        return Err(OTHER_CURVE);
    }
    let inner = match key.take_optional(der::CONTEXT_1)? {
        Some(wrapped) => Some(Reader::new(wrapped).bits()?),
        None => None,
    };
    key.end()?;
    // ring cannot compute the public half.
    let public = inner.or(public).ok_or(KeyError::WithoutPublic)?;
    SigningKey::from_p256(private, public)
}

/// Reads `SubjectPublicKeyInfo`.
pub(super) fn read_public(bytes: &[u8]) -> Result<VerificationKey, KeyError> {
    let mut info = Reader::enter_only(bytes, der::SEQUENCE)?;
    let kind = kind(&mut info)?;
    let key = info.bits()?;
    info.end()?;
    match kind {
        Kind::Rsa => read_rsa_public(key),
        Kind::P256 => VerificationKey::from_p256(key),
        Kind::Ed25519 => VerificationKey::from_ed25519(key),
    }
}

/// Reads `RSAPublicKey` (RFC 8017 A.1.1).
pub(super) fn read_rsa_public(bytes: &[u8]) -> Result<VerificationKey, KeyError> {
    let (n, e) = rsa::parts_of_public(bytes)?;
    VerificationKey::from_rsa(n, e)
}

fn kind(info: &mut Reader<'_>) -> Result<Kind, KeyError> {
    let mut algorithm = info.enter(der::SEQUENCE)?;
    let kind = match algorithm.take(der::OBJECT_ID)? {
        RSA => {
            algorithm.take_optional(der::NULL)?;
            Kind::Rsa
        }
        RSA_PSS => return Err(KeyError::Unsupported("an RSA key for PSS only")),
        EC if algorithm.take(der::OBJECT_ID) == Ok(P256) => Kind::P256,
        EC => return Err(OTHER_CURVE),
        ED25519 => Kind::Ed25519,
        _ => return Err(OTHER_TYPE),
    };
    algorithm.end()?;
    Ok(kind)
}

/// A P-256 key as PKCS#8, in the one form that ring reads.
pub(super) fn write_p256(private: &[u8], public: &[u8]) -> Zeroizing<Vec<u8>> {
    let bits = element(der::BIT_STRING, &[&[0], public]);
    let key = element(
        der::SEQUENCE,
        &[
            &der::unsigned(&[1]),
            &element(der::OCTET_STRING, &[private]),
            &element(der::CONTEXT_1, &[&bits]),
        ],
    );
    write_private(Kind::P256, &key)
}

/// An Ed25519 key as PKCS#8 (RFC 8410 7).
pub(super) fn write_ed25519(seed: &[u8]) -> Zeroizing<Vec<u8>> {
    write_private(Kind::Ed25519, &element(der::OCTET_STRING, &[seed]))
}

fn write_private(kind: Kind, key: &[u8]) -> Zeroizing<Vec<u8>> {
    let key = element(der::OCTET_STRING, &[key]);
    element(der::SEQUENCE, &[&der::unsigned(&[0]), &write_kind(kind), &key])
}

/// A public key as `SubjectPublicKeyInfo`; none for a secret.
pub(super) fn write_public(key: &VerificationKey) -> Option<Zeroizing<Vec<u8>>> {
    let write = |kind, key: &[u8]| {
        element(der::SEQUENCE, &[&write_kind(kind), &element(der::BIT_STRING, &[&[0], key])])
    };
    match key.material() {
        Material::Hmac(_) => None,
        Material::Rsa(key) => Some(write(Kind::Rsa, &rsa::public_der(&key.n, &key.e))),
        Material::P256(key) => Some(write(Kind::P256, key.as_ref())),
        Material::Ed25519(key) => Some(write(Kind::Ed25519, key.as_ref())),
    }
}

/// The `AlgorithmIdentifier` (RFC 3279 2.3.1, RFC 5480 2.1.1, RFC 8410 3).
fn write_kind(kind: Kind) -> Zeroizing<Vec<u8>> {
    let (id, parameters) = match kind {
        Kind::Rsa => (RSA, element(der::NULL, &[])),
        Kind::P256 => (EC, element(der::OBJECT_ID, &[P256])),
        Kind::Ed25519 => (ED25519, Zeroizing::default()),
    };
    element(der::SEQUENCE, &[&element(der::OBJECT_ID, &[id]), &parameters])
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::algorithm::Algorithm;
    use super::*;
    use crate::base::random::SystemRandom;

    proptest! {
        #[test]
        fn no_bytes_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            prop_assert!(read_private(&bytes).is_err());
            prop_assert!(read_sec1(&bytes, None).is_err());
            prop_assert!(read_public(&bytes).is_err());
        }
    }

    #[test]
    fn every_alteration_of_a_stored_key_is_refused_or_another_key() {
        for algorithm in [Algorithm::Es256, Algorithm::EdDsa] {
            let key = SigningKey::generate(algorithm, &SystemRandom::new());
            let stored = key.to_stored();
            for position in 0..stored.expose().len() {
                let mut altered = stored.expose().clone();
                altered[position] ^= 1;
                if let Ok(other) = SigningKey::from_stored(algorithm, &altered) {
                    assert_ne!(other.id(), key.id(), "{algorithm}: byte {position}");
                }
                assert!(read_private(&altered[..position]).is_err());
            }
        }
    }
}
