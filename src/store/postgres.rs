//! The engine for production and for several instances: a pool of connections to PostgreSQL.
//!
//! Three rules stand behind the code. A connection whose statement was abandoned (the caller went away,
//! or time ran out) is never used again, since the next statement would wait for the abandoned one; the
//! server is told to cancel it. A connection that reports a read-only or stopping server is dropped, so
//! that the next one finds the new primary. What may have been carried out is never sent twice.

use std::sync::Arc;
use std::time::Duration;

use deadpool_postgres::{
    Hook, HookError, Manager, ManagerConfig, Object, Pool, PoolError, RecyclingMethod, Runtime,
    TimeoutType, Timeouts,
};
use tokio::runtime::Handle;
use tokio::time::{Instant, timeout, timeout_at};
use tokio_postgres::config::Host;
use tokio_postgres::types::{ToSql, Type};
use tokio_postgres::{Config, Error};

use crate::store::error::{StoreError, chain, has_io_source};
use crate::store::hosts::{Hosts, Unreached};
use crate::store::link::Link;
use crate::store::options::{Limits, Options};
use crate::store::row::Row;
use crate::store::statements::Statement;
use crate::store::tls::{self, Tls};
use crate::store::value::Value;

/// How long ending a transaction or cancelling a statement may take in the background.
const CLEAN_UP: Duration = Duration::from_secs(1);
/// Our transactions say themselves what they change: the triggers on Django's tables then need not.
const BEGIN: &str = "BEGIN; SET LOCAL avain.transaction = 'own'";
/// How much longer than the server we wait for its own `statement_timeout`, which keeps the connection.
const SLACK: Duration = Duration::from_millis(200);

pub(super) struct Postgres {
    pool: Pool,
    /// Where and as whom, for messages.
    target: String,
    prepared: bool,
    statement_limit: Duration,
    tls: Tls,
    /// Where to hear of changes.
    listen: Option<Options>,
}

impl Postgres {
    /// Reads the URL and makes the pool; connects to nothing.
    pub(super) fn open(options: &Options) -> Result<Self, StoreError> {
        let (config, tls) = configure(options)?;
        let target = target(&config);
        let recycling = ManagerConfig { recycling_method: RecyclingMethod::Fast };
        let hosts = Hosts::of(&config, tls.clone(), options.limits.connect);
        let timeouts = Timeouts {
            wait: Some(options.limits.wait),
            create: Some(hosts.longest()),
            recycle: Some(options.limits.connect),
        };
        let manager = Manager::from_connect(config, hosts, recycling);
        let mut pool = Pool::builder(manager)
            .max_size(options.connections.max(1))
            .timeouts(timeouts)
            .runtime(Runtime::Tokio1);
        if options.prepared_statements {
            let session = session(&options.limits);
            pool = pool.post_create(Hook::async_fn(move |client, _| {
                let session = session.clone();
                Box::pin(
                    async move { client.batch_execute(&session).await.map_err(HookError::Backend) },
                )
            }));
        }
        let pool = pool.build().map_err(|error| StoreError::Other(chain(&error)))?;
        Ok(Self {
            pool,
            target,
            prepared: options.prepared_statements,
            statement_limit: options.limits.statement,
            tls,
            listen: listening(options),
        })
    }

    /// Connects to where changes are told.
    pub(super) async fn listen(
        &self,
        wake: impl Fn() + Send + 'static,
    ) -> Result<Option<Link>, StoreError> {
        let Some(options) = &self.listen else { return Ok(None) };
        let (mut config, tls) = configure(options)?;
        config.application_name("avain changes");
        let hosts = Hosts::of(&config, tls, options.limits.connect);
        let (client, connection) = hosts.connect().await.map_err(|why| match why {
            Unreached::Refused(error) => unreachable(&target(&config), &error),
            Unreached::Silent => silent(&target(&config)),
        })?;
        let began = timeout(options.limits.connect, Link::begin(client, connection, wake)).await;
        let link = began.map_err(|_| silent(&target(&config)))?;
        link.map(Some).map_err(|error| unreachable(&target(&config), &error))
    }

