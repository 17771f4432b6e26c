//! Hashes that Django wrote (`tests/data/django_password_hashes.json`: recorded from 2.2, 3.2, 4.2
//! and 5.2 and the libraries they call), and what must never match.

use proptest::prelude::*;
use serde::Deserialize;

use super::*;
use crate::base::random::SeededRandom;

#[derive(Deserialize)]
struct Recorded {
    made_by: String,
    password: String,
    #[serde(default = "once")]
    repeat: usize,
    encoded: String,
}

fn once() -> usize {
    1
}

fn recorded() -> Vec<Recorded> {
    serde_json::from_str(include_str!("../../../tests/data/django_password_hashes.json"))
        .expect("the recording is JSON of this shape")
}

const RIGHT: fn(Parameters) -> Result<Verified, NotComputed> = |has| Ok(Verified::Right(has));
const WRONG: fn(Parameters) -> Result<Verified, NotComputed> = |has| Ok(Verified::Wrong(has));

fn verify(
    encoded: &str,
    password: String,
    memory: &mut Memory,
) -> (Result<Verified, NotComputed>, Parameters) {
    let stored = PasswordHash::parse(encoded);
    let parameters = stored.parameters().expect(encoded);
    (stored.verify(&Secret::new(password), &CostLimits::default(), memory), parameters)
}

#[test]
fn every_hash_that_django_writes_verifies() {
    let mut memory = Memory::default();
    let mut kinds = BTreeMap::new();
    for row in recorded().into_iter().filter(|row| !is_too_slow_unoptimised(row)) {
        let password = row.password.repeat(row.repeat);
        let (verified, parameters) = verify(&row.encoded, password, &mut memory);
        assert_eq!(verified, RIGHT(parameters), "{}: {}", row.made_by, row.encoded);
        *kinds.entry(row.encoded.split('$').next().map(str::to_owned)).or_insert(0) += 1;
    }
    assert_eq!(kinds.len(), 6, "all kinds are in the recording: {kinds:?}");
}

/// PBKDF2 is generic, thus compiled with this crate and not optimised in a debug build (3 s for a
/// million rounds, 0.1 s in a release build). There, of the rows with many rounds those of Django 3.2
/// have to do; `cargo test --release` takes them all.
fn is_too_slow_unoptimised(row: &Recorded) -> bool {
    let counts = ["$260000$", "$600000$", "$1000000$"];
    let has_many = counts.iter().any(|count| row.encoded.contains(count));
    cfg!(debug_assertions) && has_many && !row.made_by.starts_with("Django 3.2")
}

#[test]
fn wrong_passwords_do_not_verify() {
    let mut memory = Memory::default();
    for row in recorded().into_iter().filter(|row| !is_slow(&row.encoded)) {
        let password = row.password.repeat(row.repeat);
        // Plain bcrypt cannot see beyond 72 bytes, in Django neither.
        let is_cut = row.encoded.starts_with("bcrypt$") && password.len() >= 72;
        let others = [format!("{password}x"), format!("x{password}"), password.to_uppercase()];
        for other in others.into_iter().filter(|other| *other != password) {
            if is_cut && other.starts_with(&password) {
                continue;
            }
            let (verified, parameters) = verify(&row.encoded, other, &mut memory);
            assert_eq!(verified, WRONG(parameters), "{}: {}", row.made_by, row.encoded);
        }
    }
}

fn is_slow(encoded: &str) -> bool {
    let slow = ["000$", "m=102400", "$2b$12$", "scrypt$16384$"];
    slow.iter().any(|mark| encoded.contains(mark)) && !encoded.contains("$1000$")
}

