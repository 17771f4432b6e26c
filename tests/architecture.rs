//! The architecture, as DESIGN's table of layers and `lib.rs`'s invariants have it, held against every file
//! of `src/`. Exceptions are listed with their reasons, and an exception that nothing needs any more fails.

#[path = "architecture/source.rs"]
mod source;

use std::collections::BTreeSet;

use avain::flow::audit::Event;
use source::{Named, Source, Token};

/// What a folder or file directly under `src/` may name of ours, itself apart: layers, or single paths.
const LAYERS: &[(&str, &[&str])] = &[
    ("base", &[]),
    ("metrics", &["base"]),
    ("telemetry", &["base"]),
    ("locale", &["base"]),
    ("template", &["base"]),
    ("settings", &["base"]),
    ("account", &["base"]),
    ("token", &["base", "account"]),
    ("store", &["base", "account", "token"]),
    ("gate", &["base", "token", "account::principal"]),
    ("mail", &["base", "account", "store", "locale", "template"]),
    ("flow", &["base", "account", "token", "store", "mail", "locale"]),
    ("dialect", &["account", "token", "flow", "locale"]),
    ("page", &["base", "account", "flow", "locale", "template"]),
    ("background", &["base", "flow", "store", "gate", "mail", "metrics"]),
    (
        "http",
        &[
            "base",
            "account",
            "token",
            "store",
            "gate",
            "mail",
            "flow",
            "dialect",
            "page",
            "locale",
            "metrics",
            "telemetry",
        ],
    ),
    ("doctor", &["base", "metrics"]),
    ("server", EVERYTHING_BUT_SETTINGS),
    ("app", EVERYTHING),
    ("cli", EVERYTHING),
    ("main", &["cli"]),
    // The map of the library names modules only to document and declare them.
    ("lib", EVERYTHING),
];

const EVERYTHING: &[&str] = &[
    "base",
    "account",
    "token",
    "store",
    "gate",
    "mail",
    "flow",
    "dialect",
    "page",
    "http",
    "locale",
    "metrics",
    "telemetry",
    "template",
    "background",
    "doctor",
    "server",
    "app",
    "settings",
];
const EVERYTHING_BUT_SETTINGS: &[&str] = &[
    "base",
    "account",
    "token",
    "store",
    "gate",
    "mail",
    "flow",
    "dialect",
    "page",
    "http",
    "locale",
    "metrics",
    "telemetry",
    "template",
    "background",
];

/// Edges beside the table: who, to what, why.
const EXCEPTIONS: &[(&str, &str, &str)] = &[
    ("gate", "account::account::AccountId", "the type of `Principal::id`"),
    ("background", "account", "ids of accounts, and the cost of stored passwords"),
    ("dialect", "base::secret::Secret", "a password is a secret from the form on"),
    ("dialect", "base::clock::Timestamp", "moments in forms and answers"),
    ("server", "settings::Listen", "the type of an address to listen on"),
];

/// The crates of others that only some layers may name.
const HOMES: &[(&str, &[&str])] = &[
    ("clap", &["cli"]),
    ("deadpool_postgres", &["store"]),
    ("http", &["gate", "dialect", "http", "page", "doctor", "server", "app"]),
    ("http_body_util", &["http", "doctor"]),
    ("hyper", &["http", "doctor", "server"]),
    ("hyper_util", &["doctor", "server"]),
    ("jsonwebtoken", &["token"]),
    ("lettre", &["mail"]),
    ("matchit", &["http"]),
    ("minijinja", &["mail", "page", "template"]),
    ("multer", &["http"]),
    ("prometheus", &["metrics", "http"]),
    ("regex_automata", &["base"]),
    ("regex_syntax", &["base"]),
    ("siphasher", &["base"]),
    // `store` tells RSA keys of certificates apart; all else is in `base` and `token`.
    ("ring", &["base", "token", "store"]),
    ("rusqlite", &["store"]),
    ("rustls", &["store", "mail", "doctor"]),
    ("sd_notify", &["cli"]),
    ("serde_json", &["token", "dialect", "http", "page", "app", "cli", "locale", "doctor"]),
    (
        "tokio",
        &[
            "account",
            "store",
            "mail",
            "flow",
            "http",
            "background",
            "doctor",
            "server",
            "app",
            "cli",
        ],
    ),
    ("tokio_postgres", &["store"]),
    ("tokio_rustls", &["doctor"]),
    ("toml", &["settings"]),
    ("tracing_subscriber", &["telemetry"]),
];

