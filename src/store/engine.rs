//! [`Store`] and [`Tx`]: one surface over the two engines.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use crate::store::audit::Record;
use crate::store::changes::{Change, Listener, Told};
use crate::store::error::StoreError;
use crate::store::link::Link;
use crate::store::options::{EngineKind, Limits, Options};
use crate::store::postgres::{Postgres, PostgresTx};
use crate::store::row::Row;
use crate::store::sqlite::{ForeignKeys, Sqlite, SqliteTx};
use crate::store::statements::{Catalog, Statement};
use crate::store::value::Value;

/// A store: cheap to clone, all clones are one.
#[derive(Clone)]
pub struct Store(Arc<Inner>);

struct Inner {
    engine: Engine,
    catalog: Arc<Catalog>,
    limits: Limits,
    listeners: Mutex<Vec<Listener>>,
    told: Mutex<Told>,
    observers: Mutex<Vec<Observer>>,
    auditors: Mutex<Vec<Auditor>>,
}

enum Engine {
    Postgres(Postgres),
    Sqlite(Sqlite),
}

/// What one statement outside a transaction, or one whole transaction, came to.
#[derive(Clone, Copy, Debug)]
pub struct Observation<'a> {
    /// The statement's or the transaction's name.
    pub name: &'a str,
    /// From the call, or from `begin`, to the end.
    pub elapsed: Duration,
    /// `ok`, `rolled_back`, or [`StoreError::kind`].
    pub outcome: &'static str,
}

