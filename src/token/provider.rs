//! `jsonwebtoken` over ring: the crate brings back ends of its own, but none for ring any more.

use jsonwebtoken::crypto::{CryptoProvider, JwtSigner, JwtVerifier, KeyUtils};
use jsonwebtoken::errors::{Error, ErrorKind};
use jsonwebtoken::jwk::ThumbprintHash;
use jsonwebtoken::signature::{Error as SignatureError, Signer, Verifier};
use jsonwebtoken::{Algorithm, AlgorithmFamily, DecodingKey, DecodingKeyKind, EncodingKey};
use ring::rsa::KeyPair as RsaKeyPair;
use ring::signature::{
    ECDSA_P256_SHA256_FIXED, ECDSA_P256_SHA256_FIXED_SIGNING, ED25519, EcdsaKeyPair,
    Ed25519KeyPair, RSA_PKCS1_2048_8192_SHA256, RSA_PKCS1_SHA256, RsaPublicKeyComponents,
    UnparsedPublicKey, VerificationAlgorithm,
};
use ring::{digest, hmac};

use crate::base::random::for_ring;

/// Makes ring the back end of `jsonwebtoken` in this process. To be called before its first use, and
/// harmless to call again.
pub fn install() {
    // An error says only that a provider is installed already: this one, as no other is built in.
    let _ = PROVIDER.install_default();
}

static PROVIDER: CryptoProvider = CryptoProvider {
    signer_factory: |&algorithm, key| signer(algorithm, key),
    verifier_factory: |&algorithm, key| verifier(algorithm, key),
    key_utils: KeyUtils {
        rsa_pub_components_from_private_key: |_| Err(unsupported()),
        rsa_pub_components_from_public_key: |_| Err(unsupported()),
        ec_pub_components_from_private_key: |_, _| Err(unsupported()),
        ed_pub_components_from_private_key: |_, _| Err(unsupported()),
        compute_digest: |bytes, hash| {
            let algorithm = match hash {
                ThumbprintHash::SHA256 => &digest::SHA256,
                ThumbprintHash::SHA384 => &digest::SHA384,
                ThumbprintHash::SHA512 => &digest::SHA512,
                _ => return Err(unsupported()),
            };
            Ok(digest::digest(algorithm, bytes).as_ref().to_vec())
        },
    },
};

/// Keys become JWKs in `jwk.rs`, not there.
fn unsupported() -> Error {
    ErrorKind::InvalidKeyFormat.into()
}

type Sign = dyn Fn(&[u8]) -> Result<Vec<u8>, SignatureError> + Send + Sync;
type Verify = dyn Fn(&[u8], &[u8]) -> Result<(), SignatureError> + Send + Sync;

struct RingSigner(Algorithm, Box<Sign>);
struct RingVerifier(Algorithm, Box<Verify>);

impl Signer<Vec<u8>> for RingSigner {
    fn try_sign(&self, message: &[u8]) -> Result<Vec<u8>, SignatureError> {
        (self.1)(message)
    }
}

impl JwtSigner for RingSigner {
    fn algorithm(&self) -> Algorithm {
        self.0
    }
}

impl Verifier<Vec<u8>> for RingVerifier {
    fn verify(&self, message: &[u8], signature: &Vec<u8>) -> Result<(), SignatureError> {
        (self.1)(message, signature)
    }
}

impl JwtVerifier for RingVerifier {
    fn algorithm(&self) -> Algorithm {
        self.0
    }
}

fn signer(algorithm: Algorithm, key: &EncodingKey) -> Result<Box<dyn JwtSigner>, Error> {
    refuse_family(algorithm, key.family())?;
    let bytes = key.as_bytes();
    let sign: Box<Sign> = match algorithm {
        Algorithm::HS256 => {
            let key = hmac::Key::new(hmac::HMAC_SHA256, bytes);
            Box::new(move |message| Ok(hmac::sign(&key, message).as_ref().to_vec()))
        }
        Algorithm::RS256 => {
            let rejected = |error: ring::error::KeyRejected| {
                Error::from(ErrorKind::InvalidRsaKey(error.to_string()))
            };
            let pair = RsaKeyPair::from_der(bytes).map_err(rejected)?;
            Box::new(move |message| {
                let mut signature = vec![0; pair.public().modulus_len()];
                pair.sign(&RSA_PKCS1_SHA256, &for_ring(), message, &mut signature)
                    .map_err(|_| SignatureError::new())?;
                Ok(signature)
            })
        }
        Algorithm::ES256 => {
            let random = for_ring();
            let algorithm = &ECDSA_P256_SHA256_FIXED_SIGNING;
            let pair = EcdsaKeyPair::from_pkcs8(algorithm, bytes, &random)
                .map_err(|_| ErrorKind::InvalidEcdsaKey)?;
            Box::new(move |message| {
                let signature = pair.sign(&random, message).map_err(|_| SignatureError::new())?;
                Ok(signature.as_ref().to_vec())
            })
        }
        Algorithm::EdDSA => {
            let pair = Ed25519KeyPair::from_pkcs8_maybe_unchecked(bytes)
                .map_err(|_| ErrorKind::InvalidEddsaKey)?;
            Box::new(move |message| Ok(pair.sign(message).as_ref().to_vec()))
        }
        _ => return Err(ErrorKind::InvalidAlgorithm.into()),
    };
    Ok(Box::new(RingSigner(algorithm, sign)))
}

fn verifier(algorithm: Algorithm, key: &DecodingKey) -> Result<Box<dyn JwtVerifier>, Error> {
    refuse_family(algorithm, key.family())?;
    let verify: Box<Verify> = match (algorithm, key.kind()) {
        (Algorithm::HS256, DecodingKeyKind::SecretOrDer(secret)) => {
            let key = hmac::Key::new(hmac::HMAC_SHA256, secret);
            Box::new(move |message, signature| {
                hmac::verify(&key, message, signature).map_err(|_| SignatureError::new())
            })
        }
        (Algorithm::RS256, DecodingKeyKind::SecretOrDer(der)) => {
            with_public_key(&RSA_PKCS1_2048_8192_SHA256, der)
        }
        (Algorithm::RS256, DecodingKeyKind::RsaModulusExponent { n, e }) => {
            let key = RsaPublicKeyComponents { n: n.clone(), e: e.clone() };
            Box::new(move |message, signature| {
                key.verify(&RSA_PKCS1_2048_8192_SHA256, message, signature)
                    .map_err(|_| SignatureError::new())
            })
        }
        (Algorithm::ES256, DecodingKeyKind::SecretOrDer(point)) => {
            with_public_key(&ECDSA_P256_SHA256_FIXED, point)
        }
        (Algorithm::EdDSA, DecodingKeyKind::SecretOrDer(public)) => {
            with_public_key(&ED25519, public)
        }
        _ => return Err(ErrorKind::InvalidAlgorithm.into()),
    };
    Ok(Box::new(RingVerifier(algorithm, verify)))
}

fn with_public_key(algorithm: &'static dyn VerificationAlgorithm, key: &[u8]) -> Box<Verify> {
    let key = UnparsedPublicKey::new(algorithm, key.to_vec());
    Box::new(move |message, signature| {
        key.verify(message, signature).map_err(|_| SignatureError::new())
    })
}

/// A public key must never be taken as an HMAC secret, nor any key for another algorithm's.
fn refuse_family(algorithm: Algorithm, family: AlgorithmFamily) -> Result<(), Error> {
    if algorithm.family() == family { Ok(()) } else { Err(ErrorKind::InvalidKeyFormat.into()) }
}