/// All that `base` may name of others: it is what everything stands on. `proptest` is there for tests alone.
const UNDER_BASE: &[&str] = &[
    "std",
    "jiff",
    "ring",
    "base64",
    "zeroize",
    "regex_automata",
    "regex_syntax",
    "siphasher",
    "proptest",
];

/// What only some files may name: paths by their beginning, files and folders under `src/`, why.
const KEPT: &[(&str, &[&str], &str)] = &[
    ("std::time::SystemTime", &["base/clock.rs"], "time is a parameter"),
    ("std::time::UNIX_EPOCH", &["base/clock.rs"], "time is a parameter"),
    // tokio's `Instant` is free: it measures waiting, stands still in tests, and dates nothing.
    ("std::time::Instant", &["base/clock.rs"], "time is a parameter"),
    ("ring::rand", &["base/random.rs"], "randomness is a parameter"),
    ("std::env", &["settings.rs", "main.rs"], "the environment is read once"),
    (
        "jsonwebtoken::encode",
        &["token/issue.rs"],
        "whoever has read issue.rs has read all that signs",
    ),
    (
        "crate::token::issue::AccessToken",
        &["flow/", "dialect/", "http/"],
        "the store takes digests",
    ),
    (
        "crate::token::issue::RefreshToken",
        &["flow/", "dialect/", "http/"],
        "the store takes digests",
    ),
];

/// Types that prove something: where they are made, and that nobody else can make or copy them.
const PROOFS: &[(&str, &str)] = &[
    ("VerifiedToken", "token/verify.rs"),
    ("Authenticated", "token/authenticated.rs"),
    ("AuthorizedClient", "token/authenticated.rs"),
    ("AuthenticatedClient", "token/client.rs"),
    ("Renewal", "token/refresh.rs"),
    ("CheckedPassword", "account/hashing.rs"),
    ("LiveSession", "token/session.rs"),
    ("DjangoSession", "token/django_session.rs"),
];

#[test]
fn layers_name_only_what_is_below_them() {
    let mut used = BTreeSet::new();
    let mut wrong = Vec::new();
    for file in source::all() {
        wrong.extend(layer_faults(&file, &mut used));
    }
    assert_eq!(wrong, Vec::<String>::new(), "see LAYERS at the top of this test");
    for (layer, path, _) in EXCEPTIONS {
        assert!(used.contains(&(*layer, *path)), "nothing needs the exception {layer} → {path}");
    }
}

fn layer_faults(file: &Source, used: &mut BTreeSet<(&'static str, &'static str)>) -> Vec<String> {
    let layer = file.layer();
    let Some((_, may)) = LAYERS.iter().find(|(name, _)| *name == layer) else {
        return vec![format!("{}: the table of layers has no `{layer}`", file.path)];
    };
    let mut wrong = Vec::new();
    for Named { segments, line, .. } in &file.paths {
        let [first, ours @ ..] = segments.as_slice() else { continue };
        let to = ours.join("::");
        if first != "crate" || begins(&to, layer) || may.iter().any(|may| begins(&to, may)) {
            continue;
        }
        let exception =
            EXCEPTIONS.iter().find(|(from, path, _)| *from == layer && begins(&to, path));
        match exception {
            Some((from, path, _)) => drop(used.insert((*from, *path))),
            None => wrong.push(format!("{}:{line}: `{layer}` names `{to}`", file.path)),
        }
    }
    wrong
}

#[test]
fn crates_of_others_stay_where_they_belong() {
    let wrong: Vec<String> = source::all().iter().flat_map(crate_faults).collect();
    assert_eq!(wrong, Vec::<String>::new(), "see HOMES at the top of this test");
}

fn crate_faults(file: &Source) -> Vec<String> {
    // Tests may read and write what they like to compare.
    if file.is_test() {
        return Vec::new();
    }
    let layer = file.layer();
    let mut wrong = Vec::new();
    for Named { segments, line, imported } in &file.paths {
        let Some(name) = segments.first().map(String::as_str) else { continue };
        let home = HOMES.iter().find(|(home, _)| *home == name);
        let astray = home.is_some_and(|(_, layers)| !layers.contains(&layer));
        let under_base = name == "crate" || UNDER_BASE.contains(&name);
        if astray || (layer == "base" && *imported && !under_base) {
            wrong.push(format!("{}:{line}: `{layer}` names the crate `{name}`", file.path));
        }
    }
    wrong
}

#[test]
fn clocks_randomness_environment_and_signing_are_in_one_place() {
    let wrong: Vec<String> = source::all().iter().flat_map(kept_faults).collect();
    assert_eq!(wrong, Vec::<String>::new(), "see KEPT at the top of this test");
}

