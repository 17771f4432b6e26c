//! What the gate remembers: accounts as they stood when they were last looked up, and credentials that
//! were found good. Bounded; forgotten as soon as something changes.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};

use arc_swap::ArcSwapOption;
use http::HeaderValue;
use quick_cache::Weighter;
use quick_cache::sync::Cache;

use crate::account::account::AccountId;
use crate::base::clock::Timestamp;
use crate::base::digest::Digest;
use crate::base::fingerprint::{Fingerprint, FingerprintKey};
use crate::base::random::Random;
use crate::gate::allowed::{Allowed, Grounds};
use crate::gate::front::{self, Origin};
use crate::gate::key::{Key, Usages};
use crate::token::standing::Standing;

/// An account as it stood when it was looked up, with its headers ready.
#[derive(Debug)]
pub struct Subject {
    /// How it stands; `None`: there is no such account.
    pub standing: Option<Standing>,
    pub(super) headers: Option<SubjectHeaders>,
    pub(super) phantom: ArcSwapOption<Phantom>,
    pub(super) seen: Seen,
}

/// When an account was looked up, and whether it was there.
#[derive(Clone, Copy, Debug)]
pub(super) struct Seen {
    pub(super) account: AccountId,
    epoch: Epoch,
    at: Timestamp,
    is_nobody: bool,
}

/// What nginx is told about an account.
#[derive(Debug)]
pub(super) struct SubjectHeaders {
    pub(super) user_id: HeaderValue,
    pub(super) username: HeaderValue,
}

/// A phantom token in use.
#[derive(Debug)]
pub(super) struct Phantom {
    pub(super) authorization: HeaderValue,
    pub(super) renew_at: Timestamp,
}

impl Subject {
    fn new(account: AccountId, standing: Option<Standing>, epoch: Epoch, now: Timestamp) -> Self {
        let headers = standing.as_ref().map(|standing| SubjectHeaders {
            user_id: HeaderValue::from(standing.principal.id.get()),
            username: ascii(&standing.principal.username),
        });
        let seen = Seen { account, epoch, at: now, is_nobody: standing.is_none() };
        Self { standing, headers, phantom: ArcSwapOption::empty(), seen }
    }
}

/// For how many seconds an unknown account or key is remembered as unknown.
const MISS_SECONDS: i64 = 5;

/// A user name as a header value: UTF-8, percent-encoded where it is not printable ASCII.
fn ascii(text: &str) -> HeaderValue {
    const ODD: &percent_encoding::AsciiSet =
        &percent_encoding::CONTROLS.add(b' ').add(b'%').add(b'"');
    let text = percent_encoding::utf8_percent_encode(text, ODD).to_string();
    HeaderValue::from_str(&text).expect("percent-encoded text is printable ASCII")
}

/// What a credential is presented as: a text that is good as one is not yet good as another.
#[derive(Clone, Copy, Debug)]
pub(super) enum Presented {
    Token = 1,
    ClassicKey = 2,
    PersonalKey = 3,
}

/// A credential that was found good.
#[derive(Clone, Debug)]
pub(super) struct Known {
    pub(super) subject: Arc<Subject>,
    /// Its scopes, separated by spaces.
    pub(super) scope: Option<HeaderValue>,
    /// When it expires, Unix seconds.
    pub(super) expires_at: i64,
    /// The generation of the key ring that it was verified under; `None` for API keys.
    pub(super) ring_generation: Option<u64>,
    /// The terms of an API key of our own.
    pub(super) key: Option<Arc<Key>>,
}

/// Counts the changes of one slice of all accounts. What was looked up in an earlier epoch is stale.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Epoch(u64);

/// How many slices there are: a change of one account makes the gate look up again one in so many.
const SLICES: usize = 16_384;

/// All that the gate remembers.
pub struct Memory {
    origin: Origin,
    subjects: Cache<AccountId, Arc<Subject>>,
    credentials: Cache<Fingerprint, Known, Weight>,
    fingerprints: FingerprintKey,
    unknown_keys: Cache<Digest, i64>,
    /// What API keys of our own have used.
    pub usages: Usages,
    epochs: Box<[AtomicU64]>,
    changes: AtomicU64,
    believed_for: AtomicI64,
}

/// About how many bytes a remembered credential takes, its share of an account included.
const BYTES_PER_CREDENTIAL: usize = 512;

/// What a remembered credential takes: more, where it has scopes or terms.
#[derive(Clone)]
struct Weight;

impl Weighter<Fingerprint, Known> for Weight {
    fn weight(&self, _: &Fingerprint, known: &Known) -> u64 {
        let scope = known.scope.as_ref().map_or(0, HeaderValue::len);
        let terms = known.key.as_ref().map_or(0, |key| key.size());
        u64::try_from(BYTES_PER_CREDENTIAL + scope + terms).unwrap_or(u64::MAX)
    }
}

