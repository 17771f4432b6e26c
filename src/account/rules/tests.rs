use proptest::prelude::*;

use super::*;

const DJANGO: PasswordRules =
    PasswordRules { minimum: 8, similarity: true, common: true, numeric: true, breached: None };

#[derive(serde::Deserialize)]
struct Recorded {
    passwords: Vec<Case>,
}

#[derive(serde::Deserialize)]
struct Case {
    password: String,
    username: String,
    first_name: String,
    last_name: String,
    email: String,
    broken: Vec<String>,
}

fn told(broken: RuleBroken) -> String {
    match broken {
        RuleBroken::TooSimilar(Attribute::Username) => "similar: username",
        RuleBroken::TooSimilar(Attribute::FirstName) => "similar: first name",
        RuleBroken::TooSimilar(Attribute::LastName) => "similar: last name",
        RuleBroken::TooSimilar(Attribute::Email) => "similar: email address",
        RuleBroken::TooShort { minimum } => return format!("short: {minimum}"),
        RuleBroken::TooCommon => "common",
        RuleBroken::EntirelyNumeric => "numeric",
        RuleBroken::Breached => "breached",
    }
    .to_owned()
}

#[test]
fn passwords_are_judged_as_django_judges_them() {
    let recorded = include_str!("../../../tests/data/django_account_rules.json");
    let recorded: Recorded = serde_json::from_str(recorded).expect("the vectors are JSON");
    let similar = |case: &&Case| case.broken.iter().any(|rule| rule.starts_with("similar"));
    assert!(recorded.passwords.iter().filter(similar).count() > 50);
    for case in &recorded.passwords {
        let about = About {
            username: &case.username,
            first_name: &case.first_name,
            last_name: &case.last_name,
            email: &case.email,
        };
        let broken = DJANGO.check_offline(&case.password, &about);
        let broken: Vec<String> = broken.into_iter().map(told).collect();
        assert_eq!(broken, case.broken, "{:?} for {about:?}", case.password);
    }
}

#[test]
fn rules_can_be_switched_off() {
    let about = About { username: "12345", ..About::default() };
    let all = DJANGO.check_offline("12345", &about);
    assert_eq!(
        all,
        [
            RuleBroken::TooSimilar(Attribute::Username),
            RuleBroken::TooShort { minimum: 8 },
            RuleBroken::TooCommon,
            RuleBroken::EntirelyNumeric,
        ]
    );
    for off in 0..4 {
        let mut rules = DJANGO;
        match off {
            0 => rules.similarity = false,
            1 => rules.minimum = 5,
            2 => rules.common = false,
            _ => rules.numeric = false,
        }
        let mut expected = all.clone();
        expected.remove(off);
        assert_eq!(rules.check_offline("12345", &about), expected);
    }
}

proptest! {
    #[test]
    fn a_name_is_too_similar_to_itself(name in "\\w{1,40}", email in "[a-z]{0,9}@[a-z]{0,9}") {
        let about = About { username: &name, email: &email, ..About::default() };
        let broken = DJANGO.check_offline(&name, &about);
        prop_assert_eq!(broken.first(), Some(&RuleBroken::TooSimilar(Attribute::Username)));
    }

    #[test]
    fn a_sentence_of_other_characters_is_fine(name in "[a-f]{1,30}", password in "[g-z ]{20,200}") {
        let about = About { username: &name, first_name: &name, ..About::default() };
        prop_assert_eq!(DJANGO.check_offline(&password, &about), []);
    }

    #[test]
    fn nothing_panics(password in ".*", name in ".*") {
        let about = About { username: &name, last_name: &name, ..About::default() };
        let _ = DJANGO.check_offline(&password, &about);
    }
}
