//! `avain key …`, and what it does to tokens.

use serde_json::{Value, json};

use super::Program;
use crate::harness::Engine;

/// The keys for tokens: state by id.
fn keys(program: &Program) -> Vec<(String, String)> {
    let keys = program.run(&["key", "list", "--json"]).json_lines();
    let text = |key: &Value, name: &str| key[name].as_str().expect("is text").to_owned();
    keys.iter()
        .filter(|key| key["purpose"] == "token")
        .map(|key| (text(key, "id"), text(key, "state")))
        .collect()
}

fn word(printed: &str, at: usize) -> String {
    printed.split_whitespace().nth(at).expect("it says so").to_owned()
}

#[test]
fn keys_are_made_rotated_and_retired() {
    for engine in [Engine::Sqlite, Engine::Postgres] {
        let program = Program::new(engine);
        let made = program.run(&["key", "generate", "--algorithm", "EdDSA"]);
        let first = word(made.good(), 1);
        assert_eq!(keys(&program), [(first.clone(), "published".to_owned())]);
        let rotated = program.run(&["key", "rotate", &first]);
        assert_eq!(rotated.good(), format!("Key {first} signs from now on.\n"));
        let again = program.run(&["key", "rotate", &first]);
        assert_eq!(again.good(), format!("Key {first} signs already; nothing is changed.\n"));
        let second = word(program.run(&["key", "rotate", "--algorithm", "ES256"]).good(), 1);
        let mut found = keys(&program);
        found.sort();
        let mut expected =
            [(first.clone(), "verifying".to_owned()), (second.clone(), "signing".to_owned())];
        expected.sort();
        assert_eq!(found, expected);
        program
            .run(&["key", "retire", &second])
            .refused(1, "the key that signs cannot be: rotate first");
        let retired = program.run(&["key", "retire", &first]);
        assert_eq!(retired.good(), format!("Key {first} is retired; what it signed is refused.\n"));
        program.run(&["key", "rotate", &first]).refused(1, "there is no key");
        program.run(&["key", "retire", "nonsense"]).refused(1, "there is no key nonsense");
        program.run(&["key", "rotate", "no id!"]).refused(64, "no id! is no key id");
        program
            .run(&["key", "generate", "--algorithm", "none"])
            .refused(64, "none is none of HS256");
        assert!(program.run(&["key", "public"]).good().starts_with("-----BEGIN PUBLIC KEY-----\n"));
        program.run(&["key", "public", "x"]).refused(1, "there is no key x in use");
    }
}

#[test]
fn a_key_is_killed_also_while_it_signs() {
    for engine in [Engine::Sqlite, Engine::Postgres] {
        let program = Program::new(engine);
        let first = word(program.run(&["key", "rotate"]).good(), 1);
        let killed =
            program.run(&["key", "kill", &first, "--algorithm", "ES256"]).good().to_owned();
        let successor = word(killed.lines().last().expect("it says what signs"), 1);
        assert_eq!(
            killed,
            format!(
                "Key {first} is out of use; everything that it signed is refused.\n\
                 Key {successor} signs in its place.\n"
            )
        );
        let mut expected =
            [(first.clone(), "retired".to_owned()), (successor.clone(), "signing".to_owned())];
        expected.sort();
        let mut found = keys(&program);
        found.sort();
        assert_eq!(found, expected);
        let next = word(program.run(&["key", "generate"]).good(), 1);
        program.run(&["key", "kill", &next]).good();
        program.run(&["key", "kill", &first]).refused(1, "in use");
        program.run(&["key", "kill", "no id!"]).refused(64, "no id! is no key id");
        let next = word(program.run(&["key", "generate"]).good(), 1);
        let killed = program.run(&["key", "kill", &successor]).good().to_owned();
        assert!(killed.ends_with(&format!("Key {next} signs in its place.\n")), "{killed}");
        program.run(&["key", "phantom"]).good();
        let phantom = program.run(&["key", "list", "--json"]).json_lines();
        let phantom = phantom.iter().find(|key| key["purpose"] == "phantom").expect("it is made");
        let phantom = phantom["id"].as_str().expect("is text");
        program.run(&["key", "kill", phantom]).refused(1, "is for phantom tokens");
    }
}

