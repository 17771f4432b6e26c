//! Looking into tokens, and forging them.

use avain::base::encode::{base64url, unbase64url_vec};
use ring::hmac;
use serde_json::{Map, Value, json};

/// The header of a JWT, unverified.
pub(crate) fn header(token: &str) -> Map<String, Value> {
    part(token, 0)
}

/// The claims of a JWT, unverified.
pub(crate) fn claims(token: &str) -> Map<String, Value> {
    part(token, 1)
}

/// One claim.
pub(crate) fn claim(token: &str, name: &str) -> Value {
    claims(token).remove(name).unwrap_or_default()
}

fn part(token: &str, at: usize) -> Map<String, Value> {
    let part = token.split('.').nth(at).expect("a JWT has three parts");
    let bytes = unbase64url_vec(part.as_bytes()).expect("a part of a JWT is base64url");
    serde_json::from_slice(&bytes).expect("a part of a JWT is a JSON object")
}

/// A JWT with these claims under an HS256 secret, without `kid`, as another service would make it.
pub(crate) fn sign(secret: &str, claims: &Value) -> String {
    sign_with(secret, &json!({ "alg": "HS256", "typ": "JWT" }), claims)
}

/// As [`sign`], with another header. The signature is HMAC-SHA256 whatever the header says.
pub(crate) fn sign_with(secret: &str, header: &Value, claims: &Value) -> String {
    let encode = |value: &Value| base64url(value.to_string().as_bytes());
    let signed = format!("{}.{}", encode(header), encode(claims));
    let tag = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, secret.as_bytes()), signed.as_bytes());
    format!("{signed}.{}", base64url(tag.as_ref()))
}
