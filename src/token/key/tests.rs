use std::time::Duration;

use jsonwebtoken::{Header, Validation};
use proptest::prelude::*;
use serde_json::json;

use super::*;
use crate::base::random::{SeededRandom, SystemRandom};
use crate::token::jws::{JwsError, Parts, check_jws};
use crate::token::provider;

/// One key of each algorithm.
fn keys() -> Vec<SigningKey> {
    let random = SystemRandom::new();
    Algorithm::ALL.into_iter().map(|algorithm| SigningKey::generate(algorithm, &random)).collect()
}

fn signed_by_jsonwebtoken(key: &SigningKey, claims: &serde_json::Value) -> String {
    provider::install();
    let header = Header::new(key.algorithm().for_jsonwebtoken());
    jsonwebtoken::encode(&header, claims, key.encoding_key()).expect("the key signs")
}

#[test]
fn what_jsonwebtoken_signs_verifies_and_the_other_way_round() {
    let claims = json!({ "exp": 4_000_000_000_u64, "user_id": "1" });
    let keys = keys();
    for key in &keys {
        let token = signed_by_jsonwebtoken(key, &claims);
        let payload = check_jws(&key.verification_key(), &token).expect("our verifier accepts");
        assert_eq!(serde_json::from_slice::<serde_json::Value>(&payload).expect("JSON"), claims);

        let validation = Validation::new(key.algorithm().for_jsonwebtoken());
        let read =
            jsonwebtoken::decode::<serde_json::Value>(&token, &key.decoding_key(), &validation);
        assert_eq!(read.expect("jsonwebtoken accepts").claims, claims);

        for other in keys.iter().filter(|other| other.id() != key.id()) {
            let refused = check_jws(&other.verification_key(), &token);
            assert_eq!(refused, Err(JwsError::Algorithm));
            let parts = Parts::split(&token).expect("three parts");
            let confused = parts.verify_signature(&other.verification_key());
            assert_eq!(confused, Err(JwsError::Signature));
        }
    }
}

#[test]
fn another_key_of_the_same_algorithm_does_not_verify() {
    for (key, other) in keys().iter().zip(keys()) {
        assert_eq!(key.algorithm(), other.algorithm());
        assert_ne!(key.id(), other.id());
        let token = signed_by_jsonwebtoken(key, &json!({}));
        assert_eq!(check_jws(&other.verification_key(), &token), Err(JwsError::Signature));
    }
}

#[test]
fn a_public_key_is_no_hmac_secret_for_jsonwebtoken() {
    provider::install();
    let key = SigningKey::generate(Algorithm::EdDsa, &SystemRandom::new());
    let header = Header::new(jsonwebtoken::Algorithm::HS256);
    let public = key.jwk().expect("public")["x"].as_str().expect("text").to_owned();
    let secret = EncodingKey::from_secret(public.as_bytes());
    let forged = jsonwebtoken::encode(&header, &json!({}), &secret).expect("signs");
    let mut validation = Validation::new(jsonwebtoken::Algorithm::HS256);
    validation.required_spec_claims.clear();
    let read = jsonwebtoken::decode::<serde_json::Value>(&forged, &key.decoding_key(), &validation);
    assert!(read.is_err());
    assert_eq!(check_jws(&key.verification_key(), &forged), Err(JwsError::Algorithm));
}

#[test]
fn stored_keys_come_back_the_same() {
    for key in keys() {
        let stored = key.to_stored();
        let back = SigningKey::from_stored(key.algorithm(), stored.expose()).expect("its own form");
        assert_eq!(back.id(), key.id());
        assert_eq!(back.to_stored(), stored);
        let token = signed_by_jsonwebtoken(&back, &json!({}));
        assert!(check_jws(&key.verification_key(), &token).is_ok());
        for algorithm in Algorithm::ALL.into_iter().filter(|&other| other != key.algorithm()) {
            let read = SigningKey::from_stored(algorithm, stored.expose());
            // Any bytes are a secret; the row-bound seal is what ties them to their algorithm.
            let is_secret = read.is_ok() && algorithm == Algorithm::Hs256;
            assert!(is_secret || read.err() == Some(KeyError::Stored), "{algorithm}");
        }
    }
}

#[test]
fn generated_secrets_are_text_and_follow_the_seed() {
    let key = SigningKey::generate(Algorithm::Hs256, &SeededRandom::new(1));
    let again = SigningKey::generate(Algorithm::Hs256, &SeededRandom::new(1));
    let text = key.secret_text().expect("text");
    assert_eq!(text.expose().len(), 64);
    assert_eq!(Some(text), again.secret_text());
    assert!(key.public_pem().is_none() && key.jwk().is_none());
    let other = SigningKey::generate(Algorithm::Hs256, &SeededRandom::new(2));
    assert_ne!(key.id(), other.id());
    let binary = SigningKey::from_secret(&[0xff; 32]).expect("32 bytes");
    assert!(binary.secret_text().is_none());
}

