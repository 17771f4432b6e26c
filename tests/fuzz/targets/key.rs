//! Keys as operators bring them: PEM, JWK, secrets.
#![no_main]

use avain::token::key::SigningKey;
use avain::token::verification_key::VerificationKey;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    if let Ok(text) = std::str::from_utf8(bytes) {
        let _ = VerificationKey::parse(text);
        if let Ok(key) = SigningKey::import(text, "FILE") {
            assert!(SigningKey::from_stored(key.algorithm(), key.to_stored().expose()).is_ok());
        }
    }
});
