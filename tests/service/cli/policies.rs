//! Policies: what `avain check` says of bad ones, what `avain explain` says, and reading them anew.

use serde_json::{Value, json};
use tokio::time::Instant;

use super::serving::Serving;
use super::{Program, Ran, bare, finish};
use crate::client::Connection;
use crate::harness::{Engine, gate_request};
use crate::support::block_on;

const RULES: &str = r#"[gate]
policy = "api"

[[gate.policies.api.rules]]
paths = "/api/v1/statistics/**"
access = "staff"

[[gate.policies.api.rules]]
methods = ["POST"]
paths = "/api/v1/hobbies/"
access = "scope:hobbies:write"

[[gate.policies.api.rules]]
hosts = ["old.example.org", "*.old.example.org"]
access = "deny"

[[gate.policies.api.rules]]
paths = ["/api/v1/**"]
access = "IsAuthenticatedOrReadOnly"
"#;

/// What `avain check` says of this file.
fn check(program: &Program, toml: &str) -> Ran {
    let file = program.file("avain.toml", toml);
    finish(bare(&["check", "--offline", "--config", &file]).spawn().expect("it starts"), "")
}

#[test]
fn a_bad_policy_is_told_with_its_line_and_what_to_write() {
    let program = Program::new(Engine::Sqlite);
    assert_eq!(check(&program, RULES).code, 0);
    let head = "[gate.policies.api]\n[[gate.policies.api.rules]]\n";
    let second = "\n[[gate.policies.api.rules]]\n";
    for (rules, line, told) in [
        ("acess = \"staff\"", 3, "rule 1: there is no `acess`; did you mean access?"),
        ("paths = \"/api/x\"", 2, "rule 1: does not say who may: write access = "),
        ("access = \"admin\"", 3, "access: `admin` is none of anonymous, open, AllowAny,"),
        ("access = \"scope:a b\"", 3, "access: `scope:a b` names no scope: write scope:NAME"),
        ("access = 1", 3, "access: write one text, in quotation marks"),
        ("methods = []\naccess = \"open\"", 3, "methods: names none; leave it out for all"),
        ("methods = \"get\"\naccess = \"open\"", 3, "methods: `get` is no method: write GET"),
        (
            "access = \"open\"\nmethods = [\n\"GET\",\n\"FETCH\"]",
            6,
            "methods: `FETCH` is no method: write some of GET,",
        ),
        (
            "access = \"open\"\npaths = [\"~/api/.*\"]",
            4,
            "paths: `~/api/.*` is not anchored, so it would match parts of paths: write ~^/api/.*$",
        ),
        (
            "access = \"open\"\npaths = \"/api/(a|b)/\"",
            4,
            "paths: `/api/(a|b)/` has ( in a segment",
        ),
        (
            "access = \"open\"\npaths = \"/sysadmin/**\"",
            4,
            "is under none of the roots /api/, /mobile-api/",
        ),
        (
            "access = \"open\"\nhosts = \"https://x\"",
            4,
            "hosts: `https://x` is no host: write api.example.org",
        ),
        (
            &format!("access = \"staff\"{second}paths = \"/api/x\"\naccess = \"open\""),
            4,
            "rule 2: never decides, as rule 1 matches first whatever it matches; put it before rule 1",
        ),
        (
            &format!(
                "paths = \"/api/*/new\"\naccess = \"staff\"{second}paths = \"/api/v1/*\"\naccess = \"open\""
            ),
            5,
            "rule 2: any method /api/v1/new matches rule 1 too, which asks for something else",
        ),
        (
            "paths = [\"/api/**\", \"/api/x\"]\naccess = \"staff\"",
            2,
            "paths: `/api/x` is among its other paths already; take it out",
        ),
    ] {
        let ran = check(&program, &format!("{head}{rules}\n"));
        ran.refused(64, told);
        let place = format!("avain.toml, line {line}: gate.policies.api");
        assert!(ran.err.contains(&place), "{place} in {}", ran.err);
    }
    for (toml, told) in [
        (
            "[gate.policies.Api]\nrules = [{ access = \"open\" }]",
            "line 1: gate.policies.Api: a name is lower-case",
        ),
        (
            "[gate.policies.open]\nrules = [{ access = \"open\" }]",
            "line 1: gate.policies.open: is the name of a preset",
        ),
        (
            "[gate.policies.api]\n",
            "line 1: gate.policies.api: has no rules, so it would deny everything",
        ),
        (
            "[gate.policies.api]\nrules = 1",
            "line 2: gate.policies.api.rules: write each rule as [[",
        ),
        (
            "[gate.policies.api]\nrule = []",
            "line 2: gate.policies.api: there is no `rule`; did you mean rules?",
        ),
        (
            "[gate.policies]\napi = 1",
            "line 2: gate.policies.api: write a policy as [gate.policies.api]",
        ),
        ("[gate]\npolicies = 1", "line 2: gate.policies: write each as [gate.policies.NAME]"),
        ("[gate]\npolicy = \"aip\"", "gate.policy: `aip` is none of read-only-for-anonymous,"),
        (
            "[gate.policies.api]\nroots = [\"api\"]\nrules = [{ access = \"open\" }]",
            "line 2: gate.policies.api: roots: `api`: write it with a slash at both ends",
        ),
        (
            "[gate.policies.api]\ndialect = \"klingon\"\nrules = [{ access = \"open\" }]",
            "line 2: gate.policies.api: dialect: `klingon` is none of harrastuspassi,",
        ),
    ] {
        let ran = check(&program, toml);
        assert_eq!(ran.code, 64, "{toml}: {}{}", ran.out, ran.err);
        assert!(ran.err.contains(told), "{told} in {}", ran.err);
    }
    let both =
        "[gate.policies.a]\nrules = [{ access = \"x\" }, { access = \"y\", paths = \"z\" }]\n";
    assert_eq!(check(&program, both).err.lines().count(), 3, "everything at once");
}

