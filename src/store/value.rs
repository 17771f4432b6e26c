//! The values that go into a statement and come out of a row, on both engines.

use std::error::Error;
use std::fmt;

use bytes::{BufMut as _, BytesMut};
use rusqlite::types::{ToSqlOutput, ValueRef};
use tokio_postgres::types::{FromSql, IsNull, ToSql, Type, to_sql_checked};

use crate::base::clock::Timestamp;
use crate::base::digest::Digest;

/// A parameter or a column. The columns of our own times are `BIGINT` seconds: give those
/// `timestamp.seconds()`; [`Value::Time`] is for the columns of Django (`sql/README.md`, rule 2).
#[derive(Clone, PartialEq, Eq)]
pub enum Value {
    /// SQL's NULL.
    Null,
    /// A truth value; SQLite keeps it as 0 or 1.
    Bool(bool),
    /// A whole number; PostgreSQL gets it as wide as the column is.
    Int(i64),
    /// A text without NUL.
    Text(String),
    /// Bytes.
    Blob(Vec<u8>),
    /// A moment: `timestamptz` in PostgreSQL, Django's text in SQLite.
    Time(Timestamp),
}

impl Value {
    /// What kind of value this is, for error messages.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Null => "null",
            Self::Bool(_) => "bool",
            Self::Int(_) => "int",
            Self::Text(_) => "text",
            Self::Blob(_) => "blob",
            Self::Time(_) => "time",
        }
    }

    /// The type that PostgreSQL is told where no prepared statement says which one it wants. It
    /// infers the type of a NULL itself.
    pub(super) fn postgres_type(&self) -> Type {
        match self {
            Self::Null => Type::UNKNOWN,
            Self::Bool(_) => Type::BOOL,
            Self::Int(_) => Type::INT8,
            Self::Text(_) => Type::TEXT,
            Self::Blob(_) => Type::BYTEA,
            Self::Time(_) => Type::TIMESTAMPTZ,
        }
    }
}

/// Prints the kind alone: the drivers log parameters at debug level, and these are digests, password
/// hashes and addresses.
impl fmt::Debug for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "[{}]", self.kind())
    }
}

/// Microseconds from the Unix epoch to PostgreSQL's, 2000-01-01.
const POSTGRES_EPOCH: i64 = 946_684_800_000_000;

type Failure = Box<dyn Error + Sync + Send>;

impl ToSql for Value {
    fn to_sql(&self, wanted: &Type, out: &mut BytesMut) -> Result<IsNull, Failure> {
        match (self, wanted) {
            (Self::Null, _) => return Ok(IsNull::Yes),
            (Self::Bool(value), &Type::BOOL) => out.put_u8(u8::from(*value)),
            (Self::Int(value), &Type::INT2) => out.put_i16(i16::try_from(*value)?),
            (Self::Int(value), &Type::INT4) => out.put_i32(i32::try_from(*value)?),
            (Self::Int(value), &Type::INT8) => out.put_i64(*value),
            (Self::Text(value), &(Type::TEXT | Type::VARCHAR | Type::BPCHAR | Type::NAME)) => {
                out.put_slice(value.as_bytes());
            }
            (Self::Blob(value), &Type::BYTEA) => out.put_slice(value),
            (Self::Time(value), &Type::TIMESTAMPTZ) => {
                let since = value.micros().checked_sub(POSTGRES_EPOCH);
                out.put_i64(since.ok_or("a time before PostgreSQL's range")?);
            }
            _ => return Err(format!("a {} where {wanted} is wanted", self.kind()).into()),
        }
        Ok(IsNull::No)
    }

    fn accepts(_: &Type) -> bool {
        true // to_sql answers for each pair
    }

    to_sql_checked!();
}

impl<'a> FromSql<'a> for Value {
    fn from_sql(found: &Type, raw: &'a [u8]) -> Result<Self, Failure> {
        Ok(match *found {
            Type::BOOL => Self::Bool(bool::from_sql(found, raw)?),
            Type::INT2 => Self::Int(i16::from_sql(found, raw)?.into()),
            Type::INT4 => Self::Int(i32::from_sql(found, raw)?.into()),
            Type::INT8 => Self::Int(i64::from_sql(found, raw)?),
            Type::TEXT | Type::VARCHAR | Type::BPCHAR | Type::NAME => {
                Self::Text(String::from_sql(found, raw)?)
            }
            Type::BYTEA => Self::Blob(raw.to_vec()),
            Type::TIMESTAMPTZ => {
                let since = i64::from_be_bytes(raw.try_into()?);
                Self::Time(Timestamp::from_micros(since.saturating_add(POSTGRES_EPOCH)))
            }
            Type::VOID => Self::Null, // pg_notify and its like
            _ => {
                return Err(format!("a column of type {found}, which no statement may give").into());
            }
        })
    }

    fn from_sql_null(_: &Type) -> Result<Self, Failure> {
        Ok(Self::Null)
    }

    fn accepts(_: &Type) -> bool {
        true // from_sql answers for each type
    }
}

