//! `avain user …`, `avain token …` and `avain createsuperuser`.

use serde_json::json;

use super::{Program, finish};
use crate::harness::Engine;

fn on_both(test: fn(Program)) {
    for engine in [Engine::Sqlite, Engine::Postgres] {
        test(Program::new(engine));
    }
}

#[test]
fn accounts_are_made_shown_changed_and_deleted() {
    on_both(|program| {
        let create = ["user", "create", "aino", "--email", "a@example.org", "--first-name", "Äinö"];
        let made = program.run_with(
            &[&create[..], &["--staff", "--password-stdin", "--force", "--json"]].concat(),
            "s3cret\n",
        );
        assert_eq!(made.json(), json!({ "id": 1, "username": "aino" }));
        assert_eq!(
            program.run(&["user", "create", "eino", "--no-password", "--inactive"]).good(),
            "Account eino created, id 2.\n"
        );
        let mut shown = program.run(&["user", "show", "aino", "--json"]).json();
        let joined = shown.as_object_mut().and_then(|shown| shown.remove("date_joined"));
        assert!(joined.is_some_and(|at| at.as_str().is_some_and(|at| at.ends_with('Z'))));
        assert_eq!(
            shown,
            json!({
                "id": 1, "username": "aino", "email": "a@example.org", "first_name": "Äinö", "last_name": "",
                "is_active": true, "is_staff": true, "is_superuser": false, "last_login": null,
            })
        );
        let listed = program.run(&["user", "list", "--json"]).json_lines();
        let names: Vec<_> = listed.iter().map(|account| account["username"].clone()).collect();
        assert_eq!(names, ["aino", "eino"]);
        assert_eq!(program.run(&["user", "list", "--after", "1", "--json"]).json_lines().len(), 1);
        assert_eq!(program.run(&["user", "list", "--limit", "1", "--json"]).json_lines().len(), 1);
        assert!(program.run(&["user", "show", "eino"]).good().contains("is_active     false\n"));

        program.run(&["user", "edit", "aino", "--last-name", "X", "--staff", "false"]).good();
        let shown = program.run(&["user", "show", "aino", "--json"]).json();
        assert_eq!((&shown["last_name"], &shown["is_staff"]), (&json!("X"), &json!(false)));
        assert_eq!(shown["first_name"], "Äinö", "what is not named stays");

        assert_eq!(
            program.run(&["user", "activate", "eino"]).good(),
            "Account eino is switched on.\n"
        );
        assert_eq!(
            program.run(&["user", "activate", "eino"]).good(),
            "Account eino was on already.\n"
        );
        assert_eq!(
            program.run(&["user", "deactivate", "eino"]).good(),
            "Account eino is switched off.\n"
        );
        let set = ["user", "set-password", "eino", "--password-stdin"];
        program
            .run_with(&set, "x\n")
            .refused(64, "too short. It must contain at least 8 characters");
        program.run_with(&[&set[..], &["--force"]].concat(), "x\n").good();
        program.run(&["user", "set-password", "eino", "--unusable"]).good();
        program.run(&["user", "sign-out", "eino"]).good();
        program.run(&["user", "delete", "eino"]).refused(64, "say --yes to delete");
        assert_eq!(
            program.run(&["user", "delete", "eino", "--yes"]).good(),
            "Account eino is deleted.\n"
        );
        for command in ["show", "activate", "deactivate", "sign-out", "edit"] {
            program.run(&["user", command, "eino"]).refused(1, "there is no account eino");
        }
        program.run(&["user", "delete", "eino", "--yes"]).refused(1, "there is no account eino");
        program.run(&["token", "create", "eino"]).refused(1, "there is no account eino");
    });
}

#[test]
fn what_cannot_be_an_account_is_refused() {
    let program = Program::new(Engine::Sqlite);
    program.user("aino");
    let create = |name: &str| program.run(&["user", "create", name, "--no-password"]);
    create("aino").refused(1, "there is an account aino already");
    create("ａｉｎｏ").refused(1, "there is an account aino already");
    create("a b").refused(1, "a user name has only letters, digits and @ . + - _");
    create("").refused(1, "a user name must not be blank");
    create(&"x".repeat(151)).refused(1, "a user name has at most 150 characters");
    let long = "x".repeat(255);
    program
        .run(&["user", "create", "x", "--no-password", "--email", &long])
        .refused(1, "the e-mail address has more than 254 characters");
    program.run(&["user", "create", "x"]).refused(64, "--password-stdin or --no-password");
    let stdin = ["user", "create", "x", "--password-stdin"];
    program.run(&stdin).refused(64, "standard input ended before the answer");
    program.run_with(&stdin, "\n").refused(64, "there is no password on standard input");
    program.run_with(&stdin, "a\0b\n").refused(64, "a password must not hold a NUL character");
    assert_eq!(program.run(&["user", "list", "--json"]).json_lines().len(), 1, "nothing was made");
}

