//! `avain token inspect`: what a token says, and whether and why it would be accepted.

use avain::base::clock::{Clock as _, SystemClock};
use serde_json::{Value, json};

use super::Program;
use crate::harness::Engine;
use crate::jwt::{sign, sign_with};

const SECRET: &str = "another-service-signed-with-this-secret";

/// A program with an account, whose tokens were signed with [`SECRET`] before.
fn importing(engine: Engine) -> Program {
    let program = Program::new(engine).set("keys.import", &format!("hs256:{SECRET}"));
    program.user("aino");
    program
}

fn claims() -> Value {
    let now = SystemClock.now().seconds();
    json!({ "token_type": "access", "exp": now + 60, "iat": now - 60, "jti": "a", "user_id": "1" })
}

fn with(name: &str, value: Value) -> String {
    let mut claims = claims();
    claims[name] = value;
    sign(SECRET, &claims)
}

fn without(name: &str) -> String {
    let mut claims = claims();
    claims.as_object_mut().expect("is one").remove(name);
    sign(SECRET, &claims)
}

#[test]
fn accepted_and_refused_with_reasons() {
    for engine in [Engine::Sqlite, Engine::Postgres] {
        let program = importing(engine);
        let good = sign(SECRET, &claims());
        let report = program.run(&["token", "inspect", &good, "--json"]).json();
        assert_eq!(report["accepted"], json!(true));
        assert_eq!(report["reason"], Value::Null);
        assert_eq!(report["header"], json!({ "alg": "HS256", "typ": "JWT" }));
        assert_eq!(report["claims"]["user_id"], "1");
        for (arguments, input) in [(vec!["-"], &good), (vec![], &format!(" {good}\n"))] {
            let ran = program.run_with(&[&["token", "inspect"], &arguments[..]].concat(), input);
            assert!(ran.good().ends_with("accepted\n"), "{}", ran.out);
            assert!(ran.out.contains("token_type"), "{}", ran.out);
        }
        let now = SystemClock.now().seconds();
        let (header, rest) = good.split_once('.').expect("has three parts");
        for (token, reason) in [
            (
                "nonsense".to_owned(),
                "it is not three parts of canonical base64url, or it is too long",
            ),
            (
                format!("{header}.{rest}="),
                "it is not three parts of canonical base64url, or it is too long",
            ),
            (
                sign("some other secret of enough length.", &claims()),
                "no key of ours made its signature",
            ),
            (
                sign_with(SECRET, &json!({ "alg": "none" }), &claims()),
                "its algorithm is none of ours",
            ),
            (
                sign_with(SECRET, &json!({ "alg": "HS256", "crit": ["x"] }), &claims()),
                "its header is no JSON object, or asks for an extension (crit)",
            ),
            (
                sign(SECRET, &json!([])),
                "its payload is no JSON object, or a claim stands in it twice",
            ),
            (with("exp", json!(now - 1)), "it has expired"),
            (with("exp", json!("soon")), "a time in it is no number, or lies beyond the year 9999"),
            (with("nbf", json!(now + 600)), "it is dated in the future (iat or nbf)"),
            (with("jti", json!(1)), "its jti or sub is no text"),
            (without("exp"), "it has no exp"),
            (without("jti"), "it has no jti"),
            (without("token_type"), "it has no token_type"),
            (with("token_type", json!("x")), "its token_type is neither access nor refresh"),
            (without("user_id"), "it names no account"),
            (with("user_id", json!("x")), "its user id cannot be an account's"),
            (with("user_id", json!(999)), "there is no account 999"),
        ] {
            let ran = program.run(&["token", "inspect", &token]);
            assert_eq!(ran.code, 1, "{}", ran.out);
            assert!(ran.out.ends_with(&format!("refused: {reason}\n")), "{reason} in {}", ran.out);
            let ran = program.run(&["token", "inspect", &token, "--json"]);
            let report: Value = serde_json::from_str(&ran.out).expect("is JSON");
            assert_eq!((&report["accepted"], &report["reason"]), (&json!(false), &json!(reason)));
        }
        program.run(&["user", "sign-out", "aino"]).good();
        let ran = program.run(&["token", "inspect", &good]);
        assert!(ran.out.contains("refused: it was taken back"), "{}", ran.out);
        program.run(&["user", "deactivate", "aino"]).good();
        let ran = program.run(&["token", "inspect", &good]);
        assert!(ran.out.contains("refused: account aino is switched off"), "{}", ran.out);
    }
}

