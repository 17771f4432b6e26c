//! Browser sessions: what a cookie holds, what the store keeps of it, and the proof that one is alive.
//!
//! A session is of one account and one password: it ends when the password becomes another, whoever has
//! changed it, when the account is switched off or signed out everywhere, when it was idle for too long,
//! and in any case some time after it began. Django ends its sessions alike, but for the idling
//! (`django.contrib.auth.get_user`).

use std::time::Duration;

use crate::account::account::{Account, AccountId};
use crate::account::password::StoredPassword;
use crate::base::clock::Timestamp;
use crate::base::digest::Digest;
use crate::base::encode::base64url;
use crate::base::random::{self, Random};
use crate::base::secret::Secret;
use crate::token::django_session::DjangoSession;

/// The secret that a browser keeps in its cookie: 256 random bits.
#[derive(Debug)]
pub struct SessionSecret(Secret<String>);

/// How long a secret is; those of Django have 32 characters, and are not looked for among ours.
const LENGTH: usize = 43;

impl SessionSecret {
    /// A new one.
    #[must_use]
    pub fn generate(random: &dyn Random) -> Self {
        Self(Secret::new(base64url(&random::bytes::<32>(random))))
    }

    /// A presented one; `None` for what cannot be one of ours.
    #[must_use]
    pub fn presented(text: &str) -> Option<Self> {
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
        (text.len() == LENGTH && text.bytes().all(plain)).then(|| Self(text.into()))
    }

    /// The value of the cookie.
    #[must_use]
    pub fn expose(&self) -> &str {
        self.0.expose()
    }

    /// What the store keeps.
    #[must_use]
    pub fn digest(&self) -> Digest {
        Digest::of_parts(&[b"session ", self.expose().as_bytes()])
    }
}

/// The state of a password that a session depends on, and a refresh family.
#[must_use]
pub fn password_state(password: &StoredPassword) -> Digest {
    Digest::of_parts(&[b"password of session ", password.expose().as_bytes()])
}

/// A session as the store keeps it, and its account as it stands now.
#[derive(Clone, Debug)]
pub struct StoredSession {
    /// Digest of its secret.
    pub digest: Digest,
    /// Whose it is.
    pub account: Account,
    /// [`password_state`] when it began.
    pub password: Digest,
    /// When it began.
    pub begun_at: Timestamp,
    /// When it was last used, give or take a minute.
    pub used_at: Timestamp,
    /// When it ends at the latest.
    pub ends_at: Timestamp,
    /// The session of somebody who acts as this account in this one.
    pub actor: Option<Digest>,
    /// The moment before which all sessions of the account are ended.
    pub revoked_before: Option<Timestamp>,
}

impl StoredSession {
    /// Whether it is good for anything now. `idle`: how long it may go unused.
    #[must_use]
    pub fn is_alive(&self, idle: Option<Duration>, now: Timestamp) -> bool {
        self.account.may_hold_tokens()
            && self.password == password_state(&self.account.password)
            && now < self.ends_at
            && idle.is_none_or(|idle| now < self.used_at.plus(idle))
            && self.revoked_before.is_none_or(|moment| self.begun_at >= moment)
    }
}

/// Proof that a browser is signed in: its session is alive, or it is one of Django's that verified. Made
/// only in this file.
///
/// ```compile_fail
/// let anybody = avain::token::session::LiveSession { account: todo!() };
/// ```
#[derive(Debug)]
pub struct LiveSession {
    account: Account,
    digest: Digest,
    begun_at: Timestamp,
    ends_at: Timestamp,
    actor: Option<Box<LiveSession>>,
    is_djangos: bool,
}

impl LiveSession {
    /// The session of a presented secret, where it is alive. One in which somebody acts as another needs
    /// the session of that somebody, alive too.
    #[must_use]
    pub fn of(
        presented: &SessionSecret,
        stored: StoredSession,
        actor: Option<StoredSession>,
        idle: Option<Duration>,
        now: Timestamp,
    ) -> Option<Self> {
        if stored.digest != presented.digest() || !stored.is_alive(idle, now) {
            return None;
        }
        let actor = match (stored.actor, actor) {
            (None, _) => None,
            (Some(digest), Some(actor))
                if actor.digest == digest && actor.actor.is_none() && actor.is_alive(idle, now) =>
            {
                Some(Box::new(Self::new(actor, None)))
            }
            (Some(_), _) => return None,
        };
        Some(Self::new(stored, actor))
    }