impl rusqlite::ToSql for Value {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(match self {
            Self::Null => ToSqlOutput::Borrowed(ValueRef::Null),
            Self::Bool(value) => ToSqlOutput::Borrowed(ValueRef::Integer(i64::from(*value))),
            Self::Int(value) => ToSqlOutput::Borrowed(ValueRef::Integer(*value)),
            Self::Text(value) => ToSqlOutput::Borrowed(ValueRef::Text(value.as_bytes())),
            Self::Blob(value) => ToSqlOutput::Borrowed(ValueRef::Blob(value)),
            Self::Time(value) => {
                let text = django_text(*value).ok_or_else(|| {
                    rusqlite::Error::ToSqlConversionFailure("a time beyond the year 9999".into())
                })?;
                ToSqlOutput::Owned(text.into())
            }
        })
    }
}

/// A column of SQLite as it is stored; whether a number is a truth value and a text a time is known
/// to the reader alone.
impl TryFrom<ValueRef<'_>> for Value {
    type Error = Failure;

    fn try_from(stored: ValueRef<'_>) -> Result<Self, Failure> {
        Ok(match stored {
            ValueRef::Null => Self::Null,
            ValueRef::Integer(value) => Self::Int(value),
            ValueRef::Text(value) => Self::Text(String::from_utf8(value.to_vec())?),
            ValueRef::Blob(value) => Self::Blob(value.to_vec()),
            ValueRef::Real(_) => {
                return Err("a floating-point number, which no statement may give".into());
            }
        })
    }
}

/// How Django's SQLite backend writes a time: `YYYY-MM-DD HH:MM:SS.ffffff`, UTC.
fn django_text(time: Timestamp) -> Option<String> {
    let time = jiff::Timestamp::from_microsecond(time.micros()).ok()?;
    Some(time.strftime("%Y-%m-%d %H:%M:%S.%6f").to_string())
}

/// Reads [`django_text`] back, with or without the fraction (Django leaves out a fraction of zero).
pub(super) fn from_django_text(text: &str) -> Option<Timestamp> {
    let time = jiff::civil::DateTime::strptime("%Y-%m-%d %H:%M:%S%.f", text).ok()?;
    let time = time.to_zoned(jiff::tz::TimeZone::UTC).ok()?;
    Some(Timestamp::from_micros(time.timestamp().as_microsecond()))
}

impl From<bool> for Value {
    fn from(value: bool) -> Self {
        Self::Bool(value)
    }
}

impl From<i32> for Value {
    fn from(value: i32) -> Self {
        Self::Int(value.into())
    }
}

impl From<u32> for Value {
    fn from(value: u32) -> Self {
        Self::Int(value.into())
    }
}

impl From<i64> for Value {
    fn from(value: i64) -> Self {
        Self::Int(value)
    }
}

impl From<&str> for Value {
    fn from(value: &str) -> Self {
        Self::Text(value.to_owned())
    }
}

impl From<&String> for Value {
    fn from(value: &String) -> Self {
        Self::Text(value.clone())
    }
}

impl From<String> for Value {
    fn from(value: String) -> Self {
        Self::Text(value)
    }
}

impl From<&[u8]> for Value {
    fn from(value: &[u8]) -> Self {
        Self::Blob(value.to_vec())
    }
}

impl From<Vec<u8>> for Value {
    fn from(value: Vec<u8>) -> Self {
        Self::Blob(value)
    }
}

impl<const N: usize> From<[u8; N]> for Value {
    fn from(value: [u8; N]) -> Self {
        Self::Blob(value.to_vec())
    }
}

impl<const N: usize> From<&[u8; N]> for Value {
    fn from(value: &[u8; N]) -> Self {
        Self::Blob(value.to_vec())
    }
}

impl From<Digest> for Value {
    fn from(value: Digest) -> Self {
        Self::Blob(value.as_bytes().to_vec())
    }
}

impl From<&Digest> for Value {
    fn from(value: &Digest) -> Self {
        Self::Blob(value.as_bytes().to_vec())
    }
}

impl From<Timestamp> for Value {
    fn from(value: Timestamp) -> Self {
        Self::Time(value)
    }
}

impl<T: Into<Value>> From<Option<T>> for Value {
    fn from(value: Option<T>) -> Self {
        value.map_or(Self::Null, Into::into)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_written_and_read_as_django_does() {
        let cases = [
            ("1970-01-01 00:00:00.000000", 0),
            ("2026-11-22 05:51:07.000042", 1_795_326_667_000_042),
            ("1969-12-31 23:59:59.999999", -1),
        ];
        for (text, micros) in cases {
            assert_eq!(django_text(Timestamp::from_micros(micros)).as_deref(), Some(text));
            assert_eq!(from_django_text(text), Some(Timestamp::from_micros(micros)), "{text}");
        }
        assert_eq!(from_django_text("1970-01-01 00:00:01"), Some(Timestamp::from_seconds(1)));
        assert_eq!(from_django_text("1970-01-01 00:00:01.5"), Some(Timestamp::from_millis(1500)));
        for text in ["", "1970-01-01", "1970-01-01 00:00", "1970-13-01 00:00:00", "now", "5"] {
            assert_eq!(from_django_text(text), None, "{text}");
        }
        assert_eq!(django_text(Timestamp::from_micros(i64::MAX)), None);
    }

    #[test]
    fn debug_prints_no_value() {
        let values = [Value::from("secret"), Value::from(7), Value::from([7_u8; 3]), Value::Null];
        assert_eq!(format!("{values:?}"), "[[text], [int], [blob], [null]]");
    }
}
