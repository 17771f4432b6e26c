//! How often a password may be guessed, and mail asked for.
//!
//! Guessing is counted in two places, by what is guessed at and by who guesses:
//!
//! * **account**: failures on one name, whichever way it is spelt and whether there is such an account or
//!   not, from everywhere that the account has not signed in from ("strangers");
//! * **address**: failures of one client on any name. IPv6 clients count by /64, which is what one has.
//!
//! A third count keeps the owner in. Where an account has signed in from an address before, that **pair** is
//! known for a while and has a budget of its own: what strangers do to the account does not touch it (NIST
//! SP 800-63B 5.2.2 has this as an allow list), and one that has not failed lately is let past an
//! address that is used up by others behind the same router. So somebody who fails on purpose
//! slows down strangers only.
//!
//! Budgets are windows that begin with the first failure. Beyond them an account has a ceiling of failures
//! in a row, with no success in between, after which strangers must rest (NIST: at most 100).
//!
//! This file decides from counts; `store/attempts.rs` keeps them, and repeats each condition where it
//! writes, so that many guesses at once get no further than one after the other.

use std::fmt;
use std::net::{IpAddr, Ipv6Addr};
use std::time::Duration;

use crate::account::spelling::{folded, trimmed};
use crate::base::clock::Timestamp;
use crate::base::digest::{Digest, DigestKey};

/// How many within how long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limit {
    /// This many in a window; 0: no limit.
    pub most: u32,
    /// How long a window is.
    pub window: Duration,
    /// This many in a row, over all windows; 0: no limit.
    pub ceiling: u32,
    /// How long to rest after so many in a row. A row that is interrupted for so long is forgotten.
    pub rest: Duration,
}

impl Limit {
    /// `most` within `window`, however many in a row.
    #[must_use]
    pub const fn of(most: u32, window: Duration) -> Self {
        Self { most, window, ceiling: 0, rest: window }
    }
}

/// All limits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ThrottleRules {
    /// Failed sign-ins of one account by strangers, and of one known pair.
    pub account: Limit,
    /// Failed sign-ins of one address.
    pub address: Limit,
    /// For how long an address is known after a sign-in.
    pub known_for: Duration,
    /// Password resets for one mail address.
    pub resets: Limit,
    /// Activation mails sent again to one mail address.
    pub resends: Limit,
    /// Resets and resends that one address asks for.
    pub mail_requests: Limit,
    /// Registrations from one address.
    pub registrations: Limit,
}

/// What was counted of a subject. Nothing, to begin with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tally {
    /// Failures in the window that began last.
    pub failures: u32,
    /// When that was.
    pub began_at: Timestamp,
    /// Failures in a row.
    pub streak: u32,
    /// The last failure.
    pub failed_at: Timestamp,
    /// Until when a pair is known.
    pub known_until: Timestamp,
}

impl Tally {
    /// What is there where nothing was counted yet.
    pub const NONE: Self = Self {
        failures: 0,
        began_at: Timestamp::from_seconds(0),
        streak: 0,
        failed_at: Timestamp::from_seconds(0),
        known_until: Timestamp::from_seconds(0),
    };
}

/// Seconds after which to try again; at least 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Wait(pub u64);

impl Limit {
    /// How long to wait where the limit is reached.
    #[must_use]
    pub fn wait(&self, tally: &Tally, now: Timestamp) -> Option<Wait> {
        let window = left(tally.began_at, self.window, now)
            .filter(|_| self.most > 0 && tally.failures >= self.most);
        let rest = left(tally.failed_at, self.rest, now)
            .filter(|_| self.ceiling > 0 && tally.streak >= self.ceiling);
        window.max(rest)
    }
}

/// What is left at `now` of `length` from `start` on. A start that lies further ahead than `length` was
/// written by a clock that was wrong, and is over.
fn left(start: Timestamp, length: Duration, now: Timestamp) -> Option<Wait> {
    let length = i64::try_from(length.as_secs()).unwrap_or(i64::MAX);
    let since = now.seconds().saturating_sub(start.seconds());
    if since.saturating_abs() >= length {
        return None;
    }
    u64::try_from((length - since).clamp(1, length)).ok().map(Wait)
}

