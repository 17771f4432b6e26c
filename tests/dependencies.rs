//! What comes in from elsewhere, held against `.deny.toml` without cargo-deny: bans and sources by
//! `Cargo.lock`, which has the crates of all platforms; licences by what cargo says of this one's.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::Command;

use serde_json::Value;
use toml::Table;

#[test]
fn no_banned_crate_is_in_the_lock_file() {
    let banned = strings(&denials()["bans"]["deny"], "name");
    assert!(banned.contains("rsa"), "the list is read wrongly: {banned:?}");
    let found: Vec<_> = packages().into_iter().filter(|(name, _)| banned.contains(name)).collect();
    assert!(found.is_empty(), "banned by .deny.toml: {found:?}; `cargo tree -i NAME` says by whom");
}

#[test]
fn everything_comes_from_the_default_registry() {
    let sources: BTreeSet<String> =
        packages().into_iter().filter_map(|(_, source)| source).collect();
    let mut sources = sources.iter();
    let only = sources.next().expect("something comes from elsewhere");
    assert!(only.starts_with("registry+"), "{only} is no registry");
    assert_eq!(sources.next(), None, "a second source beside {only}");
}

#[test]
fn every_licence_is_admitted_and_every_admitted_one_is_needed() {
    let admitted = strings(&denials()["licenses"]["allow"], "");
    let mut needed = BTreeSet::new();
    for (name, licence) in licences() {
        let taken = satisfied(&licence, &admitted);
        let taken = taken.unwrap_or_else(|| panic!("{name} is under {licence}: see .deny.toml"));
        needed.extend(taken);
    }
    assert_eq!(admitted, needed, "admitted by .deny.toml and needed by the tree");
}

#[test]
fn licences_are_read_as_they_are_meant() {
    let admitted: BTreeSet<String> = ["MIT", "ISC"].map(str::to_owned).into();
    let satisfied = |licence| satisfied(licence, &admitted).is_some();
    for good in ["MIT", "GPL-3.0 OR MIT", "MIT/GPL-3.0", "(GPL-3.0 OR MIT) AND ISC", "MIT AND ISC"]
    {
        assert!(satisfied(good), "{good}");
    }
    for bad in ["", "GPL-3.0", "MIT AND GPL-3.0", "(MIT OR ISC) AND GPL-3.0", "MIT WITH X"] {
        assert!(!satisfied(bad), "{bad}");
    }
}

fn read(file: &str) -> Table {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(file);
    let text = std::fs::read_to_string(path).expect("the file is there");
    text.parse().expect("it is TOML")
}

fn denials() -> Table {
    read(".deny.toml")
}

/// Texts in a list, or under `key` in a list of tables.
fn strings(list: &toml::Value, key: &str) -> BTreeSet<String> {
    let list = list.as_array().expect("a list");
    let text = |entry: &toml::Value| match entry {
        toml::Value::Table(table) => {
            table.get(key).and_then(toml::Value::as_str).map(str::to_owned)
        }
        entry => entry.as_str().map(str::to_owned),
    };
    list.iter().map(|entry| text(entry).expect("a text")).collect()
}

/// Names and sources of all packages but ours.
fn packages() -> Vec<(String, Option<String>)> {
    let lock = read("Cargo.lock");
    let packages = lock["package"].as_array().expect("a list").iter();
    let text = |package: &toml::Value, key: &str| {
        package.get(key).and_then(toml::Value::as_str).map(str::to_owned)
    };
    let packages = packages.map(|package| (text(package, "name"), text(package, "source")));
    let packages = packages.map(|(name, source)| (name.expect("a name"), source));
    packages.filter(|(name, _)| name != env!("CARGO_PKG_NAME")).collect()
}

/// Names and licences of the packages that are built here, as cargo tells them offline.
fn licences() -> Vec<(String, String)> {
    let version = Command::new(env!("CARGO")).arg("-vV").output().expect("cargo starts");
    let version = String::from_utf8(version.stdout).expect("it is text");
    let host = version.lines().find_map(|line| line.strip_prefix("host: ")).expect("a host");
    let told = Command::new(env!("CARGO"))
        .args([
            "metadata",
            "--format-version",
            "1",
            "--locked",
            "--offline",
            "--filter-platform",
            host,
        ])
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output()
        .expect("cargo starts");
    assert!(told.status.success(), "{}", String::from_utf8_lossy(&told.stderr));
    let told: Value = serde_json::from_slice(&told.stdout).expect("it is JSON");
    let packages = told["packages"].as_array().expect("a list").iter();
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    packages.map(|package| (text(&package["name"]), text(&package["license"]))).collect()
}

/// The admitted licences that a crate can be used under, by its SPDX expression; `None` where there is no
/// way. Of alternatives the first that is admitted is taken.
fn satisfied(expression: &str, admitted: &BTreeSet<String>) -> Option<BTreeSet<String>> {
    let expression = expression.trim();
    // OR binds less than AND; a slash is how old manifests write OR.
    for (word, all) in [(" OR ", false), ("/", false), (" AND ", true)] {
        let parts = split_outside_brackets(expression, word);
        if parts.len() > 1 {
            let mut judged = parts.into_iter().map(|part| satisfied(part, admitted));
            return if all {
                judged.collect::<Option<Vec<_>>>().map(|sets| sets.into_iter().flatten().collect())
            } else {
                judged.find_map(|found| found)
            };
        }
    }
    match expression.strip_prefix('(').and_then(|inner| inner.strip_suffix(')')) {
        Some(inner) => satisfied(inner, admitted),
        None => admitted.contains(expression).then(|| BTreeSet::from([expression.to_owned()])),
    }
}

fn split_outside_brackets<'t>(text: &'t str, word: &str) -> Vec<&'t str> {
    let mut parts = Vec::new();
    let (mut begin, mut depth) = (0, 0_i32);
    for (at, c) in text.char_indices() {
        match c {
            '(' => depth += 1,
            ')' => depth -= 1,
            _ => {}
        }
        if depth == 0 && at >= begin && text.get(at..).is_some_and(|rest| rest.starts_with(word)) {
            parts.extend(text.get(begin..at));
            begin = at + word.len();
        }
    }
    parts.extend(text.get(begin..));
    parts
}