/// Is told of every statement and transaction, for metrics. It runs on the task that asked.
pub type Observer = Arc<dyn Fn(&Observation<'_>) + Send + Sync>;

/// Is told of every audit event once it is committed. It runs on the task that committed.
pub type Auditor = Arc<dyn Fn(&Record) + Send + Sync>;

impl Store {
    /// Opens the store that `options` describe, with the statements of this program.
    ///
    /// SQLite: makes the file (mode 0600) where it is missing. PostgreSQL: connects when first asked, so
    /// that a service starts while its database is away. Neither migrates. Needs a tokio runtime.
    pub fn open(options: &Options) -> Result<Self, StoreError> {
        Self::open_with(options, Catalog::embedded())
    }

    /// As [`Store::open`], with other statements (tests bring their own).
    pub fn open_with(options: &Options, catalog: Arc<Catalog>) -> Result<Self, StoreError> {
        Self::open_as(options, catalog, ForeignKeys::Enforced)
    }

    /// The store for the migrations: a table of SQLite that is made anew must not delete what refers to
    /// it on the way.
    pub(super) fn open_to_migrate(options: &Options) -> Result<Self, StoreError> {
        Self::open_as(options, Catalog::embedded(), ForeignKeys::Ignored)
    }

    fn open_as(
        options: &Options,
        catalog: Arc<Catalog>,
        foreign_keys: ForeignKeys,
    ) -> Result<Self, StoreError> {
        let engine = match options.engine()? {
            EngineKind::Postgres => Engine::Postgres(Postgres::open(options)?),
            EngineKind::Sqlite(path) => Engine::Sqlite(Sqlite::open(&path, options, foreign_keys)?),
        };
        Ok(Self(Arc::new(Inner {
            engine,
            catalog,
            limits: options.limits,
            listeners: Mutex::default(),
            told: Mutex::default(),
            observers: Mutex::default(),
            auditors: Mutex::default(),
        })))
    }

    /// Runs one statement that changes nothing. It may be sent a second time when its connection turns
    /// out to be broken.
    pub async fn read(&self, statement: &str, params: &[Value]) -> Result<Vec<Row>, StoreError> {
        let started = Instant::now();
        let done = self.read_unobserved(statement, params, started).await;
        self.finish(statement, started, done)
    }

    async fn read_unobserved(
        &self,
        statement: &str,
        params: &[Value],
        started: Instant,
    ) -> Result<Vec<Row>, StoreError> {
        let statement = self.0.prepare(statement, params)?;
        let deadline = started + self.0.limits.whole;
        match &self.0.engine {
            Engine::Postgres(postgres) => postgres.read(statement, params, deadline).await,
            Engine::Sqlite(sqlite) => sqlite.read(statement, params, deadline).await,
        }
    }

    /// Runs one statement that changes something, in a transaction of its own. After
    /// [`StoreError::Unavailable`] the change may or may not have been made.
    pub async fn write(&self, statement: &str, params: &[Value]) -> Result<Vec<Row>, StoreError> {
        let started = Instant::now();
        let done = self.write_unobserved(statement, params, started).await;
        self.finish(statement, started, done)
    }

    async fn write_unobserved(
        &self,
        statement: &str,
        params: &[Value],
        started: Instant,
    ) -> Result<Vec<Row>, StoreError> {
        let statement = self.0.prepare(statement, params)?;
        let deadline = started + self.0.limits.whole;
        match &self.0.engine {
            Engine::Postgres(postgres) => postgres.write(statement, params, deadline).await,
            Engine::Sqlite(sqlite) => sqlite.write(statement, params, deadline).await,
        }
    }

    /// Begins a transaction. `name` says what it is for, as in "rotate refresh token"; it is in errors,
    /// traces and metrics. PostgreSQL: READ COMMITTED, which is enough for conditional statements.
    /// SQLite: BEGIN IMMEDIATE, so transactions follow one another.
    pub async fn begin(&self, name: &'static str) -> Result<Tx, StoreError> {
        let started = Instant::now();
        let deadline = started + self.0.limits.whole;
        let begun = match &self.0.engine {
            Engine::Postgres(postgres) => {
                postgres.begin(deadline).await.map(|tx| Arm::Postgres(Box::new(tx)))
            }
            Engine::Sqlite(sqlite) => sqlite.begin(deadline).await.map(Arm::Sqlite),
        };
        match begun {
            Ok(arm) => Ok(Tx {
                store: self.clone(),
                name,
                arm: Some(arm),
                started,
                failed: None,
                reported: false,
                changes: Vec::new(),
                noted: Vec::new(),
                records: Vec::new(),
            }),
            Err(error) => self.finish(name, started, Err(error)),
        }
    }

    /// Whether the database answers.
    pub async fn ping(&self) -> Result<(), StoreError> {
        self.read("store.ping", &[]).await.map(drop)
    }

    /// `listener` is called after every COMMIT of a transaction that remembered changes with
    /// [`Tx::changed`]. Where the outcome of a COMMIT is unknown it is not called: the feed of changes in
    /// the database, which is part of the transaction, decides then.
    pub fn subscribe(&self, listener: Listener) {
        lock(&self.0.listeners).push(listener);
    }

    /// `observer` is called after every statement outside a transaction and after every transaction.
    pub fn observe(&self, observer: Observer) {
        lock(&self.0.observers).push(observer);
    }

    /// `auditor` is called after every COMMIT of a transaction that recorded audit events, for each of them.
    pub fn audit(&self, auditor: Auditor) {
        lock(&self.0.auditors).push(auditor);
    }

    /// Tells the auditors.
    pub(super) fn tell_auditors(&self, record: &Record) {
        let auditors = lock(&self.0.auditors).clone();
        for auditor in &auditors {
            auditor(record);
        }
    }

    /// SQLite: a number that differs from the last one when another connection, of this or of another
    /// process, has committed (`PRAGMA data_version`). `None` on PostgreSQL, which has LISTEN.
    pub async fn data_version(&self) -> Result<Option<i64>, StoreError> {
        match &self.0.engine {
            Engine::Postgres(_) => Ok(None),
            Engine::Sqlite(sqlite) => sqlite.data_version(self.0.limits.statement).await.map(Some),
        }
    }

    /// PostgreSQL: a connection of its own that `wake` is called on whenever a change is committed
    /// (LISTEN). `None` on SQLite, and where no URL leads past a pgbouncer in transaction mode.
    pub async fn listen(
        &self,
        wake: impl Fn() + Send + 'static,
    ) -> Result<Option<Link>, StoreError> {
        match &self.0.engine {
            Engine::Postgres(postgres) => postgres.listen(wake).await,
            Engine::Sqlite(_) => Ok(None),
        }
    }

    /// As [`Store::read`], over the link: however many wait for the pool.
    pub(super) async fn read_over(
        &self,
        link: &Link,
        statement: &str,
        params: &[Value],
    ) -> Result<Vec<Row>, StoreError> {
        let started = Instant::now();
        let done = match self.0.prepare(statement, params) {
            Ok(prepared) => link.read(prepared, params).await,
            Err(error) => Err(error),
        };
        self.finish(statement, started, done)
    }

    /// The changes that the listeners were told of.
    pub(super) fn told(&self) -> std::sync::MutexGuard<'_, Told> {
        lock(&self.0.told)
    }

    /// Whether this is PostgreSQL.
    #[must_use]
    pub fn is_postgres(&self) -> bool {
        matches!(self.0.engine, Engine::Postgres(_))
    }

    /// Ends the connections. What is under way fails; SQLite's write-ahead log is folded into the file.
    pub async fn close(&self) {
        match &self.0.engine {
            Engine::Postgres(postgres) => postgres.close(),
            Engine::Sqlite(sqlite) => sqlite.close(self.0.limits.whole).await,
        }
    }

    /// Reports an end and names it in the error.
    fn finish<T>(
        &self,
        name: &str,
        started: Instant,
        done: Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        let done = done.map_err(|error| error.during(name));
        self.report(name, started, done.as_ref().map_or_else(StoreError::kind, |_| "ok"));
        done
    }

    fn report(&self, name: &str, started: Instant, outcome: &'static str) {
        let elapsed = started.elapsed();
        tracing::debug!(name, outcome, ?elapsed, "store");
        let observers = lock(&self.0.observers).clone();
        for observer in &observers {
            observer(&Observation { name, elapsed, outcome });
        }
    }
}