#[test]
fn a_verdict_is_explained_rule_by_rule() {
    let program = Program::new(Engine::Sqlite);
    program.file("avain.toml", RULES);
    program.user("mia");
    let explain = |arguments: &[&str]| {
        let mut all = vec!["explain"];
        all.extend(arguments);
        program.run(&all)
    };
    let ran = explain(&["POST", "https://api.example.org:8443/api/v1/events/?x=1"]);
    assert_eq!((ran.code, ran.err.as_str()), (2, ""));
    assert_eq!(
        ran.out,
        "policy   api\n\
         request  POST api.example.org/api/v1/events/?x=1\n\
         rule 1   any method /api/v1/statistics/** → staff: the path is another one\n\
         rule 2   POST /api/v1/hobbies → scope:hobbies:write: the path is another one\n"
            .replace("/hobbies →", "/hobbies/ →")
            + "rule 3   any method any path at old.example.org or *.old.example.org → deny: the host is another one\n\
               rule 4   GET, HEAD, OPTIONS /api/v1/** → anonymous: the method is another one\n\
               rule 4   POST, PUT, PATCH, DELETE, other methods /api/v1/** → authenticated: matches\n\
               path     /api/v1/events/: rule 4 asks for authenticated\n\
               asked by nobody in particular\n\
               deny: an account is needed (401)\n"
    );
    let key = program.run(&["token", "create", "mia"]).good().trim().to_owned();
    let key = format!("Token {key}");
    for (arguments, code, told) in [
        (vec!["GET", "/api/v1/events/"], 0, "allow: it passes (204)"),
        (vec!["POST", "/api/v1/events/", "--as", "mia"], 0, "asked by the account mia (not staff)"),
        (vec!["POST", "/api/v1/events/", "--as", &key], 0, "asked by the account mia (no scopes)"),
        (
            vec!["POST", "/api/v1/events/", "--as", "Token 00"],
            2,
            "deny: it is refused: UnknownApiKey",
        ),
        (
            vec!["POST", "/api/v1/hobbies/", "--as", "mia"],
            2,
            "the scope hobbies:write is needed (403)",
        ),
        (
            vec!["POST", "/api/v1/hobbies/", "--as", &key],
            2,
            "it lacks the scope that is asked for (403)",
        ),
        (vec!["GET", "/api/v1/statistics/", "--as", "mia"], 2, "deny: it is not allowed (403)"),
        (vec!["GET", "http://old.example.org/api/v1/"], 2, "→ deny: matches"),
        (vec!["GET", "/api/v2/"], 2, "no rule names it: denied"),
        (vec!["GET", "/sysadmin/"], 2, "no protected root (gate.roots) holds it"),
        (vec!["GET", "/api/%76%31/events/"], 2, "its views meet different rules: denied"),
        (vec!["GET", "/api//v1/"], 2, "denied before any rule is asked"),
        (vec!["get", "/api/v1/"], 2, "in small letters"),
        (vec!["GET", "/mobile-api/x", "--policy", "open"], 0, "policy   open"),
        (
            vec!["OPTIONS", "/api/v1/events/", "--announces", "POST"],
            0,
            "allow: a preflight passes where somebody may make the request",
        ),
        (vec!["OPTIONS", "/api/v2/", "--announces", "POST"], 2, "deny: it is not allowed (403)"),
    ] {
        let ran = explain(&arguments);
        assert_eq!(ran.code, code, "{arguments:?}: {}{}", ran.out, ran.err);
        assert!(ran.out.contains(told), "{told} in {}", ran.out);
    }
    explain(&["GET", "/", "--policy", "x"])
        .refused(64, "there is no policy x; there are read-only");
    explain(&["GET", "api/v1"])
        .refused(64, "`api/v1` is no address: write /path or https://host/path");
    explain(&["GET", "/", "--announces", "POST"]).refused(64, "--announces goes with OPTIONS");
    explain(&["GET", "/api/v1/", "--as", "leo"]).refused(1, "there is no account leo");

    let ran = explain(&["GET", "/api/v1/events/", "--json"]);
    let told: Value = serde_json::from_str(&ran.out).expect("it is JSON");
    assert_eq!(told["rules"][0]["because"], json!("the path is another one"));
    assert_eq!(told["rules"][3]["matches"], json!(true));
    assert_eq!(
        (&told["asks_for"], &told["allowed"], &told["status"]),
        (&json!("anonymous"), &json!(true), &json!(204))
    );
}

