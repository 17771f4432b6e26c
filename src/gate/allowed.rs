//! Whom a request passes as, with what nginx is told of it ready to send.

use std::sync::Arc;

use http::{HeaderMap, HeaderName, HeaderValue};

use crate::base::clock::Timestamp;
use crate::gate::answer::{SCOPE, UPSTREAM_AUTHORIZATION, USER_ID, USERNAME, VIA};
use crate::gate::key::Key;
use crate::gate::known::{Known, Seen};
use crate::gate::policy::Caller;
use crate::token::credential::Scheme;

/// Whom a request passes as.
#[derive(Clone, Debug)]
pub struct Allowed {
    /// What nginx is told.
    pub(super) headers: Arc<HeaderMap>,
    /// The key that it has, where that is one of our own.
    pub(super) key: Option<Arc<Key>>,
    pub(super) grounds: Grounds,
    is_staff: bool,
    scope: Option<HeaderValue>,
}

/// What a decision rests on: it holds for as long as this does.
#[derive(Clone, Copy, Debug)]
pub(super) struct Grounds {
    /// How the account was found to stand.
    pub(super) seen: Seen,
    /// The generation of the key ring that a token was verified under; `None` for API keys.
    pub(super) ring_generation: Option<u64>,
    /// When the credential expires, Unix seconds.
    pub(super) expires_at: i64,
    /// When the backend is to be handed something else.
    pub(super) renew_at: Timestamp,
}

impl Allowed {
    /// Whoever has presented `known` passes, and the backend is handed `authorization` until `renew_at`.
    pub(super) fn new(
        known: &Known,
        scheme: Scheme,
        authorization: HeaderValue,
        renew_at: Timestamp,
    ) -> Self {
        const BEARER: HeaderValue = HeaderValue::from_static("bearer");
        const TOKEN: HeaderValue = HeaderValue::from_static("token");

        let subject = &known.subject;
        let scope = known.key.as_ref().and_then(|key| key.scope()).or(known.scope.as_ref());
        let mut headers = HeaderMap::new();
        if let Some(told) = &subject.headers {
            headers.insert(USER_ID, told.user_id.clone());
            headers.insert(USERNAME, told.username.clone());
        }
        let via = match scheme {
            Scheme::Bearer => BEARER,
            Scheme::Token => TOKEN,
        };
        headers.insert(VIA, via);
        if let Some(scope) = scope {
            headers.insert(SCOPE, scope.clone());
        }
        headers.insert(UPSTREAM_AUTHORIZATION, authorization);
        Self {
            headers: Arc::new(headers),
            key: known.key.clone(),
            grounds: Grounds {
                seen: subject.seen,
                ring_generation: known.ring_generation,
                expires_at: known.expires_at,
                renew_at,
            },
            is_staff: subject.standing.as_ref().is_some_and(|found| found.principal.is_staff),
            scope: scope.cloned(),
        }
    }

    /// The account's name, as it is told in a header.
    #[must_use]
    pub fn username(&self) -> &str {
        self.told(&USERNAME).unwrap_or_default()
    }

    /// The scopes of the credential, separated by spaces.
    #[must_use]
    pub fn scope(&self) -> Option<&str> {
        self.told(&SCOPE)
    }

    fn told(&self, name: &HeaderName) -> Option<&str> {
        self.headers.get(name).and_then(|value| value.to_str().ok())
    }

    /// Who asks, as rules tell apart.
    pub(super) const fn caller(&self) -> Caller<'_> {
        Caller::Account { is_staff: self.is_staff, scope: self.scope.as_ref() }
    }

    /// The same, sharing nothing that is counted.
    pub(super) fn copied(&self) -> Self {
        let headers = self.headers.iter().map(|(name, value)| (name.clone(), copied(value)));
        Self {
            headers: Arc::new(headers.collect()),
            key: self.key.as_ref().map(|key| Arc::new(key.copied())),
            scope: self.scope.as_ref().map(copied),
            ..*self
        }
    }
}

/// A header value of the same text that shares nothing.
fn copied(value: &HeaderValue) -> HeaderValue {
    HeaderValue::from_bytes(value.as_bytes()).expect("what was a value is one")
}
