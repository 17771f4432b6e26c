use proptest::prelude::*;

use super::*;
use crate::base::random::SystemRandom;
use crate::token::provider;

/// RFC 7638 3.1.
const RSA_MODULUS: &str = "0vx7agoebGcQSuuPiLJXZptN9nndrQmbXEps2aiAFbWhM78LhWx4cbbfAAtVT86zwu1RK7aPFFxuhDR1L6tSoc_BJECPebWKRXjBZCiFV4n3oknjhMstn64tZ_2W-5JsGY4Hc5n9yBXArwl93lqt7_RN5w6Cf0h4QyQ5v-65YGjQR0_FDW2QvzqY368QQMicAtaSqzs8KJZgnYb9c7d0zgdAZHzu6qMQvRL5hajrn1n91CbOpbISD08qNLyrdkt-bFTWhAI4vMQFh6WeZu0fM4lFd2NcRwr3XPksINHaQ-G_xBniIqbw0Ls1jF44-csFCur-kEgU8awapJzKnqDKgw";

fn rsa() -> Value {
    json!({ "kty": "RSA", "n": RSA_MODULUS, "e": "AQAB", "alg": "RS256" })
}

/// RFC 7515 A.3.
fn p256() -> Value {
    json!({
        "kty": "EC", "crv": "P-256",
        "x": "f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU",
        "y": "x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0",
    })
}

/// RFC 8037 A.2.
fn ed25519() -> Value {
    json!({ "kty": "OKP", "crv": "Ed25519", "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo" })
}

fn secret() -> Value {
    json!({ "kty": "oct", "k": base64url(&[0xa5; 32]) })
}

fn with(mut jwk: Value, member: &str, value: impl Into<Value>) -> Value {
    jwk[member] = value.into();
    jwk
}

#[test]
fn thumbprints_are_those_of_the_standards() {
    for (jwk, thumbprint) in [
        (rsa(), "NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs"),
        (ed25519(), "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k"),
    ] {
        assert_eq!(read(&jwk).expect("a good key").id().as_str(), thumbprint);
    }
}

#[test]
fn thumbprints_agree_with_jsonwebtoken() {
    provider::install();
    for algorithm in [Algorithm::Rs256, Algorithm::Es256, Algorithm::EdDsa] {
        let key = SigningKey::generate(algorithm, &SystemRandom::new());
        let jwk = key.jwk().expect("a public half");
        let theirs: jsonwebtoken::jwk::Jwk =
            serde_json::from_value(jwk.clone()).expect("jsonwebtoken reads our JWK");
        let thumbprint = theirs.thumbprint(jsonwebtoken::jwk::ThumbprintHash::SHA256);
        assert_eq!(thumbprint.expect("a supported key"), key.id().as_str());
        assert_eq!(read(&jwk).expect("our own JWK").id(), key.id());
        assert_eq!((&jwk["use"], &jwk["alg"]), (&json!("sig"), &json!(algorithm.name())));
        for private in ["d", "p", "q", "dp", "dq", "qi", "k"] {
            assert!(jwk.get(private).is_none(), "{private}");
        }
    }
}

#[test]
fn secrets_have_no_public_form() {
    assert_eq!(write(&read(&secret()).expect("a good key")), None);
}

