//! API keys of our own at the gate: their terms, how often they pass, and when they last did.
//!
//! What a key has used lives beside what is known of it, so that a look-up anew, after some change of the
//! account, neither refills its allowance nor forgets when it was used.

use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use http::HeaderValue;
use quick_cache::sync::Cache;

use crate::base::clock::Timestamp;
use crate::gate::decide::ClientAddress;
use crate::gate::path::Path;
use crate::gate::policy::Requirement;
use crate::token::personal::PersonalKeyId;
use crate::token::terms::Terms;

/// A key in force, as it was looked up.
#[derive(Debug)]
pub struct Key {
    terms: Terms,
    scope: Option<HeaderValue>,
    usage: Arc<Usage>,
    size: usize,
}

/// What a key has used on this instance.
#[derive(Debug)]
pub struct Usage {
    /// The generic cell rate algorithm (ITU-T I.371) in one number: when the allowance is full again,
    /// microseconds.
    full: AtomicI64,
    /// When it was used last, and which use was noted, Unix seconds.
    used: AtomicI64,
    noted: AtomicI64,
}

/// What every key has used that was presented lately. Bounded; asked when a key is looked up, not when it
/// passes.
pub struct Usages(Cache<PersonalKeyId, Arc<Usage>>);

/// Why a key does not let a request pass.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Barred {
    /// Its terms do not cover the request.
    ByTerms,
    /// Too often: try again after so many seconds.
    ByRate(u64),
}

impl Key {
    /// The key with these terms.
    #[must_use]
    pub fn new(terms: Terms, usage: Arc<Usage>) -> Self {
        let names = terms.scopes.names();
        // A list of scopes is printable ASCII and bounded.
        let scope =
            (!names.is_empty()).then(|| HeaderValue::from_maybe_shared(names).ok()).flatten();
        let size = 32 * (terms.scopes.to_string().len() + terms.networks.to_string().len());
        Self { terms, scope, usage, size }
    }

    /// The same, sharing what the key has used and nothing else.
    pub(super) fn copied(&self) -> Self {
        Self::new(self.terms.clone(), Arc::clone(&self.usage))
    }

    /// About how many bytes its terms take at the most: of scopes, every second character may begin a segment
    /// of a path.
    pub(super) const fn size(&self) -> usize {
        self.size
    }

    /// When it ends, Unix seconds.
    pub(super) fn expires_at(&self) -> i64 {
        self.terms.expires_at.map_or(i64::MAX, Timestamp::seconds)
    }

    /// Its plain scopes.
    pub(super) const fn scope(&self) -> Option<&HeaderValue> {
        self.scope.as_ref()
    }

    /// Lets a request pass that has met `requirement`, and counts it.
    pub(super) fn pass(
        &self,
        client: &ClientAddress<'_>,
        method: &[u8],
        path: &Path<'_>,
        requirement: &Requirement,
        now: Timestamp,
    ) -> Result<(), Barred> {
        let is_there = self.terms.networks.admit(|| client.get());
        if !is_there || !self.covers(method, path, requirement) {
            return Err(Barred::ByTerms);
        }
        self.usage.count(self.terms.rate, now).map_err(Barred::ByRate)
    }

    /// Scopes add up: one that says itself that the request may be made is enough, and one that a rule asks
    /// for by name is too.
    fn covers(&self, method: &[u8], path: &Path<'_>, requirement: &Requirement) -> bool {
        let scopes = &self.terms.scopes;
        let permits = |view| scopes.permit(method, view);
        scopes.is_empty()
            || matches!(requirement, Requirement::Scope(_))
            || [path.raw, path.decoded, path.bare].into_iter().all(permits)
    }
}

impl Usage {
    const fn new() -> Self {
        Self { full: AtomicI64::new(0), used: AtomicI64::new(0), noted: AtomicI64::new(0) }
    }

    /// Counts a use, of at most `rate` a minute. The error is the seconds until the next may be.
    pub fn count(&self, rate: Option<u32>, now: Timestamp) -> Result<(), u64> {
        if let Some(rate) = rate {
            self.take(rate, now)?;
        }
        self.touch(now);
        Ok(())
    }

    /// Takes one of `rate` requests a minute; a minute's worth may come at once. Without a lock: of several
    /// at once each sees what the one before has left. The error is the seconds until the next is there.
    fn take(&self, rate: u32, now: Timestamp) -> Result<(), u64> {
        const MINUTE: i64 = 60_000_000;
        let each = MINUTE / i64::from(rate.max(1));
        let now = now.micros();
        let later = |full_at: i64| {
            // Further away than a full minute it was put by a clock that has been set back since.
            let full_at = if full_at > now + MINUTE { now } else { full_at.max(now) };
            (full_at + each <= now + MINUTE).then_some(full_at + each)
        };
        match self.full.fetch_update(Ordering::Relaxed, Ordering::Relaxed, later) {
            Ok(_) => Ok(()),
            Err(full_at) => {
                let wait = u64::try_from(full_at + each - now - MINUTE).unwrap_or(0);
                Err(wait.div_ceil(1_000_000).max(1))
            }
        }
    }

