//! Checking and hashing passwords: a bounded pool of threads of their own, at the lowest priority.
//!
//! A hash takes tens of milliseconds of one core, so three things are kept apart from it: the
//! asynchronous threads (the pool has its own), the gate (the pool is nice 19; two hash loops on two
//! cores cost the gate half of its throughput at nice 0, a tenth so), and the memory of the machine
//! (the queue is bounded; where it is full the caller is told [`Busy`], which is 503 to a client).
//!
//! What is refused costs what a wrong password costs: an account that does not exist, has no
//! password, or a stored hash that cannot be read or may not be computed, is answered after a
//! *dummy* of the same work. This file alone makes a [`CheckedPassword`].

use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use tokio::sync::oneshot;

use crate::account::account::Account;
use crate::account::cost::{CostLimits, Parameters, Scheme};
use crate::account::derive::Memory;
use crate::account::password::{NotComputed, PasswordHash, StoredPassword, Verified};
use crate::account::queue::{self, JobQueue, Next};
use crate::base::random::Random;
use crate::base::secret::Secret;

/// An idle thread gives its Argon2 memory back after this time.
const KEEP_MEMORY: Duration = Duration::from_secs(10);

/// How passwords are hashed here.
#[derive(Clone, Copy, Debug)]
pub struct HashingRules {
    /// How many hashes are computed at once; at least 1. No more than there are cores.
    pub threads: usize,
    /// How many may wait; at least 1.
    pub queue: usize,
    /// What is written.
    pub scheme: Scheme,
    /// A stored PBKDF2 hash with fewer rounds is written anew when its password is seen.
    pub floor_iterations: u32,
    /// What may not be computed; raised to cover `scheme`.
    pub limits: CostLimits,
}

/// The queue is full: try again in a moment. Nothing was computed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Busy;

impl fmt::Display for Busy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("too many passwords are being checked")
    }
}

impl std::error::Error for Busy {}

/// What became of a presented password.
#[derive(Debug)]
pub enum PasswordCheck {
    /// It is the account's.
    Right(CheckedPassword),
    /// It is not, or there is no such account, or none of its passwords can be right.
    Wrong,
}

/// Proof that somebody presented the password of this account. Whether the account is active is
/// for the caller to look at.
///
/// It can be read:
/// ```
/// fn whose(checked: &avain::account::hashing::CheckedPassword) -> i32 {
///     checked.account().id.get()
/// }
/// ```
/// but only [`Hashing::check`] can make it:
/// ```compile_fail,E0451
/// fn forge(account: avain::account::account::Account) -> avain::account::hashing::CheckedPassword {
///     avain::account::hashing::CheckedPassword { account: Box::new(account), rehashed: None }
/// }
/// ```
#[derive(Debug)]
pub struct CheckedPassword {
    account: Box<Account>,
    rehashed: Option<StoredPassword>,
}

impl CheckedPassword {
    /// The account, as it was given to be checked; with the password as it is stored now.
    #[must_use]
    pub fn account(&self) -> &Account {
        &self.account
    }

    /// As [`CheckedPassword::account`].
    #[must_use]
    pub fn into_account(self) -> Account {
        *self.account
    }

    /// The same password hashed anew, to be stored in place of `account().password` (if that still
    /// stands there): when the stored hash is below the floor.
    #[must_use]
    pub fn rehashed(&self) -> Option<&StoredPassword> {
        self.rehashed.as_ref()
    }

    /// The same, after the store has taken the rehashed password.
    #[must_use]
    pub fn stored(mut self) -> Self {
        if let Some(rehashed) = self.rehashed.take() {
            self.account.password = rehashed;
        }
        self
    }
}

/// What the pool has done since it started.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct HashingCounts {
    /// Stored hashes compared with a presented password.
    pub verified: u64,
    /// Dummies computed in their place.
    pub dummies: u64,
    /// Wrong passwords for stored hashes cheaper than the dummy, which were topped up to its cost.
    pub topped_up: u64,
    /// New hashes made, rehashes among them.
    pub written: u64,
    /// Jobs dropped because their callers had gone away.
    pub abandoned: u64,
}

