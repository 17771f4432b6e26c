//! Settings, `avain check`, `avain migrate`, and what goes wrong before anything is done.

use super::{Program, Ran, bare, finish};
use crate::harness::Engine;

fn run_bare(arguments: &[&str]) -> Ran {
    finish(bare(arguments).spawn().expect("it starts"), "")
}

#[test]
fn help_teaches() {
    for arguments in [
        vec!["--help"],
        vec!["serve", "--help"],
        vec!["migrate", "--help"],
        vec!["check", "--help"],
        vec!["explain", "--help"],
        vec!["createsuperuser", "--help"],
        vec!["user", "--help"],
        vec!["user", "import", "--help"],
        vec!["token", "--help"],
        vec!["token", "inspect", "--help"],
        vec!["key", "--help"],
        vec!["key", "import", "--help"],
    ] {
        let ran = run_bare(&arguments);
        assert!(ran.good().contains("Usage: avain"), "{arguments:?}");
    }
    assert!(run_bare(&["--help"]).out.contains("avain createsuperuser"), "what to start with");
    assert!(run_bare(&["--version"]).good().starts_with("avain "));
    let settings = run_bare(&["settings"]);
    for name in ["server.listen = \"127.0.0.1:8000\"", "database.url", "layouts.<layout>.mount"] {
        assert!(settings.good().contains(name), "{name}");
    }
    for wrong in [vec![], vec!["nonsense"], vec!["serve", "x"], vec!["user"], vec!["user", "show"]]
    {
        let ran = run_bare(&wrong);
        assert_eq!((ran.code, ran.out.as_str()), (64, ""), "{wrong:?}");
        assert!(ran.err.contains("Usage") || ran.err.contains("--help"), "{}", ran.err);
    }
}

#[test]
fn everything_wrong_is_told_at_once() {
    let program = Program::new(Engine::Sqlite);
    let file = program.file(
        "avain.toml",
        "[server]\nlisten = \"nowhere\"\nmax_boddy = \"1KiB\"\n[tokens]\nleeway = \"5\"\n[gate]\nroots = [\"api\"]\n",
    );
    for command in ["serve", "check", "migrate"] {
        let mut with_environment = bare(&[command, "--config", &file, "--set", "log.level"]);
        with_environment.env("AVAIN_TOKENS_ISSUED_AT", "perhaps").env("AVAIN_NONSENSE", "1");
        let ran = finish(with_environment.spawn().expect("it starts"), "");
        assert_eq!((ran.code, ran.out.as_str()), (64, ""), "{command}");
        for part in [
            "server.listen: `nowhere` is no address",
            "server.max_boddy: there is no such setting; did you mean server.max_body?",
            "tokens.leeway: `5` has no unit",
            "tokens.issued_at: `perhaps` is neither",
            "environment variable AVAIN_NONSENSE: there is no such setting",
            "--set log.level: write it as NAME=VALUE",
            "gate.roots: `api`: write it with a slash at both ends",
        ] {
            assert!(ran.err.contains(part), "{command}: {part} in {}", ran.err);
        }
        assert_eq!(ran.err.lines().count(), 7, "{}", ran.err);
    }
    let ran = run_bare(&[
        "check",
        "--set=tokens.algorithm=RS512",
        "--set=gate.roots=api",
        "--set=gate.policy=none",
        "--set=gate.protocol=traefik",
        "--set=layouts.simplejwt.wording=old",
        "--set=database.url=mysql://x",
        "--set=keys.master=abc",
        "--set=keys.import=hs256:short",
        "--set=gate.phantom_key=/nonexistent",
        "--set=log.level=a=b=c",
        "--set=account.email_login=on",
    ]);
    assert_eq!(ran.code, 64, "{}", ran.err);
    for part in [
        "tokens.algorithm: `RS512` is none of",
        "gate.roots: `api`",
        "gate.policy: `none`",
        "gate.protocol: `traefik` is none of auth_request, forward_auth",
        "layouts.simplejwt.wording: `old`",
        "database.url: ",
        "keys.master: ",
        "keys.import: ",
        "gate.phantom_key: ",
        "log.level: ",
        "account.email_login: whose account",
    ] {
        assert!(ran.err.contains(part), "{part} in {}", ran.err);
    }
    run_bare(&["check", "--config", "/nonexistent.toml"])
        .refused(64, "cannot read /nonexistent.toml");
    let broken = program.file("broken.toml", "[server]\nlisten = \n");
    run_bare(&["check", "--config", &broken]).refused(64, "line 2");
    // Mounts that overlap are told when the routes are made.
    let overlap = program.run(&["serve", "--set", "layouts.simplejwt.mount=/auth/token"]);
    assert_eq!(overlap.code, 64, "{}", overlap.err);
}

