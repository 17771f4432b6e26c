//! Browser sessions that Django keeps in `django_session`, honoured where its `SECRET_KEY` is known.
//!
//! | | `session_data` | tag | `_auth_user_hash` |
//! |---|---|---|---|
//! | to 3.0 | base64 of `<tag>:<JSON>` | SHA-1, in hex | SHA-1 |
//! | from 3.1 | `<base64url of JSON>:<time>:<tag>`; with `.` before it the JSON is deflated | SHA-256, in base64url | SHA-256, or SHA-1 where that is configured |
//!
//! The hash is of the account's stored password: Django's sessions end with it, too
//! (`django.contrib.auth.get_user`). When one ends otherwise is a column beside it. When it began is written nowhere,
//! but when the row was written last: the time that is signed, or the end, less the lifetime.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;

use crate::account::account::{Account, AccountId};
use crate::base::clock::Timestamp;
use crate::base::digest::Digest;
use crate::base::encode::{base64url, hex, unbase64url_vec};
use crate::base::secret::{Secret, same_bytes};
use crate::token::django_hmac::{SHA1, SHA256, unbase62};

const SALT_TO_3_0: &[u8] = b"django.contrib.sessionsSessionStore";
/// The salt of the store, and what `django.core.signing.Signer` adds to it.
const SALT_FROM_3_1: &[u8] = b"django.contrib.sessions.SessionStoresigner";
const SALT_OF_PASSWORD: &[u8] =
    b"django.contrib.auth.models.AbstractBaseUser.get_session_auth_hash";
/// What a row may hold at most, as it is stored and inflated: an ordinary one is 300 bytes long.
const LONGEST: usize = 64 << 10;

/// What it takes to verify sessions of Django's.
#[derive(Clone, Debug)]
pub struct DjangoSessions {
    /// `SECRET_KEY` and `SECRET_KEY_FALLBACKS`.
    pub secret_keys: Vec<Secret<String>>,
    /// How long a session lives from when it is written (`SESSION_COOKIE_AGE`).
    pub lifetime: Duration,
}

/// What a row says about who signed in: believed, but not held against the account yet.
#[derive(Debug, PartialEq, Eq)]
pub struct Claimed {
    account: AccountId,
    password: String,
    /// When it was signed, in seconds; from 3.1 on.
    signed_at: Option<i64>,
}

/// That all sessions of Django's that an account had were ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ended {
    /// Before this.
    pub before: Timestamp,
    /// The one that goes on, by the digest of its key.
    pub but: Option<Digest>,
}

impl Ended {
    /// Whether this session may be one of them. One that was written since may have begun before: Django writes a
    /// session anew whenever something in it changes. But none has begun since where nobody has signed in since
    /// (`django.contrib.auth.models.update_last_login`).
    #[must_use]
    pub fn includes(&self, row: &Digest, written_at: Timestamp, account: &Account) -> bool {
        let may_have_begun_since = written_at >= self.before
            && account.last_login.is_some_and(|signed_in_at| signed_in_at >= self.before);
        self.but.as_ref() != Some(row) && !may_have_begun_since
    }
}

/// Proof that a row of Django's is a session of this account as it stands now. Made only in this file.
#[derive(Debug)]
pub struct DjangoSession {
    account: Account,
    digest: Digest,
    /// When it was written last: it began then, or before.
    begun_at: Timestamp,
    ends_at: Timestamp,
}

/// The members of a session that tell who signed in. Django writes the id as a text; very old releases
/// wrote a number.
#[derive(Deserialize)]
struct Members {
    #[serde(rename = "_auth_user_id")]
    account: Id,
    #[serde(rename = "_auth_user_hash")]
    password: String,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Id {
    Text(String),
    Number(i32),
}

impl DjangoSessions {
    /// Reads `session_data`; `None` where none of the keys has signed it, or nobody is signed in.
    #[must_use]
    pub fn read(&self, data: &str) -> Option<Claimed> {
        if data.len() > LONGEST {
            return None;
        }
        let (json, signed_at) = if data.contains(':') {
            self.signed_from_3_1(data).map(|(json, signed_at)| (json, Some(signed_at)))
        } else {
            self.signed_to_3_0(data).map(|json| (json, None))
        }?;
        let members: Members = serde_json::from_slice(&json).ok()?;
        let id = match members.account {
            Id::Text(text) => text.parse().ok()?,
            Id::Number(number) => number,
        };
        Some(Claimed { account: AccountId::new(id), password: members.password, signed_at })
    }