/// What was counted where a sign-in is concerned.
#[derive(Clone, Copy, Debug)]
pub struct SignInTallies {
    /// Of the account, by strangers.
    pub account: Tally,
    /// Of the account from this address; `None` where the address is not known.
    pub pair: Option<Tally>,
    /// Of the address.
    pub address: Option<Tally>,
}

/// How a sign-in that may go on is counted if it fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Passage {
    /// On the account and on the address; either may be used up meanwhile.
    Stranger,
    /// On the pair and on the address.
    Known {
        /// Whether the address does not matter.
        past_address: bool,
    },
}

impl ThrottleRules {
    /// Whether somebody may try a password, and how it is counted; else how long to wait.
    pub fn judge(&self, tallies: &SignInTallies, now: Timestamp) -> Result<Passage, Wait> {
        let known = tallies.pair.filter(|pair| now < pair.known_until);
        let own = known.unwrap_or(tallies.account);
        let has_failed = left(own.began_at, self.account.window, now).is_some() && own.failures > 0;
        let past_address = known.is_some() && !has_failed;
        let at_address = tallies.address.filter(|_| !past_address);
        let wait = self
            .account
            .wait(&own, now)
            .max(at_address.and_then(|address| self.address.wait(&address, now)));
        match wait {
            Some(wait) => Err(wait),
            None if known.is_some() => Ok(Passage::Known { past_address }),
            None => Ok(Passage::Stranger),
        }
    }

    /// Whether a success must be written down: else it changes nothing.
    #[must_use]
    pub fn is_news(&self, tallies: &SignInTallies, now: Timestamp) -> bool {
        // Renewed in the second half of its time, so that most sign-ins write nothing here.
        let renew = now.plus(self.known_for / 2);
        let of_pair =
            |pair: Tally| pair.known_until < renew || pair.failures > 0 || pair.streak > 0;
        tallies.account.streak > 0 || tallies.pair.is_some_and(of_pair)
    }
}

/// What is counted: a keyed digest, so that neither names nor addresses can be read or guessed from the
/// store.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Subject(Digest);

impl Subject {
    /// The digest that stands for it.
    #[must_use]
    pub const fn digest(&self) -> &Digest {
        &self.0
    }
}

/// Makes subjects.
#[derive(Clone)]
pub struct Subjects(DigestKey);

/// Characters of a name that count: no account has a longer one.
const LONGEST_NAME: usize = 254;

impl Subjects {
    /// Subjects under this key, which all instances must share.
    #[must_use]
    pub const fn new(key: DigestKey) -> Self {
        Self(key)
    }

    /// An account, by its name in any spelling.
    #[must_use]
    pub fn account(&self, name: &str) -> Subject {
        self.subject(b"account", None, name)
    }

    /// An account at an address.
    #[must_use]
    pub fn pair(&self, name: &str, address: IpAddr) -> Subject {
        self.subject(b"pair", Some(address), name)
    }

    /// An address.
    #[must_use]
    pub fn address(&self, address: IpAddr) -> Subject {
        self.subject(b"address", Some(address), "")
    }

    /// Something that may be asked for so often: `what`, for one mail address or from one address.
    #[must_use]
    pub fn request(&self, what: &str, to: &str, from: Option<IpAddr>) -> Subject {
        self.subject(format!("request {what}").as_bytes(), from, to)
    }

    fn subject(&self, kind: &[u8], address: Option<IpAddr>, name: &str) -> Subject {
        let network = match address.map(network) {
            None => [0; 17],
            Some(IpAddr::V4(v4)) => {
                let [a, b, c, d] = v4.octets();
                [4, a, b, c, d, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]
            }
            Some(IpAddr::V6(v6)) => {
                let mut bytes = [6; 17];
                bytes[1..].copy_from_slice(&v6.octets());
                bytes
            }
        };
        let name: String = trimmed(name).chars().take(LONGEST_NAME).collect();
        // No part but the last has a length that a client chooses.
        let digest = self.0.of_parts(&[kind, b"\0", &network, folded(&name).as_bytes()]);
        Subject(digest)
    }
}

impl fmt::Debug for Subjects {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Subjects(…)")
    }
}