#[test]
fn plain_bcrypt_sees_72_bytes_and_the_others_everything() {
    let mut memory = Memory::default();
    for (kind, cut) in [("bcrypt$", true), ("bcrypt_sha256$", false)] {
        let row = recorded()
            .into_iter()
            .find(|row| row.encoded.starts_with(kind) && row.password.len() * row.repeat >= 72)
            .expect("a long password was recorded for both kinds");
        let longer = row.password.repeat(row.repeat) + "x";
        let (verified, parameters) = verify(&row.encoded, longer, &mut memory);
        assert_eq!(verified == RIGHT(parameters), cut, "{}", row.encoded);
    }
}

const PBKDF2: &str =
    "pbkdf2_sha256$1000$kiinteasuola22merkkia0$+1R+Onlt7PjpuhvGffNejNptQwO1xdpCsHZ3v4ZJj+w=";
const ARGON2: &str = "argon2$argon2id$v=19$m=19456,t=2,p=1$a2lpbnRlYXN1b2xhMjJtZXJra2lhMA$UTBvX+53uGyZP85UcMEhXabJf/4XptEADFYGce+KlCE";
const BCRYPT: &str = "bcrypt$$2b$04$k3S.HMBVwBNgPaRFkJa1C.OEol7Gfv04K9hHgiDU9bHCfyIVNE9.S";
const SCRYPT: &str = "scrypt$64$kiinteasuola22merkkia0$1$3$IB/rNfiwHMxCUWWwAC8yXnQ8B+m47hDYOwdTG3bUIT7rwdZjpZK8pv2l9B9/eBf7/jZtA6oNspZJyZnhpi/EaQ==";

#[test]
fn what_django_would_not_write_is_malformed() {
    let cases = [
        (PBKDF2, "$1000$", "$0$"),
        (PBKDF2, "$1000$", "$01000$"),
        (PBKDF2, "$1000$", "$+1000$"),
        (PBKDF2, "$1000$", "$-1$"),
        (PBKDF2, "$1000$", "$$"),
        (PBKDF2, "$1000$", "$1_000$"),
        (PBKDF2, "$1000$", "$99999999999999999999$"),
        (PBKDF2, "$kiinteasuola22merkkia0$", "$$"),
        (PBKDF2, "+w=", "+w"),
        (PBKDF2, "+w=", "+x="),
        (PBKDF2, "+w=", "+w=$"),
        (PBKDF2, "+w=", "+w=\n"),
        (PBKDF2, "pbkdf2_sha256", "pbkdf2_sha1"),
        (PBKDF2, "pbkdf2_sha256", "pbkdf2_sha512"),
        (PBKDF2, "pbkdf2_sha256", "PBKDF2_SHA256"),
        (ARGON2, "argon2$", "argon2$$"),
        (ARGON2, "argon2id", "argon2x"),
        (ARGON2, "$v=19", "$v=18"),
        (ARGON2, "$v=19", "$v=19$x"),
        (ARGON2, "m=19456", "m=7"),
        (ARGON2, "m=19456", "m=019456"),
        (ARGON2, "p=1$", "p=2433$"),
        (ARGON2, "p=1$", "p=0$"),
        (ARGON2, "p=1$", "p=16777216$"),
        (ARGON2, "p=1$", "p=1,keyid=AA$"),
        (ARGON2, "t=2", "t=0"),
        (ARGON2, "$a2lpbnRlYXN1b2xhMjJtZXJra2lhMA$", "$a2lpbnRl$"),
        (ARGON2, "$UTBvX+53uGyZP85UcMEhXabJf/4XptEADFYGce+KlCE", "$"),
        (ARGON2, "$UTBvX+53uGyZP85UcMEhXabJf/4XptEADFYGce+KlCE", "$UTBv"),
        (BCRYPT, "$04$", "$4$"),
        (BCRYPT, "$04$", "$+4$"),
        (BCRYPT, "$04$", "$03$"),
        (BCRYPT, "$04$", "$00$"),
        (BCRYPT, "$04$", "$32$"),
        (BCRYPT, "$04$", "$004$"),
        (BCRYPT, "$2b$", "$2c$"),
        (BCRYPT, "bcrypt$$", "bcrypt$"),
        (BCRYPT, "NE9.S", "NE9.T"),
        (BCRYPT, "NE9.S", "NE9.SS"),
        (BCRYPT, "$k3S", "$ä3S"),
        (SCRYPT, "$64$", "$63$"),
        (SCRYPT, "$64$", "$1$"),
        (SCRYPT, "$64$", "$0$"),
        (SCRYPT, "$1$3$", "$0$3$"),
        (SCRYPT, "$1$3$", "$65536$65536$"),
        (SCRYPT, "$1$3$", "$4294967295$4294967295$"),
        (SCRYPT, "aQ==", "aQ="),
    ];
    for (whole, from, to) in cases {
        assert!(matches!(PasswordHash::parse(whole), PasswordHash::Known { .. }), "{whole}");
        let changed = whole.replacen(from, to, 1);
        assert_ne!(changed, whole);
        assert_eq!(PasswordHash::parse(&changed), PasswordHash::Malformed, "{changed}");
    }
    for other in ["", "$", "plain", "md5$x$y", "sha1$$da39a3ee", "pbkdf2_sha256$x", "\0", "ä$"] {
        assert_eq!(PasswordHash::parse(other), PasswordHash::Malformed, "{other}");
    }
    assert_eq!(PasswordHash::parse("!"), PasswordHash::Unusable);
    assert_eq!(PasswordHash::parse(&format!("!{PBKDF2}")), PasswordHash::Unusable);
}

