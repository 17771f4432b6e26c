use proptest::prelude::*;

use super::*;

#[derive(serde::Deserialize)]
struct Recorded {
    addresses: Vec<Address>,
}

#[derive(serde::Deserialize)]
struct Address {
    text: String,
    normalized: Option<String>,
}

#[test]
fn addresses_are_read_as_django_reads_them() {
    let recorded = include_str!("../../../tests/data/django_account_rules.json");
    let recorded: Recorded = serde_json::from_str(recorded).expect("the vectors are JSON");
    assert!(recorded.addresses.iter().filter(|a| a.normalized.is_some()).count() > 50);
    for address in &recorded.addresses {
        let parsed = EmailAddress::parse(&address.text);
        let parsed = parsed.as_ref().ok().map(EmailAddress::as_str);
        assert_eq!(parsed, address.normalized.as_deref(), "{:?}", address.text);
    }
}

#[test]
fn what_django_admits_beyond_is_refused() {
    for text in [
        "\"a\u{1}b\"@example.org",
        "\"a\\\u{7f}\"@example.org",
        "mi\u{17f}a@example.org",
        "ma\u{131}l@example.org",
        "\u{212a}ai@example.org",
        "a@exam\u{200b}ple.org",
        "a@ex\u{202e}ample.org",
        "a@exa\u{2003}mple.org",
    ] {
        assert_eq!(EmailAddress::parse(text), Err(EmailError::Malformed), "{text:?}");
    }
}

#[test]
fn lengths_count_in_characters() {
    let local = "a".repeat(64);
    let longest =
        format!("{local}@{}.fi", "ö".repeat(60) + &(".".to_owned() + &"ö".repeat(62)).repeat(2));
    assert_eq!(longest.chars().count(), 254);
    assert!(EmailAddress::parse(&longest).is_ok());
    assert_eq!(EmailAddress::parse(&format!("a{longest}")), Err(EmailError::TooLong));
    let beyond = format!("{}@example.org", "a".repeat(309));
    assert_eq!(EmailAddress::parse(&beyond), Err(EmailError::Malformed));
}

#[test]
fn looking_alike_is_not_being_the_same() {
    let typed = EmailAddress::parse("Mike@Example.org").expect("is an address");
    assert_eq!(typed.as_str(), "Mike@example.org");
    assert_eq!(typed.domain(), "example.org");
    assert!(typed.looks_like("m\u{131}ke@example.org"));
    assert!(typed.looks_like("ｍike@EXAMPLE.org"));
    assert!(!typed.looks_like("mikey@example.org"));
    assert_eq!(format!("{typed:?}"), "EmailAddress(…)");
}

proptest! {
    #[test]
    fn no_address_ends_a_line(text in "[\"a-c@.\\\\ \r\n\t\u{0}-\u{20}\u{7f}-\u{a1}\u{2028}\u{2029}]{1,12}@[a-c.\r\n\u{2028}]{1,8}") {
        if let Ok(address) = EmailAddress::parse(&text) {
            let ends_line = |c: char| c.is_control() || c == '\u{2028}' || c == '\u{2029}';
            prop_assert!(!address.as_str().contains(ends_line));
            let again = EmailAddress::parse(address.as_str());
            prop_assert_eq!(again.as_ref(), Ok(&address));
        }
    }

    #[test]
    fn parsing_never_panics(text in ".{0,400}") {
        let _ = EmailAddress::parse(&text);
    }
}