    fn signed_to_3_0(&self, data: &str) -> Option<Vec<u8>> {
        let decoded = STANDARD.decode(data.trim_end()).ok()?;
        let colon = decoded.iter().position(|byte| *byte == b':')?;
        let (tag, json) = (decoded.get(..colon)?, decoded.get(colon + 1..)?);
        self.any(|key| same_bytes(hex(SHA1.of(SALT_TO_3_0, key, json).as_ref()).as_bytes(), tag))
            .then(|| json.to_vec())
    }

    fn signed_from_3_1(&self, data: &str) -> Option<(Vec<u8>, i64)> {
        let (signed, tag) = data.rsplit_once(':')?;
        let fits = |key: &Secret<String>| {
            let right = SHA256.of(SALT_FROM_3_1, key, signed.as_bytes());
            same_bytes(base64url(right.as_ref()).as_bytes(), tag.as_bytes())
        };
        if !self.any(fits) {
            return None;
        }
        // Whether it has ended is not told by the time: the row has a column for that.
        let (value, time) = signed.rsplit_once(':')?;
        let json = match value.strip_prefix('.') {
            Some(deflated) => {
                let deflated = unbase64url_vec(deflated.as_bytes())?;
                miniz_oxide::inflate::decompress_to_vec_zlib_with_limit(&deflated, LONGEST).ok()?
            }
            None => unbase64url_vec(value.as_bytes())?,
        };
        Some((json, unbase62(time)?))
    }

    /// Whether one of the keys fits. Every key is tried, so that the time it takes tells nothing about
    /// which one does.
    fn any(&self, fits: impl Fn(&Secret<String>) -> bool) -> bool {
        self.secret_keys.iter().fold(false, |any, key| any | fits(key))
    }

    /// Holds what a row says against the account that it names, and against the moment at which all sessions of
    /// that were ended. `row` is the digest of its key.
    #[must_use]
    pub fn verify(
        &self,
        claimed: &Claimed,
        account: Account,
        row: Digest,
        ends_at: Timestamp,
        ended: Option<&Ended>,
    ) -> Option<DjangoSession> {
        let password = account.password.expose().as_bytes();
        let hash = match claimed.password.len() {
            40 => &SHA1,
            64 => &SHA256,
            _ => return None,
        };
        let is_of_password = self.any(|key| {
            let right = hex(hash.of(SALT_OF_PASSWORD, key, password).as_ref());
            same_bytes(right.as_bytes(), claimed.password.as_bytes())
        });
        let written_at = claimed.written_at(ends_at, self.lifetime);
        let goes_on = !ended.is_some_and(|ended| ended.includes(&row, written_at, &account));
        (claimed.account == account.id && is_of_password && account.may_hold_tokens() && goes_on)
            .then_some(DjangoSession { account, digest: row, begun_at: written_at, ends_at })
    }
}

impl Claimed {
    /// The account that the row names.
    #[must_use]
    pub const fn account(&self) -> AccountId {
        self.account
    }