#[test]
fn by_a_key_in_a_file() {
    let program = Program::new(Engine::Sqlite);
    let good = sign(SECRET, &claims());
    let expired = with("exp", json!(1));
    let secret = program.file("secret", &format!("hs256:{SECRET}"));
    let k = avain::base::encode::base64url(SECRET.as_bytes());
    let jwk = program.file("jwk", &json!({ "kty": "oct", "k": k }).to_string());
    // RFC 8037 A.4: Ed25519 over a text that is no JSON.
    let ed_jwk = program.file(
        "ed",
        r#"{"kty":"OKP","crv":"Ed25519","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}"#,
    );
    let ed_pem = program.file(
        "ed.pem",
        "-----BEGIN PUBLIC KEY-----\nMCowBQYDK2VwAyEA11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=\n-----END PUBLIC KEY-----\n",
    );
    let ed = "eyJhbGciOiJFZERTQSJ9.RXhhbXBsZSBvZiBFZDI1NTE5IHNpZ25pbmc.hgyY0il_MGCjP0JzlnLWG1PPOt7-09PGcvMg3AIbQR6dWbhijcNR4ki4iylGjg5BhVsPt9g7sVvpAr_MuM0KAg";
    for (file, token) in
        [(&secret, &*good), (&jwk, &good), (&secret, &expired), (&ed_jwk, ed), (&ed_pem, ed)]
    {
        let ran = program.run(&["token", "inspect", "--key", file, token]);
        assert!(
            ran.good().ends_with("accepted\n"),
            "{file}: only the signature is judged: {}",
            ran.out
        );
    }
    for (file, token) in [(&ed_jwk, &*good), (&secret, ed)] {
        let ran = program.run(&["token", "inspect", "--key", file, token]);
        assert_eq!(ran.code, 1);
        assert!(
            ran.out.contains("refused: its `alg` is not the algorithm of the key"),
            "{}",
            ran.out
        );
    }
    let forged = sign("some other secret of enough length.", &claims());
    let ran = program.run(&["token", "inspect", "--key", &secret, &forged]);
    assert!(ran.out.contains("refused: its signature does not match the key"), "{}", ran.out);
    program
        .run(&["token", "inspect", "--key", "/nonexistent", "x"])
        .refused(64, "cannot read /nonexistent");
    let nonsense = program.file("nonsense", "x");
    assert_eq!(program.run(&["token", "inspect", "--key", &nonsense, "x"]).code, 64);
    let no_database =
        !std::path::Path::new(program.database.url.trim_start_matches("sqlite:")).exists();
    assert!(no_database, "no database was needed");
}

#[test]
fn in_batches() {
    let program = Program::new(Engine::Sqlite);
    let good = sign(SECRET, &claims());
    let k = avain::base::encode::base64url(SECRET.as_bytes());
    let jwk = json!({ "kty": "oct", "k": k, "alg": "HS256" });
    let other = json!({ "kty": "oct", "k": avain::base::encode::base64url(&[7; 32]) });
    let lines = [
        (json!({ "jws": good, "jwk": jwk }).to_string(), "valid"),
        (json!({ "jws": good, "jwk": other }).to_string(), "invalid"),
        (json!({ "jws": good }).to_string(), "invalid"),
        (json!({ "jws": { "payload": "x" }, "jwk": jwk }).to_string(), "invalid"),
        (json!({ "jws": format!("{good}x"), "jwk": jwk }).to_string(), "invalid"),
        ("nonsense".to_owned(), "invalid"),
        (json!({ "jws": "", "jwk": {} }).to_string(), "invalid"),
    ];
    let input: Vec<&str> = lines.iter().map(|(line, _)| line.as_str()).collect();
    let ran = program.run_with(&["token", "inspect", "--batch"], &input.join("\n"));
    let expected: Vec<&str> = lines.iter().map(|(_, verdict)| *verdict).collect();
    assert_eq!(ran.good().lines().collect::<Vec<_>>(), expected);
    let secret = program.file("secret", &format!("hs256:{SECRET}"));
    let line = json!({ "jws": good }).to_string();
    let ran = program.run_with(&["token", "inspect", "--batch", "--key", &secret], &line);
    assert_eq!(ran.good(), "valid\n");
}
