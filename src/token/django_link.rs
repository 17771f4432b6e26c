//! One-time links that Django has sent (`django.contrib.auth.tokens`): `<time>-<digits>`, where the digits
//! are every second one of a keyed hash over the account. Nothing is stored for them.
//!
//! | | time, in base 36 | hashed after id, password, last log-in and time | hash |
//! |---|---|---|---|
//! | to 3.0 | days since 2001, local date | – | SHA-1: 20 digits |
//! | from 3.1 | seconds since 2001, local clock | the mail address | SHA-256: 32 digits, or SHA-1 where that is configured |
//!
//! allauth hashes all addresses of the account after that, sorted and joined by bars, and writes the account's
//! part of a link in base 36.
//!
//! Django does not tell an activation from a reset: whoever holds one of these links may follow it for
//! either. That is why ours are made otherwise, and why these are good for one use in all.

use std::collections::BTreeSet;
use std::time::Duration;

use crate::account::account::Account;
use crate::base::clock::Timestamp;
use crate::base::encode::hex;
use crate::base::secret::{Secret, same_bytes};
use crate::base::time_zone::{TimeZone, utc_text};
use crate::token::django_hmac::{SHA1, SHA256, SaltedHmac};
use crate::token::link::base36;

/// `PasswordResetTokenGenerator.key_salt`.
const SALT: &[u8] = b"django.contrib.auth.tokens.PasswordResetTokenGenerator";
/// Times with fewer digits than this are days (Django 3.1 tells them apart so).
const DIGITS_OF_SECONDS: usize = 4;
const DAY: i64 = 86_400;

/// What it takes to verify links that Django has sent.
#[derive(Debug)]
pub struct DjangoLinks {
    /// `SECRET_KEY` and `SECRET_KEY_FALLBACKS`.
    pub secret_keys: Vec<Secret<String>>,
    /// `TIME_ZONE`: Django counts in local time.
    pub time_zone: TimeZone,
    /// `PASSWORD_RESET_TIMEOUT`, or `PASSWORD_RESET_TIMEOUT_DAYS`.
    pub lifetime: Duration,
}

impl DjangoLinks {
    /// Whether Django, or allauth, has sent this token to this account, lately enough, and neither password,
    /// address nor time of the last log-in have changed since. `addresses`: those of the account beside its own
    /// that are known; allauth may have known them, or its own alone.
    #[must_use]
    pub fn verify(
        &self,
        account: &Account,
        addresses: &[&str],
        token: &str,
        now: Timestamp,
    ) -> bool {
        let Some((time, digits)) = token.split_once('-') else { return false };
        let Some(sent) = parse_base36(time) else { return false };
        let present = self.time_zone.seconds_since_2001(now);
        let lifetime = i64::try_from(self.lifetime.as_secs()).unwrap_or(i64::MAX);
        let in_days = time.len() < DIGITS_OF_SECONDS;
        let is_late = if in_days {
            present.div_euclid(DAY) - sent > lifetime / DAY
        } else {
            present - sent > lifetime
        };
        let hash = match (in_days, digits.len()) {
            (_, 20) => &SHA1,
            (false, 32) => &SHA256,
            _ => return false,
        };
        let stamped = stamped(account, sent, in_days);
        let by_allauth = |addresses: &[&str]| {
            let stamped = stamped.expose();
            Secret::new(format!("{stamped}{}", joined(&account.email, addresses)))
        };
        let ways = [by_allauth(&[]), by_allauth(addresses), stamped.clone()];
        // All are tried with every key, so that the time it takes tells nothing about which one fits.
        let tries = ways.iter().flat_map(|way| self.secret_keys.iter().map(move |key| (way, key)));
        let genuine = tries.fold(false, |genuine, (way, key)| {
            // The whole text is compared: the time must be spelt as Django spells it.
            let digits = digits_of(hash, key, way);
            let expected = format!("{}-{digits}", base36(sent.unsigned_abs()));
            genuine | same_bytes(expected.as_bytes(), token.as_bytes())
        });
        genuine && !is_late
    }
}

/// An account's addresses as allauth hashes them (`EmailAwarePasswordResetTokenGenerator`).
fn joined(own: &str, further: &[&str]) -> String {
    let all: BTreeSet<&str> = further.iter().copied().chain([own]).collect();
    all.into_iter().filter(|email| !email.is_empty()).collect::<Vec<_>>().join("|")
}

/// The account as it is hashed: a change of any of this ends the link.
fn stamped(account: &Account, sent: i64, in_days: bool) -> Secret<String> {
    let last_login = account.last_login.map(utc_text).unwrap_or_default();
    let email = if in_days { "" } else { account.email.as_str() };
    let password = account.password.expose();
    Secret::new(format!("{}{password}{last_login}{sent}{email}", account.id))
}

/// Every second hex digit.
fn digits_of(hash: &SaltedHmac, secret_key: &Secret<String>, stamped: &Secret<String>) -> String {
    let tag = hash.of(SALT, secret_key, stamped.expose().as_bytes());
    hex(tag.as_ref()).chars().step_by(2).collect()
}