#[test]
fn a_password_that_breaks_the_rules_is_taken_on_demand_alone() {
    let program = Program::new(Engine::Sqlite);
    let create = ["user", "create", "aino", "--email", "meikku@example.org", "--password-stdin"];
    let refused = program.run_with(&create, "meikku1\n");
    refused.refused(64, "The password is too similar to the email address.");
    assert!(refused.err.contains("--force takes it all the same"), "{}", refused.err);
    let lenient = ["--set=passwords.similarity=off", "--set=passwords.minimum_length=3"];
    program.run_with(&[&create[..], &lenient].concat(), "meikku1\n").good();
    program.run(&["user", "create", "eino", "--no-password", "--password-stdin"]).code_is(64);
}

#[test]
fn addresses_are_those_of_one_account_where_the_site_wants_it() {
    on_both(|program| {
        program.user("before");
        let program = program.set("account.unique_email", "on").set("account.email_login", "on");
        let create = |name: &str, email: &str| {
            let arguments = ["user", "create", name, "--email", email, "--password-stdin"];
            program.run_with(&arguments, "Corr3ct-horse-9\n")
        };
        create("aino", "").refused(64, "say --email or --no-password");
        create("aino", "Aino@example.org").good();
        create("eino", "aino@example.org").refused(1, "account aino has the address");
        program.run(&["user", "create", "robot", "--no-password"]).good();
        program
            .run(&["user", "edit", "robot", "--email", "AINO@example.org"])
            .refused(1, "account aino has the address");
        program.run(&["user", "edit", "aino", "--email", "aino@example.org"]).good();
        // An account is found by its address too.
        let shown = program.run(&["user", "show", "AINO@example.org", "--json"]).json();
        assert_eq!(shown["username"], json!("aino"));
        program.run(&["user", "show", "nobody@example.org"]).refused(1, "there is no account");
        let lines = "{\"username\": \"one\", \"email\": \"aino@example.org\"}\n";
        let imported = program.run_with(&["user", "import"], lines);
        assert_eq!(imported.code, 1, "{}", imported.out);
        assert!(imported.err.contains("line 1: account aino has the address"), "{}", imported.err);
        let warned = program.run(&["check"]);
        let sentence = "account.email_login: 1 accounts with a password have no address";
        assert!(warned.good().contains(sentence), "{}", warned.out);
        assert!(!warned.out.contains("account.unique_email"), "{}", warned.out);
    });
}

#[test]
fn an_account_is_unlocked() {
    on_both(|program| {
        program.user("aino");
        assert_eq!(
            program.run(&["user", "unlock", "aino"]).good(),
            "Account aino was not locked.\n"
        );
        program.run(&["user", "unlock", "eino"]).refused(1, "there is no account eino");
    });
}

#[test]
fn superusers_come_from_the_environment() {
    for prefix in ["DJANGO", "AVAIN"] {
        let program = Program::new(Engine::Sqlite);
        let run = |variables: &[(&str, &str)], arguments: &[&str]| {
            let mut command = program.command(&[&["createsuperuser"], arguments].concat());
            for (name, value) in variables {
                command.env(format!("{prefix}_SUPERUSER_{name}"), value);
            }
            finish(command.spawn().expect("it starts"), "")
        };
        let password = ("PASSWORD", "s3cret");
        run(&[], &["--no-input"])
            .refused(64, "--no-input needs username: set DJANGO_SUPERUSER_USERNAME");
        run(&[("USERNAME", "root")], &["--no-input"]).refused(64, "needs password");
        let made = run(&[("USERNAME", "root"), ("EMAIL", "r@x"), password], &["--noinput"]);
        assert_eq!(made.good(), "Superuser root created.\n");
        run(&[("USERNAME", "root"), password], &["--no-input"]).refused(1, "account root already");
        run(&[password], &["--no-input", "--username", "two"]).good();
        let shown = program.run(&["user", "show", "root", "--json"]).json();
        assert_eq!(
            (&shown["is_staff"], &shown["is_superuser"], &shown["email"]),
            (&json!(true), &json!(true), &json!("r@x"))
        );
        // Asked: the answers come from standard input, the questions go to standard error.
        let child = program.command(&["createsuperuser"]).spawn().expect("it starts");
        let answers = "three\n\nleft\nright\nsame\nsame\nno\nthree333\nthree333\nyes\n";
        let asked = finish(child, answers);
        assert_eq!(asked.code, 0, "{}", asked.err);
        assert!(asked.err.contains("This password is too short."), "{}", asked.err);
        assert!(
            asked.err.contains("The password is too similar to the username."),
            "{}",
            asked.err
        );
        assert!(asked.err.contains("The two passwords differ."), "{}", asked.err);
        assert_eq!(asked.out, "Superuser three created.\n");
    }
}