#[test]
fn secrets_are_never_printed() {
    let program = Program::new(Engine::Sqlite);
    let secret = "Sup3rS3cretValue";
    let file = program.file("secret", secret);
    for (name, value) in [
        ("database.url", format!("nonsense://user:{secret}@host/db")),
        ("database.url", format!("postgresql://user:{secret}@127.0.0.1:1/db?connect_timeout=1")),
        ("keys.master", secret.to_owned()),
        ("keys.import", format!("hs256:{secret}")),
        (
            "keys.import",
            format!("-----BEGIN PRIVATE KEY-----\n{secret}\n-----END PRIVATE KEY-----\n"),
        ),
        ("gate.phantom_key", format!("hs256:{secret}")),
    ] {
        for command in [vec!["check"], vec!["serve"], vec!["user", "list"]] {
            let mut by_environment = bare(&command);
            by_environment.current_dir(program.folder.path());
            by_environment.env(format!("AVAIN_{}", name.to_uppercase().replace('.', "_")), &value);
            by_environment.args(["--set", "log.level=trace", "--set", "server.listen=127.0.0.1:0"]);
            by_environment.args(["--set", "server.operations="]);
            let ran = finish(by_environment.spawn().expect("it starts"), "");
            assert_ne!(ran.code, 0, "{name} {command:?}");
            let all = format!("{}{}", ran.out, ran.err);
            assert!(!all.contains(secret), "{name} {command:?}: {all}");
            assert!(!all.is_empty(), "{name} {command:?}");
        }
    }
    let mut by_file = program.command(&["check"]);
    by_file.env("AVAIN_KEYS_MASTER_FILE", &file);
    let ran = finish(by_file.spawn().expect("it starts"), "");
    assert_eq!(ran.code, 64);
    assert!(ran.err.contains("keys.master") && !ran.err.contains(secret), "{}", ran.err);
    let mut missing = program.command(&["check"]);
    missing.env("AVAIN_KEYS_MASTER_FILE", "/nonexistent");
    finish(missing.spawn().expect("it starts"), "")
        .refused(64, "keys.master: cannot read /nonexistent");
}

#[test]
fn check_warns_of_what_is_unsafe() {
    let program = Program::new(Engine::Sqlite);
    program.run(&["migrate"]).good();
    let good = program.run(&["check"]);
    assert!(good.good().ends_with("The configuration is right.\n"), "{}", good.out);
    let ran = program.run(&[
        "check",
        "--json",
        "--set=server.listen=0.0.0.0:8000",
        "--set=server.operations=0.0.0.0:8001",
        "--set=server.unix_mode=666",
        "--set=server.trusted_proxies=0.0.0.0/0",
        "--set=tokens.leeway=5m",
        "--set=tokens.family_lifetime=0",
        "--set=tokens.algorithm=EdDSA",
        "--set=gate.policy=open",
        "--set=gate.phantom_lifetime=1h",
    ]);
    let report = ran.json();
    assert_eq!(report["wrong"], serde_json::json!([]));
    assert_eq!(report["faults"], serde_json::json!([]));
    let warnings = report["warnings"].to_string();
    for name in [
        "server.listen",
        "server.operations",
        "server.unix_mode",
        "server.trusted_proxies",
        "keys.master",
        "tokens.leeway",
        "tokens.family_lifetime",
        "tokens.issuer",
        "gate.policy",
        "gate.phantom_lifetime",
        "passwords.pbkdf2_iterations",
    ] {
        assert!(warnings.contains(name), "{name} in {warnings}");
    }
}

#[test]
fn check_asks_the_database() {
    let fresh = Program::new(Engine::Postgres);
    let ran = fresh.run(&["check"]);
    assert!(ran.good().contains("missing migrations"), "{}", ran.out);
    fresh.run(&["key", "list"]).good();
    fresh.run(&["key", "generate"]).good();
    let mut other_master = fresh.command(&["check"]);
    other_master.env("AVAIN_KEYS_MASTER", "f".repeat(64));
    let ran = finish(other_master.spawn().expect("it starts"), "");
    assert_eq!(ran.code, 1, "{}", ran.err);
    assert!(ran.err.contains("keys: signing key "), "{}", ran.err);
    let mut no_master = fresh.command(&["user", "list"]);
    no_master.env_remove("AVAIN_KEYS_MASTER");
    finish(no_master.spawn().expect("it starts"), "").good();
    let mut no_master = fresh.command(&["key", "list"]);
    no_master.env_remove("AVAIN_KEYS_MASTER");
    finish(no_master.spawn().expect("it starts"), "").refused(64, "openssl rand -hex 32");
}

