//! JSON Web Keys (RFC 7517, RFC 7518 6, RFC 8037 2) and their thumbprints (RFC 7638).

use serde_json::{Value, json};
use zeroize::Zeroizing;

use super::algorithm::Algorithm;
use super::key::{SigningKey, secret_key};
use super::key_error::KeyError;
use super::verification_key::{Material, VerificationKey};
use crate::base::digest::Digest;
use crate::base::encode::{base64url, unbase64url_vec};

/// Reads a key for verifying.
pub(super) fn read(jwk: &Value) -> Result<VerificationKey, KeyError> {
    let key = match text(jwk, "kty")? {
        "oct" => secret_key(&number(jwk, "k")?)?,
        "RSA" => VerificationKey::from_rsa(&integer(jwk, "n")?, &integer(jwk, "e")?)?,
        "EC" => read_p256(jwk)?,
        "OKP" => read_ed25519(jwk)?,
        _ => return Err(KeyError::Unsupported("this `kty` of a JWK")),
    };
    refuse_other_purpose(jwk, key.algorithm())?;
    Ok(key)
}

fn read_p256(jwk: &Value) -> Result<VerificationKey, KeyError> {
    if text(jwk, "crv")? != "P-256" {
        return Err(KeyError::Unsupported("an elliptic curve other than P-256"));
    }
    let (x, y) = (number(jwk, "x")?, number(jwk, "y")?);
    if x.len() != 32 || y.len() != 32 {
        return Err(KeyError::Member("x` or `y"));
    }
    let point = [&[4][..], &x, &y].concat();
    if jwk.get("d").is_some() {
        return Ok(SigningKey::from_p256(&number(jwk, "d")?, &point)?.verification_key());
    }
    VerificationKey::from_p256(&point)
}

fn read_ed25519(jwk: &Value) -> Result<VerificationKey, KeyError> {
    if text(jwk, "crv")? != "Ed25519" {
        return Err(KeyError::Unsupported("an Edwards curve other than Ed25519"));
    }
    let public = number(jwk, "x")?;
    if jwk.get("d").is_some() {
        return Ok(SigningKey::from_ed25519(&number(jwk, "d")?, Some(&public))?.verification_key());
    }
    VerificationKey::from_ed25519(&public)
}

/// Refuses a JWK whose `alg`, `use` or `key_ops` contradict verifying (RFC 7517 4.2 to 4.4). Whoever
/// may sign and holds the key may also verify.
fn refuse_other_purpose(jwk: &Value, algorithm: Algorithm) -> Result<(), KeyError> {
    if jwk.get("alg").is_some_and(|alg| alg != algorithm.name()) {
        return Err(KeyError::Purpose("alg"));
    }
    if jwk.get("use").is_some_and(|purpose| purpose != "sig") {
        return Err(KeyError::Purpose("use"));
    }
    let Some(operations) = jwk.get("key_ops") else { return Ok(()) };
    let operations = operations.as_array().ok_or(KeyError::Member("key_ops"))?;
    let private = algorithm == Algorithm::Hs256 || jwk.get("d").is_some();
    let fits = |operation: &Value| operation == "verify" || private && operation == "sign";
    // More than signing and verifying is one key for two purposes (RFC 7517 4.3).
    let only = |operation: &Value| operation == "verify" || operation == "sign";
    if operations.iter().any(fits) && operations.iter().all(only) {
        Ok(())
    } else {
        Err(KeyError::Purpose("key_ops"))
    }
}

fn text<'a>(jwk: &'a Value, member: &'static str) -> Result<&'a str, KeyError> {
    jwk.get(member).and_then(Value::as_str).ok_or(KeyError::Member(member))
}

/// The bytes of a canonical base64url member.
fn number(jwk: &Value, member: &'static str) -> Result<Zeroizing<Vec<u8>>, KeyError> {
    let bytes = unbase64url_vec(text(jwk, member)?.as_bytes());
    bytes.map(Zeroizing::new).ok_or(KeyError::Member(member))
}

/// As [`number`], without leading zeros (`Base64urlUInt`, RFC 7518 2).
fn integer(jwk: &Value, member: &'static str) -> Result<Zeroizing<Vec<u8>>, KeyError> {
    let bytes = number(jwk, member)?;
    if bytes.first().is_none_or(|&first| first == 0) {
        return Err(KeyError::Member(member));
    }
    Ok(bytes)
}

/// The public JWK; none for a secret.
pub(super) fn write(key: &VerificationKey) -> Option<Value> {
    let mut jwk = match key.material() {
        Material::Hmac(_) => return None,
        Material::Rsa(key) => {
            json!({ "kty": "RSA", "n": base64url(&key.n), "e": base64url(&key.e) })
        }
        Material::P256(key) => {
            let (x, y) = coordinates(key.as_ref());
            json!({ "kty": "EC", "crv": "P-256", "x": x, "y": y })
        }
        Material::Ed25519(key) => {
            json!({ "kty": "OKP", "crv": "Ed25519", "x": base64url(key.as_ref()) })
        }
    };
    let members = jwk.as_object_mut()?;
    members.insert("kid".to_owned(), key.id().as_str().into());
    members.insert("use".to_owned(), "sig".into());
    members.insert("alg".to_owned(), key.algorithm().name().into());
    Some(jwk)
}

fn coordinates(point: &[u8]) -> (String, String) {
    let (x, y) = point.get(1..).unwrap_or_default().split_at_checked(32).unwrap_or_default();
    (base64url(x), base64url(y))
}

/// The SHA-256 of the required members in their order (RFC 7638 3). The secret of an `oct` key is one of
/// them, so a thumbprint would help to guess a weak one: secrets are named otherwise.
pub(super) fn thumbprint(material: &Material) -> [u8; 32] {
    let members = match material {
        Material::Hmac(_) => unreachable!("a secret is named by an HMAC, not by a thumbprint"),
        Material::Rsa(key) => {
            format!(r#"{{"e":"{}","kty":"RSA","n":"{}"}}"#, base64url(&key.e), base64url(&key.n))
        }
        Material::P256(key) => {
            let (x, y) = coordinates(key.as_ref());
            format!(r#"{{"crv":"P-256","kty":"EC","x":"{x}","y":"{y}"}}"#)
        }
        Material::Ed25519(key) => {
            format!(r#"{{"crv":"Ed25519","kty":"OKP","x":"{}"}}"#, base64url(key.as_ref()))
        }
    };
    *Digest::of(members.as_bytes()).as_bytes()
}

#[cfg(test)]
mod tests;