impl Memory {
    /// Room for about `bytes` bytes of credentials and accounts.
    #[must_use]
    pub fn with_room(bytes: usize, random: &dyn Random) -> Self {
        let credentials = (bytes / BYTES_PER_CREDENTIAL).max(64);
        Self {
            origin: Origin::new(),
            subjects: Cache::new(credentials / 2),
            credentials: Cache::with_weighter(
                credentials,
                u64::try_from(credentials * BYTES_PER_CREDENTIAL).unwrap_or(u64::MAX),
                Weight,
            ),
            fingerprints: FingerprintKey::draw(random),
            unknown_keys: Cache::new(credentials / 4),
            usages: Usages::with_room(credentials),
            epochs: (0..SLICES).map(|_| AtomicU64::new(0)).collect(),
            changes: AtomicU64::new(0),
            believed_for: AtomicI64::new(i64::MAX),
        }
    }

    /// For how many seconds what was looked up is believed, where not every change is heard of.
    pub fn believe_for(&self, seconds: Option<i64>) {
        self.believed_for.store(seconds.unwrap_or(i64::MAX), Ordering::Release);
    }

    fn slice(&self, account: AccountId) -> &AtomicU64 {
        let at = usize::try_from(account.get().unsigned_abs()).unwrap_or(0) % SLICES;
        self.epochs.get(at).expect("there are SLICES of them")
    }

    /// To be asked before an account is looked up.
    #[must_use]
    pub fn epoch(&self, account: AccountId) -> Epoch {
        Epoch(self.slice(account).load(Ordering::Acquire))
    }

    /// Counts all changes: for look-ups that find out only on the way whom they are about.
    #[must_use]
    pub fn changes(&self) -> u64 {
        self.changes.load(Ordering::Acquire)
    }

    /// The epoch for what was looked up about `account` since `changes` was read: one that is stale from
    /// the start if anything has changed meanwhile.
    #[must_use]
    pub fn epoch_since(&self, changes: u64, account: AccountId) -> Epoch {
        let epoch = self.epoch(account);
        // Every change counts here before it counts for its account: a new epoch is never met with an
        // old count.
        if self.changes() == changes { epoch } else { Epoch(u64::MAX) }
    }

    /// Remembers how an account was found to stand. `epoch` is of before the look-up: if something changed
    /// meanwhile, what was found is stale from the start and serves this one request only.
    pub fn learn(
        &self,
        account: AccountId,
        standing: Option<Standing>,
        epoch: Epoch,
        now: Timestamp,
    ) -> Arc<Subject> {
        let subject = Arc::new(Subject::new(account, standing, epoch, now));
        self.subjects.insert(account, Arc::clone(&subject));
        subject
    }

    /// Whether something changed since an account was looked up. That it is not there is believed for a moment
    /// only: it may be made at any time.
    pub(super) fn is_stale(&self, seen: &Seen, now: Timestamp) -> bool {
        let age = now.seconds() - seen.at.seconds();
        self.epoch(seen.account) != seen.epoch
            || (seen.is_nobody && age > MISS_SECONDS)
            || age > self.believed_for.load(Ordering::Acquire)
    }

    /// Forgets what is known of an account: something about it changed.
    pub fn forget(&self, account: AccountId) {
        self.changes.fetch_add(1, Ordering::AcqRel);
        self.slice(account).fetch_add(1, Ordering::AcqRel);
        // It may be a new key of this account that somebody has tried too early.
        self.unknown_keys.clear();
    }

    /// Forgets everything.
    pub fn forget_all(&self) {
        self.changes.fetch_add(1, Ordering::AcqRel);
        for slice in &self.epochs {
            slice.fetch_add(1, Ordering::AcqRel);
        }
        self.unknown_keys.clear();
    }

    /// Whom the gate of this memory has let pass with this `Authorization` on this thread, if that `holds`.
    pub(super) fn passed(
        &self,
        authorization: &[u8],
        holds: impl FnOnce(&Grounds) -> bool,
    ) -> Option<Allowed> {
        front::find(self.origin, authorization, holds)
    }

    /// Remembers on this thread that this `Authorization` lets pass.
    pub(super) fn pass(&self, authorization: &[u8], allowed: &Allowed) {
        front::passed(self.origin, authorization, allowed);
    }

    /// How many credentials are remembered.
    #[must_use]
    pub fn len(&self) -> usize {
        self.credentials.len()
    }

    /// Whether no credential is remembered.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    pub(super) fn subject(&self, account: AccountId, now: Timestamp) -> Option<Arc<Subject>> {
        self.subjects.get(&account).filter(|subject| !self.is_stale(&subject.seen, now))
    }

    /// What a presented credential is remembered by.
    pub(super) fn fingerprint(&self, kind: Presented, text: &[u8]) -> Fingerprint {
        self.fingerprints.of(kind as u8, text)
    }

    pub(super) fn credential(&self, fingerprint: &Fingerprint) -> Option<Known> {
        self.credentials.get(fingerprint)
    }

    pub(super) fn remember(&self, fingerprint: Fingerprint, known: Known) {
        self.credentials.insert(fingerprint, known);
    }

    /// Remembers for a moment that there is no such API key.
    pub fn remember_unknown_key(&self, digest: Digest, now: Timestamp) {
        self.unknown_keys.insert(digest, now.seconds() + MISS_SECONDS);
    }

    pub(super) fn is_unknown_key(&self, digest: &Digest, now: Timestamp) -> bool {
        self.unknown_keys.get(digest).is_some_and(|until| now.seconds() < until)
    }
}