fn kept_faults(file: &Source) -> Vec<String> {
    let mut wrong = Vec::new();
    for Named { segments, line, .. } in &file.paths {
        let path = segments.join("::");
        for (kept, homes, why) in KEPT {
            let at_home = homes.iter().any(|home| file.path.starts_with(home));
            // A layer may name what it declares itself.
            let own = kept.strip_prefix("crate::").is_some_and(|kept| begins(kept, file.layer()));
            if begins(&path, kept) && !at_home && !own && !file.is_test() {
                wrong.push(format!("{}:{line}: `{path}`: {why}", file.path));
            }
        }
    }
    wrong
}

#[test]
fn the_gate_waits_for_nothing() {
    for file in source::all().iter().filter(|file| file.layer() == "gate") {
        for word in ["async", "await", "Mutex", "RwLock", "sleep", "block_on"] {
            assert_eq!(file.find(&[word]), Vec::<usize>::new(), "`{word}` in {}", file.path);
        }
    }
}

#[test]
fn nothing_is_unwrapped() {
    for file in source::all() {
        let found = file.find(&[".", "unwrap", "("]);
        assert_eq!(
            found,
            Vec::<usize>::new(),
            "{}: say with `expect` why it cannot fail",
            file.path
        );
    }
}

/// Whoever searches for an event that nothing raises waits for ever.
#[test]
fn every_audit_event_is_raised() {
    let files = source::all();
    let others = files.iter().filter(|file| file.path != "store/audit.rs" && !file.is_test());
    let named = others.flat_map(|file| &file.paths).map(|named| named.segments.as_slice());
    let raised: BTreeSet<&str> = named
        .filter_map(|segments| match segments {
            [.., kind, event] if kind == "Event" => Some(event.as_str()),
            _ => None,
        })
        .collect();
    for event in Event::ALL {
        let name = format!("{event:?}");
        assert!(raised.contains(name.as_str()), "Event::{name} is declared, and nothing raises it");
    }
}

#[test]
fn sql_is_in_sql_files() {
    let wrong: Vec<String> = source::all().iter().flat_map(sql_faults).collect();
    assert_eq!(wrong, Vec::<String>::new(), "statements live in sql/queries/");
}

/// Beginnings of statements that read or change tables. (What the store tells its engines, `BEGIN` and
/// `PRAGMA`, is no statement of ours; its own tests may hold samples.)
const STATEMENTS: &[&str] = &[
    "SELECT ",
    "INSERT INTO ",
    "UPDATE ",
    "DELETE FROM ",
    "CREATE TABLE ",
    "ALTER TABLE ",
    "DROP ",
];

fn sql_faults(file: &Source) -> Vec<String> {
    let samples = ["store/statements.rs", "store/migrate.rs"];
    let mut wrong = Vec::new();
    for (token, line) in &file.tokens {
        let Token::Literal(text) = token else { continue };
        let text = text.trim_start().trim_start_matches("\\n").trim_start();
        if STATEMENTS.iter().any(|statement| text.starts_with(statement))
            && !samples.contains(&file.path.as_str())
        {
            wrong.push(format!("{}:{line}: SQL: {text:.40}", file.path));
        }
    }
    wrong
}

#[test]
fn proofs_are_made_in_one_file() {
    let files = source::all();
    for (proof, home) in PROOFS {
        let found: Vec<&Source> = files.iter().filter(|file| file.path == *home).collect();
        let [file] = found.as_slice() else { panic!("{home} is gone: where is {proof} made now?") };
        assert_eq!(proof_faults(file, proof), Vec::<String>::new());
        for file in &files {
            let literal = [&["=", proof, "{"][..], &["(", proof, "{"], &[">", proof, "{"]];
            let made = literal.iter().any(|literal| !file.find(literal).is_empty());
            assert!(!made || file.path == *home, "{} makes a {proof}", file.path);
        }
    }
}

/// What would let others make, copy or change a proof: public fields, derived or written constructors.
fn proof_faults(file: &Source, proof: &str) -> Vec<String> {
    let tokens: Vec<&str> = file.tokens.iter().map(|(token, _)| text(token)).collect();
    let Some(at) = tokens.windows(2).position(|pair| pair == ["struct", proof]) else {
        return vec![format!("{}: no struct {proof}", file.path)];
    };
    let mut wrong = Vec::new();
    let end = tokens[at..].iter().position(|token| *token == "}").map_or(at, |end| at + end);
    if tokens[at..end].contains(&"pub") {
        wrong.push(format!("{proof} has a public field"));
    }
    let before = tokens[..at].iter().rposition(|token| matches!(*token, "}" | ";")).unwrap_or(0);
    for derived in ["Clone", "Copy", "Default", "Deserialize"] {
        if tokens[before..at].contains(&derived) {
            wrong.push(format!("{proof} derives {derived}"));
        }
        if !file.find(&[derived, "for", proof]).is_empty() {
            wrong.push(format!("{proof} implements {derived}"));
        }
    }
    wrong
}

