//! The embedded engine: one thread that writes, a few that read, over SQLite's write-ahead log.
//!
//! A transaction occupies the writing thread from BEGIN IMMEDIATE to its end, so transactions of this
//! process follow one another; those of other processes (the command line beside a server) are waited
//! for with SQLite's own busy time-out. A transaction that does not end in time is rolled back.

use std::fs::OpenOptions;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender, SyncSender, TrySendError};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::thread;
use std::time::Duration;

use rusqlite::{Connection, ErrorCode};
use tokio::sync::oneshot;
use tokio::time::{Instant, timeout_at};

use crate::store::error::StoreError;
use crate::store::options::{Durability, Options};
use crate::store::row::Row;
use crate::store::statements::Statement;
use crate::store::value::Value;

/// How long SQLite waits for a lock that another process holds.
const BUSY: Duration = Duration::from_secs(5);
/// Calls that may wait for a thread; one more is refused at once.
const QUEUE: usize = 1024;
/// Enough for SQLite's parser by far; only touched pages count.
const STACK: usize = 512 * 1024;

/// Whether the writer enforces foreign keys; in SQLite that is a matter of the connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ForeignKeys {
    Enforced,
    Ignored,
}

pub(super) struct Sqlite {
    path: PathBuf,
    writer: SyncSender<Job>,
    readers: SyncSender<Job>,
    watcher: OnceLock<SyncSender<Job>>,
}

type Reply<T> = oneshot::Sender<Result<T, StoreError>>;
/// Work for a thread, which hands it its connection.
type Job = Box<dyn FnOnce(&mut Connection) + Send>;

impl Sqlite {
    /// Opens the file, which is made where it is missing, and starts the threads.
    pub(super) fn open(
        path: &Path,
        options: &Options,
        foreign_keys: ForeignKeys,
    ) -> Result<Self, StoreError> {
        create(path)?;
        let writer = connect(path, BUSY.max(options.limits.wait))?;
        set_up(&writer, options.durability, foreign_keys).map_err(|error| named(path, &error))?;
        let readers = (0..options.readers.max(1)).map(|_| reader(path));
        let readers = readers.collect::<Result<_, _>>()?;
        Ok(Self {
            path: path.to_owned(),
            writer: spawn("avain-writer", vec![writer])?,
            readers: spawn("avain-reader", readers)?,
            watcher: OnceLock::new(),
        })
    }

    pub(super) async fn read(
        &self,
        statement: &Arc<Statement>,
        params: &[Value],
        deadline: Instant,
    ) -> Result<Vec<Row>, StoreError> {
        let (statement, params) = (Arc::clone(statement), params.to_vec());
        ask(&self.readers, deadline, move |connection| run(connection, &statement, &params)).await
    }

    pub(super) async fn write(
        &self,
        statement: &Arc<Statement>,
        params: &[Value],
        deadline: Instant,
    ) -> Result<Vec<Row>, StoreError> {
        let (statement, params) = (Arc::clone(statement), params.to_vec());
        ask(&self.writer, deadline, move |connection| run(connection, &statement, &params)).await
    }

    pub(super) async fn begin(&self, deadline: Instant) -> Result<SqliteTx, StoreError> {
        let (reply, begun) = oneshot::channel();
        let (steps, next) = mpsc::channel();
        send(&self.writer, move |connection| {
            if !reply.is_closed() {
                transaction(connection, reply, &next, deadline);
            }
        })?;
        answer(begun, deadline).await?;
        Ok(SqliteTx { steps, deadline })
    }

    pub(super) async fn data_version(&self, limit: Duration) -> Result<i64, StoreError> {
        let watcher = if let Some(watcher) = self.watcher.get() {
            watcher
        } else {
            // One thread with one connection: only its own numbers are comparable.
            let watcher = spawn("avain-watcher", vec![reader(&self.path)?])?;
            self.watcher.get_or_init(|| watcher)
        };
        ask(watcher, Instant::now() + limit, |connection| {
            let version = connection.query_row("PRAGMA data_version", [], |row| row.get(0));
            version.map_err(|error| StoreError::from(&error))
        })
        .await
    }

    /// Folds the write-ahead log into the file, so that the file alone is the database.
    pub(super) async fn close(&self, limit: Duration) {
        let checkpoint = ask(&self.writer, Instant::now() + limit, |connection| {
            let done = connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()));
            done.map_err(|error| StoreError::from(&error))
        });
        if let Err(error) = checkpoint.await {
            tracing::debug!(%error, "the write-ahead log was left as it is");
        }
    }
}