    /// Remembers that the key was used. Within one second nothing is written, so that instances of one key
    /// on several cores do not wait for each other.
    fn touch(&self, now: Timestamp) {
        if self.used.load(Ordering::Relaxed) != now.seconds() {
            self.used.store(now.seconds(), Ordering::Relaxed);
        }
    }

    /// The last use, where it was not noted yet.
    fn news(&self) -> Option<Timestamp> {
        let used_at = self.used.load(Ordering::Relaxed);
        (used_at > self.noted.load(Ordering::Relaxed)).then(|| Timestamp::from_seconds(used_at))
    }
}

impl Usages {
    /// Room for so many keys.
    #[must_use]
    pub fn with_room(keys: usize) -> Self {
        Self(Cache::new(keys))
    }

    /// What this key has used.
    #[must_use]
    pub fn of(&self, id: PersonalKeyId) -> Arc<Usage> {
        let fresh = || Ok::<_, Infallible>(Arc::new(Usage::new()));
        let Ok(usage) = self.0.get_or_insert_with(&id, fresh);
        usage
    }

    /// The last uses that were not noted yet.
    #[must_use]
    pub fn news(&self) -> Vec<(PersonalKeyId, Timestamp)> {
        self.0.iter().filter_map(|(id, usage)| Some((id, usage.news()?))).collect()
    }

    /// Remembers that these uses are noted.
    pub fn noted(&self, uses: &[(PersonalKeyId, Timestamp)]) {
        for (id, used_at) in uses {
            if let Some(usage) = self.0.peek(id) {
                usage.noted.fetch_max(used_at.seconds(), Ordering::Relaxed);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_seconds(1_795_000_000 + seconds)
    }

    fn usage() -> Usage {
        Usage::new()
    }

    #[test]
    fn a_minutes_worth_at_once_and_then_evenly() {
        let usage = usage();
        for _ in 0..6 {
            assert_eq!(usage.take(6, at(0)), Ok(()));
        }
        assert_eq!(usage.take(6, at(0)), Err(10));
        assert_eq!(usage.take(6, at(9)), Err(1));
        assert_eq!(usage.take(6, at(10)), Ok(()));
        assert_eq!(usage.take(6, at(10)), Err(10), "a refusal costs nothing, and gives nothing");
        for _ in 0..6 {
            assert_eq!(usage.take(6, at(100)), Ok(()));
        }
        assert_eq!(usage.take(6, at(100)), Err(10), "an allowance does not grow beyond a minute's");
        // The clock is set back by a day: nobody waits for a day.
        assert_eq!(usage.take(6, at(-86_400)), Ok(()));
    }

    #[test]
    fn uses_are_told_until_they_are_noted() {
        let usages = Usages::with_room(64);
        let usage = usages.of(PersonalKeyId::new(7));
        assert!(usages.news().is_empty());
        usage.touch(at(5));
        let news = usages.news();
        assert_eq!(news, [(PersonalKeyId::new(7), at(5))]);
        assert_eq!(usages.news(), news, "they may not have been kept");
        usages.noted(&news);
        assert!(usages.news().is_empty());
        usage.touch(at(7));
        usages.noted(&news);
        assert_eq!(usages.news(), [(PersonalKeyId::new(7), at(7))]);
        assert!(
            Arc::ptr_eq(&usage, &usages.of(PersonalKeyId::new(7))),
            "there is one for each key"
        );
    }

    proptest! {
        /// Whenever requests come, within no minute more pass than two minutes' worth, and a key that
        /// waits as it was told passes.
        #[test]
        fn a_rate_holds(rate in 1_u32..200, steps in prop::collection::vec(0_i64..3_000_000, 1..400)) {
            let usage = usage();
            let mut now = at(0);
            let mut passed = Vec::new();
            for step in steps {
                now = Timestamp::from_micros(now.micros() + step);
                match usage.take(rate, now) {
                    Ok(()) => passed.push(now.micros()),
                    Err(wait) => {
                        let wait = i64::try_from(wait).expect("is small");
                        now = Timestamp::from_seconds(now.seconds() + 1 + wait);
                        prop_assert_eq!(usage.take(rate, now), Ok(()));
                        passed.push(now.micros());
                    }
                }
            }
            for (first, from) in passed.iter().enumerate() {
                let within = passed[first..].iter().take_while(|at| **at < from + 60_000_000).count();
                prop_assert!(within <= 2 * rate as usize, "{within} of {rate}");
            }
        }
    }
}