    /// Runs a statement that changes nothing; on a broken connection once more on another one.
    pub(super) async fn read(
        &self,
        statement: &Statement,
        params: &[Value],
        deadline: Instant,
    ) -> Result<Vec<Row>, StoreError> {
        let mut lease = self.lease(deadline).await?;
        match lease.run(statement, params, deadline).await {
            Err(_) if self.is_suspect(&lease, deadline) => {
                self.lease(deadline).await?.run(statement, params, deadline).await
            }
            done => done,
        }
    }

    pub(super) async fn write(
        &self,
        statement: &Statement,
        params: &[Value],
        deadline: Instant,
    ) -> Result<Vec<Row>, StoreError> {
        self.lease(deadline).await?.run(statement, params, deadline).await
    }

    pub(super) async fn begin(&self, deadline: Instant) -> Result<PostgresTx, StoreError> {
        let mut lease = self.lease(deadline).await?;
        let begun = match lease.execute(BEGIN, deadline).await {
            Err(_) if self.is_suspect(&lease, deadline) => {
                lease = self.lease(deadline).await?;
                lease.execute(BEGIN, deadline).await
            }
            done => done,
        };
        begun.map(|()| PostgresTx { lease, deadline, open: true })
    }

    pub(super) fn close(&self) {
        self.pool.close();
    }

    /// Whether an error may be the connection's fault alone. What broke it (a restart, a new primary)
    /// has most likely broken the idle ones too: those are dropped, so that the next is a new one.
    fn is_suspect(&self, lease: &Lease, deadline: Instant) -> bool {
        let suspect = lease.lost && Instant::now() < deadline;
        if suspect {
            drop(self.pool.retain(|_, _| false));
        }
        suspect
    }

    async fn lease(&self, deadline: Instant) -> Result<Lease, StoreError> {
        let Ok(object) = timeout_at(deadline, self.pool.get()).await else {
            return Err(too_slow("getting a connection"));
        };
        // Whatever stops us from connecting may be over the next time.
        let object = object.map_err(|error| match error {
            PoolError::Timeout(TimeoutType::Create) => silent(&self.target),
            PoolError::Timeout(kind) => too_slow(&format!("getting a connection ({kind:?})")),
            PoolError::Backend(error) | PoolError::PostCreateHook(HookError::Backend(error)) => {
                unreachable(&self.target, &error)
            }
            error => unreachable(&self.target, &error),
        })?;
        Ok(Lease {
            object: Some(object),
            busy: false,
            lost: false,
            prepared: self.prepared,
            statement_limit: self.statement_limit,
            tls: self.tls.clone(),
        })
    }
}