#[test]
fn accounts_are_imported_line_by_line() {
    on_both(|program| {
        let encoded =
            "pbkdf2_sha256$150000$fixedSALT012$4fORz6rP6dr6sgzWM4pGAVxEbnKEnngYq/JGFELQaeA=";
        let lines = format!(
            "{{\"username\": \"aino\", \"password\": \"s3cret\", \"is_staff\": true}}\n\n\
             {{\"username\": \"eino\", \"encoded\": \"{encoded}\", \"email\": \"e@x\"}}\n\
             {{\"username\": \"veli\", \"password\": null, \"is_active\": false}}\n"
        );
        let imported = program.run_with(&["user", "import"], &lines);
        assert_eq!(imported.good(), "3 accounts made, 0 lines refused.\n");
        let stored = |name: &str| program.run(&["user", "show", name, "--json"]).json();
        assert_eq!(stored("aino")["is_staff"], json!(true));
        assert_eq!(stored("eino")["email"], json!("e@x"));
        assert_eq!(stored("veli")["is_active"], json!(false));

        let file = program.file(
            "bad.jsonl",
            "{\"username\": \"aino\"}\nnonsense\n{\"username\": \"a\", \"pasword\": \"x\"}\n\
             {\"username\": \"a\", \"password\": \"x\", \"encoded\": \"y\"}\n{\"username\": \"good\"}\n{\"username\": \"a b\"}\n",
        );
        let refused = program.run(&["user", "import", &file]);
        assert_eq!(refused.code, 1);
        assert_eq!(refused.out, "1 accounts made, 5 lines refused.\n");
        for line in
            ["line 1: there is an account aino", "line 2: ", "line 3: ", "line 4: ", "line 6: "]
        {
            assert!(refused.err.contains(line), "{line} in {}", refused.err);
        }
        program.run(&["user", "import", "/nonexistent"]).refused(64, "cannot read /nonexistent");
    });
}

#[test]
fn api_keys_are_made_listed_and_revoked() {
    on_both(|program| {
        program.user("aino");
        let made = program.run(&["token", "create", "aino", "--json"]).json();
        assert_eq!(made["username"], "aino");
        let key = made["key"].as_str().expect("is text").to_owned();
        assert!(key.len() == 40 && key.bytes().all(|byte| byte.is_ascii_hexdigit()), "{key}");
        assert_eq!(
            program.run(&["token", "create", "aino"]).good(),
            format!("{key}\n"),
            "the same"
        );
        let listed = program.run(&["token", "list", "--json"]);
        assert!(!listed.out.contains(&key), "a list shows no whole key");
        let listed = listed.json();
        assert_eq!(listed["key_begins"], key[..8]);
        assert_eq!((&listed["username"], &listed["user_id"]), (&json!("aino"), &json!(1)));
        assert!(
            program.run(&["token", "list"]).good().starts_with(&format!("{}…  aino", &key[..8]))
        );

        assert_eq!(program.run(&["token", "revoke", &key]).good(), "The key is revoked.\n");
        program.run(&["token", "revoke", &key]).refused(1, "there is no such key");
        program.run(&["token", "revoke", "--user", "aino"]).refused(1, "there is no such key");
        let other = program.run(&["token", "create", "aino"]).good().to_owned();
        assert_ne!(other, format!("{key}\n"));
        program.run(&["token", "revoke", "--user", "aino"]).good();
        assert_eq!(program.run(&["token", "list", "--json"]).good(), "");
        assert_eq!(program.run(&["token", "revoke"]).code, 64, "what?");
    });
}

