//! Keys, a ring of them, and tokens of any header and payload, rightly signed or not.

use std::sync::{Arc, LazyLock};

use avain::base::clock::Timestamp;
use avain::base::encode::base64url;
use avain::base::random::SystemRandom;
use avain::token::algorithm::Algorithm;
use avain::token::key::SigningKey;
use avain::token::key_ring::{KeyRing, RingKey};
use avain::token::provider;
use avain::token::verify::{Expectations, Rejection, Scratch, verify};
use ring::hmac;

/// One key for each algorithm, and a second one for HS256.
pub(crate) static KEYS: LazyLock<Vec<Arc<SigningKey>>> = LazyLock::new(|| {
    provider::install();
    let algorithms = Algorithm::ALL.into_iter().chain([Algorithm::Hs256]);
    algorithms.map(|algorithm| Arc::new(generate(algorithm))).collect()
});

/// All of [`KEYS`] verify.
pub(crate) static RING: LazyLock<KeyRing> = LazyLock::new(|| ring_of(&KEYS));

pub(crate) fn generate(algorithm: Algorithm) -> SigningKey {
    provider::install();
    SigningKey::generate(algorithm, &SystemRandom::new())
}

pub(crate) fn key(algorithm: Algorithm) -> &'static SigningKey {
    KEYS.iter().find(|key| key.algorithm() == algorithm).expect("there is one for each")
}

pub(crate) fn ring_of(keys: &[Arc<SigningKey>]) -> KeyRing {
    let held = |key: &Arc<SigningKey>| RingKey { key: key.verification_key(), imported_at: None };
    KeyRing::new(Arc::clone(&keys[0]), keys.iter().map(held).collect(), 1)
}

/// Nothing beside signature and times.
pub(crate) fn lenient() -> Expectations {
    Expectations {
        issuer: None,
        audience: None,
        refuse_unexpected_audience: false,
        leeway: 0,
        user_claim: "user_id".to_owned(),
        access_lifetime: 300,
        refresh_lifetime: 86_400,
    }
}

/// A token of these texts, signed by `key`, whatever the header says.
pub(crate) fn signed(header: &str, payload: &str, key: &SigningKey) -> String {
    let message = format!("{}.{}", base64url(header.as_bytes()), base64url(payload.as_bytes()));
    let algorithm = key.algorithm().for_jsonwebtoken();
    let signature = jsonwebtoken::crypto::sign(message.as_bytes(), key.encoding_key(), algorithm);
    format!("{message}.{}", signature.expect("the key signs"))
}

/// The same with an HMAC under `secret`.
pub(crate) fn signed_by_secret(header: &str, payload: &str, secret: &[u8]) -> String {
    let message = format!("{}.{}", base64url(header.as_bytes()), base64url(payload.as_bytes()));
    let key = hmac::Key::new(hmac::HMAC_SHA256, secret);
    let signature = hmac::sign(&key, message.as_bytes());
    format!("{message}.{}", base64url(signature.as_ref()))
}

/// What our verifier says.
pub(crate) fn judge(
    ring: &KeyRing,
    expect: &Expectations,
    token: &str,
    now: i64,
) -> Result<(), Rejection> {
    let mut scratch = Scratch::default();
    let now = Timestamp::from_seconds(now);
    verify(ring, expect, token.as_bytes(), now, &mut scratch).map(|_| ())
}
