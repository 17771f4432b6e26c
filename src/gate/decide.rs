//! The decision.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use http::HeaderValue;

use crate::account::account::AccountId;
use crate::base::clock::Timestamp;
use crate::base::digest::Digest;
use crate::base::random::Random;
use crate::gate::allowed::{Allowed, Grounds};
use crate::gate::key::{Barred, Key};
use crate::gate::known::{Known, Memory, Phantom, Presented, Subject};
use crate::gate::link::{Link, Mode};
use crate::gate::path;
use crate::gate::policies::Policies;
use crate::gate::policy::{Caller, Methods, Policy, Requirement, Unmet};
use crate::token::claims::Kind;
use crate::token::credential::{Credential, Denial, Scheme, Schemes};
use crate::token::issue;
use crate::token::key::SigningKey;
use crate::token::key_ring::KeyRing;
use crate::token::opaque::ClassicKey;
use crate::token::personal::{self, PersonalKeyDigest};
use crate::token::verify::{self, Expectations, Flaw, Rejection, Scratch};

/// What nginx asks about, as it came.
#[derive(Clone, Copy, Debug)]
pub struct Question<'r> {
    /// The method of the client's request.
    pub method: &'r [u8],
    /// The raw request target of the client's request.
    pub uri: &'r [u8],
    /// The host that the client has asked, without a port; empty where that is not told.
    pub host: &'r [u8],
    /// The client's `Authorization`.
    pub authorization: Option<&'r [u8]>,
    /// The method that a preflight announces: `Access-Control-Request-Method`, where the client has sent
    /// it beside an `Origin`.
    pub preflight_for: Option<&'r [u8]>,
    /// Where the client is.
    pub client: ClientAddress<'r>,
}

/// Where a client is, as far as that is known. What is told is read only where somebody asks.
#[derive(Clone, Copy, Debug, Default)]
pub struct ClientAddress<'r> {
    /// What somebody who is believed has told.
    pub told: Option<&'r [u8]>,
    /// What is known where nothing readable was told.
    pub otherwise: Option<IpAddr>,
}

impl ClientAddress<'_> {
    /// The address.
    #[must_use]
    pub fn get(&self) -> Option<IpAddr> {
        let told = || std::str::from_utf8(self.told?).ok()?.trim().parse().ok();
        told().or(self.otherwise)
    }
}

impl<'r> Question<'r> {
    /// The method that is announced, if this is a preflight: one carries no credential, not even a kind that
    /// does not count here (Fetch Standard, CORS-preflight fetch).
    #[must_use]
    pub fn preflight(&self) -> Option<&'r [u8]> {
        self.preflight_for.filter(|_| self.method == b"OPTIONS" && self.authorization.is_none())
    }
}

/// What is to be done with the client's request.
#[derive(Debug)]
pub enum Verdict {
    /// Let it pass, as nobody in particular.
    Anonymous,
    /// Let it pass, as this account.
    Allow(Allowed),
    /// Do not let it pass.
    Deny(Denial),
    /// Do not let it pass: its credential lacks a scope. What to say in `WWW-Authenticate`.
    InsufficientScope(HeaderValue),
    /// Its key has passed too often: not before so many seconds.
    Throttle(u64),
    /// Not known yet: look this up, tell the gate, and ask again.
    Ask(LookUp),
    /// Known, but not to be believed at the moment: look this up, tell the gate, and ask again.
    AskAgain(LookUp),
    /// The gate cannot decide, by a fault of ours.
    Unavailable,
}

/// What the gate does not know.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LookUp {
    /// How this account stands.
    Account(AccountId),
    /// Whose API key this is, and how that account stands.
    ApiKey(ClassicKey),
    /// The same for a key of our own, and on which terms it is used.
    PersonalKey(PersonalKeyDigest),
}

/// How phantom tokens are made.
pub struct PhantomMint {
    /// Their own key.
    pub key: SigningKey,
    /// How long they live; they are renewed at half of it.
    pub lifetime: Duration,
    /// For their ids.
    pub random: Arc<dyn Random>,
}

/// The gate.
pub struct Gate {
    /// What it remembers.
    pub memory: Memory,
    /// Whether that may be believed.
    pub link: Link,
    /// The keys in force.
    pub ring: ArcSwap<KeyRing>,
    /// What is expected of presented tokens.
    pub expectations: Expectations,
    /// Which credentials count.
    pub schemes: Schemes,
    /// Who may do what: read anew when an operator says so.
    pub policies: ArcSwap<Policies>,
    /// What the backend is handed.
    pub phantoms: PhantomMint,
}