/// The pool. Dropping it ends its threads once they have done the job in hand.
pub struct Hashing(Arc<Shared>);

struct Shared {
    rules: HashingRules,
    random: Arc<dyn Random>,
    jobs: JobQueue<Job>,
    dummy: Mutex<Parameters>,
    verified: AtomicU64,
    dummies: AtomicU64,
    topped_up: AtomicU64,
    written: AtomicU64,
}

enum Job {
    Check(Secret<String>, Option<Box<Account>>, oneshot::Sender<PasswordCheck>),
    Hash(Secret<String>, oneshot::Sender<StoredPassword>),
}

impl queue::Job for Job {
    fn is_abandoned(&self) -> bool {
        match self {
            Self::Check(_, _, reply) => reply.is_closed(),
            Self::Hash(_, reply) => reply.is_closed(),
        }
    }
}

impl Hashing {
    /// Starts the threads. They take next to no memory until there is something to hash.
    #[must_use]
    pub fn start(rules: HashingRules, random: Arc<dyn Random>) -> Arc<Self> {
        let hashing = Self::idle(rules, random);
        for _ in 0..rules.threads.max(1) {
            hashing.spawn();
        }
        Arc::new(hashing)
    }

    /// Checks `password` against what `account` has stored; `None` for an account that does not
    /// exist, which takes the same time. A check whose future is dropped before its turn is not
    /// computed.
    pub async fn check(
        &self,
        password: Secret<String>,
        account: Option<Account>,
    ) -> Result<PasswordCheck, Busy> {
        let (reply, answer) = oneshot::channel();
        self.0.jobs.push(Job::Check(password, account.map(Box::new), reply)).map_err(|_| Busy)?;
        answer.await.map_err(|_| Busy)
    }

    /// Hashes a new password as the rules say.
    pub async fn hash(&self, password: Secret<String>) -> Result<StoredPassword, Busy> {
        let (reply, answer) = oneshot::channel();
        self.0.jobs.push(Job::Hash(password, reply)).map_err(|_| Busy)?;
        answer.await.map_err(|_| Busy)
    }

    /// Sets what a dummy computes: best what most stored hashes have (see
    /// [`most_common_parameters`](crate::account::password::most_common_parameters)). Until then it
    /// is what the rules write. Refuses what is above the limits, as such rows are not computed.
    pub fn set_dummy(&self, parameters: Parameters) -> Result<(), NotComputed> {
        if !parameters.within(&self.0.rules.limits) {
            return Err(NotComputed::TooCostly(parameters));
        }
        *self.0.dummy() = parameters;
        Ok(())
    }

    /// How many jobs wait for a thread.
    #[must_use]
    pub fn queued(&self) -> usize {
        self.0.jobs.waiting()
    }

    /// What has been done so far.
    #[must_use]
    pub fn counts(&self) -> HashingCounts {
        HashingCounts {
            verified: self.0.verified.load(Ordering::Relaxed),
            dummies: self.0.dummies.load(Ordering::Relaxed),
            topped_up: self.0.topped_up.load(Ordering::Relaxed),
            written: self.0.written.load(Ordering::Relaxed),
            abandoned: self.0.jobs.abandoned(),
        }
    }

    /// The pool without its threads.
    fn idle(mut rules: HashingRules, random: Arc<dyn Random>) -> Self {
        rules.limits = rules.limits.covering(rules.scheme);
        Self(Arc::new(Shared {
            rules,
            random,
            jobs: JobQueue::new(rules.queue),
            dummy: Mutex::new(rules.scheme.parameters()),
            verified: AtomicU64::new(0),
            dummies: AtomicU64::new(0),
            topped_up: AtomicU64::new(0),
            written: AtomicU64::new(0),
        }))
    }