#[test]
fn keys_are_imported_and_weak_ones_refused() {
    let program = Program::new(Engine::Sqlite);
    let secret = program.file("secret", "hs256:a secret that another service signed with\n");
    let imported = program.run(&["key", "import", &secret]);
    let id = word(imported.good(), 1);
    assert_eq!(keys(&program), [(id.clone(), "signing".to_owned())]);
    let listed = program.run(&["key", "list", "--json"]).json();
    assert!(listed["imported_at"].is_string(), "{listed}");
    assert_eq!(listed["algorithm"], "HS256");
    program
        .run(&["key", "import", &secret])
        .refused(1, &format!("key {id} is in the store already"));
    program.run(&["key", "public"]).refused(64, "is a secret; it has no public half");
    let other = program.file("other", "hs256:another secret, of which tokens are verified");
    assert!(
        program.run(&["key", "import", &other, "--verify-only"]).good().ends_with("verifies.\n")
    );
    for (name, text) in [
        ("short", "hs256:short"),
        ("empty", ""),
        ("text", "certainly no key"),
        (
            "public",
            "-----BEGIN PUBLIC KEY-----\nMCowBQYDK2VwAyEAGb9ECWmEzf6FQbrBZ9w7lshQhqowtrbLDFw4rXAxZuE=\n-----END PUBLIC KEY-----\n",
        ),
        ("broken", "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n"),
        (
            "swapped",
            "hs256:-----BEGIN PUBLIC KEY-----\nMCowBQYDK2VwAyEAGb9ECWmEzf6FQbrBZ9w7lshQhqowtrbLDFw4rXAxZuE=\n",
        ),
    ] {
        let file = program.file(name, text);
        let ran = program.run(&["key", "import", &file]);
        assert_eq!((ran.code, ran.err.lines().count()), (64, 1), "{name}: {}", ran.err);
    }
    program.run(&["key", "import", "/nonexistent"]).refused(64, "cannot read /nonexistent");
    assert_eq!(keys(&program).len(), 2, "nothing else came in");
}

#[test]
fn the_backend_is_told_its_key() {
    let program = Program::new(Engine::Sqlite);
    let secret = program.run(&["key", "phantom"]).good().to_owned();
    assert!(secret.trim_end().len() >= 32, "{secret}");
    assert_eq!(program.run(&["key", "phantom"]).good(), secret, "it is kept");
    let configured = Program::new(Engine::Sqlite)
        .set("gate.phantom_key", "hs256:a secret that the backend has already");
    assert_eq!(
        configured.run(&["key", "phantom"]).good(),
        "a secret that the backend has already\n"
    );
    let rsa = Program::new(Engine::Sqlite).set("gate.phantom_algorithm", "RS256");
    assert!(rsa.run(&["key", "phantom"]).good().starts_with("-----BEGIN PUBLIC KEY-----"));
}

#[test]
fn the_master_key_is_made_beside_the_database_and_is_private() {
    use std::os::unix::fs::PermissionsExt as _;
    let program = Program::new(Engine::Sqlite);
    program.run(&["key", "generate"]).good();
    let path = program.database.url.strip_prefix("sqlite:").expect("is SQLite").to_owned();
    let path = format!("{path}.master-key");
    let mode = std::fs::metadata(&path).expect("it was made").permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    let kept = std::fs::read_to_string(&path).expect("it can be read");
    program.run(&["key", "rotate"]).good();
    assert_eq!(std::fs::read_to_string(&path).expect("it is there"), kept, "it is kept");
    std::fs::write(&path, "nonsense").expect("it can be written");
    program.run(&["key", "list"]).refused(1, "master key in ");
    std::fs::write(&path, "f".repeat(64)).expect("it can be written");
    program.run(&["key", "public"]).refused(1, "signing key ");
    assert_eq!(json!(program.run(&["key", "list", "--json"]).json_lines().len()), json!(3));
}