/// What to say when there is no connection: where to, why, and what to look at.
fn unreachable(target: &str, error: &(dyn std::error::Error + 'static)) -> StoreError {
    let why = chain(error);
    let why = ["error connecting to server: ", "db error: ", "invalid configuration: "]
        .iter()
        .find_map(|prefix| why.strip_prefix(prefix))
        .unwrap_or(&why);
    StoreError::Unavailable(format!(
        "cannot connect to {target}: {why}; is PostgreSQL running there, and is the URL right?"
    ))
}

/// What to say when nobody answers there.
fn silent(target: &str) -> StoreError {
    StoreError::Unavailable(format!(
        "cannot connect to {target}: no answer in time; is PostgreSQL running there, and is the URL right?"
    ))
}

/// How to reach a server that tells of changes. Without prepared statements we are behind a pgbouncer,
/// through which nobody is told: then only a URL of its own will do.
fn listening(options: &Options) -> Option<Options> {
    match &options.listen_url {
        Some(url) => Some(Options { url: url.clone(), ..options.clone() }),
        None => options.prepared_statements.then(|| options.clone()),
    }
}

/// A transaction on a connection of its own. Dropping it rolls back.
pub(super) struct PostgresTx {
    lease: Lease,
    deadline: Instant,
    open: bool,
}

impl PostgresTx {
    pub(super) async fn run(
        &mut self,
        statement: &Statement,
        params: &[Value],
    ) -> Result<Vec<Row>, StoreError> {
        self.lease.run(statement, params, self.deadline).await
    }

    pub(super) async fn script(&mut self, sql: &str) -> Result<(), StoreError> {
        self.lease.execute(sql, self.deadline).await
    }

    pub(super) async fn commit(mut self) -> Result<(), StoreError> {
        // Either way the server has ended the transaction, or the connection is dropped.
        self.open = false;
        let done = self.lease.execute("COMMIT", self.deadline).await;
        if done.is_err() {
            self.lease.drop_connection();
        }
        done
    }
}

impl Drop for PostgresTx {
    fn drop(&mut self) {
        if !self.open || self.lease.busy {
            return; // the lease itself cleans up
        }
        let Some(object) = self.lease.object.take() else { return };
        let Ok(runtime) = Handle::try_current() else {
            drop(Object::take(object)); // the server rolls back when the connection ends
            return;
        };
        runtime.spawn(async move {
            if !matches!(timeout(CLEAN_UP, object.batch_execute("ROLLBACK")).await, Ok(Ok(()))) {
                drop(Object::take(object));
            }
        });
    }
}

/// A connection taken from the pool. It goes back when dropped, unless it is broken or busy.
struct Lease {
    object: Option<Object>,
    /// A statement was sent and its answer has not been read to the end.
    busy: bool,
    /// The last error was the connection's, so that another connection may do better.
    lost: bool,
    prepared: bool,
    statement_limit: Duration,
    tls: Tls,
}

impl Lease {
    async fn run(
        &mut self,
        statement: &Statement,
        params: &[Value],
        deadline: Instant,
    ) -> Result<Vec<Row>, StoreError> {
        let Some(sql) = &statement.postgres else {
            return Err(StoreError::Other("the statement is SQLite's alone".to_owned()));
        };
        let prepared = self.prepared;
        self.bounded(deadline, async |client| query(client, sql, params, prepared).await).await
    }

    async fn execute(&mut self, sql: &str, deadline: Instant) -> Result<(), StoreError> {
        self.bounded(deadline, async |client| client.batch_execute(sql).await).await
    }

    /// Does `work` on the connection in the time that a statement has.
    async fn bounded<T>(
        &mut self,
        deadline: Instant,
        work: impl AsyncFnOnce(&Object) -> Result<T, Error>,
    ) -> Result<T, StoreError> {
        // A timer alone would let an answer through that is quicker than its own next tick.
        if Instant::now() >= deadline {
            self.drop_connection();
            return Err(too_slow("what came before the statement"));
        }
        let Some(object) = &self.object else { return Err(ended()) };
        self.busy = true;
        let deadline = deadline.min(Instant::now() + self.statement_limit + SLACK);
        let Ok(done) = timeout_at(deadline, work(object)).await else {
            self.abandon();
            return Err(too_slow("the statement"));
        };
        self.busy = false;
        done.map_err(|error| {
            self.lost = is_lost(&error);
            if self.lost {
                self.drop_connection();
            }
            StoreError::from(&error)
        })
    }

    fn drop_connection(&mut self) {
        if let Some(object) = self.object.take() {
            drop(Object::take(object));
        }
    }

    /// Drops the connection and has the server stop what it is doing for it, which else would go on and
    /// hold its locks.
    fn abandon(&mut self) {
        let Some(object) = self.object.take() else { return };
        let cancel = object.cancel_token();
        drop(Object::take(object));
        self.busy = false;
        let tls = self.tls.clone();
        if let Ok(runtime) = Handle::try_current() {
            runtime.spawn(async move { timeout(CLEAN_UP, cancel.cancel_query(tls)).await });
        }
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        if self.busy {
            self.abandon();
        }
    }
}

/// Prepared once per connection, or as the unnamed statement in one round trip, with the types that the
/// values have: the latter survives a pgbouncer in transaction mode.
async fn query(
    client: &Object,
    sql: &str,
    params: &[Value],
    prepared: bool,
) -> Result<Vec<Row>, Error> {
    let found = if prepared {
        let statement = client.prepare_cached(sql).await?;
        let params: Vec<&(dyn ToSql + Sync)> = params.iter().map(|value| value as _).collect();
        client.query(&statement, &params).await?
    } else {
        return query_unprepared(client, sql, params).await;
    };
    rows(&found)
}

/// As the unnamed statement, in one round trip.
pub(super) async fn query_unprepared(
    client: &tokio_postgres::Client,
    sql: &str,
    params: &[Value],
) -> Result<Vec<Row>, Error> {
    let params: Vec<(&(dyn ToSql + Sync), Type)> =
        params.iter().map(|value| (value as _, value.postgres_type())).collect();
    rows(&client.query_typed(sql, &params).await?)
}

fn rows(found: &[tokio_postgres::Row]) -> Result<Vec<Row>, Error> {
    let Some(first) = found.first() else { return Ok(Vec::new()) };
    let names: Arc<[String]> =
        first.columns().iter().map(|column| column.name().to_owned()).collect();
    let row = |row: &tokio_postgres::Row| {
        let values = (0..names.len()).map(|index| row.try_get::<_, Value>(index));
        Ok(Row::new(Arc::clone(&names), values.collect::<Result<_, _>>()?))
    };
    found.iter().map(row).collect()
}

/// Whether the connection must not be used again: it is closed, its server stops or has become a standby,
/// or its prepared statements are not what we think.
fn is_lost(error: &Error) -> bool {
    let Some(db) = error.as_db_error() else { return error.is_closed() || has_io_source(error) };
    let code = db.code().code();
    // 25006 read-only, 26000 unknown prepared statement, 42P05 known one, 0A000 cached plan
    matches!(code, "25006" | "26000" | "42P05" | "0A000")
        || matches!(code.get(..2), Some("08" | "57" | "58" | "XX")) && code != "57014"
}

fn ended() -> StoreError {
    StoreError::Unavailable("the connection was given up before".to_owned())
}

fn too_slow(what: &str) -> StoreError {
    StoreError::Unavailable(format!("{what} took too long"))
}

/// What every connection begins with: where our tables are, and the server's own limits behind ours.
fn session(limits: &Limits) -> String {
    format!(
        "SET search_path TO avain, public; SET statement_timeout = {}; \
         SET idle_in_transaction_session_timeout = {}",
        limits.statement.as_millis(),
        limits.whole.as_millis()
    )
}

/// Where the URL leads, without its password: `db1:5432, db2:5432, database harrastuspassi, as avain`.
fn target(config: &Config) -> String {
    let ports = config.get_ports();
    let hosts = config.get_hosts().iter().enumerate().map(|(index, host)| {
        let port = ports.get(index).or(ports.first()).copied().unwrap_or(5432);
        match host {
            Host::Tcp(name) => format!("{name}:{port}"),
            Host::Unix(folder) => format!("{} (port {port})", folder.display()),
        }
    });
    let hosts = hosts.collect::<Vec<_>>().join(", ");
    let user = config.get_user().unwrap_or("nobody");
    let name = config.get_dbname().unwrap_or(user);
    format!("{hosts}, database {name}, as {user}")
}

/// Whether the URL can be understood.
pub(super) fn check(options: &Options) -> Result<(), StoreError> {
    configure(options).map(drop)
}

/// The role that the URL names.
pub(super) fn role(options: &Options) -> Result<String, StoreError> {
    let (config, _) = configure(options)?;
    let role = config.get_user().map(str::to_owned);
    role.ok_or_else(|| StoreError::Other("the database URL names no role".to_owned()))
}

fn configure(options: &Options) -> Result<(Config, Tls), StoreError> {
    let (url, tls) = tls::from_url(options.url.expose())?;
    let mut config: Config = url.parse().map_err(|error: Error| {
        StoreError::Other(chain(&error).replace("invalid connection string: ", ""))
    })?;
    if config.get_application_name().is_none() {
        config.application_name("avain");
    }
    config
        .connect_timeout(options.limits.connect)
        .keepalives_idle(Duration::from_secs(15))
        .keepalives_interval(Duration::from_secs(5))
        .keepalives_retries(3)
        .tcp_user_timeout(options.limits.whole * 2);
    Ok((config, tls))
}
