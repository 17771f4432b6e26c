//! How sure the gate may be that it has heard of every change.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

/// What the gate may believe of what it remembers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// Everything: it hears of every change.
    Live,
    /// Nothing: it may have missed a change, but the database can be asked.
    Strict,
    /// Enough to let known credentials read: the database is gone, so nobody can take anything back
    /// through it either.
    Outage,
    /// Nothing, and nobody can be asked: the database has been gone for too long.
    Closed,
}

impl Mode {
    /// Every mode.
    pub const ALL: [Self; 4] = [Self::Live, Self::Strict, Self::Outage, Self::Closed];

    /// A word for operators.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Live => "live",
            Self::Strict => "strict",
            Self::Outage => "outage",
            Self::Closed => "closed",
        }
    }
}

/// After so long without news nothing that is remembered is believed.
const STALE: Duration = Duration::from_secs(2);

/// When the gate last heard that it knows of every change. Moments are times since the start of the
/// process, which go forward whatever is done to the machine's clock.
#[derive(Debug)]
pub struct Link {
    heard_ms: AtomicU64,
    gone: AtomicBool,
    outage_reading: Duration,
}

impl Link {
    /// A link that has just heard. Without a database known credentials may read for `outage_reading`.
    #[must_use]
    pub fn new(outage_reading: Duration, at: Duration) -> Self {
        let link =
            Self { heard_ms: AtomicU64::new(0), gone: AtomicBool::new(false), outage_reading };
        link.heard(at);
        link
    }

    /// All that was committed before `at` has been heard of.
    pub fn heard(&self, at: Duration) {
        self.heard_ms.fetch_max(millis(at), Ordering::AcqRel);
        self.gone.store(false, Ordering::Release);
    }

    /// Nothing was heard, and whether the database answers at all.
    pub fn not_heard(&self, database_is_gone: bool) {
        self.gone.store(database_is_gone, Ordering::Release);
    }

    /// For how long nothing has been heard.
    #[must_use]
    pub fn age(&self, at: Duration) -> Duration {
        let heard = self.heard_ms.load(Ordering::Acquire);
        Duration::from_millis(millis(at).saturating_sub(heard))
    }

    /// For how much longer known credentials may read without a database.
    #[must_use]
    pub fn reading_left(&self, at: Duration) -> Duration {
        self.outage_reading.saturating_sub(self.age(at))
    }

    /// What the gate may believe at `at`.
    #[must_use]
    pub fn mode(&self, at: Duration) -> Mode {
        let age = self.age(at);
        if self.gone.load(Ordering::Acquire) {
            if age < self.outage_reading { Mode::Outage } else { Mode::Closed }
        } else if age < STALE {
            Mode::Live
        } else {
            Mode::Strict
        }
    }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(millis: u64) -> Duration {
        Duration::from_millis(millis)
    }

    #[test]
    fn a_link_that_hears_nothing_turns_strict_after_two_seconds() {
        let link = Link::new(at(30_000), at(5000));
        assert_eq!(link.mode(at(6999)), Mode::Live);
        assert_eq!(link.mode(at(7000)), Mode::Strict);
        assert_eq!(link.mode(at(700_000)), Mode::Strict, "as long as the database answers");
        link.heard(at(8000));
        assert_eq!(link.mode(at(9999)), Mode::Live);
        link.heard(at(3000));
        assert_eq!(link.mode(at(9999)), Mode::Live, "late news of an earlier moment");
        assert_eq!(link.mode(at(2000)), Mode::Live, "a reader that is a moment behind");
    }

    #[test]
    fn without_a_database_reading_ends_after_its_time() {
        let link = Link::new(at(30_000), at(1000));
        link.not_heard(true);
        assert_eq!(link.mode(at(1000)), Mode::Outage, "at once: nothing can be written");
        assert_eq!(link.mode(at(30_999)), Mode::Outage);
        assert_eq!(link.reading_left(at(21_000)), at(10_000));
        assert_eq!(link.mode(at(31_000)), Mode::Closed);
        assert_eq!(link.reading_left(at(40_000)), Duration::ZERO);
        link.not_heard(false);
        assert_eq!(link.mode(at(31_000)), Mode::Strict, "it answers, but tells no changes yet");
        link.heard(at(31_000));
        assert_eq!(link.mode(at(31_000)), Mode::Live);
    }
}