#[test]
fn policies_are_read_anew_without_dropping_a_request() {
    block_on(async {
        let program = tokio::task::block_in_place(|| Program::new(Engine::Sqlite));
        let policy = |access: &str| {
            let rule = format!("[[gate.policies.api.rules]]\naccess = \"{access}\"\n");
            program.file("avain.toml", &format!("[gate]\npolicy = \"api\"\n{rule}"));
        };
        policy("open");
        let serving = Serving::start(&program).await;
        let mut asking = Connection::tcp(serving.public).await;
        let ask = gate_request("POST", "/api/v1/", "");
        assert_eq!(asking.ask(&ask).await.status, 204);

        // On one connection, which goes on; every request meanwhile has one of the two answers.
        policy("authenticated");
        serving.hang_up();
        let started = Instant::now();
        loop {
            match asking.ask(&ask).await.status {
                204 => assert!(started.elapsed().as_secs() < 10, "it is read: {}", serving.log()),
                401 => break,
                status => panic!("{status}"),
            }
        }
        serving.says("the gate's policies were read anew").await;

        policy("admin");
        serving.hang_up();
        serving.says("the settings are wrong; the gate's policies stay as they are").await;
        assert!(serving.log().contains("access: `admin` is none of"), "{}", serving.log());
        assert_eq!(asking.ask(&ask).await.status, 401, "the old one stays");
        let metrics = serving.operate("/metrics").await.text();
        assert!(metrics.contains("avain_settings_last_reload_successful 0"), "{metrics}");

        policy("open\"\n[server]\nworkers = \"1");
        serving.hang_up();
        serving.says("other settings have changed too").await;
        assert_eq!(asking.ask(&ask).await.status, 204);
        let metrics = serving.operate("/metrics").await.text();
        assert!(metrics.contains("avain_settings_last_reload_successful 1"), "{metrics}");
        let (code, log) = tokio::task::block_in_place(|| serving.terminate());
        assert_eq!(code, 0, "{log}");
    });
}
