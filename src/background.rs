//! What ticks beside requests: hearing of changes, sweeping what has expired, refreshing what is learnt
//! from the store.

use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwapOption;
use tokio::sync::{Mutex, Notify, watch};
use tokio::time::{MissedTickBehavior, interval, timeout};

use crate::account::account::AccountId;
use crate::account::password::most_common_parameters;
use crate::flow::key_schedule::{KeySchedule, Step};
use crate::flow::{Context, audit};
use crate::gate::decide::Gate;
use crate::gate::link::Mode;
use crate::mail::outbox::Worker;
use crate::metrics::Metrics;
use crate::store::accounts::Owner;
use crate::store::changes::{self, Change, Feed};
use crate::store::link::Link;
use crate::store::{
    StoreError, accounts, attempts, clients, one_time_links, personal_keys, refresh_families,
    sessions, triggers,
};

/// How often the feed of changes is looked at while notices of changes come in: only in case one does not.
const POLL: Duration = Duration::from_millis(500);
/// How often it is looked at where no notices come in: what is changed elsewhere takes at most so long to
/// be heard of.
const POLL_ALONE: Duration = Duration::from_millis(100);
/// How long the database may take to tell what has changed, or to answer at all.
const ANSWER: Duration = Duration::from_millis(700);
/// How soon is connected again after the link was lost, and how seldom in the end.
const FIRST_PAUSE: Duration = Duration::from_millis(50);
const LONGEST_PAUSE: Duration = Duration::from_secs(5);
/// How often is noted when keys were used last.
const NOTE_USES: Duration = Duration::from_mins(1);
/// How often is swept.
const SWEEP: Duration = Duration::from_mins(10);
/// How often is noted what was counted.
const CHART: Duration = Duration::from_secs(5);
/// For how long the feed is kept: longer than any instance pauses.
const KEEP_CHANGES: Duration = Duration::from_hours(24);
/// Rows deleted at once.
const BATCH: i64 = 500;
/// Keys whose uses are noted at once.
const USES: usize = 5000;
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
    /// How long is kept that there was a key which has ended.
    pub keep_ended_keys: Duration,
    /// When what happens to signing keys.
    pub key_schedule: KeySchedule,
    /// How long what the gate knows is believed, where changes in Django's tables are not told.
    pub recheck: Duration,
    /// Whether the key ring is behind the store.
    pub ring: Mutex<RingInForce>,
}

/// How often is looked whether Django's tables have our triggers.
const TRIGGERS: Duration = Duration::from_mins(1);

/// What is known of the key ring in force.
#[derive(Debug, Default)]
pub struct RingInForce {
    /// The last try to read it anew has failed: it may hold a key that was taken out of use.
    is_stale: bool,
}

/// Why nothing was heard, and whether the database answers nothing else either.
struct Unheard {
    error: StoreError,
    is_gone: bool,
}

/// How changes come in.
struct Ear {
    /// The connection that is told of changes, while there is one.
    link: ArcSwapOption<Link>,
    wake: Arc<Notify>,
}

