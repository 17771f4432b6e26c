//! Parsers that meet whatever clients send.

use avain::base::clock::Timestamp;
use avain::base::random::SeededRandom;
use avain::dialect::form::{Reader, Submission, TextField};
use avain::dialect::words::{CURRENT, PINNED};
use avain::gate::path::{self, Room};
use avain::token::claims::FamilyId;
use avain::token::credential::{Credential, Scheme, Schemes};
use avain::token::opaque::ClassicKey;
use avain::token::personal::{PersonalKey, PersonalKeyDigest};
use avain::token::scope::Scopes;
use avain::token::terms::Networks;
use proptest::prelude::*;

const USERNAME: TextField = TextField { longest: Some(150), ..TextField::required("username") };

/// Texts made of what means something to a JSON or form parser.
fn text() -> impl Strategy<Value = String> {
    r#"([{}\[\],:"]|"username"|"|\\u(d83d|de00|0000|00e4)|\\|null|true|-?[0-9]{1,20}|1e999|[=&;+%]|%[0-9a-fA-F]{2}|.){0,40}"#
}

fn read_all(submission: &Submission) {
    for words in [&CURRENT, &PINNED] {
        if let Ok(mut reader) = Reader::new(words, submission) {
            let value = reader.text(&USERNAME);
            if reader.finish().is_ok() {
                assert!(!value.is_empty() && !value.contains('\0'), "{value:?} is not a value");
                assert!(value.chars().count() <= 150, "{value:?} is too long");
            }
        }
    }
}

