//! Keys that allauth has mailed to show that mail to an address arrives (`EmailConfirmationHMAC`):
//! `<base64url of the id of its row>:<time, in base 62>:<tag, in base64url>`, as `django.core.signing.dumps` writes them.
//! The tag is a SHA-1 to Django 3.0, and a SHA-256 from 3.1. Nothing is stored for them.

use std::time::Duration;

use crate::base::clock::Timestamp;
use crate::base::encode::{base64url, unbase64url_vec};
use crate::base::secret::same_bytes;
use crate::token::django_hmac::{SHA1, SHA256, unbase62};
use crate::token::django_link::DjangoLinks;

/// `ACCOUNT_SALT`, and what `django.core.signing.Signer` adds to it.
const SALT: &[u8] = b"accountsigner";
/// `ACCOUNT_EMAIL_CONFIRMATION_EXPIRE_DAYS`.
const LIFETIME: Duration = Duration::from_hours(72);

/// Whether a text has the form of such a key. Ours have two parts.
#[must_use]
pub fn is_claimed(key: &str) -> bool {
    key.bytes().filter(|byte| *byte == b':').count() == 2
}

impl DjangoLinks {
    /// The id of the row in `account_emailaddress` that a key of allauth's is for; `None` where none of the
    /// `SECRET_KEY`s has signed it, or too long ago.
    #[must_use]
    pub fn allauth_address(&self, key: &str, now: Timestamp) -> Option<i64> {
        let (signed, tag) = key.rsplit_once(':')?;
        let hash = match tag.len() {
            27 => &SHA1,
            43 => &SHA256,
            _ => return None,
        };
        // All are tried, so that the time it takes tells nothing about which one fits.
        let genuine = self.secret_keys.iter().fold(false, |genuine, secret_key| {
            let right = hash.of(SALT, secret_key, signed.as_bytes());
            genuine | same_bytes(base64url(right.as_ref()).as_bytes(), tag.as_bytes())
        });
        let (id, time) = signed.split_once(':')?;
        let age = now.seconds().checked_sub(unbase62(time)?)?;
        let is_late = age > i64::try_from(LIFETIME.as_secs()).unwrap_or(i64::MAX);
        let id = String::from_utf8(unbase64url_vec(id.as_bytes())?).ok()?;
        id.parse().ok().filter(|_| genuine && !is_late)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;
    use crate::base::secret::Secret;
    use crate::base::time_zone::TimeZone;

    const AT: Timestamp = Timestamp::from_seconds(1_795_000_000);

    fn links(secret_keys: &[&str]) -> DjangoLinks {
        DjangoLinks {
            secret_keys: secret_keys.iter().map(|key| Secret::new((*key).to_owned())).collect(),
            time_zone: TimeZone::named("Europe/Helsinki").expect("a zone"),
            lifetime: Duration::from_hours(72),
        }
    }

    /// `tests/data/allauth_keys.json`: who can verify them, and each with the id that it is for.
    fn recorded() -> (String, Vec<(i64, String)>) {
        let text = include_str!("../../tests/data/allauth_keys.json");
        let all: Value = serde_json::from_str(text).expect("our own file");
        let text = |value: &Value| value.as_str().expect("a text").to_owned();
        let keys = all["keys"].as_array().expect("a list").iter();
        let keys = keys.map(|one| (one["id"].as_i64().expect("a number"), text(&one["key"])));
        (text(&all["secret_key"]), keys.collect())
    }

    #[test]
    fn what_allauth_has_made_is_verified_for_three_days() {
        let (secret_key, keys) = recorded();
        for links in [links(&[&secret_key]), links(&["a newer one", &secret_key])] {
            for (id, key) in &keys {
                assert!(is_claimed(key));
                assert_eq!(links.allauth_address(key, AT), Some(*id), "{key}");
                let last = AT.plus(LIFETIME);
                assert_eq!(links.allauth_address(key, last), Some(*id), "{key}");
                let late = last.plus(Duration::from_secs(1));
                assert_eq!(links.allauth_address(key, late), None, "{key}");
            }
        }
    }

    #[test]
    fn nothing_else_is() {
        let (secret_key, keys) = recorded();
        let links = links(&[&secret_key]);
        for (_, key) in &keys {
            assert_eq!(self::links(&["another key"]).allauth_address(key, AT), None);
            assert_eq!(self::links(&[]).allauth_address(key, AT), None);
            // Any one character changed, but for the last of base64, some of whose bits count for nothing.
            for at in 0..key.len() - 1 {
                let mut bytes = key.clone().into_bytes();
                bytes[at] = if bytes[at] == b'A' { b'B' } else { b'A' };
                let forged = String::from_utf8(bytes).expect("is ASCII");
                assert_eq!(links.allauth_address(&forged, AT), None, "{forged}");
            }
            let odd = [key.to_uppercase(), format!("{key}="), format!("{key}:"), format!(":{key}")];
            for odd in odd {
                assert_eq!(links.allauth_address(&odd, AT), None, "{odd}");
            }
        }
        for odd in ["", ":", "::", "a:b:c", "Mw:1xTdUu:", "Mw:99999999999:x"] {
            assert_eq!(links.allauth_address(odd, AT), None, "{odd}");
        }
    }
}
