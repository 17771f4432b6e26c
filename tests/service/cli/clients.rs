//! `avain client …`, and what it does to a running service.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use super::serving::Serving;
use super::{Program, Ran};
use crate::client::{Answer, Request};
use crate::harness::Engine;
use crate::support::block_on;

/// The secret that was printed.
fn secret(ran: &Ran) -> String {
    let line = ran.good().lines().find_map(|line| line.strip_prefix("client_secret"));
    line.expect("it is printed").trim().to_owned()
}

fn events(program: &Program) -> Vec<(String, String)> {
    let lines = program.run(&["audit", "--json"]).json_lines();
    let text = |value: &Value| value.as_str().expect("is text").to_owned();
    let clients = lines.iter().filter(|line| line["details"].get("client").is_some());
    clients.map(|line| (text(&line["event"]), text(&line["details"]["what"]))).collect()
}

#[test]
fn they_are_registered_shown_changed_and_deleted() {
    for engine in [Engine::Sqlite, Engine::Postgres] {
        let program = Program::new(engine);
        program.user("robot");
        let made = program.run(&[
            "client",
            "create",
            "reports",
            "--name",
            "Nightly reports",
            "--grant",
            "client_credentials",
            "--account",
            "robot",
            "--scope",
            "reports:read",
            "--scope",
            "reports:write",
        ]);
        let first = secret(&made);
        assert!(first.starts_with("avcs_") && made.out.starts_with("client_id      reports\n"));
        let shop =
            program.run(&["client", "create", "shop", "--scope", "introspect", "--json"]).json();
        assert_eq!(shop["client_id"], "shop");
        let shop = shop["client_secret"].as_str().expect("it is shown this once").to_owned();

        let listed = program.run(&["client", "list", "--json"]).json_lines();
        let told: Vec<_> = listed.iter().map(|client| client["client_id"].clone()).collect();
        assert_eq!(told, ["reports", "shop"]);
        let shown = program.run(&["client", "show", "reports", "--json"]).json();
        assert_eq!(shown, listed[0]);
        let expected = ("Nightly reports", "reports:read reports:write", "robot");
        let text = |name: &str| shown[name].as_str().expect("is text");
        assert_eq!((text("name"), text("scope"), text("account")), expected);
        assert_eq!(shown["grant_types"], json!(["client_credentials"]));
        assert_eq!((&shown["disabled_at"], &shown["last_used_at"]), (&json!(null), &json!(null)));
        let secrets = shown["secrets"].as_array().expect("is a list").len();
        assert_eq!(secrets, 1);

        let second = secret(&program.run(&["client", "rotate", "reports", "--overlap", "2d"]));
        assert_ne!(first, second);
        let shown = program.run(&["client", "show", "reports", "--json"]).json();
        let ends: Vec<_> = shown["secrets"]
            .as_array()
            .expect("is a list")
            .iter()
            .map(|one| one["ends_at"].is_null())
            .collect();
        assert_eq!(
            ends.iter().filter(|unending| **unending).count(),
            1,
            "the old one has an end: {ends:?}"
        );
        let edit = |arguments: &[&str]| {
            program.run(&[&["client", "edit", "reports"], arguments].concat()).good();
            program.run(&["client", "show", "reports", "--json"]).json()
        };
        let kept = shown["account"].clone();
        let shown = edit(&["--scope", "a", "--scope", "b"]);
        assert_eq!((&shown["scope"], &shown["account"]), (&json!("a b"), &kept));
        assert_eq!(shown["grant_types"], json!(["client_credentials"]), "what is not named stays");
        let shown =
            edit(&["--no-account", "--name", "Again", "--grant", "refresh_token", "--scope", ""]);
        assert_eq!((&shown["name"], &shown["account"]), (&json!("Again"), &json!(null)));
        assert_eq!(
            (&shown["grant_types"], &shown["scope"]),
            (&json!(["refresh_token"]), &json!(""))
        );
        program.run(&["client", "disable", "reports"]).good();
        assert!(program.run(&["client", "list"]).good().contains("reports                  off "));
        assert!(!program.run(&["client", "show", "reports"]).good().contains(&second));
        program.run(&["client", "enable", "reports"]).good();
        program.run(&["client", "delete", "reports"]).good();
        assert_eq!(program.run(&["client", "list", "--json"]).json()["client_id"], "shop");

        for printed in ["list", "show"] {
            let arguments: &[&str] = if printed == "list" {
                &["client", "list", "--json"]
            } else {
                &["client", "show", "shop", "--json"]
            };
            assert!(!program.run(arguments).good().contains(&shop), "a secret is shown once");
        }
        let whats = [
            "deleted",
            "on",
            "off",
            "edited",
            "edited",
            "another secret",
            "registered",
            "registered",
        ];
        let told = events(&program);
        assert_eq!(told.iter().map(|(_, what)| what.as_str()).collect::<Vec<_>>(), whats);
        assert_eq!((told[0].0.as_str(), told[1].0.as_str()), ("client_deleted", "client_changed"));
        let audited = program.run(&["audit", "--json"]);
        assert!(!audited.good().contains("avcs_"));
    }
}