    /// A session of Django's that verified.
    #[must_use]
    pub fn of_django(verified: DjangoSession) -> Self {
        let (account, digest, begun_at, ends_at) = verified.into_parts();
        Self { account, digest, begun_at, ends_at, actor: None, is_djangos: true }
    }

    fn new(stored: StoredSession, actor: Option<Box<Self>>) -> Self {
        let StoredSession { account, digest, begun_at, ends_at, .. } = stored;
        Self { account, digest, begun_at, ends_at, actor, is_djangos: false }
    }

    /// Whose it is.
    #[must_use]
    pub const fn account(&self) -> &Account {
        &self.account
    }

    /// What it is known by: the digest of its secret.
    #[must_use]
    pub const fn digest(&self) -> &Digest {
        &self.digest
    }

    /// When it began.
    #[must_use]
    pub const fn begun_at(&self) -> Timestamp {
        self.begun_at
    }

    /// When it ends at the latest.
    #[must_use]
    pub const fn ends_at(&self) -> Timestamp {
        self.ends_at
    }

    /// The session of somebody who acts as this account.
    #[must_use]
    pub fn actor(&self) -> Option<&Self> {
        self.actor.as_deref()
    }

    /// Who really sits there: the account, or somebody who acts as it.
    #[must_use]
    pub fn acting(&self) -> Option<AccountId> {
        self.actor().map(|actor| actor.account.id)
    }

    /// Whether Django keeps it.
    #[must_use]
    pub const fn is_djangos(&self) -> bool {
        self.is_djangos
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::random::SeededRandom;

    const NOW: Timestamp = Timestamp::from_seconds(1_000_000);

    fn stored(secret: &SessionSecret) -> StoredSession {
        let password = StoredPassword::new("pbkdf2_sha256$1$a$b".to_owned());
        let account = Account {
            id: AccountId::new(7),
            username: "aino".to_owned(),
            email: String::new(),
            first_name: String::new(),
            last_name: String::new(),
            is_active: true,
            is_staff: false,
            is_superuser: false,
            password: password.clone(),
            date_joined: NOW,
            last_login: None,
        };
        StoredSession {
            digest: secret.digest(),
            account,
            password: password_state(&password),
            begun_at: NOW,
            used_at: NOW,
            ends_at: NOW.plus(Duration::from_secs(100)),
            actor: None,
            revoked_before: None,
        }
    }

    #[test]
    fn whatever_ends_a_session_ends_it() {
        let secret = SessionSecret::generate(&SeededRandom::new(1));
        let other = SessionSecret::generate(&SeededRandom::new(2));
        let idle = Some(Duration::from_secs(50));
        let lives = |change: &dyn Fn(&mut StoredSession), after: u64| {
            let mut stored = stored(&secret);
            change(&mut stored);
            let now = NOW.plus(Duration::from_secs(after));
            LiveSession::of(&secret, stored, None, idle, now).is_some()
        };
        assert!(lives(&|_| (), 49));
        assert!(!lives(&|_| (), 50), "it was idle");
        assert!(!lives(&|s| s.used_at = NOW.plus(Duration::from_secs(99)), 100), "it has ended");
        assert!(!lives(&|s| s.account.is_active = false, 1));
        assert!(!lives(&|s| s.account.password = StoredPassword::new("!x".to_owned()), 1));
        assert!(!lives(&|s| s.revoked_before = Some(NOW.plus(Duration::from_millis(1))), 1));
        assert!(lives(&|s| s.revoked_before = Some(NOW), 1));
        assert!(!lives(&|s| s.digest = other.digest(), 1));
        assert!(!lives(&|s| s.actor = Some(other.digest()), 1), "the actor's has ended");
    }

    #[test]
    fn secrets_are_told_from_djangos() {
        let secret = SessionSecret::generate(&SeededRandom::new(1));
        assert_eq!(secret.expose().len(), LENGTH);
        assert!(SessionSecret::presented(secret.expose()).is_some());
        for other in ["", "abcdefghijklmnopqrstuvwxyz012345", &"ä".repeat(22), &"a".repeat(44)] {
            assert!(SessionSecret::presented(other).is_none(), "{other}");
        }
    }
}
