//! What came of the checks.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use crate::doctor::checks::{ALL, Check};

/// What came of one check.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// As it should be.
    Good,
    /// Not as it should be: what was seen.
    Found(String),
    /// It could not be made: why. Never a sign that all is well.
    NotChecked(String),
    /// The operator does not want to hear of it.
    Skipped,
}

/// Outcomes by check. Attacks write into it; the first finding of a check stands.
#[derive(Debug, Default)]
pub struct Report(Mutex<BTreeMap<&'static str, Outcome>>);

impl Report {
    /// An empty report that leaves these checks out.
    pub(super) fn without(skipped: &[&'static Check]) -> Self {
        let skipped = skipped.iter().map(|check| (check.name, Outcome::Skipped));
        Self(Mutex::new(skipped.collect()))
    }

    /// Writes down an outcome. A finding beats all else, and "not checked" beats "good": what only a part
    /// of the attacks could show is not shown.
    pub(super) fn write(&self, check: &'static Check, outcome: Outcome) {
        let rank = |outcome: &Outcome| match outcome {
            Outcome::Good => 0,
            Outcome::NotChecked(_) => 1,
            Outcome::Found(_) => 2,
            Outcome::Skipped => 3,
        };
        let mut outcomes = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let known = outcomes.get(check.name);
        if known.is_none_or(|known| rank(known) < rank(&outcome)) {
            outcomes.insert(check.name, outcome);
        }
    }

    /// Writes a finding, or that all is well where there is nothing to say.
    pub(super) fn judge(&self, check: &'static Check, found: Option<String>) {
        self.write(check, found.map_or(Outcome::Good, Outcome::Found));
    }

    /// Writes that a check could not be made.
    pub(super) fn not_checked(&self, check: &'static Check, why: &str) {
        self.write(check, Outcome::NotChecked(why.to_owned()));
    }

    /// Whether a check has an outcome already.
    pub(super) fn knows(&self, check: &'static Check) -> bool {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).contains_key(check.name)
    }

    /// Each check with its outcome, in the order of [`ALL`]; a check that nothing was said about was not
    /// made.
    #[must_use]
    pub fn outcomes(&self) -> Vec<(&'static Check, Outcome)> {
        let outcomes = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let outcome = |check: &Check| {
            let none = || Outcome::NotChecked("the doctor did not come to it".to_owned());
            outcomes.get(check.name).cloned().unwrap_or_else(none)
        };
        ALL.iter().map(|check| (*check, outcome(check))).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::doctor::checks::{CACHED, METHOD, TLS};

    fn of(report: &Report, wanted: &Check) -> Outcome {
        let mut outcomes = report.outcomes().into_iter();
        outcomes.find(|(check, _)| check.name == wanted.name).expect("every check is there").1
    }

    #[test]
    fn the_worst_outcome_stands_and_silence_is_no_all_clear() {
        let report = Report::without(&[CACHED]);
        report.judge(TLS, Some("first".to_owned()));
        report.judge(TLS, Some("second".to_owned()));
        report.judge(TLS, None);
        report.not_checked(TLS, "no time");
        report.judge(CACHED, Some("nobody wants to know".to_owned()));
        report.judge(METHOD, None);
        assert_eq!(of(&report, TLS), Outcome::Found("first".to_owned()));
        assert_eq!(of(&report, CACHED), Outcome::Skipped);
        assert_eq!(of(&report, METHOD), Outcome::Good);
        report.not_checked(METHOD, "half of it");
        assert!(matches!(of(&report, METHOD), Outcome::NotChecked(_)));
        assert!(matches!(of(&report, crate::doctor::checks::OUTAGE), Outcome::NotChecked(_)));
    }
}
