use proptest::prelude::*;
use serde_json::json;

use super::*;
use crate::base::encode::base64url;
use crate::base::random::SystemRandom;
use crate::token::key::SigningKey;
use crate::token::provider;

/// RFC 7515 A.1.
const HS256_KEY: &str =
    "AyM1SysPpbyDfgZld3umj1qzKObwVMkoqQ-EstJQLr_T-1qS0gZH75aKtMN3Yj0iPS4hcgUuTwjAzZr1Z9CAow";
const HS256: &str = "eyJ0eXAiOiJKV1QiLA0KICJhbGciOiJIUzI1NiJ9.eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ.dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";

/// RFC 7515 A.3.
const ES256: &str = "eyJhbGciOiJFUzI1NiJ9.eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ.DtEhU3ljbEg8L38VWAfUAqOyKAM6-Xx-F4GawxaepmXFCgfTjDxw5djxLa8ISlSApmWQxfKTUJqPP3-Kg6NU1Q";

/// RFC 8037 A.4.
const EDDSA: &str = "eyJhbGciOiJFZERTQSJ9.RXhhbXBsZSBvZiBFZDI1NTE5IHNpZ25pbmc.hgyY0il_MGCjP0JzlnLWG1PPOt7-09PGcvMg3AIbQR6dWbhijcNR4ki4iylGjg5BhVsPt9g7sVvpAr_MuM0KAg";

fn key(jwk: &serde_json::Value) -> VerificationKey {
    VerificationKey::from_jwk(jwk).expect("a good key")
}

fn hs256_key() -> VerificationKey {
    key(&json!({ "kty": "oct", "k": HS256_KEY }))
}

#[test]
fn the_examples_of_the_standards_verify() {
    let es256 = key(&json!({
        "kty": "EC", "crv": "P-256",
        "x": "f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU",
        "y": "x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0",
    }));
    let eddsa = key(&json!({
        "kty": "OKP", "crv": "Ed25519", "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo",
    }));
    assert!(check_jws(&hs256_key(), HS256).expect("valid").starts_with(b"{\"iss\":\"joe\""));
    assert!(check_jws(&es256, ES256).expect("valid").starts_with(b"{\"iss\":\"joe\""));
    assert_eq!(check_jws(&eddsa, EDDSA).expect("valid"), b"Example of Ed25519 signing");
    assert_eq!(check_jws(&eddsa, ES256), Err(JwsError::Algorithm));
}

#[test]
fn signatures_of_zeros_are_refused() {
    // CVE-2022-21449: r = s = 0.
    let key = SigningKey::generate(Algorithm::Es256, &SystemRandom::new()).verification_key();
    let header = base64url(br#"{"alg":"ES256"}"#);
    let forged = format!("{header}.{}.{}", base64url(b"{}"), base64url(&[0; 64]));
    assert_eq!(check_jws(&key, &forged), Err(JwsError::Signature));
}

#[test]
fn every_altered_character_is_refused() {
    let key = hs256_key();
    for position in 0..HS256.len() {
        for with in ["A", "?", "=", ".", " ", ""] {
            let altered = format!("{}{with}{}", &HS256[..position], &HS256[position + 1..]);
            let changed = altered != HS256;
            assert!(!changed || check_jws(&key, &altered).is_err(), "{position} {with:?}");
            let inserted = format!("{}{with}{}", &HS256[..position], &HS256[position..]);
            assert!(with.is_empty() || check_jws(&key, &inserted).is_err(), "{position} {with:?}");
        }
    }
}

#[test]
fn other_forms_are_refused() {
    let key = hs256_key();
    let (signed, signature) = HS256.rsplit_once('.').expect("three parts");
    let (header, payload) = signed.split_once('.').expect("three parts");
    let json = json!({ "protected": header, "payload": payload, "signature": signature });
    let long = format!("{header}.{}.{signature}", "A".repeat(LONGEST_JWS));
    let long_signature = format!("{signed}.{}", "A".repeat(LONGEST_SIGNATURE * 4 / 3 + 4));
    for (text, error) in [
        ("", JwsError::Parts),
        ("..", JwsError::Parts),
        (signed, JwsError::Parts),
        (&format!("{signed}."), JwsError::Parts),
        (&format!(".{payload}.{signature}"), JwsError::Parts),
        (&format!("{HS256}."), JwsError::Parts),
        (&format!("{HS256}.{signature}"), JwsError::Parts),
        (&json.to_string(), JwsError::Parts),
        (&format!("{HS256}="), JwsError::Encoding),
        (&format!(" {HS256}"), JwsError::Encoding),
        (&long, JwsError::TooLong),
        (&long_signature, JwsError::Encoding),
    ] {
        assert_eq!(check_jws(&key, text), Err(error), "{text:.200}");
    }
}

/// A JWS that is signed rightly, whatever its header says.
fn signed(key: &SigningKey, header: &str, payload: &[u8]) -> String {
    provider::install();
    let message = format!("{}.{}", base64url(header.as_bytes()), base64url(payload));
    let algorithm = key.algorithm().for_jsonwebtoken();
    let signature = jsonwebtoken::crypto::sign(message.as_bytes(), key.encoding_key(), algorithm);
    format!("{message}.{}", signature.expect("the key signs"))
}

#[test]
fn right_signatures_do_not_excuse_wrong_headers() {
    for algorithm in Algorithm::ALL {
        let key = SigningKey::generate(algorithm, &SystemRandom::new());
        let public = key.verification_key();
        let verdict = |header: &str| check_jws(&public, &signed(&key, header, b"no JSON"));
        let header = |members: &str| format!(r#"{{"alg":"{algorithm}"{members}}}"#);
        assert_eq!(verdict(&header("")).as_deref(), Ok(&b"no JSON"[..]));
        assert!(verdict(&header(r#","kid":"unknown","jku":"https://evil.example""#)).is_ok());
        assert_eq!(verdict(&header(r#","crit":["x"],"x":1"#)), Err(JwsError::Critical));
        assert_eq!(verdict(&header(r#","b64":false"#)), Err(JwsError::Unencoded));
        assert_eq!(verdict(&header(r#","x":1,"x":1"#)), Err(JwsError::Header));
        let lower = algorithm.name().to_lowercase();
        for other in ["none", "None", "HS384", "RS512", "PS256", "ES384", &lower] {
            assert_eq!(verdict(&format!(r#"{{"alg":"{other}"}}"#)), Err(JwsError::Algorithm));
        }
        assert_eq!(check_jws(&public, &signed(&key, &header(""), b"")).as_deref(), Ok(&b""[..]));
    }
}

#[test]
fn a_key_in_the_header_is_not_looked_at() {
    let random = SystemRandom::new();
    let (trusted, evil) = (
        SigningKey::generate(Algorithm::Es256, &random),
        SigningKey::generate(Algorithm::Es256, &random),
    );
    let header = json!({ "alg": "ES256", "jwk": evil.jwk() }).to_string();
    let forged = signed(&evil, &header, b"{}");
    assert_eq!(check_jws(&trusted.verification_key(), &forged), Err(JwsError::Signature));
}

proptest! {
    #[test]
    fn no_text_panics(text in r"([A-Za-z0-9_-]{0,40}|\.|.){0,8}") {
        prop_assert!(check_jws(&hs256_key(), &text).is_err());
    }
}
