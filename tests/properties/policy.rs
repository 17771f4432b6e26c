//! The gate's policy against an oracle: rules as people would apply them by hand, for generated policies,
//! requests and credentials.

use avain::base::pattern::Pattern;
use avain::gate::path::{Room, read};
use avain::gate::policy::{Caller, Host, Methods, Policy, Requirement, Rule, Scope};
use http::HeaderValue;
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use proptest::sample::{select, subsequence};

/// What a rule of the oracle says: kept as text, and read anew for every request.
#[derive(Clone, Debug)]
struct Written {
    methods: Vec<&'static str>,
    paths: Vec<String>,
    host: Option<&'static str>,
    access: &'static str,
}

const ROOTS: [&str; 2] = ["/api/", "/m-api/"];
const METHODS: [&str; 7] = ["GET", "HEAD", "OPTIONS", "POST", "PUT", "PATCH", "DELETE"];

/// Whether these segments are those of a pattern, one by one.
fn same_segments(pattern: &[&str], path: &[&str]) -> bool {
    match (pattern, path) {
        (["**"], _) | ([], []) => true,
        ([first, pattern @ ..], [segment, path @ ..]) => {
            (*first == *segment || *first == "*") && same_segments(pattern, path)
        }
        _ => false,
    }
}

/// The segments of a path; its last slash makes none.
fn segments(path: &str) -> Vec<&str> {
    let path = path.strip_suffix('/').unwrap_or(path);
    path.split('/').skip(1).collect()
}

/// What is asked for a path that has one view.
fn by_hand(rules: &[Written], method: &str, host: &str, path: &str) -> &'static str {
    let under = |root: &&&str| format!("{}/", path.trim_end_matches('/')).starts_with(**root);
    let Some(root) = ROOTS.iter().find(under) else { return "deny" };
    let rest = path.get(root.len()..).unwrap_or("");
    if ROOTS.iter().any(|root| rest.contains(&root[1..])) {
        return "deny";
    }
    for rule in rules {
        let by_method = rule.methods.is_empty()
            || rule.methods.contains(&method)
            || (method == "HEAD" && rule.methods.contains(&"GET"));
        let by_host = rule.host.is_none_or(|name| match name.strip_prefix('*') {
            Some(end) => host.len() > end.len() && host.ends_with(end),
            None => host == name,
        });
        let by_path = rule.paths.is_empty()
            || rule.paths.iter().any(|found| same_segments(&segments(found), &segments(path)));
        if by_method && by_host && by_path {
            return rule.access;
        }
    }
    "deny"
}

/// Percent-decodes ASCII, as far as this test encodes.
fn undone(path: &str) -> String {
    path.replace("%61", "a").replace("%78", "x").replace("%20", " ")
}

/// Cuts parameters off.
fn bare(path: &str) -> String {
    let cut = |segment: &str| segment.split(';').next().unwrap_or_default().to_owned();
    path.split('/').map(cut).collect::<Vec<_>>().join("/")
}

fn requirement(access: &str) -> Requirement {
    match access {
        "anonymous" => Requirement::Anonymous,
        "authenticated" => Requirement::Authenticated,
        "staff" => Requirement::Staff,
        "deny" => Requirement::Deny,
        scope => Requirement::Scope(Scope::new(scope, "Bearer").expect("is a scope")),
    }
}

fn written() -> impl Strategy<Value = Written> {
    let segment = || select(vec!["a", "x", "*", "api"]);
    let path = (select(vec!["/api", "/m-api"]), vec(segment(), 0..3), any::<bool>(), any::<bool>());
    let path = path.prop_map(|(root, segments, rest, slash)| {
        let mut path = format!("{root}/{}", segments.join("/"));
        path.truncate(path.trim_end_matches('/').len());
        path + if rest { "/**" } else { "" } + if slash { "/" } else { "" }
    });
    let host = option::of(select(vec!["h.example.org", "*.example.org"]));
    let access = select(vec!["anonymous", "authenticated", "staff", "deny", "read", "write"]);
    (subsequence(METHODS.to_vec(), 0..4), vec(path, 0..3), host, access)
        .prop_map(|(methods, paths, host, access)| Written { methods, paths, host, access })
}