impl fmt::Debug for Store {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.is_postgres() { "Store(postgres)" } else { "Store(sqlite)" })
    }
}

impl Inner {
    /// The statement, if its parameters can be bound on both engines. PostgreSQL has no NUL in texts,
    /// SQLite would cut them there in some functions.
    fn prepare(&self, statement: &str, params: &[Value]) -> Result<&Arc<Statement>, StoreError> {
        let nul = |param: &Value| matches!(param, Value::Text(text) if text.contains('\0'));
        if params.iter().any(nul) {
            return Err(StoreError::Check("a text holds a NUL".to_owned()));
        }
        let statement = self.catalog.find(statement)?;
        if statement.params != params.len() {
            let (wanted, given) = (statement.params, params.len());
            let sentence = format!("{wanted} parameters are wanted, {given} were given");
            return Err(StoreError::Other(sentence));
        }
        Ok(statement)
    }
}

/// A transaction. It ends with [`Tx::commit`]; dropped before that, it is rolled back. It also ends by
/// itself after `Limits::whole`.
pub struct Tx {
    store: Store,
    name: &'static str,
    arm: Option<Arm>,
    started: Instant,
    failed: Option<&'static str>,
    reported: bool,
    changes: Vec<Change>,
    noted: Vec<i64>,
    records: Vec<Record>,
}

enum Arm {
    Postgres(Box<PostgresTx>),
    Sqlite(SqliteTx),
}

impl Tx {
    /// Runs one statement. An error ends the transaction: it is rolled back at once, on both engines,
    /// so that nobody waits for a lost cause.
    pub async fn run(&mut self, statement: &str, params: &[Value]) -> Result<Vec<Row>, StoreError> {
        let done = self.run_unnamed(statement, params).await;
        done.map_err(|error| {
            self.fail(&error);
            error.during(&format!("{}: {statement}", self.name))
        })
    }

    fn fail(&mut self, error: &StoreError) {
        self.arm = None;
        self.failed.get_or_insert(error.kind());
    }

    async fn run_unnamed(
        &mut self,
        statement: &str,
        params: &[Value],
    ) -> Result<Vec<Row>, StoreError> {
        let statement = self.store.0.prepare(statement, params)?;
        match &mut self.arm {
            Some(Arm::Postgres(tx)) => tx.run(statement, params).await,
            Some(Arm::Sqlite(tx)) => tx.run(statement, params).await,
            None => Err(failed_before()),
        }
    }

    /// Runs several statements without parameters, for the migrations.
    pub(super) async fn script(&mut self, sql: &str) -> Result<(), StoreError> {
        let done = match &mut self.arm {
            Some(Arm::Postgres(tx)) => tx.script(sql).await,
            Some(Arm::Sqlite(tx)) => tx.script(sql).await,
            None => Err(failed_before()),
        };
        done.inspect_err(|error| self.fail(error))
    }

    /// Remembers what the listeners are to be told after the COMMIT.
    pub fn changed(&mut self, change: Change) {
        if !self.changes.contains(&change) {
            self.changes.push(change);
        }
    }

    /// Remembers the id of a change in the feed that the listeners will have been told of.
    pub(super) fn noted(&mut self, id: i64) {
        self.noted.push(id);
    }

    /// Remembers what the auditors are to be told after the COMMIT.
    pub(super) fn recorded(&mut self, record: Record) {
        self.records.push(record);
    }

    /// Commits, and then tells the listeners and auditors. After [`StoreError::Unavailable`] the outcome is unknown:
    /// the connection may have been lost after the COMMIT was sent.
    pub async fn commit(mut self) -> Result<(), StoreError> {
        let done = match self.arm.take() {
            Some(Arm::Postgres(tx)) => tx.commit().await,
            Some(Arm::Sqlite(tx)) => tx.commit().await,
            None => Err(failed_before()),
        };
        if done.is_ok() && !self.changes.is_empty() {
            let listeners = lock(&self.store.0.listeners).clone();
            for listener in &listeners {
                listener(&self.changes);
            }
            if !listeners.is_empty() {
                self.store.told().add(&self.noted);
            }
        }
        if done.is_ok() {
            for record in &self.records {
                self.store.tell_auditors(record);
            }
        }
        self.reported = true;
        self.store.finish(self.name, self.started, done)
    }

    /// What the transaction is called.
    #[must_use]
    pub fn name(&self) -> &'static str {
        self.name
    }
}

impl Drop for Tx {
    fn drop(&mut self) {
        // The arm rolls back when it is dropped.
        if !self.reported {
            self.store.report(self.name, self.started, self.failed.unwrap_or("rolled_back"));
        }
    }
}

impl fmt::Debug for Tx {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Tx({:?})", self.name)
    }
}

fn failed_before() -> StoreError {
    StoreError::Other("the transaction has failed before".to_owned())
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
