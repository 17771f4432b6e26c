use super::*;
use crate::gate::path::{Room, read};

fn ask(name: &str, method: &str, path: &str) -> Requirement {
    let roots = vec!["/api/".to_owned(), "/mobile-api/".to_owned()];
    requirement(&Policy::preset(name, roots).expect("is a policy"), method, "", path)
}

fn requirement(policy: &Policy, method: &str, host: &str, path: &str) -> Requirement {
    let mut room = Room::default();
    let path = read(path.as_bytes(), &mut room).expect("is judged");
    policy.requirement(method.as_bytes(), host.as_bytes(), &path).clone()
}

fn scope(name: &str) -> Scope {
    Scope::new(name, "Bearer").unwrap_or_else(|| panic!("{name} is a scope"))
}

/// A rule in short.
pub(in crate::gate) fn rule(
    number: usize,
    methods: &[&str],
    paths: &[&str],
    hosts: &[&str],
    requirement: Requirement,
) -> Rule {
    let methods = methods.iter().map(|name| Methods::named(name).expect("is a method"));
    Rule {
        number,
        methods: methods.reduce(Methods::and).unwrap_or(Methods::ANY),
        paths: paths.iter().map(|text| Pattern::parse(text).expect("is a pattern")).collect(),
        hosts: hosts.iter().map(|text| Host::parse(text).expect("is a host")).collect(),
        requirement,
    }
}

fn api(rules: Vec<Rule>) -> Policy {
    Policy::new(vec!["/api/".to_owned()], rules)
}

#[test]
fn anonymous_may_read_and_writing_needs_an_account() {
    let ask = |method, path| ask("IsAuthenticatedOrReadOnly", method, path);
    assert_eq!(ask("GET", "/api/v1/hobbies/"), Requirement::Anonymous);
    assert_eq!(ask("GET", "/api"), Requirement::Anonymous);
    assert_eq!(ask("OPTIONS", "/mobile-api/v1/"), Requirement::Anonymous);
    assert_eq!(ask("POST", "/api/v1/hobbies/"), Requirement::Authenticated);
    assert_eq!(ask("get", "/api/v1/hobbies/"), Requirement::Deny);
    assert_eq!(ask("Post", "/api/v1/hobbies/"), Requirement::Deny);
    assert_eq!(ask("PROPFIND", "/api/v1/"), Requirement::Authenticated);
}

#[test]
fn a_misplaced_or_second_root_is_denied() {
    for path in [
        "/",
        "/sysadmin/",
        "/accounts/api/v1/hobbies/",
        "/xapi/v1/",
        "/api/v1/benefits/mobile-api/v1/x/",
        "/api/v1/api/v1/",
        "/apix/",
        "/ap",
    ] {
        assert_eq!(ask("open", "GET", path), Requirement::Deny, "{path}");
    }
}

#[test]
fn the_first_rule_that_matches_decides() {
    let policy = api(vec![
        rule(1, &["DELETE"], &[], &[], Requirement::Deny),
        rule(2, &["GET"], &["/api/hobbies/**"], &[], Requirement::Anonymous),
        rule(3, &[], &["/api/hobbies/{id}/"], &["admin.example.org"], Requirement::Staff),
        rule(4, &[], &["/api/hobbies/**"], &[], Requirement::Scope(scope("hobbies:write"))),
    ]);
    let ask = |method, host, path| requirement(&policy, method, host, path);
    assert_eq!(ask("DELETE", "", "/api/hobbies/1/"), Requirement::Deny);
    assert_eq!(ask("HEAD", "", "/api/hobbies/1/"), Requirement::Anonymous, "GET includes HEAD");
    assert_eq!(ask("PUT", "ADMIN.example.org", "/api/hobbies/1/"), Requirement::Staff);
    let write = Requirement::Scope(scope("hobbies:write"));
    assert_eq!(ask("PUT", "api.example.org", "/api/hobbies/1/"), write);
    assert_eq!(ask("PUT", "admin.example.org", "/api/hobbies/1/images/"), write);
    assert_eq!(ask("GET", "", "/api/other/"), Requirement::Deny, "what no rule names");
}

