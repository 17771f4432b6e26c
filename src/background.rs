//! What ticks beside requests: hearing of changes, sweeping what has expired, refreshing what is learnt
//! from the store.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{Mutex, watch};
use tokio::time::{MissedTickBehavior, interval};

use crate::account::account::AccountId;
use crate::account::password::most_common_parameters;
use crate::base::clock::Timestamp;
use crate::flow::key_schedule::{KeySchedule, Step};
use crate::flow::{Context, audit};
use crate::gate::decide::Gate;
use crate::mail::outbox::Worker;
use crate::metrics::Metrics;
use crate::store::changes::{self, Change, Feed};
use crate::store::{StoreError, accounts, attempts, refresh_families};

/// How often the feed of changes is looked at: what is changed elsewhere takes at most so long to be
/// heard of.
const POLL: Duration = Duration::from_millis(100);
/// How often is swept.
const SWEEP: Duration = Duration::from_mins(10);
/// For how long the feed is kept: longer than any instance pauses.
const KEEP_CHANGES: Duration = Duration::from_hours(24);
/// Rows deleted at once.
const BATCH: i64 = 500;
/// A sample of accounts that tells what most passwords are hashed with.
const SAMPLE: i64 = 1000;

/// What the background needs.
pub struct Background {
    /// What flows need.
    pub context: Arc<Context>,
    /// The gate.
    pub gate: Arc<Gate>,
    /// What is counted.
    pub metrics: Metrics,
    /// Sends what is in the outbox.
    pub mail: Arc<Worker>,
    /// When what happens to signing keys.
    pub key_schedule: KeySchedule,
    /// Whether the key ring is behind the store.
    pub ring: Mutex<RingInForce>,
}

/// What is known of the key ring in force.
#[derive(Debug, Default)]
pub struct RingInForce {
    /// The last try to read it anew has failed: it may hold a key that was taken out of use.
    is_stale: bool,
}

impl Background {
    /// Makes the gate and the flows hear of a change.
    ///
    /// Accounts are forgotten at once. The ring is read from the store; until that is done the old one
    /// goes on.
    pub async fn apply(&self, change: Change) {
        self.metrics.changes.inc();
        match change {
            Change::Account(account) => self.gate.memory.forget(AccountId::new(account)),
            Change::Keys => self.reload_ring().await,
            // The worker is woken by what was put into the outbox here, and looks for the rest itself.
            Change::Outbox => {}
        }
    }

    /// One after the other, so that no older ring takes the place of a newer one.
    async fn reload_ring(&self) {
        let mut ring = self.ring.lock().await;
        let context = &self.context;
        let generation = context.ring.load().generation() + 1;
        match context.key_room().ring(generation).await {
            Ok(new) => {
                let new = Arc::new(new);
                context.ring.store(Arc::clone(&new));
                self.gate.ring.store(new);
                ring.is_stale = false;
                tracing::info!(generation, "the key ring was read anew");
            }
            Err(error) => {
                ring.is_stale = true;
                tracing::error!(%error, "the key ring could not be read; the old one goes on until it can");
            }
        }
    }

    /// Hears of changes made elsewhere until `stop` turns true.
    pub async fn hear(self: Arc<Self>, mut feed: Feed, mut stop: watch::Receiver<bool>) {
        let mut ticks = interval(POLL);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut heard_at = self.context.now();
        let mut version = None;
        let mut reachable = true;
        loop {
            tokio::select! {
                _ = ticks.tick() => {}
                _ = stop.wait_for(|stop| *stop) => return,
            }
            match self.poll(&mut feed, &mut version).await {
                Ok(()) => {
                    heard_at = self.context.now();
                    if !reachable {
                        tracing::info!("the database answers again");
                    }
                    reachable = true;
                }
                Err(error) => {
                    if reachable {
                        tracing::error!(%error, "the database does not tell what has changed");
                    }
                    reachable = false;
                }
            }
            let staleness = self.context.now().seconds() - heard_at.seconds();
            self.metrics.staleness.set(staleness);
        }
    }

    async fn poll(&self, feed: &mut Feed, version: &mut Option<i64>) -> Result<(), StoreError> {
        let store = &self.context.store;
        // SQLite tells cheaply whether anything was committed at all.
        let current = store.data_version().await?;
        if current.is_some() && current == *version {
            return Ok(());
        }
        for change in feed.read(store).await? {
            self.apply(change).await;
        }
        if self.ring.lock().await.is_stale {
            self.reload_ring().await;
        }
        *version = current;
        Ok(())
    }

    /// Lets keys follow their calendar until `stop` turns true.
    pub async fn rotate(self: Arc<Self>, mut stop: watch::Receiver<bool>) {
        let mut ticks = interval(self.key_schedule.interval());
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                _ = ticks.tick() => {}
                _ = stop.wait_for(|stop| *stop) => return,
            }
            self.rotate_now().await;
        }
    }

    /// Takes the steps of the calendar of keys that are due.
    pub async fn rotate_now(&self) {
        let context = &self.context;
        match self.key_schedule.keep(&context.key_room(), &context.random).await {
            Ok(steps) => steps.iter().for_each(tell),
            Err(error) => tracing::error!(%error, "signing keys do not follow their calendar"),
        }
    }

    /// Sweeps, and refreshes what is learnt from the store, until `stop` turns true.
    pub async fn tidy(self: Arc<Self>, mut stop: watch::Receiver<bool>) {
        let mut ticks = interval(SWEEP);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                _ = ticks.tick() => {}
                _ = stop.wait_for(|stop| *stop) => return,
            }
            if let Err(error) = self.sweep().await {
                tracing::warn!(%error, "could not sweep; will try again");
            }
            if let Err(error) = learn_dummy(&self.context).await {
                tracing::warn!(%error, "could not sample stored passwords; will try again");
            }
        }
    }

    async fn sweep(&self) -> Result<(), StoreError> {
        let context = &self.context;
        let now = context.now();
        // A family is needed as long as its last access token lives.
        let expired: Timestamp = now.minus(context.longest_access);
        while refresh_families::sweep(&context.store, expired, BATCH).await? > 0 {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        while self.mail.sweep(BATCH).await? > 0 {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        while audit::sweep(context, BATCH).await? > 0 {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        while attempts::sweep(&context.store, now, BATCH).await? > 0 {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        changes::sweep(&context.store, now.minus(KEEP_CHANGES)).await
    }
}

fn tell(step: &Step) {
    match step {
        Step::Published { id, signs_at } => {
            tracing::info!(key = id, signs_at = signs_at.rfc3339(), "a signing key is published");
        }
        Step::Signs(id) => tracing::info!(key = id, "another signing key signs"),
        Step::Retired(ids) => {
            tracing::info!(
                keys = ids.join(" "),
                "nothing that these keys signed lives on: retired"
            );
        }
    }
}

/// Lets a sign-in to an unknown account cost what one to most accounts costs.
pub async fn learn_dummy(context: &Context) -> Result<(), StoreError> {
    let stored = accounts::newest_passwords(&context.store, SAMPLE).await?;
    if let Some(parameters) =
        most_common_parameters(stored.iter().map(super::account::password::StoredPassword::expose))
        && let Err(error) = context.hashing.set_dummy(parameters)
    {
        tracing::warn!(?error, "most stored passwords are too costly to be checked");
    }
    Ok(())
}
