use super::*;
use crate::gate::policy::tests::rule;

use Requirement::{Anonymous, Authenticated, Deny, Staff};

#[test]
fn exceptions_before_what_they_are_exceptions_of_are_right() {
    let rules = [
        rule(1, &["DELETE"], &[], &[], Deny),
        rule(2, &[], &[], &["admin.example.org"], Staff),
        rule(3, &["GET"], &["/api/hobbies/**", "/api/events/{id}"], &[], Anonymous),
        rule(4, &[], &["/api/hobbies/new"], &[], Staff),
        rule(5, &[], &["/api/hobbies/**"], &[], Authenticated),
        rule(6, &["GET", "POST"], &["~^/api/x/[0-9]+/?$"], &[], Staff),
        rule(7, &[], &["/api/x/{id}"], &[], Authenticated),
    ];
    let found = conflicts(&rules);
    let expected = Conflict::Ambiguous {
        first: 3,
        second: 4,
        methods: "GET, HEAD".to_owned(),
        path: "/api/hobbies/new".to_owned(),
    };
    assert_eq!(found, [expected], "rule 4 was meant to be the exception, and comes too late");
}

#[test]
fn a_rule_that_never_decides_is_found() {
    for (earlier, later) in [
        (rule(1, &[], &[], &[], Staff), rule(3, &["GET"], &["/api/x"], &["a.example.org"], Staff)),
        (rule(1, &[], &["/api/{x}"], &[], Staff), rule(3, &[], &["/api/x"], &[], Anonymous)),
        (rule(1, &["GET"], &["/api/**"], &[], Staff), rule(3, &["HEAD"], &["/api/x"], &[], Staff)),
        (
            rule(1, &[], &["/api/**"], &["*.example.org"], Staff),
            rule(3, &[], &["/api/x"], &["a.example.org"], Anonymous),
        ),
        (rule(1, &[], &["~^/a/[a-z]+/?$"], &[], Deny), rule(3, &[], &["/a/b/"], &[], Anonymous)),
    ] {
        let found = conflicts(&[earlier, later.clone()]);
        assert_eq!(found, [Conflict::Unreachable { rule: 3, by: 1 }], "{later:?}");
    }
    // Two rules together: neither alone decides for all methods.
    let found = conflicts(&[
        rule(1, &["GET"], &["/a"], &[], Staff),
        rule(2, &["POST"], &["/a"], &[], Staff),
        rule(3, &["GET", "POST"], &["/a"], &[], Staff),
    ]);
    assert_eq!(found, [Conflict::Unreachable { rule: 3, by: 2 }]);
}

#[test]
fn a_path_that_never_counts_is_found() {
    let path = || "/a/b".to_owned();
    let found = conflicts(&[
        rule(1, &[], &["/a/*"], &[], Staff),
        rule(2, &[], &["/c", "/a/b"], &[], Anonymous),
    ]);
    assert_eq!(found, [Conflict::NeedlessPath { rule: 2, path: path(), by: 1 }]);
    let found = conflicts(&[rule(1, &[], &["/a/**", "/a/b"], &[], Staff)]);
    assert_eq!(found, [Conflict::NeedlessPath { rule: 1, path: path(), by: 1 }]);
}

#[test]
fn rules_that_only_their_order_tells_apart_are_found() {
    let crossing = [
        rule(1, &[], &["/api/{x}/new"], &[], Staff),
        rule(2, &[], &["/api/v1/{y}"], &[], Anonymous),
    ];
    let path = "/api/v1/new".to_owned();
    let methods = "any method".to_owned();
    let expected = Conflict::Ambiguous { first: 1, second: 2, methods, path };
    assert_eq!(conflicts(&crossing), [expected]);
    let plain = |first: Requirement, hosts: &[&str]| {
        let first = rule(1, &[], &["/api/{x}/new"], hosts, first);
        conflicts(&[first, rule(2, &[], &["/api/v1/{y}"], &[], Anonymous)])
    };
    assert_eq!(plain(Anonymous, &[]), [], "they ask for the same");
    assert_eq!(plain(Deny, &[]), [], "what is denied first is plain");
    assert_eq!(plain(Staff, &["a.example.org"]), [], "so is what is about one host");
    let apart = [
        rule(1, &["GET"], &["/api/{x}/new"], &[], Staff),
        rule(2, &["POST"], &["/api/v1/{y}"], &[], Anonymous),
    ];
    assert_eq!(conflicts(&apart), [], "no request meets both");
}

#[test]
fn a_preset_is_one_rule() {
    let preset = |number| {
        let parts = [(Methods::SAFE, Anonymous), (Methods::WRITING, Authenticated)];
        parts.map(|(methods, requirement)| Rule {
            methods,
            ..rule(number, &[], &["/a"], &[], requirement)
        })
    };
    let [read, write] = preset(2);
    let safe = rule(1, &["GET", "OPTIONS"], &["/a"], &[], Staff);
    assert_eq!(conflicts(&[safe, read.clone(), write.clone()]), [], "a part of it counts");
    let [first_read, first_write] = preset(1);
    let found = conflicts(&[first_read, first_write, read, write]);
    assert_eq!(found.len(), 1, "{found:?}");
    assert!(matches!(found[0], Conflict::Unreachable { rule: 2, by: 1 }), "{found:?}");
}