#[test]
fn what_cannot_be_is_one_clear_line() {
    let program = Program::new(Engine::Sqlite);
    program.run(&["client", "create", "shop"]).good();
    let run = |arguments: &[&str]| program.run(&[&["client"], arguments].concat());
    run(&["create", "shop"]).refused(1, "there is a client shop already");
    run(&["create", "a b"]).refused(64, "a b is no client id: write letters, digits, - . _ and ~");
    run(&["create", "x", "--grant", "password"]).refused(64, "neither client_credentials nor");
    run(&["create", "x", "--scope", "a\"b"]).refused(64, "scopes are words of ASCII");
    run(&["create", "x", "--account", "nobody"]).refused(1, "there is no account nobody");
    run(&["edit", "nobody", "--name", "x"]).refused(1, "there is no client nobody");
    for verb in ["show", "rotate", "disable", "enable", "delete"] {
        run(&[verb, "nobody"])
            .refused(1, "there is no client nobody; `avain client list` lists them");
    }
    run(&["enable", "shop"]).refused(1, "client shop is on already");
    run(&["rotate", "shop", "--overlap", "1s"])
        .refused(1, "let the old secret overlap at least as long");
    run(&["rotate", "shop", "--overlap", "soon"]).refused(64, "--overlap soon: write 1d, 12h or 0");
    assert_eq!(run(&["list"]).good().lines().count(), 1, "nothing was made");
}

async fn ask(serving: &Serving, id: &str, secret: &str) -> Answer {
    let basic = format!("Basic {}", STANDARD.encode(format!("{id}:{secret}")));
    let request = Request::new("POST", "/oauth/token").header("Authorization", basic);
    let form = "grant_type=client_credentials";
    let request = request.body("application/x-www-form-urlencoded", form);
    crate::client::Connection::tcp(serving.public).await.ask(&request).await
}

#[test]
fn a_running_service_knows_it_at_once() {
    for engine in [Engine::Sqlite, Engine::Postgres] {
        let program = Program::new(engine);
        block_on(async {
            let serving = Serving::start(&program).await;
            let made =
                program.run(&["client", "create", "reports", "--grant", "client_credentials"]);
            let first = secret(&made);
            assert_eq!(ask(&serving, "reports", &first).await.status, 200);
            let rotated = program.run(&["client", "rotate", "reports", "--overlap", "0"]);
            let second = secret(&rotated);
            assert_eq!(ask(&serving, "reports", &first).await.status, 401);
            assert_eq!(ask(&serving, "reports", &second).await.status, 200);
            for (verb, status) in [("disable", 401), ("enable", 200), ("delete", 401)] {
                program.run(&["client", verb, "reports"]).good();
                assert_eq!(ask(&serving, "reports", &second).await.status, status, "{verb}");
            }
        });
    }
}
