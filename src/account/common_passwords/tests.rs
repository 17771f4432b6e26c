use super::*;
use crate::base::encode::hex;

/// What `common_passwords.py check` prints, when it has found every entry of Django 5.2's list and
/// nothing else.
const CHECKED: &str = "a2707608fe55da1605138ea8e58a60bc5bf9d7c1d9279c1ad6e639e666eb635a";

#[test]
fn it_is_the_list_that_was_checked() {
    assert_eq!(hex(Digest::of(LIST).as_bytes()), CHECKED);
    assert_eq!(LIST.len(), 19_640 * WIDTH);
    assert!(LIST.as_chunks::<WIDTH>().0.is_sorted_by(|a, b| a < b));
}

#[test]
fn listed_passwords_are_found_and_others_are_not() {
    let recorded = include_str!("../../../tests/data/django_account_rules.json");
    let recorded: serde_json::Value = serde_json::from_str(recorded).expect("it is JSON");
    let some = recorded["common"].as_array().expect("it is a list");
    assert!(some.len() > 300);
    for password in some {
        let password = password.as_str().expect("it is a text");
        assert!(contains(password), "{password}");
    }
    let found = (0..100_000).filter(|n| contains(&format!("not {n} in the list"))).count();
    assert_eq!(found, 0);
}
