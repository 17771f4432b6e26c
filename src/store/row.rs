//! A row that a statement gave.

use std::sync::Arc;

use crate::base::clock::Timestamp;
use crate::base::digest::Digest;
use crate::store::error::StoreError;
use crate::store::value::{Value, from_django_text};

/// One row. Columns are addressed by name or by index from 0; the getters name the type that is
/// expected and refuse any other with [`StoreError::Other`], since statement and code then disagree.
#[derive(Clone, Debug)]
pub struct Row {
    names: Arc<[String]>,
    values: Vec<Value>,
}

impl Row {
    pub(super) fn new(names: Arc<[String]>, values: Vec<Value>) -> Self {
        Self { names, values }
    }

    /// The column as it came from the engine.
    pub fn value(&self, column: impl Column) -> Result<&Value, StoreError> {
        let found = column.index(&self.names).and_then(|index| self.values.get(index));
        found.ok_or_else(|| StoreError::Other(format!("the row has no column {}", column.name())))
    }

    /// A whole number.
    pub fn int(&self, column: impl Column) -> Result<i64, StoreError> {
        self.required(column, as_int)
    }

    /// A whole number or NULL.
    pub fn opt_int(&self, column: impl Column) -> Result<Option<i64>, StoreError> {
        self.optional(column, as_int)
    }

    /// A whole number of 32 bits, such as the id of an account.
    pub fn int32(&self, column: impl Column) -> Result<i32, StoreError> {
        self.required(column, as_int32)
    }

    /// A whole number of 32 bits or NULL.
    pub fn opt_int32(&self, column: impl Column) -> Result<Option<i32>, StoreError> {
        self.optional(column, as_int32)
    }

    /// A text.
    pub fn text(&self, column: impl Column) -> Result<String, StoreError> {
        self.required(column, as_text)
    }

    /// A text or NULL.
    pub fn opt_text(&self, column: impl Column) -> Result<Option<String>, StoreError> {
        self.optional(column, as_text)
    }

    /// A truth value; SQLite gives 0 or 1.
    pub fn bool(&self, column: impl Column) -> Result<bool, StoreError> {
        self.required(column, as_bool)
    }

    /// Bytes.
    pub fn blob(&self, column: impl Column) -> Result<Vec<u8>, StoreError> {
        self.required(column, as_blob)
    }

    /// Bytes or NULL.
    pub fn opt_blob(&self, column: impl Column) -> Result<Option<Vec<u8>>, StoreError> {
        self.optional(column, as_blob)
    }

    /// A digest.
    pub fn digest(&self, column: impl Column) -> Result<Digest, StoreError> {
        self.required(column, as_digest)
    }

    /// A digest or NULL.
    pub fn opt_digest(&self, column: impl Column) -> Result<Option<Digest>, StoreError> {
        self.optional(column, as_digest)
    }

    /// A time of Django's: `timestamptz`, or its text in SQLite with or without a fraction.
    pub fn time(&self, column: impl Column) -> Result<Timestamp, StoreError> {
        self.required(column, as_time)
    }

    /// A time of Django's or NULL.
    pub fn opt_time(&self, column: impl Column) -> Result<Option<Timestamp>, StoreError> {
        self.optional(column, as_time)
    }

    /// One of our own times: `BIGINT` Unix seconds, in columns ending in `_at`.
    pub fn seconds(&self, column: impl Column) -> Result<Timestamp, StoreError> {
        self.int(column).map(Timestamp::from_seconds)
    }

    /// One of our own times or NULL.
    pub fn opt_seconds(&self, column: impl Column) -> Result<Option<Timestamp>, StoreError> {
        Ok(self.opt_int(column)?.map(Timestamp::from_seconds))
    }

    fn required<T>(
        &self,
        column: impl Column,
        read: fn(&Value) -> Option<T>,
    ) -> Result<T, StoreError> {
        let value = self.value(column)?;
        read(value).ok_or_else(|| {
            StoreError::Other(format!("column {} holds an unexpected {value:?}", column.name()))
        })
    }

    fn optional<T>(
        &self,
        column: impl Column,
        read: fn(&Value) -> Option<T>,
    ) -> Result<Option<T>, StoreError> {
        match self.value(column)? {
            Value::Null => Ok(None),
            _ => self.required(column, read).map(Some),
        }
    }
}

fn as_int(value: &Value) -> Option<i64> {
    match value {
        Value::Int(value) => Some(*value),
        _ => None,
    }
}

fn as_int32(value: &Value) -> Option<i32> {
    as_int(value).and_then(|value| i32::try_from(value).ok())
}

fn as_text(value: &Value) -> Option<String> {
    match value {
        Value::Text(value) => Some(value.clone()),
        _ => None,
    }
}

fn as_bool(value: &Value) -> Option<bool> {
    match value {
        Value::Bool(value) => Some(*value),
        Value::Int(0) => Some(false),
        Value::Int(1) => Some(true),
        _ => None,
    }
}

fn as_blob(value: &Value) -> Option<Vec<u8>> {
    match value {
        Value::Blob(value) => Some(value.clone()),
        _ => None,
    }
}

fn as_digest(value: &Value) -> Option<Digest> {
    match value {
        Value::Blob(value) => Digest::from_stored(value),
        _ => None,
    }
}

fn as_time(value: &Value) -> Option<Timestamp> {
    match value {
        Value::Time(value) => Some(*value),
        Value::Text(value) => from_django_text(value),
        _ => None,
    }
}

/// What addresses a column: its index from 0 (`usize`) or its name (`&str`).
pub trait Column: Copy {
    /// Where the column stands among `names`.
    fn index(self, names: &[String]) -> Option<usize>;
    /// How messages name the column.
    fn name(self) -> String;
}

impl Column for usize {
    fn index(self, _: &[String]) -> Option<usize> {
        Some(self)
    }

    fn name(self) -> String {
        self.to_string()
    }
}

impl Column for &str {
    fn index(self, names: &[String]) -> Option<usize> {
        names.iter().position(|name| name == self)
    }

    fn name(self) -> String {
        self.to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row() -> Row {
        let names = ["n", "yes", "at", "nothing"].map(str::to_owned).to_vec();
        let at = Value::from("1970-01-01 00:00:02");
        Row::new(names.into(), vec![5_i64.into(), 1_i64.into(), at, Value::Null])
    }

    #[test]
    fn getters_take_names_and_indexes() {
        let row = row();
        assert_eq!(row.int("n"), Ok(5));
        assert_eq!(row.int(0), Ok(5));
        assert_eq!(row.bool("yes"), Ok(true));
        assert_eq!(row.time("at"), Ok(Timestamp::from_seconds(2)));
        assert_eq!(row.opt_text("nothing"), Ok(None));
        assert_eq!(row.opt_int("n"), Ok(Some(5)));
    }

    #[test]
    fn a_wrong_type_or_column_is_an_error() {
        let row = row();
        assert!(row.text("n").is_err());
        assert!(row.bool("n").is_err(), "5 is no truth value");
        assert!(row.time("n").is_err());
        assert!(row.int("nothing").is_err());
        assert!(row.int("missing").is_err());
        assert!(row.int(4).is_err());
    }
}