/// Nothing but lower-case digits, few enough.
fn parse_base36(text: &str) -> Option<i64> {
    let plain = |byte: u8| byte.is_ascii_digit() || byte.is_ascii_lowercase();
    if text.is_empty() || text.len() > 10 || !text.bytes().all(plain) {
        return None;
    }
    i64::from_str_radix(text, 36).ok()
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;
    use crate::account::account::AccountId;
    use crate::account::password::StoredPassword;

    /// One token as a Django has made it, and what it was made of.
    struct Recorded {
        links: DjangoLinks,
        account: Account,
        /// Addresses beside the account's own.
        further: Vec<String>,
        token: String,
        at: Timestamp,
    }

    fn addresses(further: &[String]) -> Vec<&str> {
        further.iter().map(String::as_str).collect()
    }

    /// `tests/data/django_reset_tokens.json`.
    fn recorded() -> Vec<Recorded> {
        let text = include_str!("../../tests/data/django_reset_tokens.json");
        let all: Value = serde_json::from_str(text).expect("our own file");
        let all = all["tokens"].as_array().expect("a list").clone();
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let moment = |value: &Value| {
            let at: Option<jiff::Timestamp> = value.as_str().and_then(|at| at.parse().ok());
            at.map(|at| Timestamp::from_micros(at.as_microsecond()))
        };
        all.iter()
            .map(|recorded| Recorded {
                links: DjangoLinks {
                    secret_keys: recorded["secret_keys"]
                        .as_array()
                        .expect("a list")
                        .iter()
                        .map(|key| Secret::new(text(key)))
                        .collect(),
                    time_zone: TimeZone::named("Europe/Helsinki").expect("a zone"),
                    lifetime: Duration::from_hours(72),
                },
                account: Account {
                    id: AccountId::new(
                        recorded["id"].as_i64().and_then(|id| id.try_into().ok()).expect("an id"),
                    ),
                    username: "matti".to_owned(),
                    email: text(&recorded["email"]),
                    first_name: String::new(),
                    last_name: String::new(),
                    is_active: true,
                    is_staff: false,
                    is_superuser: false,
                    password: StoredPassword::new(text(&recorded["password"])),
                    date_joined: Timestamp::from_seconds(0),
                    last_login: moment(&recorded["last_login"]),
                },
                further: recorded["addresses"]
                    .as_array()
                    .map(|addresses| addresses.iter().map(text).collect())
                    .unwrap_or_default(),
                token: text(&recorded["token"]),
                at: moment(&recorded["at"]).expect("a moment"),
            })
            .collect()
    }

    #[test]
    fn what_django_has_made_is_verified() {
        let recorded = recorded();
        assert!(recorded.len() >= 5);
        for Recorded { links, account, further, token, at } in recorded {
            assert!(links.verify(&account, &addresses(&further), &token, at), "{token}");
        }
    }

    #[test]
    fn it_ends_after_three_days_of_its_own_counting() {
        for Recorded { links, account, further, token, at } in recorded() {
            let in_days = token.find('-').is_some_and(|at| at < DIGITS_OF_SECONDS);
            assert!(
                links.verify(
                    &account,
                    &addresses(&further),
                    &token,
                    at.plus(Duration::from_hours(70))
                ),
                "{token}"
            );
            // Days are whole: the last one ends at midnight.
            let end = Duration::from_hours(if in_days { 24 * 4 } else { 72 });
            assert!(!links.verify(
                &account,
                &addresses(&further),
                &token,
                at.plus(end + Duration::from_secs(1))
            ));
        }
    }

    #[test]
    fn any_change_ends_it() {
        for Recorded { links, account, further, token, at } in recorded() {
            let mut changed = account.clone();
            changed.password = StoredPassword::new("pbkdf2_sha256$1$other$".to_owned());
            assert!(!links.verify(&changed, &addresses(&further), &token, at), "password: {token}");
            let mut changed = account.clone();
            changed.last_login = Some(at);
            assert!(
                !links.verify(&changed, &addresses(&further), &token, at),
                "last log-in: {token}"
            );
            let mut changed = account.clone();
            changed.id = AccountId::new(99);
            assert!(!links.verify(&changed, &addresses(&further), &token, at), "id: {token}");
            let in_days = token.find('-').is_some_and(|at| at < DIGITS_OF_SECONDS);
            let hashes_address = !in_days || !further.is_empty();
            let mut changed = account.clone();
            changed.email = "other@example.org".to_owned();
            assert_eq!(
                links.verify(&changed, &addresses(&further), &token, at),
                !hashes_address,
                "address: {token}"
            );
            let mut others = DjangoLinks { secret_keys: vec!["another key".into()], ..links };
            assert!(!others.verify(&account, &addresses(&further), &token, at), "key: {token}");
            others.secret_keys.clear();
            assert!(!others.verify(&account, &addresses(&further), &token, at), "no key: {token}");
        }
    }

    #[test]
    fn it_cannot_be_respelt() {
        for Recorded { links, account, further, token, at } in recorded() {
            let shorter = token.get(..token.len() - 1).unwrap_or_default().to_owned();
            for other in [
                format!("0{token}"),
                token.to_uppercase(),
                format!("{token}0"),
                token.replace('-', ""),
                token.replace('-', "--"),
                shorter,
                String::new(),
                "-".to_owned(),
            ] {
                assert!(!links.verify(&account, &addresses(&further), &other, at), "{other}");
            }
        }
    }
}