/// A transaction that occupies the writing thread. Dropping it rolls back.
pub(super) struct SqliteTx {
    steps: Sender<Step>,
    deadline: Instant,
}

enum Step {
    Run { statement: Arc<Statement>, params: Vec<Value>, reply: Reply<Vec<Row>> },
    Script { sql: String, reply: Reply<()> },
    Commit { reply: Reply<()> },
}

impl SqliteTx {
    pub(super) async fn run(
        &mut self,
        statement: &Arc<Statement>,
        params: &[Value],
    ) -> Result<Vec<Row>, StoreError> {
        let (reply, done) = oneshot::channel();
        let (statement, params) = (Arc::clone(statement), params.to_vec());
        self.steps.send(Step::Run { statement, params, reply }).map_err(|_| took_too_long())?;
        answer(done, self.deadline).await
    }

    pub(super) async fn script(&mut self, sql: &str) -> Result<(), StoreError> {
        let (reply, done) = oneshot::channel();
        let sql = sql.to_owned();
        self.steps.send(Step::Script { sql, reply }).map_err(|_| took_too_long())?;
        answer(done, self.deadline).await
    }

    pub(super) async fn commit(self) -> Result<(), StoreError> {
        let (reply, done) = oneshot::channel();
        self.steps.send(Step::Commit { reply }).map_err(|_| took_too_long())?;
        answer(done, self.deadline).await
    }
}

/// The writing thread's part in a transaction: BEGIN, the steps, and its end, whatever happens.
fn transaction(
    connection: &mut Connection,
    reply: Reply<()>,
    next: &Receiver<Step>,
    deadline: Instant,
) {
    let begin = execute(connection, "BEGIN IMMEDIATE");
    let failed = begin.is_err();
    if reply.send(begin).is_err() || failed {
        roll_back(connection);
        return;
    }
    loop {
        match next.recv_timeout(deadline.saturating_duration_since(Instant::now())) {
            Ok(Step::Run { statement, params, reply }) => {
                // A caller that has gone drops its transaction too, which the next turn notices.
                drop(reply.send(run(connection, &statement, &params)));
            }
            Ok(Step::Script { sql, reply }) => drop(reply.send(execute(connection, &sql))),
            Ok(Step::Commit { reply }) => {
                let done = execute(connection, "COMMIT");
                roll_back(connection);
                drop(reply.send(done));
                return;
            }
            Err(RecvTimeoutError::Disconnected | RecvTimeoutError::Timeout) => {
                roll_back(connection);
                return;
            }
        }
    }
}

/// Ends a transaction that is still open.
fn roll_back(connection: &Connection) {
    if !connection.is_autocommit()
        && let Err(error) = execute(connection, "ROLLBACK")
    {
        tracing::error!(%error, "a transaction could not be rolled back");
    }
}

fn execute(connection: &Connection, sql: &str) -> Result<(), StoreError> {
    connection.execute_batch(sql).map_err(|error| StoreError::from(&error))
}

/// Runs a statement to its end and collects what it gives.
fn run(
    connection: &Connection,
    statement: &Statement,
    params: &[Value],
) -> Result<Vec<Row>, StoreError> {
    let Some(sql) = &statement.sqlite else {
        return Err(StoreError::Other("the statement is PostgreSQL's alone".to_owned()));
    };
    let collect = || -> rusqlite::Result<Vec<Row>> {
        let mut prepared = connection.prepare_cached(sql)?;
        let names: Arc<[String]> = prepared.column_names().map(str::to_owned).collect();
        let mut found = prepared.query(rusqlite::params_from_iter(params))?;
        let mut rows = Vec::new();
        while let Some(row) = found.next()? {
            let values = (0..names.len()).map(|index| {
                Value::try_from(row.get_ref(index)?)
                    .map_err(rusqlite::Error::ToSqlConversionFailure)
            });
            rows.push(Row::new(Arc::clone(&names), values.collect::<rusqlite::Result<_>>()?));
        }
        Ok(rows)
    };
    collect().map_err(|error| StoreError::from(&error))
}

/// Gives `work` to a thread and waits for its answer.
async fn ask<T: Send + 'static>(
    thread: &SyncSender<Job>,
    deadline: Instant,
    work: impl FnOnce(&mut Connection) -> Result<T, StoreError> + Send + 'static,
) -> Result<T, StoreError> {
    let (reply, done) = oneshot::channel();
    send(thread, move |connection| {
        // Nobody waits any more: what nobody hears of must not be done.
        if !reply.is_closed() {
            drop(reply.send(work(connection)));
        }
    })?;
    answer(done, deadline).await
}

