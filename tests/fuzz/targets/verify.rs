//! The verifier: bytes as a token, and bytes as a payload that is rightly signed.
#![no_main]

use std::sync::{Arc, LazyLock};

use avain::base::clock::Timestamp;
use avain::base::encode::base64url;
use avain::base::random::SeededRandom;
use avain::token::algorithm::Algorithm;
use avain::token::claims::Kind;
use avain::token::key::SigningKey;
use avain::token::key_ring::{KeyRing, RingKey};
use avain::token::verify::{Expectations, Scratch, verify};
use libfuzzer_sys::fuzz_target;

static RING: LazyLock<KeyRing> = LazyLock::new(|| {
    avain::token::provider::install();
    let make = |algorithm| Arc::new(SigningKey::generate(algorithm, &SeededRandom::new(1)));
    let keys = [Algorithm::Hs256, Algorithm::Es256, Algorithm::EdDsa].map(make);
    let held = |key: &Arc<SigningKey>| RingKey { key: key.verification_key(), imported_at: None };
    KeyRing::new(Arc::clone(&keys[0]), keys.iter().map(held).collect(), 1)
});

static EXPECT: LazyLock<Expectations> = LazyLock::new(|| Expectations {
    issuer: None,
    audience: None,
    refuse_unexpected_audience: false,
    leeway: 0,
    user_claim: "user_id".to_owned(),
    access_lifetime: 300,
    refresh_lifetime: 86_400,
});

fuzz_target!(|bytes: &[u8]| {
    let now = Timestamp::from_seconds(1_795_000_000);
    let mut scratch = Scratch::default();
    assert!(verify(&RING, &EXPECT, bytes, now, &mut scratch).is_err(), "nobody has signed this");

    let message = format!("{}.{}", base64url(br#"{"alg":"HS256"}"#), base64url(bytes));
    let (algorithm, key) = (Algorithm::Hs256.for_jsonwebtoken(), RING.signing().encoding_key());
    let signature = jsonwebtoken::crypto::sign(message.as_bytes(), key, algorithm);
    let signature = signature.expect("the key signs");
    let token = format!("{message}.{signature}");
    let mut scratch = Scratch::default();
    if let Ok(verified) = verify(&RING, &EXPECT, token.as_bytes(), now, &mut scratch) {
        let _ = (verified.require(Kind::Access), verified.subject(), verified.family());
        assert!(verified.expires_at().is_none_or(|expires_at| expires_at > now.seconds()));
        assert_eq!(verified.payload(), bytes);
    }
});
