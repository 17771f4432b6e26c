//! What can go wrong in a store, as far as the code above can do something about it.

use std::error::Error;
use std::fmt;

use rusqlite::ffi::{self, ErrorCode};
use tokio_postgres::error::SqlState;

/// A failed statement or transaction. The sentence is for logs: it names the statement or the
/// transaction, and never holds a parameter or a stored value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StoreError {
    /// The database cannot be reached, is too slow, read-only or full. Trying again later may help.
    Unavailable(String),
    /// A unique or primary key holds such a row already.
    Unique(String),
    /// A row that is referred to is missing, or one to be deleted is still referred to.
    ForeignKey(String),
    /// The schema refuses the value: CHECK, NOT NULL, its type, its length, or a NUL in a text.
    Check(String),
    /// The transaction lost against another one (serialization failure, deadlock): run it again.
    Retry(String),
    /// Anything else, which is a fault of ours or of the set-up.
    Other(String),
}

impl StoreError {
    /// A word for metrics: `unavailable`, `unique`, `foreign_key`, `check`, `retry` or `other`.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Unavailable(_) => "unavailable",
            Self::Unique(_) => "unique",
            Self::ForeignKey(_) => "foreign_key",
            Self::Check(_) => "check",
            Self::Retry(_) => "retry",
            Self::Other(_) => "other",
        }
    }

    /// The sentence.
    #[must_use]
    pub fn sentence(&self) -> &str {
        match self {
            Self::Unavailable(sentence)
            | Self::Unique(sentence)
            | Self::ForeignKey(sentence)
            | Self::Check(sentence)
            | Self::Retry(sentence)
            | Self::Other(sentence) => sentence,
        }
    }

    /// The same error with `what` was being done in front of its sentence.
    #[must_use]
    pub fn during(self, what: &str) -> Self {
        let sentence = format!("{what}: {}", self.sentence());
        self.with(sentence)
    }

    /// The same error with another sentence.
    pub(super) fn with(&self, sentence: String) -> Self {
        match self {
            Self::Unavailable(_) => Self::Unavailable(sentence),
            Self::Unique(_) => Self::Unique(sentence),
            Self::ForeignKey(_) => Self::ForeignKey(sentence),
            Self::Check(_) => Self::Check(sentence),
            Self::Retry(_) => Self::Retry(sentence),
            Self::Other(_) => Self::Other(sentence),
        }
    }
}

impl fmt::Display for StoreError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.sentence())
    }
}

impl Error for StoreError {}

/// PostgreSQL's errors by SQLSTATE (PostgreSQL manual, appendix A). Its `DETAIL` quotes values and is
/// left out.
impl From<&tokio_postgres::Error> for StoreError {
    fn from(error: &tokio_postgres::Error) -> Self {
        let Some(db) = error.as_db_error() else {
            let sentence = chain(error);
            return if error.is_closed() || has_io_source(error) {
                Self::Unavailable(sentence)
            } else {
                Self::Other(sentence)
            };
        };
        let code = db.code();
        let sentence = format!("{} ({})", db.message(), code.code());
        if *code == SqlState::UNIQUE_VIOLATION {
            return Self::Unique(sentence);
        }
        if *code == SqlState::FOREIGN_KEY_VIOLATION || *code == SqlState::RESTRICT_VIOLATION {
            return Self::ForeignKey(sentence);
        }
        if *code == SqlState::READ_ONLY_SQL_TRANSACTION
            || *code == SqlState::QUERY_CANCELED
            || *code == SqlState::LOCK_NOT_AVAILABLE
            || *code == SqlState::IDLE_IN_TRANSACTION_SESSION_TIMEOUT
            || *code == SqlState::INVALID_CATALOG_NAME
        {
            return Self::Unavailable(sentence);
        }
        match code.code().get(..2) {
            // Data exceptions; the other integrity violations (NOT NULL, CHECK, exclusion).
            Some("22" | "23") => Self::Check(sentence),
            // Deadlock, serialization failure.
            Some("40") => Self::Retry(sentence),
            // A prepared statement that is unknown, or known already: another session's.
            _ if matches!(code.code(), "26000" | "42P05") => Self::Other(format!(
                "{sentence}; behind a pgbouncer in transaction mode, switch off \
                 database.prepared_statements"
            )),
            // Connection, authorization at connect, resources, operator intervention, system.
            Some("08" | "28" | "53" | "57" | "58") => Self::Unavailable(sentence),
            _ => Self::Other(sentence),
        }
    }
}

/// SQLite's errors by extended result code (<https://www.sqlite.org/rescode.html>).
impl From<&rusqlite::Error> for StoreError {
    fn from(error: &rusqlite::Error) -> Self {
        let rusqlite::Error::SqliteFailure(failure, message) = error else {
            return Self::Other(error.to_string());
        };
        let sentence = message.clone().unwrap_or_else(|| failure.to_string());
        let sentence = format!("{sentence} ({})", failure.extended_code);
        match failure.extended_code {
            ffi::SQLITE_CONSTRAINT_UNIQUE
            | ffi::SQLITE_CONSTRAINT_PRIMARYKEY
            | ffi::SQLITE_CONSTRAINT_ROWID => return Self::Unique(sentence),
            ffi::SQLITE_CONSTRAINT_FOREIGNKEY => return Self::ForeignKey(sentence),
            _ => {}
        }
        match failure.code {
            ErrorCode::ConstraintViolation | ErrorCode::TypeMismatch | ErrorCode::TooBig => {
                Self::Check(sentence)
            }
            ErrorCode::DatabaseBusy
            | ErrorCode::DatabaseLocked
            | ErrorCode::DiskFull
            | ErrorCode::SystemIoFailure
            | ErrorCode::CannotOpen
            | ErrorCode::ReadOnly
            | ErrorCode::OperationInterrupted
            | ErrorCode::OutOfMemory => Self::Unavailable(sentence),
            _ => Self::Other(sentence),
        }
    }
}

/// An error and its causes as one sentence.
pub(super) fn chain(error: &dyn Error) -> String {
    let mut sentence = error.to_string();
    let mut cause = error.source();
    while let Some(next) = cause {
        let text = next.to_string();
        // Some errors say their cause themselves.
        if !sentence.contains(&text) {
            sentence.push_str(": ");
            sentence.push_str(&text);
        }
        cause = next.source();
    }
    sentence
}

/// Whether the error came from below: a socket, a file.
pub(super) fn has_io_source(error: &(dyn Error + 'static)) -> bool {
    let mut cause = Some(error);
    while let Some(next) = cause {
        if next.is::<std::io::Error>() {
            return true;
        }
        cause = next.source();
    }
    false
}
