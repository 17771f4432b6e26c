//! Takes mails out of the outbox and sends them.
//!
//! Every instance may run one worker. A worker leases what is due, for a few seconds that it prolongs while
//! it is sending; where it dies, the lease ends and the mail is due again. So each mail goes out at least
//! once, and twice only where nobody lived to hear, or to note, that the server had taken it.

use std::collections::HashSet;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{Notify, watch};
use tokio::task::JoinSet;
use tokio::time::{Instant, MissedTickBehavior, interval, sleep, sleep_until};

use crate::base::clock::{Clock, Timestamp};
use crate::base::random::{Random, bytes};
use crate::base::seal::MasterKey;
use crate::mail::letter::Letter;
use crate::mail::message::NOTHING;
use crate::mail::transport::{Outcome, Transport};
use crate::mail::weather::Weather;
use crate::store::outbox::{self, Claimed, Depth};
use crate::store::{Store, StoreError};

/// How long a mail is ours without a sign of life.
const LEASE: Duration = Duration::from_secs(8);
/// How often a lease is prolonged.
const SIGN_OF_LIFE: Duration = Duration::from_secs(2);
/// How often the outbox is looked into while something waits in it.
const LOOK: Duration = Duration::from_secs(1);
/// How often it is looked into while nothing waits: who puts something in wakes the worker beside, so this is for
/// what an instance has left behind that was killed, and for commands.
const LOOK_IDLY: Duration = Duration::from_secs(5);
/// How often is measured how full it is.
const MEASURE: Duration = Duration::from_secs(5);
/// The shortest and the longest time between two attempts with a mail that failed by itself.
const SOONEST: Duration = Duration::from_secs(2);
const LATEST: Duration = Duration::from_mins(15);

/// What the worker goes by.
#[derive(Clone, Copy, Debug)]
pub struct WorkerRules {
    /// Mails under way at the same time, each over a connection of its own.
    pub senders: usize,
    /// How old a mail may become before it is given up.
    pub give_up_after: Duration,
    /// How long is kept that a mail was sent.
    pub keep_sent: Duration,
    /// How long mails are kept that were given up, from the time when they were made.
    pub keep_failed: Duration,
}

