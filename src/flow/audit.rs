//! Audit: who did what to whose account, when, from where. What is recorded is kept for a while, logged (target
//! `audit`) and counted.
//!
//! Whatever changes something records it in the transaction that changes it, so that there is no change
//! without its event and no event without its change:
//!
//! ```ignore
//! let mut tx = context.store.begin("change username").await?;
//! accounts::set_username_in(&mut tx, account.id, new, now).await?;
//! audit::event(Event::UsernameChange, caller, now)
//!     .about(account)
//!     .detail("from", &account.username)
//!     .record(&mut tx)
//!     .await?;
//! tx.commit().await?;
//! ```
//!
//! What is refused changes nothing, can happen as often as strangers like, and goes through
//! [`Draft::refused`]: always logged and counted, but kept only so many times a minute.
//!
//! Never recorded: passwords, tokens, keys (name a key by its id or its first characters), and what was
//! typed as a user name that no account has, since it may be a password in the wrong field. The log line
//! leaves out names and details as well: they may hold mail addresses.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use crate::account::account::{Account, AccountId};
use crate::base::clock::Timestamp;
use crate::flow::directory::Turn;
use crate::flow::{Caller, Context};
use crate::store::audit;
use crate::store::{Store, StoreError, Tx};

pub use crate::store::audit::{Cursor, Entry, Event, Record, Search};

/// How audit events are kept.
#[derive(Debug)]
pub struct AuditRules {
    /// How long; `None`: for ever.
    pub retention: Option<Duration>,
    /// Whether each refresh is recorded.
    pub refreshes: bool,
    /// What is left of a minute's rows for refusals.
    pub refusals: RefusalBudget,
}

/// An event about to be recorded.
#[derive(Clone, Debug)]
#[must_use = "an event is kept by recording it"]
pub struct Draft(Record);

/// An event that `caller` causes now.
pub fn event(event: Event, caller: &Caller, now: Timestamp) -> Draft {
    Draft(Record {
        event,
        happened_at: now,
        account: None,
        username: None,
        actor: caller.actor,
        address: caller.address,
        user_agent: caller.user_agent.clone(),
        request_id: caller.request_id.clone(),
        layout: caller.layout,
        details: Vec::new(),
    })
}

/// Characters of a detail at most.
const LONGEST_DETAIL: usize = 200;

impl Draft {
    /// It is about this account.
    pub fn about(mut self, account: &Account) -> Self {
        self.0.account = Some(account.id);
        self.0.username = Some(account.username.clone());
        self
    }

    /// It is about the account with this id.
    pub fn about_id(mut self, account: AccountId) -> Self {
        self.0.account = Some(account);
        self
    }

    /// What else there is to say. No secrets.
    pub fn detail(mut self, name: &'static str, value: impl AsRef<str>) -> Self {
        let value = value.as_ref().chars().take(LONGEST_DETAIL).collect();
        self.0.details.push((name, value));
        self
    }

    /// For an entity whose statement keeps it in its own transaction.
    #[must_use]
    pub(super) fn into_record(self) -> Record {
        self.0
    }

    /// Part of a transaction: keeps it.
    pub async fn record(self, tx: &mut Tx) -> Result<(), StoreError> {
        audit::insert(tx, self.0).await
    }

    /// Keeps what no transaction has caused.
    pub async fn record_alone(self, store: &Store) -> Result<(), StoreError> {
        audit::insert_alone(store, &self.0).await
    }

    /// Keeps a refusal, unless too many were kept this minute.
    pub async fn refused(mut self, context: &Context) -> Result<(), StoreError> {
        match context.audit.refusals.spend(self.0.address, self.0.happened_at) {
            Some(left_out) => {
                if left_out > 0 {
                    self.0.details.push(("left_out_before", left_out.to_string()));
                }
                audit::insert_alone(&context.store, &self.0).await
            }
            None => {
                audit::tell(&context.store, &self.0);
                Ok(())
            }
        }
    }
}

/// How many refusals of one address are kept in a minute.
const MOST_OF_ADDRESS: u32 = 10;

/// Keeps guessing from filling the disk: refusals beyond so many a minute are counted, and the next one
/// that is kept says how many there were.
#[derive(Debug)]
pub struct RefusalBudget {
    most: u32,
    minute: Mutex<Minute>,
}

#[derive(Debug, Default)]
struct Minute {
    number: i64,
    kept: u32,
    of: HashMap<Option<IpAddr>, u32>,
    left_out: u64,
}

impl RefusalBudget {
    /// So many a minute, of all addresses together.
    #[must_use]
    pub fn of(most: u32) -> Self {
        Self { most, minute: Mutex::default() }
    }

    /// Whether one more is kept, and how many were left out before it.
    fn spend(&self, address: Option<IpAddr>, now: Timestamp) -> Option<u64> {
        let mut minute = self.minute.lock().unwrap_or_else(PoisonError::into_inner);
        let current = now.seconds().div_euclid(60);
        if minute.number != current {
            minute.number = current;
            minute.kept = 0;
            minute.of.clear();
        }
        if minute.kept < self.most {
            let of = minute.of.entry(address).or_default();
            if *of < MOST_OF_ADDRESS {
                *of += 1;
                minute.kept += 1;
                return Some(std::mem::take(&mut minute.left_out));
            }
        }
        minute.left_out += 1;
        None
    }
}

/// Writes the log line of an event.
pub fn log(record: &Record) {
    tracing::info!(
        target: "audit",
        event = record.event.as_str(),
        account = record.account.map(AccountId::get),
        actor = record.actor.map(AccountId::get),
        address = record.address.map(tracing::field::display),
        request_id = record.request_id,
        layout = record.layout,
        "audit"
    );
}

/// At most `most` events, newest first, after the one that `after` names.
pub async fn search(
    store: &Store,
    search: &Search,
    after: Option<Cursor>,
    most: i64,
) -> Result<Vec<Entry>, StoreError> {
    audit::page(store, search, after, most).await
}

/// As [`search`], from a place on: what comes after it, which is older, or backwards what comes before.
pub async fn turn(
    store: &Store,
    search: &Search,
    turn: &Turn<Cursor>,
    most: i64,
) -> Result<Vec<Entry>, StoreError> {
    match turn {
        Turn::First => audit::page(store, search, None, most).await,
        Turn::After(place) => audit::page(store, search, Some(*place), most).await,
        Turn::Before(place) => audit::page_backwards(store, search, *place, most).await,
    }
}

/// Deletes at most `most` events that are older than is kept. Gives how many.
pub async fn sweep(context: &Context, most: i64) -> Result<usize, StoreError> {
    match context.audit.retention {
        Some(retention) => audit::sweep(&context.store, context.now().minus(retention), most).await,
        None => Ok(0),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refusals_are_kept_so_many_times_a_minute() {
        let budget = RefusalBudget::of(60);
        let now = Timestamp::from_seconds(6_000);
        let address = |last: u8| Some(IpAddr::from([10, 0, 0, last]));
        let kept = |address| (0..100).filter(|_| budget.spend(address, now).is_some()).count();
        assert_eq!(kept(address(1)), 10);
        assert_eq!((2..=7).map(|last| kept(address(last))).sum::<usize>(), 50);
        assert_eq!(kept(None), 0);
        let later = now.plus(Duration::from_mins(1));
        // 90 of the last address that still had something kept, and 100 of each of the two after it.
        assert_eq!(budget.spend(None, later), Some(290));
        assert_eq!(budget.spend(None, later), Some(0));
    }
}