#[test]
fn keys_of_our_own_are_made_listed_rotated_and_revoked() {
    on_both(|program| {
        program.user("aino");
        let made = program.run(&[
            "token",
            "create",
            "aino",
            "--name",
            "import",
            "--scope",
            "GET:/api/**",
            "--scope",
            "x",
            "--network",
            "192.0.2.0/24",
            "--rate",
            "60",
            "--expires-in",
            "90d",
            "--json",
        ]);
        let made = made.json();
        let key = made["key"].as_str().expect("is text").to_owned();
        assert!(key.starts_with("avn_") && key.len() == 42, "{key}");
        assert_eq!((&made["scope"], &made["rate"]), (&json!("x GET:/api/**"), &json!(60)));
        let report = program.run(&["token", "inspect", &key, "--json"]).json();
        assert_eq!((&report["accepted"], &report["key"]["name"]), (&json!(true), &json!("import")));
        let plain =
            program.run(&["token", "create", "aino", "--name", "x"]).good().trim().to_owned();
        let classic = program.run(&["token", "create", "aino"]).good().trim().to_owned();
        let report = program.run(&["token", "inspect", &classic, "--json"]).json();
        assert_eq!(
            (&report["accepted"], &report["key"]["kind"]),
            (&json!(true), &json!("classic"))
        );

        let listed = program.run(&["token", "list", "--json"]);
        assert!(!listed.out.contains(&key) && !listed.out.contains(&plain));
        let kinds: Vec<_> = listed.json_lines().iter().map(|line| line["kind"].clone()).collect();
        assert_eq!(kinds, ["classic", "own", "own"]);
        let shown = program.run(&["token", "list"]).good().to_owned();
        for part in [&key[..10], "scope x GET:/api/**", "from 192.0.2.0/24", "60/min", "\"import\""]
        {
            assert!(shown.contains(part), "{part} in {shown}");
        }

        let next =
            program.run(&["token", "rotate", &plain, "--overlap", "0s"]).good().trim().to_owned();
        assert!(next.starts_with("avn_") && next != plain);
        program.run(&["token", "rotate", &plain]).refused(1, "there is no such key");
        program.run(&["token", "rotate", &classic]).refused(1, "avain token upgrade");
        let report = program.run(&["token", "inspect", &plain]);
        assert_eq!(report.code, 1);
        assert!(report.out.ends_with("refused: it has expired\n"), "{}", report.out);
        let upgraded = program.run(&["token", "upgrade", "aino"]).good().trim().to_owned();
        assert!(upgraded.starts_with("avn_"), "{upgraded}");
        program.run(&["token", "upgrade", "aino"]).refused(1, "no classic key");

        let id = made["id"].to_string();
        assert_eq!(program.run(&["token", "revoke", "--id", &id]).good(), "The key is revoked.\n");
        program.run(&["token", "revoke", &key]).refused(1, "there is no such key");
        let report = program.run(&["token", "inspect", &key]);
        assert!(report.out.ends_with("refused: it was revoked\n"), "{}", report.out);
        assert_eq!(
            program.run(&["token", "revoke", "--user", "aino"]).good(),
            "2 keys are revoked.\n"
        );
        for (wrong, code, why) in [
            (vec!["token", "create", "aino", "--rate", "5"], 64, "needs a name"),
            (
                vec!["token", "create", "aino", "--name", "x", "--scope", "/api"],
                64,
                "write \"*:/api\"",
            ),
            (
                vec!["token", "create", "aino", "--name", "x", "--network", "x"],
                64,
                "write 192.0.2.0/24",
            ),
            (vec!["token", "create", "aino", "--name", ""], 64, "--name: between 1 and 100"),
            (vec!["token", "create", "eino", "--name", "x"], 1, "there is no account eino"),
        ] {
            program.run(&wrong).refused(code, why);
        }
        let other = if key[41..].starts_with('x') { "y" } else { "x" };
        for garbage in ["avn_", &format!("{}{other}", &key[..41])] {
            let report = program.run(&["token", "inspect", garbage]);
            assert!(report.out.contains("cut off or mistyped"), "{}", report.out);
        }
    });
}

#[test]
fn every_account_gets_a_classic_key_where_that_is_wanted() {
    on_both(|program| {
        let program = program.set("account.classic_keys", "on");
        program.user("aino");
        assert_eq!(program.run(&["token", "list", "--json"]).json()["username"], "aino");
    });
}

#[test]
fn addresses_are_adopted_where_there_are_any() {
    on_both(|program| {
        program.user("aino");
        let told = program.run(&["user", "adopt-addresses"]);
        told.refused(1, "no table account_emailaddress");
    });
}