#[test]
fn purposes_are_heeded() {
    for jwk in [rsa(), p256(), ed25519(), secret()] {
        let key = read(&jwk).expect("a good key");
        for (member, value, error) in [
            ("use", json!("sig"), None),
            ("use", json!("enc"), Some(KeyError::Purpose("use"))),
            ("use", json!(1), Some(KeyError::Purpose("use"))),
            ("alg", json!(key.algorithm().name()), None),
            ("alg", json!("none"), Some(KeyError::Purpose("alg"))),
            ("alg", json!("RS512"), Some(KeyError::Purpose("alg"))),
            ("alg", json!(null), Some(KeyError::Purpose("alg"))),
            ("key_ops", json!(["verify"]), None),
            ("key_ops", json!(["sign", "verify"]), None),
            ("key_ops", json!(["encrypt"]), Some(KeyError::Purpose("key_ops"))),
            ("key_ops", json!(["verify", "encrypt"]), Some(KeyError::Purpose("key_ops"))),
            ("key_ops", json!([]), Some(KeyError::Purpose("key_ops"))),
            ("key_ops", json!("verify"), Some(KeyError::Member("key_ops"))),
        ] {
            let jwk = with(jwk.clone(), member, value.clone());
            assert_eq!(read(&jwk).err(), error, "{member} {value}");
        }
        let signs = with(jwk, "key_ops", json!(["sign"]));
        let is_secret = key.algorithm() == Algorithm::Hs256;
        assert_eq!(read(&signs).is_ok(), is_secret, "a public key cannot sign");
    }
}

#[test]
fn weak_and_wrong_keys_are_refused() {
    let short_modulus = base64url(&[0xff; 128]);
    let padded_modulus = base64url(&[&[0][..], &[0xff; 256]].concat());
    let cases = [
        (json!([]), KeyError::Member("kty")),
        (json!({}), KeyError::Member("kty")),
        (json!({ "kty": "oct" }), KeyError::Member("k")),
        (with(secret(), "k", ""), KeyError::ShortSecret(0)),
        (with(secret(), "k", base64url(&[1; 31])), KeyError::ShortSecret(31)),
        (with(secret(), "k", "pQ=="), KeyError::Member("k")),
        (with(secret(), "kty", "OCT"), KeyError::Unsupported("this `kty` of a JWK")),
        (with(rsa(), "n", short_modulus), KeyError::RsaSize(1024)),
        (with(rsa(), "n", padded_modulus), KeyError::Member("n")),
        (with(rsa(), "n", ""), KeyError::Member("n")),
        (with(rsa(), "e", "AQ"), KeyError::RsaExponent),
        (with(rsa(), "e", "Aw"), KeyError::RsaExponent),
        (with(rsa(), "e", "AQAA"), KeyError::RsaExponent),
        (with(p256(), "x", base64url(&[7; 32])), KeyError::NotOnCurve),
        (with(p256(), "x", base64url(&[7; 31])), KeyError::Member("x` or `y")),
        (with(p256(), "crv", "P-384"), KeyError::Unsupported("an elliptic curve other than P-256")),
        (with(p256(), "crv", 1), KeyError::Member("crv")),
        (with(p256(), "d", base64url(&[1; 32])), KeyError::Mismatch),
        (
            with(ed25519(), "crv", "X25519"),
            KeyError::Unsupported("an Edwards curve other than Ed25519"),
        ),
        (with(ed25519(), "x", base64url(&[7; 31])), KeyError::Malformed("Ed25519 key")),
        (with(ed25519(), "d", base64url(&[1; 32])), KeyError::Mismatch),
    ];
    for (jwk, error) in cases {
        assert_eq!(read(&jwk).err(), Some(error), "{jwk}");
    }
}

#[test]
fn private_jwks_give_their_public_half() {
    // RFC 7515 A.3 and RFC 8037 A.1.
    let private = with(p256(), "d", "jpsQnnGQmL-YBIffH1136cspYG6-0iY7X1fCE9-E9LI");
    assert_eq!(read(&private).expect("good").id(), read(&p256()).expect("good").id());
    let private = with(ed25519(), "d", "nWGxne_9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A");
    assert_eq!(read(&private).expect("good").id(), read(&ed25519()).expect("good").id());
}

proptest! {
    #[test]
    fn no_jwk_panics(
        kty in "oct|RSA|EC|OKP|.", crv in "P-256|Ed25519|.", value in "[A-Za-z0-9_-]{0,90}|.*",
    ) {
        let jwk = json!({
            "kty": kty, "crv": crv, "k": value, "n": value, "e": value, "x": value, "y": value,
            "d": value,
        });
        let _ = read(&jwk);
    }
}
