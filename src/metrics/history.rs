//! What was counted lately, minute by minute, for the charts of the administration. It is kept in memory, by
//! each instance for itself, and ends with the process; Prometheus keeps what must last.

use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};

use crate::base::clock::Timestamp;

/// So many minutes are kept.
pub const MINUTES: usize = 60;

/// What is charted: counts since the process began, or within a minute.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Requests that the gate let pass for somebody.
    pub allowed: u64,
    /// Requests that it let pass for nobody in particular.
    pub anonymous: u64,
    /// Requests that it denied or slowed down.
    pub denied: u64,
    /// Requests that it could not judge.
    pub unavailable: u64,
    /// Sign-ins.
    pub sign_ins: u64,
    /// Sign-ins that failed or were refused.
    pub failures: u64,
}

impl Counts {
    fn since(&self, before: &Self) -> Self {
        self.with(before, u64::saturating_sub)
    }

    fn plus(&self, more: &Self) -> Self {
        self.with(more, u64::saturating_add)
    }

    fn with(&self, other: &Self, join: fn(u64, u64) -> u64) -> Self {
        Self {
            allowed: join(self.allowed, other.allowed),
            anonymous: join(self.anonymous, other.anonymous),
            denied: join(self.denied, other.denied),
            unavailable: join(self.unavailable, other.unavailable),
            sign_ins: join(self.sign_ins, other.sign_ins),
            failures: join(self.failures, other.failures),
        }
    }
}

/// The last minutes.
#[derive(Debug, Default)]
pub struct History(Mutex<Kept>);

#[derive(Debug, Default)]
struct Kept {
    /// What was counted when it was last noted.
    totals: Counts,
    /// Numbers of minutes and what was counted in them, oldest first.
    minutes: VecDeque<(i64, Counts)>,
}

impl History {
    /// Notes what was counted up to now: what is new belongs to this minute.
    pub fn note(&self, totals: Counts, now: Timestamp) {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let new = totals.since(&kept.totals);
        kept.totals = totals;
        let minute = now.seconds().div_euclid(60);
        match kept.minutes.back_mut() {
            // A clock that was set back goes on in the minute that it had come to.
            Some((last, counts)) if *last >= minute => *counts = counts.plus(&new),
            _ => kept.minutes.push_back((minute, new)),
        }
        if kept.minutes.len() > MINUTES {
            kept.minutes.pop_front();
        }
    }

    /// The last minutes up to now, oldest first: one for each, also where nothing was noted.
    #[must_use]
    pub fn minutes(&self, now: Timestamp) -> Vec<Counts> {
        let kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let last = now.seconds().div_euclid(60);
        let first = last - i64::try_from(MINUTES).unwrap_or(i64::MAX) + 1;
        let of = |minute| kept.minutes.iter().find(|(found, _)| *found == minute);
        (first..=last)
            .map(|minute| of(minute).map(|(_, counts)| *counts).unwrap_or_default())
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_new_belongs_to_its_minute() {
        let history = History::default();
        let at = |seconds: i64| Timestamp::from_seconds(60_000 + seconds);
        let counted = |allowed, failures| Counts { allowed, failures, ..Counts::default() };
        history.note(counted(5, 0), at(0));
        history.note(counted(7, 1), at(59));
        history.note(counted(8, 1), at(60));
        history.note(counted(9, 3), at(200));
        let minutes = history.minutes(at(200));
        assert_eq!(minutes.len(), MINUTES);
        let last = &minutes[MINUTES - 4..];
        assert_eq!(last, [counted(7, 1), counted(1, 0), counted(0, 0), counted(1, 2)]);
        assert_eq!(minutes.iter().map(|minute| minute.allowed).sum::<u64>(), 9);
        let later = history.minutes(at(3600));
        assert_eq!(later[0], counted(1, 0), "minutes move out");
        history.note(counted(10, 3), at(0));
        assert_eq!(history.minutes(at(200))[MINUTES - 1], counted(2, 2), "a clock set back");
        for minute in 0..200 {
            history.note(counted(10, 3), at(1000 + minute * 60));
        }
        assert!(history.0.lock().expect("is free").minutes.len() <= MINUTES);
    }
}