impl Gate {
    /// Decides at `now`, by `policy`, believing what `mode` lets it believe. `told` is the answer to the
    /// [`Verdict::Ask`] of the last try, if there was one: it is believed for this request even where it
    /// cannot be remembered.
    pub fn decide(
        &self,
        policy: &Policy,
        question: &Question<'_>,
        told: Option<&Told>,
        now: Timestamp,
        mode: Mode,
    ) -> Verdict {
        let mut room = path::Room::default();
        let Ok(path) = path::read(question.uri, &mut room) else {
            return Verdict::Deny(Denial::Forbidden);
        };
        if let Some(method) = question.preflight() {
            // It passes where somebody may make the request that it announces.
            return match policy.requirement(method, question.host, &path) {
                Requirement::Deny => Verdict::Deny(Denial::Forbidden),
                _ => Verdict::Anonymous,
            };
        }
        let requirement = policy.requirement(question.method, question.host, &path);
        // Who it is comes before what it may: a bad credential is 401 even where anonymous may pass.
        let verdict = self.caller(question.authorization, told, now, mode);
        let caller = match &verdict {
            Verdict::Anonymous => Some(Caller::Anonymous),
            Verdict::Allow(allowed) => Some(allowed.caller()),
            _ => None,
        };
        let judged = caller.map_or(Ok(()), |caller| requirement.judge(caller));
        match judged {
            Err(Unmet::NoAccount) => return Verdict::Deny(Denial::NoCredentials),
            Err(Unmet::Forbidden) => return Verdict::Deny(Denial::Forbidden),
            Err(Unmet::NoScope(scope)) => {
                return Verdict::InsufficientScope(scope.challenge().clone());
            }
            Ok(()) => {}
        }
        if let Verdict::Allow(Allowed { key: Some(key), .. }) = &verdict {
            match key.pass(&question.client, question.method, &path, requirement, now) {
                Ok(()) => {}
                Err(Barred::ByTerms) => return Verdict::Deny(Denial::Forbidden),
                Err(Barred::ByRate(seconds)) => return Verdict::Throttle(seconds),
            }
        }
        let reads = !Methods::of(question.method).shared(Methods::SAFE).is_empty();
        match (mode, verdict) {
            (Mode::Outage, Verdict::Anonymous | Verdict::Allow(_)) if !reads => {
                Verdict::Unavailable
            }
            (Mode::Closed, Verdict::Anonymous) if !reads => Verdict::Unavailable,
            (Mode::Closed, Verdict::Allow(_)) => Verdict::Unavailable,
            (Mode::Outage | Mode::Closed, Verdict::Ask(_) | Verdict::AskAgain(_)) => {
                Verdict::Unavailable
            }
            (_, verdict) => verdict,
        }
    }

    /// Who asks: [`Verdict::Anonymous`], [`Verdict::Allow`], or why that cannot be told.
    fn caller(
        &self,
        authorization: Option<&[u8]>,
        told: Option<&Told>,
        now: Timestamp,
        mode: Mode,
    ) -> Verdict {
        let Some(authorization) = authorization else { return Verdict::Anonymous };
        let holds = |grounds: &Grounds| self.holds(grounds, now);
        if mode != Mode::Strict
            && let Some(allowed) = self.memory.passed(authorization, holds)
        {
            return Verdict::Allow(allowed);
        }
        let verdict = match self.schemes.read(Some(authorization)) {
            Err(denial) => return Verdict::Deny(denial),
            Ok(Credential::None) => return Verdict::Anonymous,
            Ok(Credential::Bearer(token)) => self.bearer(token, told, now, mode),
            Ok(Credential::ApiKey(key)) => self.api_key(key, told, now, mode),
        };
        if let Verdict::Allow(allowed) = &verdict {
            self.memory.pass(authorization, allowed);
        }
        verdict
    }

    /// Whether a decision may be repeated. (The clock's leeway is part of what was remembered.)
    fn holds(&self, grounds: &Grounds, now: Timestamp) -> bool {
        let Grounds { seen, ring_generation, expires_at, renew_at } = grounds;
        now.seconds() < *expires_at
            && now < *renew_at
            && !self.memory.is_stale(seen, now)
            && ring_generation.is_none_or(|of| of == self.ring.load().generation())
    }