fn send(
    thread: &SyncSender<Job>,
    job: impl FnOnce(&mut Connection) + Send + 'static,
) -> Result<(), StoreError> {
    thread.try_send(Box::new(job)).map_err(|error| {
        StoreError::Unavailable(match error {
            TrySendError::Full(_) => "too many calls wait for the database".to_owned(),
            TrySendError::Disconnected(_) => "the database thread has ended".to_owned(),
        })
    })
}

async fn answer<T>(
    done: oneshot::Receiver<Result<T, StoreError>>,
    deadline: Instant,
) -> Result<T, StoreError> {
    match timeout_at(deadline, done).await {
        Ok(Ok(answer)) => answer,
        // The thread dropped the step unanswered.
        Ok(Err(_)) | Err(_) => Err(took_too_long()),
    }
}

fn took_too_long() -> StoreError {
    StoreError::Unavailable("it took too long and was given up".to_owned())
}

/// Starts one thread per connection; they share a queue.
fn spawn(name: &str, connections: Vec<Connection>) -> Result<SyncSender<Job>, StoreError> {
    let (sender, queue) = mpsc::sync_channel::<Job>(QUEUE);
    let queue = Arc::new(Mutex::new(queue));
    for mut connection in connections {
        let queue = Arc::clone(&queue);
        let work = move || {
            loop {
                // The lock is held while waiting: the threads take turns to wait for the next job.
                let job = queue.lock().unwrap_or_else(PoisonError::into_inner).recv();
                let Ok(job) = job else { return };
                job(&mut connection);
            }
        };
        let thread = thread::Builder::new().name(name.to_owned()).stack_size(STACK).spawn(work);
        thread
            .map_err(|error| StoreError::Unavailable(format!("cannot start a thread: {error}")))?;
    }
    Ok(sender)
}

/// Makes the file with mode 0600 unless it is there; SQLite gives its log files the same mode.
fn create(path: &Path) -> Result<(), StoreError> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
    if let Some(folder) = folder
        && !folder.is_dir()
    {
        let sentence = format!("the folder {} of the database does not exist", folder.display());
        return Err(StoreError::Unavailable(sentence));
    }
    let made = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path);
    match made {
        Ok(_) => Ok(()),
        Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => Ok(()),
        Err(error) => {
            Err(StoreError::Unavailable(format!("cannot make {}: {error}", path.display())))
        }
    }
}

/// Opens a connection to a file that exists.
fn connect(path: &Path, busy: Duration) -> Result<Connection, StoreError> {
    let connection = Connection::open(path).map_err(|error| named(path, &error))?;
    connection.busy_timeout(busy).map_err(|error| named(path, &error))?;
    connection.set_prepared_statement_cache_capacity(128);
    Ok(connection)
}

fn set_up(
    connection: &Connection,
    durability: Durability,
    foreign_keys: ForeignKeys,
) -> rusqlite::Result<()> {
    let mode = write_ahead(connection)?;
    if mode != "wal" {
        tracing::warn!(mode, "the file system offers no write-ahead log");
    }
    let synchronous = match durability {
        Durability::Normal => "NORMAL",
        Durability::Full => "FULL",
    };
    connection.pragma_update(None, "synchronous", synchronous)?;
    connection.pragma_update(None, "foreign_keys", foreign_keys == ForeignKeys::Enforced)
}

/// Switches the file to its write-ahead log, and says what it has then. Two that open a new file at the
/// same time get in each other's way here, and SQLite does not wait by itself.
fn write_ahead(connection: &Connection) -> rusqlite::Result<String> {
    let deadline = Instant::now() + BUSY;
    loop {
        let mode = connection.query_row("PRAGMA journal_mode = WAL", [], |row| row.get(0));
        match mode {
            Err(error)
                if error.sqlite_error_code() == Some(ErrorCode::DatabaseBusy)
                    && Instant::now() < deadline =>
            {
                thread::sleep(Duration::from_millis(10));
            }
            mode => return mode,
        }
    }
}

fn reader(path: &Path) -> Result<Connection, StoreError> {
    let connection = connect(path, BUSY)?;
    // Whatever a statement does, reading changes nothing.
    connection.pragma_update(None, "query_only", true).map_err(|error| named(path, &error))?;
    Ok(connection)
}

fn named(path: &Path, error: &rusqlite::Error) -> StoreError {
    StoreError::from(error).during(&path.display().to_string())
}