#[test]
fn views_that_meet_different_rules_are_denied() {
    let policy = api(vec![
        rule(1, &[], &["/api/open/**"], &[], Requirement::Anonymous),
        rule(2, &[], &["/api/{what}/**"], &[], Requirement::Authenticated),
    ]);
    for (path, asked) in [
        ("/api/open/%C3%A4/", Requirement::Anonymous),
        ("/api/%6fpen/x/", Requirement::Deny),
        ("/api/other/%61/", Requirement::Authenticated),
        ("/api/open;x/y/", Requirement::Deny),
        ("/api/open/y;x=1/", Requirement::Anonymous),
        ("/api/other;x/y", Requirement::Authenticated),
        ("/%61pi/other/", Requirement::Deny),
    ] {
        assert_eq!(requirement(&policy, "GET", "", path), asked, "{path}");
    }
}

#[test]
fn requirements_are_met_or_not() {
    let granted = HeaderValue::from_static("read hobbies:write");
    let account = |is_staff, scope| Caller::Account { is_staff, scope };
    let write = Requirement::Scope(scope("hobbies:write"));
    let other = scope("hobbies");
    let needs_other = Requirement::Scope(other.clone());
    for (requirement, caller, met) in [
        (&Requirement::Anonymous, Caller::Anonymous, Ok(())),
        (&Requirement::Anonymous, account(false, None), Ok(())),
        (&Requirement::Authenticated, Caller::Anonymous, Err(Unmet::NoAccount)),
        (&Requirement::Authenticated, account(false, None), Ok(())),
        (&Requirement::Staff, Caller::Anonymous, Err(Unmet::NoAccount)),
        (&Requirement::Staff, account(false, Some(&granted)), Err(Unmet::Forbidden)),
        (&Requirement::Staff, account(true, None), Ok(())),
        (&write, Caller::Anonymous, Err(Unmet::NoAccount)),
        (&write, account(true, Some(&granted)), Ok(())),
        (&needs_other, account(true, Some(&granted)), Err(Unmet::NoScope(&other))),
        (&needs_other, account(true, None), Err(Unmet::NoScope(&other))),
        (&Requirement::Deny, Caller::Anonymous, Err(Unmet::Forbidden)),
        (&Requirement::Deny, account(true, None), Err(Unmet::Forbidden)),
    ] {
        assert_eq!(requirement.judge(caller), met, "{requirement:?} {caller:?}");
    }
    let said = other.challenge().to_str().expect("is ASCII");
    assert_eq!(said, r#"Bearer error="insufficient_scope", scope="hobbies""#);
    for odd in ["", "a b", "a\"b", "a\\b", "ä", "a\n"] {
        assert_eq!(Scope::new(odd, "Bearer"), None, "{odd:?}");
    }
}

#[test]
fn hosts_are_read_and_hold() {
    let host = |text| Host::parse(text).unwrap_or_else(|| panic!("{text}"));
    for (pattern, name, matches) in [
        ("api.example.org", "API.example.org", true),
        ("api.example.org", "x.api.example.org", false),
        ("*.example.org", "api.example.org", true),
        ("*.example.org", "a.b.example.org", true),
        ("*.example.org", "example.org", false),
        ("*.example.org", ".example.org", false),
        ("*.example.org", "evilexample.org", false),
        ("[::1]", "[::1]", true),
    ] {
        assert_eq!(host(pattern).matches(name.as_bytes()), matches, "{pattern} {name}");
    }
    assert!(host("*.example.org").holds(&host("*.api.example.org")));
    assert!(!host("*.api.example.org").holds(&host("*.example.org")));
    for odd in ["", "*.", "*", "https://x", "x:80", "x y", "*.*.x", "x/y"] {
        assert_eq!(Host::parse(odd), None, "{odd}");
    }
}

#[test]
fn methods_have_names() {
    assert_eq!(Methods::ANY.shown(), "any method");
    assert_eq!(Methods::SAFE.shown(), "GET, HEAD, OPTIONS");
    assert_eq!(Methods::WRITING.shown(), "POST, PUT, PATCH, DELETE, other methods");
    assert_eq!(Methods::SAFE.and(Methods::WRITING), Methods::ANY);
    assert_eq!(Methods::named("get"), None);
    assert_eq!(Methods::of(b"get"), Methods::of(b"PROPFIND"));
}
