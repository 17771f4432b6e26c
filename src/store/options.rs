//! What a store is opened with. `settings` has the names, defaults and texts that operators see.

use std::time::Duration;

use crate::base::secret::Secret;
use crate::store::error::StoreError;
use crate::store::postgres;

/// How a store is opened.
#[derive(Clone, Debug)]
pub struct Options {
    /// `sqlite:PATH`, or `postgresql://…` with what libpq understands in it: several hosts,
    /// `target_session_attrs`, `sslmode`, `sslrootcert`, `application_name`.
    pub url: Secret<String>,
    /// PostgreSQL: the URL of a role that may create tables and grant; only `migrate` uses it.
    pub admin_url: Option<Secret<String>>,
    /// PostgreSQL: where to hear of changes, if not at `url`: LISTEN does not work through a pgbouncer in
    /// transaction mode.
    pub listen_url: Option<Secret<String>>,
    /// PostgreSQL: how many connections at most.
    pub connections: usize,
    /// PostgreSQL: keep prepared statements on the connection. Must be off behind a pgbouncer in
    /// transaction mode; the role then needs its `search_path` (see `sql/README.md`).
    pub prepared_statements: bool,
    /// SQLite: what an acknowledged change survives.
    pub durability: Durability,
    /// SQLite: how many threads read beside the one that writes.
    pub readers: usize,
    /// How long things may take.
    pub limits: Limits,
}

impl Options {
    /// The defaults for `url`.
    #[must_use]
    pub fn new(url: &str) -> Self {
        Self {
            url: url.into(),
            admin_url: None,
            listen_url: None,
            connections: 10,
            prepared_statements: true,
            durability: Durability::Full,
            readers: 2,
            limits: Limits::default(),
        }
    }

    /// Whether the URL can be understood as a whole; connects to nothing.
    pub fn check(&self) -> Result<(), StoreError> {
        match self.engine()? {
            EngineKind::Postgres => postgres::check(self),
            EngineKind::Sqlite(_) => Ok(()),
        }
    }

    /// Which engine the URL names.
    pub fn engine(&self) -> Result<EngineKind, StoreError> {
        let url = self.url.expose();
        if let Some(path) = url.strip_prefix("sqlite:") {
            // sqlite:///absolute as well as sqlite:/absolute and sqlite:relative
            let path = path.strip_prefix("//").unwrap_or(path);
            if path.is_empty() || path.contains(":memory:") || path.contains('?') {
                let sentence =
                    "a SQLite URL is sqlite: and the path of a file, as in sqlite:avain.db";
                return Err(StoreError::Other(sentence.to_owned()));
            }
            return Ok(EngineKind::Sqlite(path.into()));
        }
        if url.starts_with("postgresql://") || url.starts_with("postgres://") {
            return Ok(EngineKind::Postgres);
        }
        let sentence = "a database URL begins with sqlite: or postgresql://";
        Err(StoreError::Other(sentence.to_owned()))
    }
}

/// An engine and, for SQLite, its file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum EngineKind {
    /// PostgreSQL.
    Postgres,
    /// SQLite, with the path of the database file.
    Sqlite(std::path::PathBuf),
}

/// What an acknowledged change survives in SQLite (<https://www.sqlite.org/pragma.html#pragma_synchronous>).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Durability {
    /// The end of the process, however sudden.
    Normal,
    /// Also the loss of power: every commit waits for the disk.
    Full,
}

/// How long things may take. A client's answer must not wait longer than five seconds for a database
/// that is away, so `whole` stays below.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Reaching one host.
    pub connect: Duration,
    /// Waiting for a free connection, or for the writer thread.
    pub wait: Duration,
    /// One statement.
    pub statement: Duration,
    /// A statement outside a transaction, or a whole transaction, waiting included.
    pub whole: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connect: Duration::from_secs(2),
            wait: Duration::from_secs(2),
            statement: Duration::from_secs(3),
            whole: Duration::from_secs(4),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_name_their_engine() {
        let engine = |url| Options::new(url).engine();
        assert_eq!(engine("sqlite:avain.db"), Ok(EngineKind::Sqlite("avain.db".into())));
        assert_eq!(engine("sqlite:/var/a.db"), Ok(EngineKind::Sqlite("/var/a.db".into())));
        assert_eq!(engine("sqlite:///var/a.db"), Ok(EngineKind::Sqlite("/var/a.db".into())));
        assert_eq!(engine("postgresql://localhost/a"), Ok(EngineKind::Postgres));
        for url in ["", "sqlite:", "sqlite::memory:", "sqlite:a?mode=ro", "mysql://a", "avain.db"] {
            assert!(engine(url).is_err(), "{url}");
        }
    }

    #[test]
    fn debug_hides_the_password() {
        let options = Options::new("postgresql://a:hunter2@b/c");
        assert!(!format!("{options:?}").contains("hunter2"));
    }
}
