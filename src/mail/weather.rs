//! Whether the mail server is well. While it is not, one mail at a time tries it, with pauses; that a
//! single mail fails says nothing about the server.

use std::collections::HashSet;
use std::time::Duration;

use tokio::time::Instant;

/// After how many different mails that failed in a row the server is to blame.
const DOUBTFUL: usize = 3;
/// The first pause, and the longest: what waits goes out this soon after the server is well again.
const FIRST_PAUSE: Duration = Duration::from_millis(500);
const LONGEST_PAUSE: Duration = Duration::from_secs(5);
/// After trouble, one more mail may be under way after so many that went well. A server that allows us few
/// connections is not bothered for more with every mail.
const STEP: usize = 8;

/// What is known of the mail server.
#[derive(Debug, Default)]
pub(super) struct Weather {
    failed: HashSet<String>,
    trouble: Option<Trouble>,
    /// How many mails went well since the last trouble; `None` where there was none.
    streak: Option<usize>,
}

#[derive(Debug)]
struct Trouble {
    pauses: u32,
    until: Instant,
}

impl Weather {
    /// The server took a mail, or refused it properly. Says whether it was in trouble before.
    pub(super) fn good(&mut self) -> bool {
        self.failed.clear();
        self.streak = self.streak.map(|streak| streak.saturating_add(1));
        self.trouble.take().is_some()
    }

    /// The server failed with one mail, which may be the mail's own fault. Says whether that is news of
    /// trouble.
    pub(super) fn doubtful(&mut self, id: &str, alone: bool, now: Instant) -> bool {
        self.failed.insert(id.to_owned());
        (self.trouble.is_some() || self.failed.len() >= DOUBTFUL) && self.bad(alone, now)
    }

    /// The server is in trouble. `alone`: no other mail is under way, so this was not one of several that
    /// failed together. Says whether that is news.
    pub(super) fn bad(&mut self, alone: bool, now: Instant) -> bool {
        let news = self.trouble.is_none();
        self.streak = Some(0);
        let trouble = self.trouble.get_or_insert(Trouble { pauses: 0, until: now });
        let pause = FIRST_PAUSE.saturating_mul(1 << trouble.pauses.min(8)).min(LONGEST_PAUSE);
        trouble.until = now + pause;
        trouble.pauses += u32::from(alone);
        news
    }

    /// How many mails may be tried now beside those under way, of `senders` at most.
    pub(super) fn room(&self, senders: usize, under_way: usize, now: Instant) -> usize {
        match &self.trouble {
            None => {
                let allowed = self.streak.map_or(senders, |streak| senders.min(streak / STEP + 1));
                allowed.saturating_sub(under_way)
            }
            Some(trouble) => usize::from(under_way == 0 && trouble.until <= now),
        }
    }

    /// When to look again at the latest, where that is sooner than `default`.
    pub(super) fn look_again(&self, default: Instant) -> Instant {
        self.trouble.as_ref().map_or(default, |trouble| trouble.until.min(default))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn after(start: Instant, millis: u64) -> Instant {
        start + Duration::from_millis(millis)
    }

    #[test]
    fn trouble_lets_one_at_a_time_try_with_growing_pauses() {
        let start = Instant::now();
        let mut weather = Weather::default();
        assert_eq!(weather.room(4, 1, start), 3);
        assert!(weather.bad(false, start), "it is news");
        assert!(!weather.bad(true, start), "it no longer is");
        assert_eq!(weather.room(4, 0, after(start, 499)), 0);
        assert_eq!(weather.room(4, 0, after(start, 500)), 1);
        assert_eq!(weather.room(4, 1, after(start, 500)), 0, "one at a time");
        let mut now = start;
        for pause in [1000, 2000, 4000, 5000, 5000] {
            now = after(now, 10_000);
            weather.bad(true, now);
            assert_eq!(weather.look_again(after(now, 60_000)), after(now, pause));
        }
        assert!(weather.good(), "it is over");
        for (went_well, room) in [(1, 1), (7, 1), (8, 2), (23, 3), (24, 4), (1000, 4)] {
            while weather.streak.is_some_and(|streak| streak < went_well) {
                assert!(!weather.good());
            }
            assert_eq!(weather.room(4, 0, now), room, "after {went_well}");
        }
    }

    #[test]
    fn one_mail_alone_makes_no_trouble() {
        let now = Instant::now();
        let mut weather = Weather::default();
        for _ in 0..10 {
            assert!(!weather.doubtful("poison", true, now));
        }
        assert_eq!(weather.room(4, 0, now), 4, "nobody else has to wait");
        assert!(!weather.doubtful("second", true, now));
        assert!(weather.doubtful("third", true, now));
        assert_eq!(weather.room(4, 0, now), 0);
        weather.good();
        assert!(!weather.doubtful("poison", true, now), "the count begins anew");
    }
}