/// What happened to a mail, or to all.
#[derive(Clone, Copy, Debug)]
pub enum Event<'a> {
    /// A mail was sent; how long it had waited.
    Sent(&'a str, Duration),
    /// A mail was not sent this time.
    Deferred(&'a str),
    /// A mail was given up.
    Failed(&'a str),
    /// How full the outbox is, and how long the oldest mail has been waiting.
    Depth(Depth, Duration),
}

/// Is told what happens, for metrics; with [`Event`]s the name of the message.
pub type Observer = Arc<dyn Fn(Event<'_>) + Send + Sync>;

/// Sends what is in the outbox.
pub struct Worker {
    /// The store.
    pub store: Store,
    /// Under which mails are sealed.
    pub master: MasterKey,
    /// Where they go.
    pub transport: Transport,
    /// The clock.
    pub clock: Arc<dyn Clock>,
    /// The source of randomness, for jitter.
    pub random: Arc<dyn Random>,
    /// What it goes by.
    pub rules: WorkerRules,
    /// Wakes it when something came into the outbox.
    pub wake: Arc<Notify>,
    /// Is told what happens.
    pub observer: Observer,
}

impl fmt::Debug for Worker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Worker").field("rules", &self.rules).finish_non_exhaustive()
    }
}

/// A mail that was tried.
struct Tried {
    id: String,
    outcome: Option<Outcome>,
}

impl Worker {
    /// Sends until `stop` turns true, and then finishes what is under way.
    pub async fn run(self: Arc<Self>, mut stop: watch::Receiver<bool>) {
        let mut round = Round::default();
        let mut measured = None::<Instant>;
        loop {
            if measured.is_none_or(|at| at.elapsed() >= MEASURE) {
                measured = Some(Instant::now());
                self.measure().await;
            }
            let more = match self.take_up(&mut round).await {
                Ok(more) => more,
                Err(error) => {
                    if !std::mem::replace(&mut round.blind, true) {
                        tracing::error!(%error, "cannot look into the outbox; mails wait");
                    }
                    false
                }
            };
            if round.under_way.is_empty() && !more {
                self.transport.rest().await;
            }
            let look = if round.is_idle { LOOK_IDLY } else { LOOK };
            let pause = round.weather.look_again(Instant::now() + look);
            tokio::select! {
                Some(tried) = round.under_way.join_next() => round.note(tried.ok()),
                () = self.wake.notified() => {}
                () = sleep_until(pause) => {}
                _ = stop.wait_for(|stop| *stop) => break,
            }
        }
        while round.under_way.join_next().await.is_some() {}
        self.transport.rest().await;
    }

    /// Deletes at most `most` mails that were sent or given up long ago. Gives how many.
    pub async fn sweep(&self, most: i64) -> Result<usize, StoreError> {
        let now = self.clock.now();
        let (sent, failed) = (now.minus(self.rules.keep_sent), now.minus(self.rules.keep_failed));
        outbox::sweep(&self.store, sent, failed, most).await
    }

    /// Begins to send what is due and there is room for. Says whether more may be due.
    async fn take_up(self: &Arc<Self>, round: &mut Round) -> Result<bool, StoreError> {
        let under_way = round.under_way.len();
        let room = round.weather.room(self.rules.senders, under_way, Instant::now());
        let now = self.clock.now();
        // A look is cheaper than a change that changes nothing.
        let next = outbox::next_due(&self.store).await?;
        let due = next.is_some_and(|next| next <= now);
        round.is_idle = next.is_none();
        if std::mem::replace(&mut round.blind, false) {
            tracing::info!("the outbox can be looked into again");
        }
        if room == 0 || !due {
            return Ok(due);
        }
        for mail in outbox::claim(&self.store, now, now.plus(LEASE), room).await? {
            // A lease of our own that ended while the database was away: it still is under way.
            if round.ids.insert(mail.id.clone()) {
                round.under_way.spawn(Arc::clone(self).send(mail));
            }
        }
        Ok(true)
    }

    async fn send(self: Arc<Self>, mail: Claimed) -> Tried {
        if mail.message == NOTHING {
            self.insist(|| outbox::discard(&self.store, &mail.id, mail.attempts)).await;
            return Tried { id: mail.id, outcome: None };
        }
        let outcome = match Letter::open(&mail.id, &self.master, &mail.sealed) {
            Some(letter) => Some(Box::pin(self.send_letter(&mail, &letter)).await),
            None => None,
        };
        let given_up = match &outcome {
            Some(Outcome::Sent) => {
                self.insist(|| outbox::sent(&self.store, &mail.id, self.clock.now())).await;
                let waited = since(mail.created_at, self.clock.now());
                (self.observer)(Event::Sent(&mail.message, waited));
                return Tried { id: mail.id, outcome };
            }
            Some(Outcome::Refused(why)) => Some(why.clone()),
            Some(Outcome::Failed(why) | Outcome::Unavailable(why)) => {
                let age = since(mail.created_at, self.clock.now());
                let old = age >= self.rules.give_up_after;
                old.then(|| format!("given up after {} hours; {why}", age.as_secs() / 3600))
            }
            None => Some("does not open under this master key (keys.master)".to_owned()),
        };
        if let Some(why) = given_up {
            tracing::warn!(mail = %mail.id, message = mail.message, why, "a mail was given up");
            self.insist(|| outbox::fail(&self.store, &mail.id, mail.attempts, &why)).await;
            (self.observer)(Event::Failed(&mail.message));
        } else if let Some(Outcome::Failed(why) | Outcome::Unavailable(why)) = &outcome {
            let alone = matches!(outcome, Some(Outcome::Failed(_)));
            let next = self.next_try(mail.created_at, alone);
            tracing::debug!(mail = %mail.id, message = mail.message, why, "a mail has to wait");
            self.insist(|| outbox::defer(&self.store, &mail.id, mail.attempts, next, why)).await;
            (self.observer)(Event::Deferred(&mail.message));
        }
        Tried { id: mail.id, outcome }
    }

    /// Sends, and keeps the lease meanwhile.
    async fn send_letter(&self, mail: &Claimed, letter: &Letter) -> Outcome {
        let sending = self.transport.send(&mail.id, letter);
        tokio::pin!(sending);
        let mut signs = interval(SIGN_OF_LIFE);
        signs.set_missed_tick_behavior(MissedTickBehavior::Delay);
        signs.tick().await;
        loop {
            tokio::select! {
                outcome = &mut sending => return outcome,
                _ = signs.tick() => {
                    let until = self.clock.now().plus(LEASE);
                    let prolonged =
                        outbox::prolong(&self.store, &mail.id, mail.attempts, until).await;
                    if let Err(error) = prolonged {
                        tracing::debug!(%error, mail = %mail.id, "a lease was not prolonged");
                    }
                }
            }
        }
    }

    /// Notes what came of a mail, also when the database is away for a while: a mail that was sent and
    /// is not marked so is sent again.
    async fn insist<F: Future<Output = Result<bool, StoreError>>>(&self, note: impl Fn() -> F) {
        let mut pause = Duration::from_millis(50);
        for _ in 0..30 {
            match note().await {
                Ok(_) => return,
                Err(error) => tracing::warn!(%error, "could not note what came of a mail"),
            }
            sleep(pause).await;
            pause = (pause * 2).min(Duration::from_secs(2));
        }
    }

    /// When to try again. While the server takes no mail at all, its own pauses decide, and the mail is due
    /// at once. A mail that fails by itself waits for an eighth of its age: soon at first, then ever later.
    fn next_try(&self, created_at: Timestamp, by_itself: bool) -> Timestamp {
        let now = self.clock.now();
        if !by_itself {
            return now;
        }
        let wait = (since(created_at, now) / 8).clamp(SOONEST, LATEST);
        let [draw] = bytes::<1>(self.random.as_ref());
        now.plus(wait.mul_f64(0.9 + f64::from(draw) / 1275.0))
    }

    async fn measure(&self) {
        if let Ok(depth) = outbox::depth(&self.store).await {
            let now = self.clock.now();
            let age = depth.oldest.map_or(Duration::ZERO, |oldest| since(oldest, now));
            (self.observer)(Event::Depth(depth, age));
        }
    }
}

/// What a worker has under way.
#[derive(Default)]
struct Round {
    under_way: JoinSet<Tried>,
    ids: HashSet<String>,
    weather: Weather,
    blind: bool,
    /// Nothing waits, and nothing is under way.
    is_idle: bool,
}

impl Round {
    fn note(&mut self, tried: Option<Tried>) {
        let alone = self.under_way.is_empty();
        let Some(Tried { id, outcome }) = tried else {
            // It panicked; which one it was shows when its lease ends.
            tracing::error!("sending a mail ended abruptly");
            if alone {
                self.ids.clear();
            }
            return;
        };
        self.ids.remove(&id);
        let now = Instant::now();
        let trouble = match outcome {
            Some(Outcome::Sent | Outcome::Refused(_)) => {
                if self.weather.good() {
                    tracing::info!("the mail server takes mails again");
                }
                None
            }
            Some(Outcome::Failed(why)) => self.weather.doubtful(&id, alone, now).then_some(why),
            Some(Outcome::Unavailable(why)) => self.weather.bad(alone, now).then_some(why),
            None => None,
        };
        if let Some(why) = trouble {
            tracing::warn!(why, "the mail server takes no mails at present; they wait");
        }
    }
}

fn since(then: Timestamp, now: Timestamp) -> Duration {
    Duration::from_micros(u64::try_from(now.micros() - then.micros()).unwrap_or_default())
}
