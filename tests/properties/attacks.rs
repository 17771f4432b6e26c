//! What went wrong at others (SECURITY 4), as tokens: none of them is accepted.
//!
//! Each attack starts from a token that is accepted, which is checked too: what refuses it is what the
//! attack changed.

use std::sync::Arc;

use avain::base::clock::Timestamp;
use avain::base::encode::base64url;
use avain::token::algorithm::Algorithm;
use avain::token::claims::Kind;
use avain::token::key::SigningKey;
use avain::token::key_error::KeyError;
use avain::token::key_ring::KeyRing;
use avain::token::verify::{Expectations, Flaw, Rejection, Scratch, verify};
use ring::hmac;

use crate::tokens::{RING, generate, judge, key, lenient, ring_of, signed, signed_by_secret};

const NOW: i64 = 1_795_000_000;
const CLAIMS: &str =
    r#"{"token_type":"access","exp":1795000300,"iat":1795000000,"jti":"0a","user_id":"1"}"#;

fn header(algorithm: Algorithm) -> String {
    format!(r#"{{"alg":"{algorithm}","typ":"JWT"}}"#)
}

fn good(algorithm: Algorithm) -> String {
    signed(&header(algorithm), CLAIMS, key(algorithm))
}

#[track_caller]
fn refuse_in(ring: &KeyRing, expect: &Expectations, token: &str) -> Rejection {
    judge(ring, expect, token, NOW).expect_err(&format!("accepted: {token:.200}"))
}

#[track_caller]
fn refuse(token: &str) -> Rejection {
    refuse_in(&RING, &lenient(), token)
}

#[track_caller]
fn refuse_as(flaw: Flaw, token: &str) {
    assert_eq!(refuse(token), Rejection::Invalid(flaw), "{token:.200}");
}

#[test]
fn what_the_attacks_start_from_is_accepted() {
    for algorithm in Algorithm::ALL {
        assert_eq!(judge(&RING, &lenient(), &good(algorithm), NOW), Ok(()), "{algorithm}");
    }
}

/// CVE-2015-9235 and its many sisters.
#[test]
fn no_algorithm_and_misspelt_ones() {
    let signature = good(Algorithm::Hs256).rsplit_once('.').expect("has one").1.to_owned();
    let names = [
        "none",
        "None",
        "NONE",
        "noNE",
        "nOnE",
        "",
        " none",
        "none ",
        "null",
        "hs256",
        "Hs256",
        "HS256 ",
        " HS256",
        "HS256\\u0000",
        "HS",
        "HS384",
        "HS512",
        "RS384",
        "PS256",
        "ES384",
        "ES256K",
        "eddsa",
        "EDDSA",
        "Ed25519",
        "HMAC-SHA256",
        "A128KW",
        "dir",
    ];
    for name in names {
        let header = format!(r#"{{"alg":"{name}","typ":"JWT"}}"#);
        for key in Algorithm::ALL.map(key) {
            refuse_as(Flaw::Algorithm, &signed(&header, CLAIMS, key));
        }
        let message = format!("{}.{}", base64url(header.as_bytes()), base64url(CLAIMS.as_bytes()));
        for end in ["", &signature, "AA"] {
            refuse_as(Flaw::Algorithm, &format!("{message}.{end}"));
        }
    }
    for header in [
        r#"{"typ":"JWT"}"#,
        r#"{"alg":null}"#,
        r#"{"alg":["HS256"]}"#,
        r#"{"alg":{"HS256":1}}"#,
        r#"{"alg":"none","alg":"HS256"}"#,
        r#"{"alg":"HS256","alg":"none"}"#,
        r#"{"alg":"HS256","ALG":"none","alg":"none"}"#,
    ] {
        refuse_as(Flaw::Header, &signed(header, CLAIMS, key(Algorithm::Hs256)));
    }
}

/// CVE-2024-33663, CVE-2026-85394 of python-jose: a public key is no secret.
#[test]
fn a_public_key_as_hmac_secret() {
    for algorithm in [Algorithm::Rs256, Algorithm::Es256, Algorithm::EdDsa] {
        let pair = Arc::new(generate(algorithm));
        let pem = pair.public_pem().expect("it has a public half");
        let body: String = pem.lines().filter(|line| !line.starts_with('-')).collect();
        let der = base64_decode(&body);
        let jwk = pair.jwk().expect("it has a public half").to_string();
        let secrets = [
            pem.as_bytes(),
            pem.trim_end().as_bytes(),
            body.as_bytes(),
            &der,
            jwk.as_bytes(),
            pair.id().as_str().as_bytes(),
            b"",
            b"\n",
        ];
        let with_secret = ring_of(&[Arc::clone(&pair), Arc::new(generate(Algorithm::Hs256))]);
        let rings = [ring_of(std::slice::from_ref(&pair)), with_secret];
        for secret in secrets {
            for name in ["HS256", algorithm.name(), "HS384", "none"] {
                for kid in ["", &format!(r#","kid":"{}""#, pair.id())] {
                    let header = format!(r#"{{"alg":"{name}"{kid}}}"#);
                    let token = signed_by_secret(&header, CLAIMS, secret);
                    for ring in &rings {
                        refuse_in(ring, &lenient(), &token);
                    }
                }
            }
        }
        // Nor can it be made a secret by mistake.
        let imported = SigningKey::import(&format!("hs256:{pem}"), "FILE");
        assert_eq!(imported.err(), Some(KeyError::SecretIsKey), "{algorithm}");
    }
}

fn base64_decode(text: &str) -> Vec<u8> {
    use base64::Engine as _;
    base64::engine::general_purpose::STANDARD.decode(text).expect("PEM is base64")
}

/// The header offers keys: none of them is looked at, and nothing is fetched.
#[test]
fn keys_that_the_token_brings() {
    for algorithm in Algorithm::ALL {
        let ours = generate(algorithm);
        let jwk = ours.jwk().map_or_else(
            || {
                let secret = ours.secret_text().expect("it is text");
                format!(r#"{{"kty":"oct","k":"{}"}}"#, base64url(secret.expose().as_bytes()))
            },
            |jwk| jwk.to_string(),
        );
        let held = key(algorithm).id();
        for members in [
            String::new(),
            format!(r#","jwk":{jwk}"#),
            r#","jku":"http://127.0.0.1:1/keys.json""#.to_owned(),
            r#","x5u":"http://127.0.0.1:1/chain.pem""#.to_owned(),
            r#","x5c":["MIIB"],"x5t":"AAAA""#.to_owned(),
            format!(r#","kid":"{held}""#),
            format!(r#","kid":"{held}","jwk":{jwk}"#),
            r#","kid":"../../../../dev/null""#.to_owned(),
            r#","kid":"' OR '1'='1""#.to_owned(),
            r#","kid":"""#.to_owned(),
            r#","kid":"\u0000""#.to_owned(),
        ] {
            let header = format!(r#"{{"alg":"{algorithm}"{members}}}"#);
            refuse_as(Flaw::Signature, &signed(&header, CLAIMS, &ours));
            for secret in [&b""[..], b"\0", b"secret", held.as_str().as_bytes()] {
                refuse(&signed_by_secret(&header, CLAIMS, secret));
            }
        }
    }
    for kid in ["1", "null", "[]", "{}"] {
        let header = format!(r#"{{"alg":"HS256","kid":{kid}}}"#);
        refuse_as(Flaw::Header, &signed(&header, CLAIMS, key(Algorithm::Hs256)));
    }
}

/// CVE-2026-32597 of `PyJWT`, CVE-2025-59420 of Authlib: extensions that nobody understands.
#[test]
fn extensions() {
    for members in [
        r#""crit":["exp"],"exp":1"#,
        r#""crit":["http://example.org/x"],"http://example.org/x":true"#,
        r#""crit":[]"#,
        r#""crit":null"#,
        r#""crit":"exp""#,
        r#""crit":["b64"],"b64":false"#,
        r#""b64":false"#,
        r#""cr\u0069t":["x"]"#,
    ] {
        for key in Algorithm::ALL.map(key) {
            let header = format!(r#"{{"alg":"{}",{members}}}"#, key.algorithm());
            refuse_as(Flaw::Header, &signed(&header, CLAIMS, key));
        }
    }
}

/// CVE-2022-21449 of Java, and other numbers that are none.
#[test]
fn signatures_of_p256_that_are_none() {
    let token = good(Algorithm::Es256);
    let message = token.rsplit_once('.').expect("has one").0;
    let order = hex("ffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551");
    let prime = hex("ffffffff00000001000000000000000000000000ffffffffffffffffffffffff");
    let (zero, one, all) = ([0; 32], hex(&format!("{:064x}", 1)), [0xff; 32]);
    for r in [&zero, &one, &order, &prime, &all] {
        for s in [&zero, &one, &order, &prime, &all] {
            let signature = [r.as_slice(), s].concat();
            refuse_as(Flaw::Signature, &format!("{message}.{}", base64url(&signature)));
        }
    }
    for length in [0, 1, 32, 63, 65, 96, 128] {
        refuse_as(Flaw::Signature, &format!("{message}.{}", base64url(&vec![0; length])));
        refuse_as(Flaw::Signature, &format!("{message}.{}", base64url(&vec![1; length])));
    }
    // DER, as X.509 has it and JOSE does not.
    let der = [&[0x30, 0x06, 0x02, 0x01, 0x01, 0x02, 0x01, 0x01][..]].concat();
    refuse_as(Flaw::Signature, &format!("{message}.{}", base64url(&der)));
}

fn hex(digits: &str) -> [u8; 32] {
    avain::base::encode::unhex(digits).expect("64 digits")
}

/// One token has one spelling: a respelt one would get around whoever remembers tokens.
#[test]
fn other_spellings() {
    for algorithm in Algorithm::ALL {
        let token = good(algorithm);
        let parts: Vec<&str> = token.split('.').collect();
        let [header, payload, signature] = parts.as_slice() else { panic!("three parts") };
        let mut spellings = vec![
            format!("{token}="),
            format!("{token}=="),
            format!("{header}=.{payload}.{signature}"),
            format!("{header}.{payload}=.{signature}"),
            format!("{token}\n"),
            format!(" {token}"),
            format!("{header}.{payload}.{signature}\0"),
            format!("{header}\n.{payload}.{signature}"),
            format!("{header}..{payload}.{signature}"),
            format!("{token}."),
            format!(".{token}"),
            format!("{token}.{signature}"),
            format!("{header}.{payload}"),
            format!("{header}.{payload}."),
            format!("{header}.{signature}"),
            format!("..{signature}"),
            format!("{header}..{signature}"),
            String::new(),
            ".".to_owned(),
            "..".to_owned(),
            "....".to_owned(),
            format!(
                r#"{{"payload":"{payload}","protected":"{header}","signature":"{signature}"}}"#
            ),
        ];
        // The bits behind the last byte of a signature.
        let last = signature.chars().last().expect("it is not empty");
        for other in "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_".chars() {
            if other != last {
                let start = &signature[..signature.len() - 1];
                spellings.push(format!("{header}.{payload}.{start}{other}"));
            }
        }
        for (from, to) in [("-", "+"), ("_", "/")] {
            if signature.contains(from) {
                spellings.push(format!("{header}.{payload}.{}", signature.replace(from, to)));
            }
        }
        for spelling in spellings {
            refuse(&spelling);
        }
    }
}

/// Nothing of a signed text can be changed, taken from another token, or left out.
#[test]
fn parts_of_other_tokens() {
    for algorithm in Algorithm::ALL {
        let token = good(algorithm);
        let forged = base64url(CLAIMS.replace(r#""user_id":"1""#, r#""user_id":"2""#).as_bytes());
        let parts: Vec<&str> = token.split('.').collect();
        refuse_as(Flaw::Signature, &format!("{}.{forged}.{}", parts[0], parts[2]));
        for other in Algorithm::ALL.into_iter().filter(|other| *other != algorithm) {
            let theirs = good(other);
            let signature = theirs.rsplit_once('.').expect("has one").1;
            refuse_as(Flaw::Signature, &format!("{}.{}.{signature}", parts[0], parts[1]));
            // The name of one algorithm over the signature of another.
            refuse_as(Flaw::Signature, &signed(&header(algorithm), CLAIMS, key(other)));
        }
        let stranger = generate(algorithm);
        refuse_as(Flaw::Signature, &signed(&header(algorithm), CLAIMS, &stranger));
        let alone = ring_of(&[Arc::new(stranger)]);
        refuse_in(&alone, &lenient(), &token);
    }
    let long = format!("{}.{}", good(Algorithm::Hs256), "A".repeat(1 << 20));
    refuse_as(Flaw::Malformed, &long);
    let padded = CLAIMS.replace("\"0a\"", &format!("\"{}\"", "a".repeat(8192)));
    refuse_as(Flaw::Malformed, &signed(&header(Algorithm::Hs256), &padded, key(Algorithm::Hs256)));
}

fn with_claims(claims: &str) -> String {
    signed(&header(Algorithm::Hs256), claims, key(Algorithm::Hs256))
}

/// Two readers of one token must not see two values.
#[test]
fn claims_that_stand_twice() {
    let names = ["token_type", "exp", "iat", "nbf", "jti", "iss", "sub", "aud", "sid", "user_id"];
    for name in names {
        for (first, second) in [("1795000300", "\"x\""), ("\"a\"", "\"a\""), ("1", "1")] {
            let twice = format!(r#"{{"{name}":{first},"{name}":{second}}}"#);
            let escaped = format!(
                r#"{{"{name}":{first},"\u00{:02x}{}":{second}}}"#,
                name.as_bytes()[0],
                &name[1..]
            );
            refuse_as(Flaw::Payload, &with_claims(&twice));
            refuse_as(Flaw::Payload, &with_claims(&escaped));
        }
    }
}

/// CVE-2026-25537 of jsonwebtoken: a time that is none is not a time that is absent.
#[test]
fn times_that_are_none() {
    for name in ["exp", "iat", "nbf"] {
        for value in [
            r#""1795000300""#,
            r#""99999999999""#,
            r#""""#,
            r#""soon""#,
            "null",
            "true",
            "false",
            "[]",
            "{}",
            "[1795000300]",
            r#"{"seconds":1}"#,
            "253402300800",
            "9223372036854775807",
            "9223372036854775808",
            "18446744073709551615",
            "18446744073709551616",
            "-9223372036854775809",
            "1e19",
            "1e300",
            "-1e300",
        ] {
            refuse_as(Flaw::Time, &with_claims(&format!(r#"{{"{name}":{value}}}"#)));
        }
        for value in ["1e999", "NaN", "Infinity", "0x7f", "01", "+1", "1.", "--1"] {
            refuse_as(Flaw::Payload, &with_claims(&format!(r#"{{"{name}":{value}}}"#)));
        }
    }
    for exp in ["1795000000", "1794999999", "0", "-1", "-253402300799", "1795000000.9", "1.795e9"] {
        assert_eq!(
            refuse(&with_claims(&format!(r#"{{"exp":{exp}}}"#))),
            Rejection::Expired,
            "{exp}"
        );
    }
    for name in ["iat", "nbf"] {
        refuse_as(Flaw::NotYet, &with_claims(&format!(r#"{{"{name}":1795000001}}"#)));
    }
}

#[test]
fn payloads_that_are_no_claims() {
    for payload in [
        "",
        "[]",
        "null",
        "1",
        "\"x\"",
        "{",
        "{}x",
        "{} {}",
        "{'exp':1}",
        "\u{feff}{}",
        "{\"exp\":1,}",
    ] {
        refuse_as(Flaw::Payload, &with_claims(payload));
    }
    // kanidm CVE-2026-46689: depth must not end the process.
    for name in ["exp", "aud", "else"] {
        let deep = format!(r#"{{"{name}":{}{}}}"#, "[".repeat(2500), "]".repeat(2500));
        let _ = judge(&RING, &lenient(), &with_claims(&deep), NOW);
        let open = format!(r#"{{"{name}":{}"#, "[".repeat(5000));
        refuse_as(Flaw::Payload, &with_claims(&open));
    }
}

#[test]
fn tokens_of_others() {
    let expect = Expectations {
        issuer: Some("avain".to_owned()),
        audience: Some("api".to_owned()),
        ..lenient()
    };
    let token = |issuer: &str, audience: &str| {
        with_claims(&format!(r#"{{"exp":1795000300{issuer}{audience}}}"#))
    };
    let (right_issuer, right_audience) = (r#","iss":"avain""#, r#","aud":["x","api"]"#);
    assert_eq!(judge(&RING, &expect, &token(right_issuer, right_audience), NOW), Ok(()));
    for issuer in
        ["", r#","iss":"Avain""#, r#","iss":"avain ""#, r#","iss":["avain"]"#, r#","iss":null"#]
    {
        let refused = refuse_in(&RING, &expect, &token(issuer, right_audience));
        assert_eq!(refused, Rejection::Invalid(Flaw::Issuer), "{issuer}");
    }
    for audience in [
        "",
        r#","aud":"apis""#,
        r#","aud":"x""#,
        r#","aud":[]"#,
        r#","aud":[["api"]]"#,
        r#","aud":["api",7]"#,
        r#","aud":{"api":1}"#,
        r#","aud":null"#,
        r#","aud":7"#,
        r#","aud":"api,x""#,
    ] {
        let refused = refuse_in(&RING, &expect, &token(right_issuer, audience));
        assert_eq!(refused, Rejection::Invalid(Flaw::Audience), "{audience}");
    }
    for text in [r#""jti":7"#, r#""jti":null"#, r#""sub":7"#, r#""sub":["1"]"#] {
        refuse_as(Flaw::Text, &with_claims(&format!(r#"{{"exp":1795000300,{text}}}"#)));
    }
}

/// A token is for one thing. (`typ` of the header is a text, and says nothing: the peers do not look.)
#[test]
fn tokens_of_another_kind() {
    let kinds = [
        (r#""token_type":"refresh","#, Rejection::WrongKind),
        (r#""token_type":"Access","#, Rejection::WrongKind),
        (r#""token_type":["access"],"#, Rejection::WrongKind),
        (r#""token_type":null,"#, Rejection::WrongKind),
        ("", Rejection::NoKind),
    ];
    for (kind, expected) in kinds {
        let token = with_claims(&CLAIMS.replace(r#""token_type":"access","#, kind));
        assert_eq!(require_access(&token), Err(expected), "{kind}");
    }
    let without = |member: &str| with_claims(&CLAIMS.replace(member, ""));
    assert_eq!(require_access(&without(r#""exp":1795000300,"#)), Err(Rejection::NoExpiry));
    assert_eq!(require_access(&without(r#""jti":"0a","#)), Err(Rejection::NoTokenId));
    assert_eq!(require_access(&with_claims(CLAIMS)), Ok(()));
    for typ in ["7", "null", "[]", "{}"] {
        let header = format!(r#"{{"alg":"HS256","typ":{typ}}}"#);
        refuse_as(Flaw::Header, &signed(&header, CLAIMS, key(Algorithm::Hs256)));
    }
}

fn require_access(token: &str) -> Result<(), Rejection> {
    let mut scratch = Scratch::default();
    let now = Timestamp::from_seconds(NOW);
    verify(&RING, &lenient(), token.as_bytes(), now, &mut scratch)?.require(Kind::Access)
}

/// Part of an HMAC is none.
#[test]
fn short_signatures() {
    let token = good(Algorithm::Hs256);
    let message = token.rsplit_once('.').expect("has one").0;
    let secret = key(Algorithm::Hs256).secret_text().expect("it is text");
    let secret = hmac::Key::new(hmac::HMAC_SHA256, secret.expose().as_bytes());
    let whole = hmac::sign(&secret, message.as_bytes());
    for length in 0..32 {
        let short = base64url(&whole.as_ref()[..length]);
        refuse_as(Flaw::Signature, &format!("{message}.{short}"));
    }
    let long = [whole.as_ref(), &[0]].concat();
    refuse_as(Flaw::Signature, &format!("{message}.{}", base64url(&long)));
}