#[test]
fn check_warns_of_keys_that_are_worth_more_than_they_need_to_be() {
    for engine in [Engine::Sqlite, Engine::Postgres] {
        let program = Program::new(engine);
        for (name, options) in
            [("aino", &[][..]), ("chief", &["--staff"]), ("root", &["--superuser"])]
        {
            let create = ["user", "create", name, "--password-stdin", "--force"];
            program.run_with(&[&create, options].concat(), "password\n").good();
            program.run(&["token", "create", name]).good();
        }
        let warnings = |settings: &[&str]| {
            program.run(&[&["check", "--json"], settings].concat()).json()["warnings"].to_string()
        };
        assert!(warnings(&[]).contains("api_keys: 2 accounts of staff have a classic key"));
        for name in ["chief", "root"] {
            program.run(&["token", "upgrade", name, "--expires-in", "30d"]).good();
        }
        program.run(&["token", "create", "aino", "--name", "x", "--expires-in", "90d"]).good();
        program.run(&["token", "create", "aino", "--name", "y"]).good();
        assert!(!warnings(&[]).contains("api_keys"));
        assert!(!warnings(&["--set=api_keys.longest_life=0"]).contains("api_keys"));
        let bounded = warnings(&["--set=api_keys.longest_life=90d"]);
        assert!(bounded.contains("api_keys.longest_life: 1 keys from before"), "{bounded}");
        let bounded = warnings(&["--set=api_keys.longest_life=89d"]);
        assert!(bounded.contains("api_keys.longest_life: 2 keys from before"), "{bounded}");
    }
}

#[test]
fn an_unreachable_database_is_one_clear_line() {
    let away = "--set=database.url=postgresql://user:pw@127.0.0.1:1/db";
    let missing = "--set=database.url=sqlite:/nonexistent/avain.db";
    for command in [
        vec!["serve"],
        vec!["migrate"],
        vec!["check"],
        vec!["user", "list"],
        vec!["token", "list"],
        vec!["key", "list"],
        vec!["createsuperuser", "--no-input", "--username", "x"],
    ] {
        for url in [away, missing] {
            let master = format!("--set=keys.master={}", super::MASTER);
            let ran = run_bare(&[&command[..], &[url, &master, "--set=log.level=error"]].concat());
            assert_eq!(ran.code, 1, "{command:?} {}{}", ran.out, ran.err);
            let complaint = ran.err.lines().filter(|line| line.starts_with("avain: ")).count();
            assert_eq!((complaint, ran.err.lines().count()), (1, 1), "{command:?}: {}", ran.err);
            assert!(ran.err.contains("database"), "{}", ran.err);
            assert!(!ran.err.contains("pw"), "{}", ran.err);
        }
    }
}

#[test]
fn migrating_twice_at_once_is_safe() {
    for engine in [Engine::Sqlite, Engine::Postgres] {
        let program = Program::new(engine).set("database.timeout", "10s");
        let children: Vec<_> =
            (0..4).map(|_| program.command(&["migrate"]).spawn().expect("it starts")).collect();
        let ran: Vec<_> = children.into_iter().map(|child| finish(child, "")).collect();
        let applied: Vec<&str> = ran
            .iter()
            .flat_map(|ran| ran.good().lines())
            .filter(|line| line.starts_with("applied"))
            .collect();
        let all = avain::store::migrate::SQLITE.len();
        assert_eq!(applied.len(), all, "each migration is applied once: {applied:?}");
        assert_eq!(program.run(&["migrate"]).good(), "nothing to apply\n");
        let refusing = program.set("database.migrate_on_start", "off");
        refusing.run(&["user", "list"]).good();
    }
    let program = Program::new(Engine::Sqlite).set("database.migrate_on_start", "off");
    for command in [vec!["user", "list"], vec!["key", "list"], vec!["serve"]] {
        let ran = program.run(&command);
        assert_eq!(ran.code, 1);
        assert!(ran.err.contains("run `avain migrate`"), "{}", ran.err);
    }
}
