//! Compact JWS (RFC 7515 7.1): taking it apart, reading its header, checking its signature.

use std::fmt;

use super::algorithm::Algorithm;
use super::jws_header::{self, Header};
use super::verification_key::VerificationKey;
use crate::base::encode::{unbase64url, unbase64url_vec};

/// The longest JWS that is looked at: what a header line and a request body can carry.
pub const LONGEST_JWS: usize = 64 * 1024;

/// The bytes of the longest signature: RSA of 8192 bits.
pub const LONGEST_SIGNATURE: usize = 1024;

/// Why a JWS is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum JwsError {
    /// Longer than [`LONGEST_JWS`].
    TooLong,
    /// Not three parts between two dots.
    Parts,
    /// A part is not canonical base64url.
    Encoding,
    /// The header is no JSON object of distinct members with an `alg`, or too deep.
    Header,
    /// The header has `crit`, and so extensions that are not understood (RFC 7515 4.1.11).
    Critical,
    /// The header asks for an unencoded payload (RFC 7797).
    Unencoded,
    /// The header's `alg` is not the key's.
    Algorithm,
    /// The signature is not this key's for this text.
    Signature,
}

impl fmt::Display for JwsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::TooLong => "it is longer than 64 KiB",
            Self::Parts => "it has not three parts separated by dots",
            Self::Encoding => "a part is not base64url in its one canonical form",
            Self::Header => "its header is not a JSON object of distinct members with an `alg`",
            Self::Critical => "its header names critical extensions, which are not supported",
            Self::Unencoded => "its header asks for an unencoded payload, which is not supported",
            Self::Algorithm => "its `alg` is not the algorithm of the key",
            Self::Signature => "its signature does not match the key",
        })
    }
}

impl std::error::Error for JwsError {}

/// The parts of a compact JWS, still encoded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Parts<'a> {
    /// The protected header, base64url.
    pub header: &'a [u8],
    /// The payload, base64url.
    pub payload: &'a [u8],
    /// The signature, base64url.
    pub signature: &'a [u8],
    /// What is signed: the header, a dot and the payload (RFC 7515 5.1).
    pub signed: &'a [u8],
}

impl<'a> Parts<'a> {
    /// Cuts a JWS at its two dots. Header and signature are not empty (RFC 7515 3.1; the second would
    /// be an unsecured JWS); a payload may be.
    pub fn split(jws: &'a str) -> Result<Self, JwsError> {
        if jws.len() > LONGEST_JWS {
            return Err(JwsError::TooLong);
        }
        let (signed, signature) = jws.rsplit_once('.').ok_or(JwsError::Parts)?;
        let (header, payload) = signed.split_once('.').ok_or(JwsError::Parts)?;
        if header.is_empty() || signature.is_empty() || payload.contains('.') {
            return Err(JwsError::Parts);
        }
        Ok(Self {
            header: header.as_bytes(),
            payload: payload.as_bytes(),
            signature: signature.as_bytes(),
            signed: signed.as_bytes(),
        })
    }

    /// Whether the signature is `key`'s, whatever the header says: compare its `alg` first.
    pub fn verify_signature(&self, key: &VerificationKey) -> Result<(), JwsError> {
        let mut buffer = [0; LONGEST_SIGNATURE];
        let signature = unbase64url(self.signature, &mut buffer).ok_or(JwsError::Encoding)?;
        if key.verify_signature(self.signed, signature) { Ok(()) } else { Err(JwsError::Signature) }
    }
}

/// Reads a decoded protected header; see [`Header`] for what is refused.
pub fn parse_header(decoded: &[u8]) -> Result<Header<'_>, JwsError> {
    jws_header::parse(decoded)
}

/// Checks a compact JWS of any payload and returns the payload.
///
/// The key, not the token, decides the algorithm (RFC 8725 3.1); `jwk`, `jku`, `x5c` and the like in
/// the header are not looked at, nor is `kid`, as there is one key.
pub fn check_jws(key: &VerificationKey, jws: &str) -> Result<Vec<u8>, JwsError> {
    let parts = Parts::split(jws)?;
    let decoded = unbase64url_vec(parts.header).ok_or(JwsError::Encoding)?;
    let header = parse_header(&decoded)?;
    if Algorithm::parse(&header.algorithm) != Some(key.algorithm()) {
        return Err(JwsError::Algorithm);
    }
    let payload = unbase64url_vec(parts.payload).ok_or(JwsError::Encoding)?;
    parts.verify_signature(key)?;
    Ok(payload)
}

#[cfg(test)]
mod tests;