#[test]
fn weak_secrets_are_refused() {
    for length in [0, 1, 31] {
        let refused = SigningKey::from_secret(&vec![b'x'; length]).err();
        assert_eq!(refused, Some(KeyError::ShortSecret(length)));
    }
    assert!(SigningKey::from_secret(&[b'x'; 32]).is_ok());
    let rsa = SigningKey::generate(Algorithm::Rs256, &SystemRandom::new());
    let pem = rsa.public_pem().expect("public");
    assert_eq!(SigningKey::from_secret(pem.as_bytes()).err(), Some(KeyError::SecretIsKey));
}

#[test]
fn halves_that_do_not_belong_together_are_refused() {
    let random = SystemRandom::new();
    let generate = |algorithm| SigningKey::generate(algorithm, &random).to_stored();

    let (one, two) = (generate(Algorithm::Es256), generate(Algorithm::Es256));
    // The public half is the end of the PKCS#8 form.
    let (start, _) = one.expose().split_at(one.expose().len() - 65);
    let (_, end) = two.expose().split_at(two.expose().len() - 65);
    assert_eq!(pkcs8::read_private(&[start, end].concat()).err(), Some(KeyError::Mismatch));

    let refused = SigningKey::from_ed25519(&[1; 32], Some(&[2; 32])).err();
    assert_eq!(refused, Some(KeyError::Mismatch));

    let rsa = generate(Algorithm::Rs256);
    let mut refusals = 0;
    for position in (300..rsa.expose().len()).step_by(97) {
        let mut altered = rsa.expose().clone();
        altered[position] ^= 4;
        refusals += usize::from(SigningKey::from_rsa(&altered).is_err());
    }
    // ring never uses `d`, and so does not see alterations of it (positions up to about 530).
    assert!(refusals >= 6, "{refusals}");
}

#[test]
fn debugging_shows_no_material() {
    for key in keys() {
        let shown = format!("{key:?} {:?}", key.verification_key());
        let known = format!("{} {}", key.id(), key.algorithm());
        assert!(shown.len() < 2 * known.len() + 120, "{shown}");
        if let Some(text) = key.secret_text() {
            assert!(!shown.contains(text.expose()));
        }
    }
}

#[test]
fn ids_are_base64url() {
    for key in keys() {
        assert_eq!(KeyId::parse(key.id().as_str()).as_ref(), Some(key.id()));
    }
    for text in ["", "a b", "a=", "ä", &"a".repeat(65)] {
        assert_eq!(KeyId::parse(text), None);
    }
}

#[test]
fn rsa_keys_are_made_in_reasonable_time() {
    use crate::base::clock::{Clock as _, SystemClock};
    let start = SystemClock.now();
    let rounds = 4;
    for _ in 0..rounds {
        let _ = SigningKey::generate(Algorithm::Rs256, &SystemRandom::new());
    }
    // A few tenths of a second each on a free machine; the bound catches an unoptimised profile.
    let limit = start.plus(Duration::from_secs(rounds * 5));
    assert!(SystemClock.now() < limit);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn altered_messages_and_signatures_do_not_verify(
        message in prop::collection::vec(any::<u8>(), 1..100), at in any::<prop::sample::Index>(),
    ) {
        provider::install();
        // Without RSA: making a key for each case would take too long, and ring verifies all alike.
        for algorithm in [Algorithm::Hs256, Algorithm::Es256, Algorithm::EdDsa] {
            let key = SigningKey::generate(algorithm, &SystemRandom::new());
            let name = algorithm.for_jsonwebtoken();
            let signature = jsonwebtoken::crypto::sign(&message, key.encoding_key(), name);
            let text = signature.expect("the key signs");
            let mut signature = crate::base::encode::unbase64url_vec(text.as_bytes()).expect("own");
            let public = key.verification_key();
            prop_assert!(public.verify_signature(&message, &signature));
            let position = at.index(message.len());
            let mut altered = message.clone();
            altered[position] ^= 1;
            prop_assert!(!public.verify_signature(&altered, &signature));
            prop_assert!(!public.verify_signature(&message, &signature[1..]));
            prop_assert!(!public.verify_signature(&message, &[]));
            let position = at.index(signature.len());
            signature[position] ^= 1;
            prop_assert!(!public.verify_signature(&message, &signature));
        }
    }
}