#[test]
fn only_the_library_and_the_program_forbid_unsafe_code_and_they_do() {
    let files = source::all();
    for name in ["lib.rs", "main.rs"] {
        let file = files.iter().find(|file| file.path == name).expect("it is there");
        assert_eq!(file.find(&["forbid", "(", "unsafe_code", ")"]).len(), 1, "{name}");
    }
}

fn text(token: &Token) -> &str {
    match token {
        Token::Word(text) => text,
        Token::Mark(text) => text,
        Token::Literal(_) => "",
    }
}

/// Whether `path` is `prefix` or lies under it.
fn begins(path: &str, prefix: &str) -> bool {
    path.strip_prefix(prefix).is_some_and(|rest| rest.is_empty() || rest.starts_with("::"))
}

/// That the reader above sees what it has to see: each of these texts breaks a rule.
#[test]
fn violations_are_seen() {
    let layer =
        |path: &str, text: &str| layer_faults(&Source::new(path, text), &mut BTreeSet::new()).len();
    assert_eq!(layer("gate/decide.rs", "use crate::store::Store;"), 1);
    assert_eq!(layer("gate/decide.rs", "use crate::{token::verify, flow::{self, Context}};"), 2);
    assert_eq!(layer("gate/decide.rs", "use super::super::store as s;"), 1);
    assert_eq!(layer("gate/decide.rs", "mod tests { use super::super::super::store::Store; }"), 1);
    assert_eq!(layer("gate/mod.rs", "fn f() -> crate::account::account::Account {}"), 1);
    assert_eq!(layer("flow/mod.rs", "fn f(x: Vec<crate::dialect::Answer>) {}"), 1);
    assert_eq!(layer("novelty.rs", ""), 1);
    let fine = "// crate::store\n/* use crate::store; */ const S: &str = \"crate::store::x\"; use super::known; \
                use crate::{token::verify as store, base::*}; const C: char = '\"'; type T<'a> = &'a u8;";
    assert_eq!(layer("gate/decide.rs", fine), 0);

    let foreign = |path: &str, text: &str| crate_faults(&Source::new(path, text)).len();
    assert_eq!(foreign("flow/verify.rs", "use serde_json::json;"), 1);
    assert_eq!(foreign("gate/decide.rs", "use tokio::sync::Mutex;"), 1);
    assert_eq!(foreign("base/clock.rs", "use hyper::Uri;"), 1);
    assert_eq!(foreign("http/request.rs", "fn f(c: rusqlite::Connection) {}"), 1);
    assert_eq!(foreign("server.rs", "use hyper::body::Body;"), 0);

    let kept = |path: &str, text: &str| kept_faults(&Source::new(path, text)).len();
    assert_eq!(kept("flow/verify.rs", "use std::time::{Duration, SystemTime};"), 1);
    assert_eq!(kept("flow/verify.rs", "fn f() { std::time::Instant::now() }"), 1);
    assert_eq!(kept("token/key.rs", "use ring::{hmac, rand::SystemRandom};"), 1);
    assert_eq!(kept("cli/key.rs", "fn f() { std::env::var(\"X\") }"), 1);
    assert_eq!(kept("flow/keys.rs", "fn f() { jsonwebtoken::encode(a, b, c) }"), 1);
    assert_eq!(kept("store/tokens.rs", "use crate::token::issue::RefreshToken;"), 1);

    let sql = |text: &str| sql_faults(&Source::new("store/accounts.rs", text)).len();
    assert_eq!(sql("const Q: &str = \"SELECT 1\";"), 1);
    assert_eq!(sql("const Q: &str = r#\"\n  UPDATE t SET x = 1\"#;"), 1);
    assert_eq!(sql("// SELECT 1\nconst Q: &str = \"selected\";"), 0);

    let proof = |text: &str| proof_faults(&Source::new("token/x.rs", text), "P").len();
    assert_eq!(proof("#[derive(Debug)] pub struct P { x: u8 }"), 0);
    assert_eq!(proof("#[derive(Debug, Clone)] pub struct P { pub x: u8 }"), 2);
    assert_eq!(proof("struct P { x: u8 } impl Default for P {}"), 1);
}
