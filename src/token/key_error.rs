//! Why a key is refused, in sentences that say what to do. They never hold key material.

use std::fmt;

/// Why a key cannot be taken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum KeyError {
    /// Neither PEM, nor a JWK, nor `hs256:`.
    Unrecognised,
    /// PEM lines, base64 or the structure inside are damaged.
    Malformed(&'static str),
    /// The text holds this many private keys instead of one.
    SeveralKeys(usize),
    /// A public key, or certificate, where a private key is needed.
    PublicOnly,
    /// A certificate where a bare public key is needed.
    Certificate,
    /// A passphrase protects the key; the line removes it.
    Encrypted(String),
    /// A private key in a form that is not read here; the line converts it.
    Convert {
        /// What the file holds.
        what: &'static str,
        /// The line that makes something readable out of it.
        command: String,
    },
    /// An algorithm, curve or key type other than the supported ones.
    Unsupported(&'static str),
    /// An HMAC secret of so few bytes.
    ShortSecret(usize),
    /// An HMAC secret that is a key file: whoever has the public half could sign.
    SecretIsKey,
    /// An RSA modulus of so many bits.
    RsaSize(usize),
    /// An RSA key too long to sign with, of so many bits.
    RsaTooLongToSign(usize),
    /// An RSA exponent that is even, below 65537 or above 33 bits.
    RsaExponent,
    /// An RSA key of the kind that CVE-2017-15361 factors.
    RsaFactorable,
    /// A point that is not on the curve.
    NotOnCurve,
    /// An Ed25519 key under which anybody can forge signatures.
    SmallOrder,
    /// The private and the public half do not belong together.
    Mismatch,
    /// A P-256 key without its public half.
    WithoutPublic,
    /// The JWK says that it is for something else.
    Purpose(&'static str),
    /// A member of a JWK is absent, of the wrong type or not canonical.
    Member(&'static str),
    /// A set of keys that is ambiguous, or has none for the token.
    Set(&'static str),
    /// What the store gave back is no key of this algorithm.
    Stored,
}

impl fmt::Display for KeyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unrecognised => f.write_str(
                "this is no key: give a PEM file with a private key, or hs256: and a secret of at \
                 least 32 bytes",
            ),
            Self::Malformed(what) => {
                write!(f, "the {what} is damaged: copy the whole file again, or generate a new key")
            }
            Self::SeveralKeys(count) => {
                write!(f, "the text holds {count} private keys: leave only the one that is meant")
            }
            Self::PublicOnly => f.write_str(
                "this is a public key or a certificate, which cannot sign: give the private key",
            ),
            Self::Certificate => f.write_str(
                "this is a certificate: take its public key out with \
                 `openssl x509 -in FILE -noout -pubkey`",
            ),
            Self::Encrypted(command) => {
                write!(f, "the key is protected by a passphrase: remove it with `{command}`")
            }
            Self::Convert { what, command } => {
                write!(f, "{what} cannot be read: convert it with `{command}`")
            }
            Self::Unsupported(what) => write!(
                f,
                "{what} is not supported: use HS256, RS256 (RSA), ES256 (P-256) or EdDSA (Ed25519)"
            ),
            Self::ShortSecret(bytes) => write!(
                f,
                "the secret has {bytes} bytes, HS256 needs at least 32: generate a longer one"
            ),
            Self::SecretIsKey => f.write_str(
                "the secret is the text of a key file, of which half is public: import the file \
                 itself, or use a random secret",
            ),
            Self::RsaSize(bits) => {
                write!(f, "the RSA key has {bits} bits: use one of 2048 to 8192 bits")
            }
            Self::RsaTooLongToSign(bits) => {
                write!(f, "the RSA key has {bits} bits: use one of 2048 to 4096 bits to sign")
            }
            Self::RsaExponent => f.write_str(
                "the RSA key has an unsafe public exponent: use a key with the exponent 65537",
            ),
            Self::RsaFactorable => f.write_str(
                "the RSA key comes from a generator whose keys can be factored (CVE-2017-15361): \
                 generate a new key",
            ),
            Self::NotOnCurve => f.write_str(
                "the public key is not a point of its curve: it is damaged or forged, get it again",
            ),
            Self::SmallOrder => f.write_str(
                "the Ed25519 key is a point of small order, under which anybody can forge \
                 signatures: it is forged, get the right one",
            ),
            Self::Mismatch => f.write_str(
                "the private and the public half of the key do not belong together: generate a new \
                 key",
            ),
            Self::WithoutPublic => f.write_str(
                "the P-256 key lacks its public half: add it with \
                 `openssl ec -in FILE -out NEW_FILE`",
            ),
            Self::Purpose(member) => write!(
                f,
                "the JWK's `{member}` says that the key is not for this: use a key for signatures"
            ),
            Self::Member(member) => {
                write!(f, "the JWK's `{member}` is missing or not as RFC 7518 6 wants it")
            }
            Self::Set(what) => {
                write!(f, "the JWK set {what}: give the one key that is meant")
            }
            Self::Stored => f.write_str(
                "a stored key cannot be read: restore it from a backup, or retire it and generate \
                 a new one",
            ),
        }
    }
}

impl std::error::Error for KeyError {}
