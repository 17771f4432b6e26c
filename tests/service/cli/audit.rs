//! `avain audit`.

use serde_json::{Value, json};

use super::Program;
use crate::harness::Engine;

#[test]
fn what_happened_is_found() {
    for engine in [Engine::Sqlite, Engine::Postgres] {
        let program = Program::new(engine);
        program.run(&["user", "create", "aino", "--no-password", "--staff"]).good();
        program.run(&["user", "create", "eino", "--no-password"]).good();
        program.run(&["user", "deactivate", "aino"]).good();
        program.run(&["token", "create", "eino"]).good();
        program.run(&["token", "revoke", "--user", "eino"]).good();
        program.run(&["user", "delete", "aino", "--yes"]).good();

        let told = |arguments: &[&str]| -> Vec<String> {
            let lines = program.run(&[&["audit", "--json"], arguments].concat()).json_lines();
            let name = |line: &Value| line["event"].as_str().expect("a name").to_owned();
            lines.iter().map(name).collect()
        };
        let of_eino = ["api_key_revoked", "api_key_created", "account_created"];
        assert_eq!(told(&["--user", "eino"]), of_eino);
        assert_eq!(told(&["--account", "1"]), ["deletion", "deactivation", "account_created"]);
        assert_eq!(told(&["--event", "api_key_created"]), ["api_key_created"]);
        assert_eq!(told(&["--since", "1h", "--limit", "1"]), ["deletion"]);
        assert_eq!(told(&["--until", "2001-01-01"]), [""; 0]);
        assert_eq!(told(&["--address", "192.0.2.1"]), [""; 0]);

        let first = program.run(&["audit", "--json", "--limit", "2"]).json_lines();
        let cursor =
            first.last().expect("two lines")["cursor"].as_str().expect("a text").to_owned();
        let rest = program.run(&["audit", "--json", "--after", &cursor]).json_lines();
        let (second, id) = cursor.split_once('.').expect("as pages write it");
        let hyphened = format!("{second}-{id}");
        let same = program.run(&["audit", "--json", "--after", &hyphened]).json_lines();
        assert_eq!(same, rest, "as it was written before");
        let all = program.run(&["audit", "--json"]).json_lines();
        assert_eq!([first, rest].concat(), all);

        let oldest = all.last().expect("there are events");
        assert_eq!(oldest["username"], "aino");
        assert_eq!(oldest["layout"], "command-line");
        assert_eq!(oldest["details"], json!({ "rank": "staff" }));
        assert!(program.run(&["audit"]).good().contains("aino (command-line) rank=staff"));

        program.run(&["audit", "--user", "aino"]).refused(1, "there is no account aino");
        program.run(&["audit", "--event", "sing_in"]).refused(64, "`avain audit --event list`");
        program.run(&["audit", "--since", "soon"]).refused(64, "want a date");
        program.run(&["audit", "--after", "x"]).refused(64, "no cursor");
        assert!(program.run(&["audit", "--event", "list"]).good().contains("refresh_reuse\n"));
    }
}