    fn bearer(&self, token: &[u8], told: Option<&Told>, now: Timestamp, mode: Mode) -> Verdict {
        if personal::is_claimed(token) {
            return self.personal_key(token, Scheme::Bearer, told, now, mode);
        }
        let ring = self.ring.load();
        let fingerprint = self.memory.fingerprint(Presented::Token, token);
        let known = self.memory.credential(&fingerprint);
        let is_known = known.is_some();
        if let Some(known) = known
            && mode != Mode::Strict
            && known.ring_generation == Some(ring.generation())
            && !self.memory.is_stale(&known.subject.seen, now)
        {
            // The clock's leeway is part of what was remembered.
            return if now.seconds() < known.expires_at {
                self.allow(&known, Scheme::Bearer, now)
            } else {
                Verdict::Deny(Denial::Bearer(Rejection::Expired))
            };
        }
        let mut scratch = Scratch::default();
        let verified = verify::verify(&ring, &self.expectations, token, now, &mut scratch)
            .and_then(|verified| verified.require(Kind::Access).map(|()| verified));
        let verified = match verified {
            Ok(verified) => verified,
            Err(rejection) => return Verdict::Deny(Denial::Bearer(rejection)),
        };
        let account = match verified.subject() {
            verify::Subject::Account(id) => AccountId::new(id),
            verify::Subject::Nobody => return Verdict::Deny(Denial::SubjectNotFound),
            verify::Subject::Absent => return Verdict::Deny(Denial::NoSubject),
        };
        let Some(subject) = self.subject(account, told, now, mode) else {
            return ask(LookUp::Account(account), is_known);
        };
        let Some(standing) = &subject.standing else {
            return Verdict::Deny(Denial::SubjectNotFound);
        };
        if !standing.principal.is_active {
            return Verdict::Deny(Denial::SubjectInactive);
        }
        if standing.revokes(&verified) {
            return Verdict::Deny(Denial::Bearer(Rejection::Revoked));
        }
        let expires_at = verified.expires_at().unwrap_or(i64::MIN);
        // A text that no header can carry is no list of scopes (RFC 6749 3.3).
        let scope = verified.scope().and_then(|scope| HeaderValue::from_str(scope).ok());
        let known = Known {
            subject,
            scope,
            expires_at: expires_at.saturating_add(self.expectations.leeway),
            ring_generation: Some(ring.generation()),
            key: None,
        };
        let verdict = self.allow(&known, Scheme::Bearer, now);
        self.memory.remember(fingerprint, known);
        verdict
    }

    fn api_key(&self, presented: &str, told: Option<&Told>, now: Timestamp, mode: Mode) -> Verdict {
        if personal::is_claimed(presented.as_bytes()) {
            return self.personal_key(presented.as_bytes(), Scheme::Token, told, now, mode);
        }
        let fingerprint = self.memory.fingerprint(Presented::ClassicKey, presented.as_bytes());
        let known = self.memory.credential(&fingerprint);
        let is_known = known.is_some();
        if let Some(known) = known
            && mode != Mode::Strict
            && !self.memory.is_stale(&known.subject.seen, now)
        {
            return self.allow(&known, Scheme::Token, now);
        }
        let unknown = Verdict::Deny(Denial::UnknownApiKey);
        let Some(key) = ClassicKey::parse(presented) else { return unknown };
        let subject = match told {
            Some(Told::UnknownKey) => return unknown,
            Some(Told::Subject(subject) | Told::Key(subject, _)) => subject,
            None if self.memory.is_unknown_key(&key_digest(presented), now) => return unknown,
            None => return ask(LookUp::ApiKey(key), is_known),
        };
        match &subject.standing {
            None => unknown,
            Some(standing) if !standing.principal.is_active => {
                Verdict::Deny(Denial::ApiKeyOwnerInactive)
            }
            Some(_) => {
                let known = Known {
                    subject: Arc::clone(subject),
                    scope: None,
                    expires_at: i64::MAX,
                    ring_generation: None,
                    key: None,
                };
                let verdict = self.allow(&known, Scheme::Token, now);
                self.memory.remember(fingerprint, known);
                verdict
            }
        }
    }