impl Background {
    /// Makes the gate and the flows hear of a change.
    ///
    /// Accounts are forgotten at once. The ring is read from the store; until that is done the old one
    /// goes on.
    pub async fn apply(&self, change: Change) {
        match change {
            Change::Account(account) => self.gate.memory.forget(AccountId::new(account)),
            Change::Keys => self.reload_ring().await,
            Change::Everything => {
                self.gate.memory.forget_all();
                self.reload_ring().await;
            }
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
    pub async fn hear(self: Arc<Self>, feed: Feed, mut stop: watch::Receiver<bool>) {
        let ear = Ear { link: ArcSwapOption::empty(), wake: Arc::new(Notify::new()) };
        tokio::select! {
            () = self.listen(&ear) => {}
            () = self.follow(feed, &ear) => {}
            () = self.watch_triggers() => {}
            _ = stop.wait_for(|stop| *stop) => {}
        }
    }

    /// Looks whether what others change in Django's tables is told; until it is known, it is not.
    async fn watch_triggers(&self) {
        let context = &self.context;
        let seconds = i64::try_from(self.recheck.as_secs()).unwrap_or(i64::MAX);
        let mut were_missing = false;
        if context.owner != Owner::Django {
            std::future::pending::<()>().await;
        }
        loop {
            let status = triggers::status(&context.store).await;
            let is_told = matches!(status, Ok(triggers::Status::Installed));
            self.gate.memory.believe_for((!is_told).then_some(seconds));
            if !is_told && !were_missing {
                tracing::warn!(
                    "what others change in Django's tables is not told: it counts late; see `avain check`"
                );
            }
            were_missing = !is_told;
            tokio::time::sleep(TRIGGERS).await;
        }
    }

    /// Keeps a connection that is told of changes, as long as the store has such a thing.
    async fn listen(&self, ear: &Ear) {
        let mut pause = FIRST_PAUSE;
        loop {
            let wake = Arc::clone(&ear.wake);
            match self.link(move || wake.notify_one()).await {
                Ok(Some(link)) => {
                    let link = Arc::new(link);
                    ear.link.store(Some(Arc::clone(&link)));
                    self.metrics.listening.set(1);
                    tracing::info!("is told of changes");
                    // Of what was committed before, nobody was told.
                    ear.wake.notify_one();
                    let why = link.ended().await;
                    ear.link.store(None);
                    self.metrics.listening.set(0);
                    self.metrics.links_lost.inc();
                    tracing::warn!(why, "is no longer told of changes; polls, and connects again");
                    pause = FIRST_PAUSE;
                    ear.wake.notify_one();
                }
                // There is nobody who tells: polling is all.
                Ok(None) => std::future::pending().await,
                Err(error) => {
                    if pause == FIRST_PAUSE {
                        tracing::warn!(%error, "is not told of changes; polls, and tries again");
                    }
                    pause = LONGEST_PAUSE.min(pause * 2);
                }
            }
            tokio::time::sleep(pause).await;
        }
    }

    async fn link(&self, wake: impl Fn() + Send + 'static) -> Result<Option<Link>, StoreError> {
        let store = &self.context.store;
        let link = store.listen(wake).await?;
        if let Some(link) = &link {
            changes::check_link(store, link).await?;
        }
        Ok(link)
    }

    /// Reads the feed of changes when it is told to, and now and then in any case.
    async fn follow(&self, mut feed: Feed, ear: &Ear) {
        let mut version = None;
        let mut was_heard = true;
        loop {
            let pace = if ear.link.load().is_some() { POLL } else { POLL_ALONE };
            let how = tokio::select! {
                () = ear.wake.notified() => "notice",
                () = tokio::time::sleep(pace) => "poll",
            };
            let began = self.context.clock.uptime();
            match self.read(&mut feed, ear, &mut version).await {
                Ok(changes) => {
                    let heard = self.metrics.changes.with_label_values(&[how]);
                    heard.inc_by(u64::try_from(changes.len()).unwrap_or(u64::MAX));
                    self.hear_of(changes, began).await;
                    if !was_heard {
                        tracing::info!("hears of changes again");
                    }
                    was_heard = true;
                }
                Err(Unheard { error, is_gone }) => {
                    self.gate.link.not_heard(is_gone);
                    if was_heard {
                        tracing::error!(%error, is_gone, "the database does not tell what has changed");
                    }
                    was_heard = false;
                    if self.gate.link.mode(self.context.clock.uptime()) == Mode::Strict {
                        // Accounts are looked up for every request then, and keys as often as this.
                        self.reload_ring().await;
                    }
                }
            }
        }
    }

    /// Applies all that was committed before `began`.
    async fn hear_of(&self, changes: Vec<Change>, began: Duration) {
        if self.gate.link.mode(self.context.clock.uptime()) != Mode::Live {
            // So late that nothing of before is relied upon.
            self.apply(Change::Everything).await;
        }
        for change in changes {
            self.apply(change).await;
        }
        if self.ring.lock().await.is_stale {
            self.reload_ring().await;
        }
        // A ring that cannot be read is a change that was not heard of.
        if !self.ring.lock().await.is_stale {
            self.gate.link.heard(began);
        }
    }

    /// The changes since the last time: over the link, or else by the pool.
    async fn read(
        &self,
        feed: &mut Feed,
        ear: &Ear,
        version: &mut Option<i64>,
    ) -> Result<Vec<Change>, Unheard> {
        let store = &self.context.store;
        if let Some(link) = ear.link.load_full() {
            match feed.read_over(&link, store).await {
                Ok(changes) => return Ok(changes),
                Err(error) => {
                    tracing::debug!(%error, "the link does not answer");
                    link.give_up();
                }
            }
        }
        let polled = timeout(ANSWER, async {
            // SQLite tells cheaply whether anything was committed at all.
            let current = store.data_version().await?;
            if current.is_some() && current == *version {
                return Ok(Vec::new());
            }
            let changes = feed.read(store).await?;
            *version = current;
            Ok(changes)
        });
        let error = match polled.await {
            Ok(Ok(changes)) => return Ok(changes),
            Ok(Err(error)) => error,
            Err(_) => StoreError::Unavailable("reading the changes took too long".to_owned()),
        };
        let is_gone = !matches!(timeout(ANSWER, store.ping()).await, Ok(Ok(())));
        Err(Unheard { error, is_gone })
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

    /// Notes when keys were used last, now and then, until `stop` turns true.
    pub async fn note_uses(self: Arc<Self>, mut stop: watch::Receiver<bool>) {
        let mut ticks = interval(NOTE_USES);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                _ = ticks.tick() => {}
                _ = stop.wait_for(|stop| *stop) => return,
            }
            if let Err(error) = self.note_uses_now().await {
                tracing::warn!(%error, "could not note when keys were used; will try again");
            }
        }
    }

    /// Notes when keys were used last that were used since it was last noted: thousands of keys with each
    /// statement, so that a busy gate costs the store next to nothing.
    pub async fn note_uses_now(&self) -> Result<(), StoreError> {
        let usages = &self.gate.memory.usages;
        let news = usages.news();
        for uses in news.chunks(USES) {
            personal_keys::note_uses(&self.context.store, uses).await?;
            usages.noted(uses);
        }
        Ok(())
    }

    /// Notes what was counted, for the charts of the administration, until `stop` turns true.
    pub async fn chart(self: Arc<Self>, mut stop: watch::Receiver<bool>) {
        let mut ticks = interval(CHART);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                _ = ticks.tick() => self.metrics.note_history(self.context.now()),
                _ = stop.wait_for(|stop| *stop) => return,
            }
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

    /// Deletes what has expired. Any instance may, and several at once: each row goes once.
    async fn sweep(&self) -> Result<(), StoreError> {
        let (context, store) = (&self.context, &self.context.store);
        let now = context.now();
        // A family is needed as long as its last access token lives.
        let expired = now.minus(context.longest_access);
        let ended = now.minus(self.keep_ended_keys);
        let heard = now.minus(KEEP_CHANGES);
        in_batches(|| refresh_families::sweep(store, expired, BATCH)).await?;
        in_batches(|| self.mail.sweep(BATCH)).await?;
        in_batches(|| audit::sweep(context, BATCH)).await?;
        in_batches(|| clients::sweep(store, now, BATCH)).await?;
        in_batches(|| attempts::sweep(store, now, BATCH)).await?;
        in_batches(|| sessions::sweep(store, now, BATCH)).await?;
        in_batches(|| one_time_links::sweep(store, now, BATCH)).await?;
        in_batches(|| personal_keys::sweep(store, ended, BATCH)).await?;
        in_batches(|| changes::sweep(store, heard, BATCH)).await
    }
}

/// Runs what deletes a few rows and gives how many until none are left, with room for others in between.
async fn in_batches<F>(delete: impl Fn() -> F + Send) -> Result<(), StoreError>
where
    F: Future<Output = Result<usize, StoreError>> + Send,
{
    while delete().await? > 0 {
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    Ok(())
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