fn policy(rules: &[Written]) -> Policy {
    let rules = rules.iter().enumerate().map(|(at, rule)| {
        let methods = rule.methods.iter().map(|name| Methods::named(name).expect("is one"));
        let paths = rule.paths.iter().map(|path| Pattern::parse(path).expect("is a pattern"));
        Rule {
            number: at + 1,
            methods: methods.reduce(Methods::and).unwrap_or(Methods::ANY),
            paths: paths.collect(),
            hosts: rule.host.iter().map(|host| Host::parse(host).expect("is a host")).collect(),
            requirement: requirement(rule.access),
        }
    });
    Policy::new(ROOTS.map(str::to_owned).to_vec(), rules.collect())
}

/// Somebody who asks: whether with an account, whether it is staff, and the scopes of the credential.
type Who = (bool, bool, &'static str);

fn passes(access: &str, (account, staff, scopes): Who) -> bool {
    match access {
        "anonymous" => true,
        "deny" => false,
        "authenticated" => account,
        "staff" => account && staff,
        scope => account && scopes.split(' ').any(|granted| granted == scope),
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    /// Fifty requests for each of 2,000 policies: 100,000 cases. What the gate lets pass, the rules let pass
    /// in every view of the path; what they let pass in every view alike, the gate lets pass.
    #[test]
    fn nothing_passes_that_the_rules_deny(
        rules in vec(written(), 0..6),
        requests in vec(
            (
                select(vec!["GET", "HEAD", "OPTIONS", "POST", "PUT", "DELETE", "PROPFIND", "get"]),
                select(vec!["h.example.org", "x.example.org", "example.org", ""]),
                vec(
                    select(vec![
                        "/api", "/m-api", "/a", "/x", "/%61", "/%78", "/a%20", "/a;x=1", "/%61pi", "//", "/..",
                        "/..%2fapi", "/.", "/;", "/api;x", "\\a",
                    ]),
                    1..5,
                ),
                select(vec!["", "/", "?q=/api/", "/?next=//"]),
                (any::<bool>(), any::<bool>(), select(vec!["", "read", "read write", "writer"])),
            ),
            50,
        ),
    ) {
        let policy = policy(&rules);
        for (method, host, path, end, who) in requests {
            // Most requests are for the API.
            let uri = format!("/api{}{end}", path.concat()).replacen("/api/m-api", "/m-api", 1);
            let raw = uri.split('?').next().unwrap_or_default();
            let views = [raw.to_owned(), undone(raw), bare(&undone(raw))];
            let asked = views.each_ref().map(|view| by_hand(&rules, method, host, view));
            let alike = asked.iter().all(|access| *access == asked[0]);
            let odd = is_odd(&views[1]) || is_odd(&views[2]) || raw.contains('\\');
            // A method in small letters is one that some servers take for another.
            let expected = !odd && alike && method != "get" && passes(asked[0], who);

            let scope = HeaderValue::from_static(who.2);
            let scope = Some(&scope).filter(|scope| !scope.is_empty());
            let caller = match who {
                (false, ..) => Caller::Anonymous,
                (true, is_staff, _) => Caller::Account { is_staff, scope },
            };
            let mut room = Room::default();
            let passed = read(uri.as_bytes(), &mut room).is_ok_and(|path| {
                let asked = policy.requirement(method.as_bytes(), host.as_bytes(), &path);
                asked.judge(caller).is_ok()
            });
            prop_assert_eq!(passed, expected, "{} {}{} {:?}: {:?}", method, host, uri, who, asked);
        }
    }
}

/// Whether a decoded view has a segment that some server takes for none, or what some would decode again.
fn is_odd(view: &str) -> bool {
    let inner = view.strip_suffix('/').unwrap_or(view);
    let mut segments = inner.split('/').skip(1);
    view.contains('%')
        || view.contains("/;")
        || segments.any(|segment| matches!(segment, "" | "." | ".."))
}
