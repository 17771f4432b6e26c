//! Databases for tests: a fresh one for each, on a cluster that lives as long as the test process.

use std::future::Future;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, LazyLock};
use std::time::Duration;

use avain::base::clock::Timestamp;
use avain::store::migrate::{self, Migration};
use avain::store::statements::{Catalog, FILES};
use avain::store::{Options, Store};
use tempfile::TempDir;

pub(crate) use crate::support::{CLUSTER, Cluster, block_on, connect, replace_database};

/// What the suite runs on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Engine {
    Sqlite,
    Postgres,
    /// Without prepared statements, and with the `search_path` from the database, as behind pgbouncer.
    PostgresUnprepared,
}

/// Runs one test of the suite on `engine`.
pub(crate) fn on<F: Future<Output = ()>>(engine: Engine, test: fn(Database) -> F) {
    block_on(async {
        let database = Database::empty(engine).await;
        test(database).await;
    });
}

/// When the tests' migrations are applied.
pub(crate) const NOW: Timestamp = Timestamp::from_seconds(1_795_000_000);

/// A fresh database; it goes away with its cluster or folder.
pub(crate) struct Database {
    pub(crate) engine: Engine,
    pub(crate) options: Options,
    _folder: Option<TempDir>,
}

/// How long a test waits for a connection.
const PATIENCE: Duration = Duration::from_secs(10);

impl Database {
    /// A database without tables.
    pub(crate) async fn empty(engine: Engine) -> Self {
        if engine == Engine::Sqlite {
            let folder = TempDir::new().expect("a temporary folder can be made");
            let url = format!("sqlite:{}", folder.path().join("avain.db").display());
            return Self { engine, options: Options::new(&url), _folder: Some(folder) };
        }
        Self::empty_on(&CLUSTER, engine).await
    }

    /// A PostgreSQL database without tables on `cluster`.
    pub(crate) async fn empty_on(cluster: &Cluster, engine: Engine) -> Self {
        static MADE: AtomicU32 = AtomicU32::new(0);
        let name = format!("test_{}", MADE.fetch_add(1, Ordering::Relaxed));
        let client = connect(cluster.told("url")).await;
        let create = format!("CREATE DATABASE {name}");
        client.batch_execute(&create).await.expect("a database can be made");
        let mut options = Options::new(&cluster.url_of(&name));
        // Many tests share two cores and one server; those about limits set their own.
        options.limits.connect = PATIENCE;
        options.limits.wait = PATIENCE;
        options.limits.whole = PATIENCE * 2;
        if engine == Engine::PostgresUnprepared {
            options.prepared_statements = false;
            let path = format!("ALTER DATABASE {name} SET search_path TO avain, public");
            client.batch_execute(&path).await.expect("the owner may alter a database");
        }
        Self { engine, options, _folder: None }
    }

    /// Brings it to the tests' schema: ours and the samples.
    pub(crate) async fn migrated(&self) -> Store {
        migrate::run_list(&self.options, &self.migrations(), NOW).await.expect("migrations apply");
        self.store()
    }

    /// Opens the store with our statements and the samples.
    pub(crate) fn store(&self) -> Store {
        self.store_with(&self.options)
    }

    /// As [`Database::store`], with other options.
    #[expect(
        clippy::unused_self,
        reason = "reads as what it does, and its file must outlive the store"
    )]
    pub(crate) fn store_with(&self, options: &Options) -> Store {
        Store::open_with(options, catalog()).expect("the store opens")
    }

    /// Our migrations and the tests' table.
    pub(crate) fn migrations(&self) -> Vec<Migration> {
        let sql = self.pick(include_str!("sample_sqlite.sql"), include_str!("sample_postgres.sql"));
        let mut list = self.ours().to_vec();
        list.push(Migration { name: "sample", sql });
        list
    }

    /// Our migrations.
    pub(crate) fn ours(&self) -> &'static [Migration] {
        self.pick(migrate::SQLITE, migrate::POSTGRES)
    }

    /// One of two, by engine.
    pub(crate) fn pick<T>(&self, sqlite: T, postgres: T) -> T {
        if self.engine == Engine::Sqlite { sqlite } else { postgres }
    }

    /// Runs SQL beside the store.
    pub(crate) async fn script(&self, sql: &str) {
        if self.engine == Engine::Sqlite {
            self.sqlite().execute_batch(sql).expect("the script runs");
        } else {
            let client = connect(self.options.url.expose()).await;
            client.batch_execute(sql).await.expect("the script runs");
        }
    }

    /// The first column of what a query beside the store gives, all of it text.
    pub(crate) async fn texts(&self, sql: &str) -> Vec<String> {
        if self.engine == Engine::Sqlite {
            let connection = self.sqlite();
            let mut statement = connection.prepare(sql).expect("the query is well-formed");
            let rows = statement.query_map([], |row| row.get(0)).expect("the query runs");
            rows.collect::<Result<_, _>>().expect("the column is text")
        } else {
            let client = connect(self.options.url.expose()).await;
            let rows = client.query(sql, &[]).await.expect("the query runs");
            rows.iter().map(|row| row.get(0)).collect()
        }
    }

    /// The file of a SQLite database.
    pub(crate) fn path(&self) -> &str {
        self.options.url.expose().strip_prefix("sqlite:").expect("this database is SQLite's")
    }

    fn sqlite(&self) -> rusqlite::Connection {
        rusqlite::Connection::open(self.path()).expect("the file opens")
    }
}

/// Our statements and the samples.
pub(crate) fn catalog() -> Arc<Catalog> {
    static CATALOG: LazyLock<Arc<Catalog>> = LazyLock::new(|| {
        let samples = [("samples", include_str!("samples.sql"))];
        let files = [FILES, &samples].concat();
        Arc::new(Catalog::parse(&files).expect("the statements are well-formed"))
    });
    Arc::clone(&CATALOG)
}