#[test]
fn absurd_costs_are_refused_without_being_computed() {
    let cases = [
        (PBKDF2, "$1000$", "$99999999999$"),
        (PBKDF2, "$1000$", "$5000001$"),
        (ARGON2, "m=19456", "m=4294967295"),
        (ARGON2, "m=19456", "m=99999999999"),
        (ARGON2, "t=2", "t=4294967295"),
        (BCRYPT, "$04$", "$31$"),
        (SCRYPT, "$64$", "$1099511627776$"),
        (SCRYPT, "$1$3$", "$16777216$3$"),
        (SCRYPT, "$1$3$", "$3$16777216$"),
    ];
    let mut memory = Memory::default();
    for (whole, from, to) in cases {
        let changed = whole.replacen(from, to, 1);
        let (refused, parameters) = verify(&changed, "x".to_owned(), &mut memory);
        assert_eq!(refused, Err(NotComputed::TooCostly(parameters)), "{changed}");
    }
    assert!(memory.is_empty());
}

#[test]
fn what_has_no_hash_never_matches() {
    let mut memory = Memory::default();
    for (encoded, reason) in [
        (String::new(), NotComputed::Malformed),
        ("mattipass".to_owned(), NotComputed::Malformed),
        ("!mattipass".to_owned(), NotComputed::Unusable),
        (
            StoredPassword::unusable(&SeededRandom::new(1)).expose().to_owned(),
            NotComputed::Unusable,
        ),
    ] {
        for password in ["", "mattipass", &encoded] {
            let refused = PasswordHash::parse(&encoded).verify(
                &Secret::from(password),
                &CostLimits::default(),
                &mut memory,
            );
            assert_eq!(refused, Err(reason), "{encoded}");
        }
    }
}