proptest! {
    #[test]
    fn submissions_of_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        if let Ok(submission) = Submission::from_json(&bytes) {
            read_all(&submission);
        }
        read_all(&Submission::from_form(&bytes));
    }

    #[test]
    fn submissions_of_text_never_panic(text in text()) {
        if let Ok(submission) = Submission::from_json(text.as_bytes()) {
            read_all(&submission);
        }
        read_all(&Submission::from_form(text.as_bytes()));
    }

    #[test]
    fn a_json_object_gives_its_texts_back(value in "\\PC{1,150}") {
        prop_assume!(!value.trim().is_empty());
        let body = serde_json::json!({ "username": value }).to_string();
        let submission = Submission::from_json(body.as_bytes()).expect("is JSON");
        let mut reader = Reader::new(&CURRENT, &submission).expect("is an object");
        prop_assert_eq!(reader.text(&USERNAME), value.trim());
        prop_assert!(reader.finish().is_ok());
    }

    #[test]
    fn a_path_that_is_read_is_safe_in_every_view(uri in prop_oneof![
        "/(api|v1|%61pi|%2e|%2E|%2f|%c3%a4|\\.|\\.\\.|;|//|/|%|\\\\|%00|\\?|#|[a-zä]){0,12}",
        "\\PC{0,30}",
    ]) {
        let mut room = Room::default();
        if let Ok(path) = path::read(uri.as_bytes(), &mut room) {
            for view in [path.raw, path.decoded] {
                prop_assert!(view.starts_with('/'));
                prop_assert!(!view.contains("//") && !view.contains('\\'));
                prop_assert!(view.bytes().all(|byte| byte >= 0x20 && byte != 0x7f));
                let is_dots = |segment: &str| {
                    matches!(segment.split(';').next(), Some("." | ".."))
                };
                prop_assert!(!view.split('/').any(is_dots), "{view}");
            }
            // Slashes are not made by decoding: both views have the same segments.
            prop_assert_eq!(path.raw.matches('/').count(), path.decoded.matches('/').count());
            prop_assert!(path.decoded.len() <= path.raw.len());
            // What is decoded stays as it is when it is read again.
            let decoded = path.decoded.to_owned();
            let mut again = Room::default();
            if decoded.is_ascii() && !decoded.contains(['%', '?', '#']) {
                let again = path::read(decoded.as_bytes(), &mut again);
                prop_assert_eq!(again.map(|path| path.decoded.to_owned()), Ok(decoded));
            }
        }
    }

    #[test]
    fn paths_of_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..100)) {
        let _ = path::read(&bytes, &mut Room::default());
        let slash: Vec<u8> = std::iter::once(b'/').chain(bytes).collect();
        let _ = path::read(&slash, &mut Room::default());
    }

    #[test]
    fn authorization_of_bytes_never_panics(
        bytes in prop::collection::vec(prop_oneof![any::<u8>(), Just(b' '), Just(b'\t')], 0..60),
        prefix in prop_oneof![Just(""), Just("Bearer "), Just("Token "), Just("token\t")],
    ) {
        let header = [prefix.as_bytes(), &bytes].concat();
        match schemes().read(Some(&header)) {
            Ok(Credential::Bearer(token)) => {
                prop_assert!(!token.is_empty() && !token.iter().any(u8::is_ascii_whitespace));
            }
            Ok(Credential::ApiKey(key)) => {
                prop_assert!(!key.is_empty() && !key.contains([' ', '\t', '\n']));
            }
            Ok(Credential::None) | Err(_) => {}
        }
    }

    #[test]
    fn only_what_was_made_is_a_key_of_our_own(seed in any::<u64>(), text in "(avn_)?[0-9A-Za-z_ ]{36,44}|.{0,50}") {
        let key = PersonalKey::generate(&SeededRandom::new(seed));
        let presented = key.expose().as_bytes();
        prop_assert_eq!(PersonalKeyDigest::of_presented(presented), Some(key.digest()));
        prop_assert!(ClassicKey::parse(key.expose()).is_none(), "it is of one kind");
        // One text in fifty thousand million has the right checksum by chance.
        prop_assert!(PersonalKeyDigest::of_presented(text.as_bytes()).is_none());
    }

    #[test]
    fn a_key_that_is_changed_anywhere_is_none(
        seed in any::<u64>(), at in 0_usize..42, to in any::<u8>(), cut in 0_usize..42,
    ) {
        let key = PersonalKey::generate(&SeededRandom::new(seed));
        let mut presented = key.expose().as_bytes().to_vec();
        if presented[at] != to {
            presented[at] = to;
            prop_assert!(PersonalKeyDigest::of_presented(&presented).is_none());
        }
        prop_assert!(PersonalKeyDigest::of_presented(&key.expose().as_bytes()[..cut]).is_none());
    }

    #[test]
    fn terms_of_keys_read_back_as_themselves(
        text in "((GET|POST,PUT|\\*|get|):(/(api|v1|\\*\\*?|\\{id\\}|\\.\\.|~|))*/?|[a-z:\"\\\\ä]{1,6}|[0-9.:/]{1,12}|[, ]){0,8}",
    ) {
        if let Ok(scopes) = Scopes::parse(&text) {
            prop_assert_eq!(Scopes::parse(&scopes.to_string()), Ok(scopes.clone()));
            prop_assert_eq!(Scopes::parse(&scopes.names()).map(|names| names.names()), Ok(scopes.names()));
            prop_assert!(http::HeaderValue::from_str(&scopes.to_string()).is_ok(), "it fits a header");
        }
        if let Ok(networks) = Networks::parse(&text) {
            prop_assert_eq!(Networks::parse(&networks.to_string()), Ok(networks));
        }
    }

    #[test]
    fn a_family_id_survives_its_texts(millis in 0..(1_i64 << 47), seed in any::<u64>()) {
        let begun_at = Timestamp::from_millis(millis);
        let family = FamilyId::begin(begun_at, &SeededRandom::new(seed));
        prop_assert_eq!(FamilyId::parse(&family.to_string()), Some(family));
        prop_assert_eq!(FamilyId::from_stored(family.as_bytes()), Some(family));
        prop_assert_eq!(family.begun_at(), begun_at);
    }

    #[test]
    fn only_32_lower_case_digits_are_a_family_id(text in "([0-9a-fA-Fg-]{30,34}|.{0,40})") {
        let is_one = text.len() == 32 && text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
        prop_assert_eq!(FamilyId::parse(&text).is_some(), is_one);
    }

    #[test]
    fn an_adopted_family_is_the_same_at_every_look(seconds in 0..4_000_000_000_i64, id in ".{0,40}") {
        let at = Timestamp::from_seconds(seconds);
        let family = FamilyId::adopt(at, &id);
        prop_assert_eq!(family, FamilyId::adopt(at, &id));
        prop_assert_eq!(family.begun_at(), at);
        prop_assert_ne!(family, FamilyId::adopt(at, &format!("{id}x")));
    }
}

fn schemes() -> Schemes {
    Schemes { accepted: vec![Scheme::Bearer, Scheme::Token], bearer_prefix: "Bearer".to_owned() }
}