    /// A key of our own, behind either word.
    fn personal_key(
        &self,
        presented: &[u8],
        scheme: Scheme,
        told: Option<&Told>,
        now: Timestamp,
        mode: Mode,
    ) -> Verdict {
        let refused = |by_token, by_bearer| {
            Verdict::Deny(if scheme == Scheme::Token { by_token } else { by_bearer })
        };
        let unknown = |rejection| refused(Denial::UnknownApiKey, Denial::Bearer(rejection));
        let no_such_key = || unknown(Rejection::Invalid(Flaw::Signature));
        let malformed = Rejection::Invalid(Flaw::Malformed);
        if presented.len() != personal::LENGTH {
            return unknown(malformed);
        }
        // What is known was well-formed: its checksum is not worked out again.
        let fingerprint = self.memory.fingerprint(Presented::PersonalKey, presented);
        let known = self.memory.credential(&fingerprint);
        let is_known = known.is_some();
        if let Some(known) = known
            && known.key.is_some()
            && mode != Mode::Strict
            && !self.memory.is_stale(&known.subject.seen, now)
        {
            return if now.seconds() < known.expires_at {
                self.allow(&known, scheme, now)
            } else {
                unknown(Rejection::Expired)
            };
        }
        let Some(digest) = PersonalKeyDigest::of_presented(presented) else {
            return unknown(malformed);
        };
        let (subject, key) = match told {
            Some(Told::Key(subject, key)) => (subject, key),
            Some(Told::UnknownKey | Told::Subject(_)) => return no_such_key(),
            None if self.memory.is_unknown_key(digest.digest(), now) => return no_such_key(),
            None => return ask(LookUp::PersonalKey(digest), is_known),
        };
        match &subject.standing {
            None => no_such_key(),
            Some(standing) if !standing.principal.is_active => {
                refused(Denial::ApiKeyOwnerInactive, Denial::SubjectInactive)
            }
            Some(_) if now.seconds() >= key.expires_at() => unknown(Rejection::Expired),
            Some(_) => {
                let known = Known {
                    subject: Arc::clone(subject),
                    scope: None,
                    expires_at: key.expires_at(),
                    ring_generation: None,
                    key: Some(Arc::clone(key)),
                };
                let verdict = self.allow(&known, scheme, now);
                self.memory.remember(fingerprint, known);
                verdict
            }
        }
    }

    fn subject(
        &self,
        account: AccountId,
        told: Option<&Told>,
        now: Timestamp,
        mode: Mode,
    ) -> Option<Arc<Subject>> {
        match told {
            Some(Told::Subject(subject) | Told::Key(subject, _))
                if subject.seen.account == account =>
            {
                Some(Arc::clone(subject))
            }
            _ if mode == Mode::Strict => None,
            _ => self.memory.subject(account, now),
        }
    }

    /// Lets an account pass, with a phantom token that lives long enough.
    fn allow(&self, known: &Known, scheme: Scheme, now: Timestamp) -> Verdict {
        let subject = &known.subject;
        let in_use = subject.phantom.load();
        let (authorization, renew_at) = match in_use.as_ref() {
            Some(phantom) if now < phantom.renew_at => {
                (phantom.authorization.clone(), phantom.renew_at)
            }
            _ => {
                let Some(phantom) = self.mint(subject.seen.account, now) else {
                    return Verdict::Unavailable;
                };
                let minted = (phantom.authorization.clone(), phantom.renew_at);
                subject.phantom.store(Some(Arc::new(phantom)));
                minted
            }
        };
        Verdict::Allow(Allowed::new(known, scheme, authorization, renew_at))
    }

    fn mint(&self, account: AccountId, now: Timestamp) -> Option<Phantom> {
        let mint = &self.phantoms;
        let token = issue::phantom(&mint.key, account, now, mint.lifetime, mint.random.as_ref());
        let token = token.inspect_err(|error| tracing::error!(%error, "no phantom token")).ok()?;
        let authorization = HeaderValue::from_maybe_shared(format!("Bearer {token}")).ok()?;
        Some(Phantom { authorization, renew_at: now.plus(mint.lifetime / 2) })
    }
}

fn ask(look_up: LookUp, is_known: bool) -> Verdict {
    if is_known { Verdict::AskAgain(look_up) } else { Verdict::Ask(look_up) }
}

/// The answer to a [`LookUp`].
#[derive(Clone, Debug)]
pub enum Told {
    /// The account, or the owner of the key.
    Subject(Arc<Subject>),
    /// The owner of a key of our own, and the key.
    Key(Arc<Subject>, Arc<Key>),
    /// There is no such key.
    UnknownKey,
}

/// Under what a presented classic key is remembered.
#[must_use]
pub fn key_digest(presented: &str) -> Digest {
    Digest::of_parts(&[b"token ", presented.as_bytes()])
}