#[test]
fn what_we_write_has_djangos_form_and_verifies() {
    let random = SeededRandom::new(7);
    let mut memory = Memory::default();
    let cheap = Scheme::Argon2id { memory_kib: 64, iterations: 1, lanes: 2 };
    let schemes = [
        (Scheme::default(), "argon2$argon2id$v=19$m=19456,t=2,p=1$"),
        (cheap, "argon2$argon2id$v=19$m=64,t=1,p=2$"),
        (
            Scheme::Argon2id { memory_kib: 0, iterations: 0, lanes: 0 },
            "argon2$argon2id$v=19$m=8,t=1,p=1$",
        ),
        (Scheme::Pbkdf2Sha256 { iterations: 1_000 }, "pbkdf2_sha256$1000$"),
        (Scheme::Pbkdf2Sha256 { iterations: 0 }, "pbkdf2_sha256$1$"),
    ];
    for (scheme, start) in schemes {
        for password in ["", "sälasana ☃ 𝄞", "matti\0pass", &"pitkä ".repeat(8_000)] {
            let password = Secret::from(password);
            let stored = StoredPassword::hash(&password, scheme, &random, &mut memory);
            assert!(stored.expose().starts_with(start), "{}", stored.expose());
            assert!(stored.expose().len() <= 128, "Django's column has 128 characters");
            assert_ne!(stored, StoredPassword::hash(&password, scheme, &random, &mut memory));

            let read = PasswordHash::parse(stored.expose());
            let PasswordHash::Known { parameters, salt, .. } = &read else {
                panic!("{} is not read back", stored.expose())
            };
            assert_eq!(*parameters, scheme.parameters());
            assert_eq!(salt.len(), 22);
            assert!(salt.iter().all(u8::is_ascii_alphanumeric));
            let verified = read.verify(&password, &CostLimits::default(), &mut memory);
            assert_eq!(verified, RIGHT(*parameters));
        }
    }
}

#[test]
fn random_text_uses_every_letter_alike() {
    let random = SeededRandom::new(3);
    let mut counts = BTreeMap::new();
    for _ in 0..2_000 {
        for letter in random_text::<31>(&random).chars() {
            *counts.entry(letter).or_insert(0_u32) += 1;
        }
    }
    // 1,000 each on average; a bias of 256 % 62 would give some letters 1,210.
    assert_eq!(counts.len(), 62);
    for (letter, count) in counts {
        assert!((850..1_150).contains(&count), "{letter}: {count}");
    }
}

#[test]
fn most_rows_decide_the_dummy() {
    let sha256 = |iterations| Some(Parameters::Pbkdf2Sha256 { iterations });
    let other = PBKDF2.replacen("$1000$", "$2000$", 1);
    assert_eq!(most_common_parameters([]), None);
    assert_eq!(most_common_parameters(["!x", "", "md5$x$y"]), None);
    assert_eq!(most_common_parameters(["!x", "!y", "!z", PBKDF2]), sha256(1_000));
    assert_eq!(most_common_parameters([PBKDF2, &other, PBKDF2]), sha256(1_000));
    assert_eq!(most_common_parameters([&*other, PBKDF2]), sha256(2_000));
    assert_eq!(
        most_common_parameters([ARGON2, ARGON2, PBKDF2]),
        Some(Scheme::default().parameters())
    );
}

#[test]
fn nothing_of_a_stored_password_is_printed() {
    let stored = StoredPassword::new(PBKDF2.to_owned());
    let printed = format!("{stored:?} {:?}", PasswordHash::parse(PBKDF2));
    assert!(!printed.contains("+1R+") && !printed.contains("251, 84"), "{printed}");
}

proptest! {
    #[test]
    fn reading_never_panics(text in r"\PC*") {
        let _ = PasswordHash::parse(&text);
    }

    #[test]
    fn reading_something_like_a_hash_never_panics(
        which in 0..4_usize, at in 0..140_usize, with in r"(\$|[0-9]{0,25}|\PC{0,3})",
    ) {
        let whole = [PBKDF2, ARGON2, BCRYPT, SCRYPT][which];
        let at = at.min(whole.len() - 1);
        let changed = format!("{}{with}{}", &whole[..at], &whole[at + 1..]);
        let read = PasswordHash::parse(&changed);
        // Nor does asking what it would cost.
        if let Some(parameters) = read.parameters() {
            let _ = parameters.within(&CostLimits::default());
            let _ = parameters.needs_rehash(Scheme::default(), 600_000);
        }
    }
}
