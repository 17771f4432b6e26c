//! JWK sets (RFC 7517 5): which key of a trusted set a token names.

use serde_json::Value;

use super::algorithm::Algorithm;
use super::jws::{Parts, parse_header};
use super::key_error::KeyError;
use super::verification_key::VerificationKey;
use crate::base::encode::unbase64url_vec;

/// The key to check `jws` with: `jwk` itself, or the key of that `kid` out of a set (`keys`).
///
/// Members of a set that are of an unknown kind are passed over (RFC 7517 5). A set is refused when
/// one of its other keys is weak, when two have the same `kid`, and when secrets stand beside public
/// keys, since one published with the other is none.
pub fn choose(jwk: &Value, jws: &str) -> Result<VerificationKey, KeyError> {
    let Some(members) = jwk.get("keys") else { return VerificationKey::from_jwk(jwk) };
    let mut keys: Vec<(Option<&str>, VerificationKey)> = Vec::new();
    for member in members.as_array().ok_or(KeyError::Member("keys"))? {
        let id = member.get("kid").and_then(Value::as_str);
        if id.is_some() && keys.iter().any(|(other, _)| *other == id) {
            return Err(KeyError::Set("has two keys with the same `kid`"));
        }
        match VerificationKey::from_jwk(member) {
            Ok(key) => keys.push((id, key)),
            Err(KeyError::Unsupported(_)) => {}
            Err(error) => return Err(error),
        }
    }
    let secrets = keys.iter().filter(|(_, key)| key.algorithm() == Algorithm::Hs256).count();
    if secrets != 0 && secrets != keys.len() {
        return Err(KeyError::Set("mixes secrets with public keys"));
    }
    let named = key_id(jws);
    let only = named.is_none() && keys.len() == 1;
    let mut fitting = keys.into_iter().filter(|(id, _)| only || *id == named.as_deref());
    match (fitting.next(), fitting.next()) {
        (Some((_, key)), None) => Ok(key),
        (Some(_), Some(_)) => Err(KeyError::Set("has several keys and the token names none")),
        (None, _) => Err(KeyError::Set("has no key of the token's `kid`")),
    }
}

/// The `kid` of a JWS whose header can be read.
fn key_id(jws: &str) -> Option<String> {
    let header = unbase64url_vec(Parts::split(jws).ok()?.header)?;
    Some(parse_header(&header).ok()?.key_id?.into_owned())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::base::encode::base64url;
    use crate::base::random::SystemRandom;
    use crate::token::key::SigningKey;

    fn jws(header: &Value) -> String {
        format!("{}.e30.AAAA", base64url(header.to_string().as_bytes()))
    }

    fn named(key: &SigningKey, id: &str) -> Value {
        let mut jwk = key.jwk().expect("a public half");
        jwk["kid"] = id.into();
        jwk
    }

    #[test]
    fn the_key_of_the_name_is_chosen() {
        let random = SystemRandom::new();
        let one = SigningKey::generate(Algorithm::Es256, &random);
        let two = SigningKey::generate(Algorithm::EdDsa, &random);
        let other = json!({ "kty": "EC", "crv": "P-521", "kid": "c" });
        let set = json!({ "keys": [named(&one, "a"), named(&two, "b"), other] });
        let chosen = |id: &str| choose(&set, &jws(&json!({ "alg": "ES256", "kid": id })));
        assert_eq!(chosen("a").expect("named").id(), one.id());
        assert_eq!(chosen("b").expect("named").id(), two.id());
        let absent = KeyError::Set("has no key of the token's `kid`");
        assert_eq!(chosen("c").err(), Some(absent.clone()));
        assert_eq!(choose(&set, &jws(&json!({ "alg": "ES256" }))).err(), Some(absent.clone()));
        assert_eq!(choose(&set, "no token").err(), Some(absent.clone()));
        assert_eq!(choose(&json!({ "keys": [] }), "").err(), Some(absent));

        let alone = json!({ "keys": [named(&one, "a")] });
        let unnamed = jws(&json!({ "alg": "ES256" }));
        assert_eq!(choose(&alone, &unnamed).expect("the only one").id(), one.id());
        assert_eq!(choose(&named(&one, "x"), &unnamed).expect("the key").id(), one.id());
    }

    #[test]
    fn ambiguous_sets_are_refused() {
        let key = SigningKey::generate(Algorithm::Es256, &SystemRandom::new());
        let secret = json!({ "kty": "oct", "kid": "s", "k": base64url(&[1; 32]) });
        let weak = json!({ "kty": "oct", "kid": "w", "k": "AQ" });
        let token = jws(&json!({ "alg": "ES256", "kid": "a" }));
        for (keys, error) in [
            (
                json!([named(&key, "a"), named(&key, "a")]),
                KeyError::Set("has two keys with the same `kid`"),
            ),
            (json!([named(&key, "a"), secret]), KeyError::Set("mixes secrets with public keys")),
            (json!([named(&key, "a"), weak]), KeyError::ShortSecret(1)),
            (json!("a"), KeyError::Member("keys")),
        ] {
            assert_eq!(choose(&json!({ "keys": keys }), &token).err(), Some(error), "{keys}");
        }
    }
}