/// The network of an address that belongs to one client: itself, but the /64 in IPv6.
#[must_use]
pub fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V4(v4) => IpAddr::V4(v4),
        IpAddr::V6(v6) => {
            let [a, b, c, d, ..] = v6.segments();
            IpAddr::V6(Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0))
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const MINUTE: Duration = Duration::from_mins(1);

    fn rules() -> ThrottleRules {
        ThrottleRules {
            account: Limit { ceiling: 100, rest: Duration::from_hours(1), ..Limit::of(10, MINUTE) },
            address: Limit::of(30, MINUTE),
            known_for: Duration::from_hours(24 * 30),
            resets: Limit::of(4, Duration::from_hours(1)),
            resends: Limit::of(4, Duration::from_hours(1)),
            mail_requests: Limit::of(60, Duration::from_hours(1)),
            registrations: Limit::of(60, Duration::from_hours(1)),
        }
    }

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_seconds(1_795_000_000 + seconds)
    }

    fn failed(failures: u32, began_at: i64) -> Tally {
        let (began_at, failed_at) = (at(began_at), at(began_at));
        Tally { failures, began_at, streak: failures, failed_at, known_until: at(-1) }
    }

    fn known(tally: Tally) -> Tally {
        Tally { known_until: at(1000), ..tally }
    }

    #[test]
    fn a_window_ends_with_its_time() {
        let limit = Limit::of(10, MINUTE);
        assert_eq!(limit.wait(&failed(9, 0), at(0)), None);
        assert_eq!(limit.wait(&failed(10, 0), at(0)), Some(Wait(60)));
        assert_eq!(limit.wait(&failed(10, 0), at(59)), Some(Wait(1)));
        assert_eq!(limit.wait(&failed(10, 0), at(60)), None);
        assert_eq!(Limit::of(0, MINUTE).wait(&failed(u32::MAX, 0), at(0)), None, "no limit");
        // A clock that went back a little makes nobody wait longer than a window; a leap ends it.
        assert_eq!(limit.wait(&failed(10, 30), at(0)), Some(Wait(60)));
        assert_eq!(limit.wait(&failed(10, 3600), at(0)), None);
    }

    #[test]
    fn a_row_has_a_ceiling_whatever_the_windows() {
        let limit = rules().account;
        let tally = Tally { streak: 100, ..failed(1, 0) };
        assert_eq!(limit.wait(&tally, at(0)), Some(Wait(3600)));
        assert_eq!(limit.wait(&tally, at(3599)), Some(Wait(1)));
        assert_eq!(limit.wait(&tally, at(3600)), None);
        assert_eq!(limit.wait(&Tally { streak: 99, ..tally }, at(0)), None);
    }

    #[test]
    fn strangers_wait_and_the_owner_does_not() {
        let rules = rules();
        let none = Tally::NONE;
        let attacked = Tally { streak: 100, ..failed(10, 0) };
        let judge = |account, pair, address| {
            rules.judge(&SignInTallies { account, pair, address: Some(address) }, at(1))
        };
        assert_eq!(judge(none, Some(none), none), Ok(Passage::Stranger));
        assert_eq!(judge(attacked, Some(none), none), Err(Wait(3599)));
        assert_eq!(
            judge(attacked, Some(known(none)), none),
            Ok(Passage::Known { past_address: true })
        );
        // The known pair has a budget of its own.
        assert_eq!(
            judge(attacked, Some(known(failed(9, 0))), none),
            Ok(Passage::Known { past_address: false })
        );
        assert_eq!(judge(none, Some(known(failed(10, 0))), none), Err(Wait(59)));
        // What was known once counts as a stranger again.
        let lapsed = Some(Tally { known_until: at(1), ..none });
        assert_eq!(judge(attacked, lapsed, none), Err(Wait(3599)));
        assert_eq!(judge(none, lapsed, none), Ok(Passage::Stranger));
    }

    #[test]
    fn an_address_that_is_used_up_lets_known_accounts_pass_until_they_fail() {
        let rules = rules();
        let used_up = Some(failed(30, 0));
        let judge = |pair| {
            rules.judge(&SignInTallies { account: Tally::NONE, pair, address: used_up }, at(1))
        };
        assert_eq!(judge(Some(Tally::NONE)), Err(Wait(59)));
        assert_eq!(judge(Some(known(Tally::NONE))), Ok(Passage::Known { past_address: true }));
        assert_eq!(judge(Some(known(failed(1, 0)))), Err(Wait(59)));
        assert_eq!(judge(Some(known(failed(9, -60)))), Ok(Passage::Known { past_address: true }));
    }

    #[test]
    fn without_an_address_the_account_alone_counts() {
        let rules = rules();
        let judge =
            |account| rules.judge(&SignInTallies { account, pair: None, address: None }, at(0));
        assert_eq!(judge(Tally::NONE), Ok(Passage::Stranger));
        assert_eq!(judge(failed(10, 0)), Err(Wait(60)));
    }

    #[test]
    fn most_successes_change_nothing() {
        let rules = rules();
        let until = |seconds| Some(Tally { known_until: at(seconds), ..Tally::NONE });
        let half = 15 * 86_400;
        let is_news =
            |account, pair| rules.is_news(&SignInTallies { account, pair, address: None }, at(0));
        assert!(is_news(Tally::NONE, Some(Tally::NONE)));
        assert!(is_news(Tally::NONE, until(half - 1)));
        assert!(!is_news(Tally::NONE, until(half)));
        assert!(is_news(failed(1, 0), until(half)), "a row of strangers ends");
        assert!(is_news(Tally::NONE, Some(known(failed(1, 0)))));
        assert!(!is_news(Tally::NONE, None));
    }

    #[test]
    fn spellings_and_neighbours_are_one_subject() {
        let subjects = Subjects::new(DigestKey::new(&[1; 32]));
        let alice = subjects.account("alice");
        for spelling in ["ALICE", " alice\u{a0}", "ａlice", "alıce"] {
            assert_eq!(subjects.account(spelling), alice, "{spelling}");
        }
        let ip = |text: &str| text.parse().expect("is an address");
        assert_eq!(subjects.address(ip("2001:db8::1")), subjects.address(ip("2001:db8::ffff:2")));
        assert_ne!(subjects.address(ip("2001:db8::1")), subjects.address(ip("2001:db8:0:1::1")));
        assert_eq!(subjects.address(ip("::ffff:192.0.2.1")), subjects.address(ip("192.0.2.1")));
        assert_ne!(subjects.address(ip("192.0.2.1")), subjects.address(ip("192.0.2.2")));
        let different = [
            alice,
            subjects.account("alicf"),
            subjects.pair("alice", ip("192.0.2.1")),
            subjects.pair("alice", ip("192.0.2.2")),
            subjects.address(ip("192.0.2.1")),
            subjects.request("alice", "", None),
            subjects.request("", "alice", None),
            Subjects::new(DigestKey::new(&[2; 32])).account("alice"),
        ];
        for (at, one) in different.iter().enumerate() {
            assert!(!different[at + 1..].contains(one), "{at}");
        }
    }

    proptest! {
        /// Whatever strangers do to an account, and neighbours to an address, a known pair passes.
        #[test]
        fn nobody_locks_the_owner_out(
            account in (any::<u32>(), -5000_i64..5000, any::<u32>(), -5000_i64..5000),
            address in (any::<u32>(), -5000_i64..5000),
            now in -5000_i64..999,
        ) {
            let (failures, began_at, streak, failed_at) = account;
            let account = Tally { streak, failed_at: at(failed_at), ..failed(failures, began_at) };
            let tallies = SignInTallies {
                account,
                pair: Some(known(Tally::NONE)),
                address: Some(failed(address.0, address.1)),
            };
            prop_assert_eq!(rules().judge(&tallies, at(now)), Ok(Passage::Known { past_address: true }));
        }

        /// Nobody waits longer than a window or a rest, and waiting it out is enough.
        #[test]
        fn a_wait_is_bounded_and_enough(
            failures in 0_u32..20, began_at in -5000_i64..5000,
            streak in 0_u32..200, failed_at in -5000_i64..5000,
        ) {
            let limit = rules().account;
            let tally = Tally { streak, failed_at: at(failed_at), ..failed(failures, began_at) };
            if let Some(Wait(seconds)) = limit.wait(&tally, at(0)) {
                prop_assert!((1..=3600).contains(&seconds));
                let mut after = at(0);
                // A start that lies ahead of the clock makes two waits of one.
                for _ in 0..4 {
                    let wait = limit.wait(&tally, after).map_or(0, |Wait(seconds)| seconds);
                    after = after.plus(Duration::from_secs(wait));
                }
                prop_assert_eq!(limit.wait(&tally, after), None);
            }
        }
    }
}