    /// When the row was written: to the second as it is signed, and further as its end says, which Django reckons
    /// from the same moment; from before 3.1 by its end alone.
    fn written_at(&self, ends_at: Timestamp, lifetime: Duration) -> Timestamp {
        const SECOND: i64 = 1_000_000;
        match self.signed_at {
            Some(signed_at) => Timestamp::from_micros(
                signed_at
                    .saturating_mul(SECOND)
                    .saturating_add(ends_at.micros().rem_euclid(SECOND)),
            ),
            None => ends_at.minus(lifetime),
        }
    }
}

impl DjangoSession {
    pub(super) fn into_parts(self) -> (Account, Digest, Timestamp, Timestamp) {
        (self.account, self.digest, self.begun_at, self.ends_at)
    }
}

/// What a row of Django's is known by: the digest of its key.
#[must_use]
pub fn digest_of(session_key: &str) -> Digest {
    Digest::of_parts(&[b"session of Django ", session_key.as_bytes()])
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;
    use crate::account::password::StoredPassword;

    /// One row as a Django has written it: its keys, whose it is, its data.
    fn recorded() -> Vec<(DjangoSessions, Account, String)> {
        let text = include_str!("../../tests/data/django_sessions.json");
        let all: Value = serde_json::from_str(text).expect("our own file");
        let all = all["sessions"].as_array().expect("a list").clone();
        let text = |value: &Value| value.as_str().expect("a text").to_owned();
        all.iter()
            .map(|recorded| {
                let keys = recorded["secret_keys"].as_array().expect("a list");
                let secret_keys = keys.iter().map(|key| Secret::new(text(key))).collect();
                let account = Account {
                    id: AccountId::new(
                        recorded["id"].as_i64().and_then(|id| id.try_into().ok()).expect("an id"),
                    ),
                    username: "matti".to_owned(),
                    email: String::new(),
                    first_name: String::new(),
                    last_name: String::new(),
                    is_active: true,
                    is_staff: false,
                    is_superuser: false,
                    password: StoredPassword::new(text(&recorded["password"])),
                    date_joined: Timestamp::from_seconds(0),
                    last_login: None,
                };
                (under(secret_keys), account, text(&recorded["session_data"]))
            })
            .collect()
    }

    fn under(secret_keys: Vec<Secret<String>>) -> DjangoSessions {
        DjangoSessions { secret_keys, lifetime: Duration::from_hours(1) }
    }

    fn verified(sessions: &DjangoSessions, account: &Account, data: &str) -> bool {
        let at = Timestamp::from_seconds(0);
        let Some(claimed) = sessions.read(data) else { return false };
        sessions.verify(&claimed, account.clone(), digest_of("x"), at, None).is_some()
    }

    /// When it was written, whose it is and which it is decide whether it ended with all others.
    #[test]
    fn what_was_ended_is_refused() {
        const WRITTEN: Timestamp = Timestamp::from_millis(1_790_000_000_500);
        let (later, own) = (WRITTEN.plus(Duration::from_millis(1)), digest_of("x"));
        for (sessions, mut account, data) in recorded() {
            let claimed = sessions.read(&data).expect("it is signed");
            assert!(matches!(claimed.signed_at, None | Some(1_790_000_000)));
            let ends_at = WRITTEN.plus(sessions.lifetime);
            assert_eq!(claimed.written_at(ends_at, sessions.lifetime), WRITTEN);
            account.last_login = Some(later);
            let lives = |account: &Account, before, but| {
                let ended = Some(&Ended { before, but });
                sessions.verify(&claimed, account.clone(), own, ends_at, ended).is_some()
            };
            assert!(lives(&account, WRITTEN, None));
            assert!(!lives(&account, later, None), "it was written before");
            assert!(lives(&account, later, Some(own)), "the one that was kept");
            assert!(!lives(&account, later, Some(digest_of("y"))));
            for last_login in [None, Some(WRITTEN.minus(Duration::from_millis(1)))] {
                account.last_login = last_login;
                assert!(!lives(&account, WRITTEN, None), "nobody has signed in since");
            }
        }
    }

    #[test]
    fn what_django_wrote_is_read() {
        assert!(recorded().len() >= 13);
        for (sessions, account, data) in recorded() {
            assert!(verified(&sessions, &account, &data), "{data}");
        }
    }

    #[test]
    fn nothing_else_is() {
        for (sessions, account, data) in recorded() {
            let strangers = under(vec!["another key".into()]);
            assert!(!verified(&strangers, &account, &data));
            assert!(!verified(&under(vec![]), &account, &data));
            let mut other = account.clone();
            other.id = AccountId::new(99);
            assert!(!verified(&sessions, &other, &data), "somebody else's");
            let mut changed = account.clone();
            changed.password = StoredPassword::new("pbkdf2_sha256$1$x$y".to_owned());
            assert!(!verified(&sessions, &changed, &data), "the password has changed");
            let mut off = account.clone();
            off.is_active = false;
            assert!(!verified(&sessions, &off, &data), "it is switched off");
            // Any one character changed, but for the last of base64, some of whose bits count for nothing.
            for at in (0..data.len() - 2).step_by(7) {
                let mut bytes = data.clone().into_bytes();
                bytes[at] = if bytes[at] == b'A' { b'B' } else { b'A' };
                let forged = String::from_utf8(bytes).expect("is ASCII");
                assert!(!verified(&sessions, &account, &forged), "{forged}");
            }
        }
        let (sessions, account, _) = recorded().remove(0);
        for odd in ["", ":", "::", ".:a:b", "!", &"A".repeat(LONGEST + 1)] {
            assert!(!verified(&sessions, &account, odd));
        }
    }

    #[test]
    fn what_inflates_without_end_is_refused() {
        let key: Secret<String> = "key".into();
        let bomb = miniz_oxide::deflate::compress_to_vec_zlib(&vec![b' '; LONGEST + 1], 9);
        let signed = format!(".{}:1xUykC", base64url(&bomb));
        let tag = SHA256.of(SALT_FROM_3_1, &key, signed.as_bytes());
        let data = format!("{signed}:{}", base64url(tag.as_ref()));
        let sessions = under(vec![key]);
        assert_eq!(sessions.signed_from_3_1(&data), None);
    }
}