    fn spawn(&self) -> thread::JoinHandle<()> {
        let shared = Arc::clone(&self.0);
        thread::Builder::new()
            .name("hashing".to_owned())
            .spawn(move || shared.work())
            .expect("a process that starts may start threads")
    }
}

impl Drop for Hashing {
    fn drop(&mut self) {
        self.0.jobs.close();
    }
}

impl fmt::Debug for Hashing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Hashing").field("rules", &self.0.rules).finish_non_exhaustive()
    }
}

impl Shared {
    /// What a thread of the pool does.
    fn work(&self) {
        lower_priority();
        let mut memory = Memory::default();
        loop {
            match self.jobs.next((!memory.is_empty()).then_some(KEEP_MEMORY)) {
                // A panic would be a bug, but it costs one answer (its caller is told `Busy`), not
                // a thread of the pool.
                Next::Job(job) => {
                    drop(catch_unwind(AssertUnwindSafe(|| self.run(job, &mut memory))));
                }
                Next::Idle => memory.release(),
                Next::Closed => return,
            }
        }
    }

    fn run(&self, job: Job, memory: &mut Memory) {
        // Sending fails when the caller has left meanwhile; then nobody wants to know.
        match job {
            Job::Check(password, account, reply) => {
                drop(reply.send(self.check(&password, account, memory)));
            }
            Job::Hash(password, reply) => drop(reply.send(self.hash(&password, memory))),
        }
    }

    fn check(
        &self,
        password: &Secret<String>,
        account: Option<Box<Account>>,
        memory: &mut Memory,
    ) -> PasswordCheck {
        let dummy = *self.dummy();
        let Some(account) = account else {
            spend(&self.dummies, dummy, password, memory);
            return PasswordCheck::Wrong;
        };
        match PasswordHash::parse(account.password.expose()).verify(
            password,
            &self.rules.limits,
            memory,
        ) {
            Ok(Verified::Right(parameters)) => {
                self.verified.fetch_add(1, Ordering::Relaxed);
                let rehashed = parameters
                    .needs_rehash(self.rules.scheme, self.rules.floor_iterations)
                    .then(|| self.hash(password, memory));
                return PasswordCheck::Right(CheckedPassword { account, rehashed });
            }
            Ok(Verified::Wrong(parameters)) => {
                self.verified.fetch_add(1, Ordering::Relaxed);
                if let Some(missing) = parameters.short_of(dummy) {
                    spend(&self.topped_up, missing, password, memory);
                }
            }
            Err(reason) => {
                if let NotComputed::TooCostly(parameters) = reason {
                    tracing::warn!(
                        account = account.id.get(),
                        ?parameters,
                        "the stored password hash costs more than the limits allow: \
                         refused, until the password is set anew"
                    );
                }
                spend(&self.dummies, dummy, password, memory);
            }
        }
        PasswordCheck::Wrong
    }

    fn hash(&self, password: &Secret<String>, memory: &mut Memory) -> StoredPassword {
        self.written.fetch_add(1, Ordering::Relaxed);
        StoredPassword::hash(password, self.rules.scheme, &*self.random, memory)
    }

    fn dummy(&self) -> MutexGuard<'_, Parameters> {
        self.dummy.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Computes for nothing, and counts it.
fn spend(
    counter: &AtomicU64,
    parameters: Parameters,
    password: &Secret<String>,
    memory: &mut Memory,
) {
    counter.fetch_add(1, Ordering::Relaxed);
    parameters.spend(password, memory);
}

/// Gives this thread the lowest priority. Linux has priorities of threads; elsewhere this would be
/// the whole process. Where a sandbox forbids it, hashing competes with everything else.
fn lower_priority() {
    #[cfg(target_os = "linux")]
    let _ = rustix::process::setpriority_process(None, 19);
}

#[cfg(test)]
mod tests;
