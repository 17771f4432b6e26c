//! The two stores behind one surface: [`Store`] and [`Tx`] take a statement's name and [`Value`]s and
//! give [`Row`]s. The files of the entities stand above it and know no engine; the rules for the SQL
//! are in `sql/README.md`.

pub mod account_pages;
pub mod accounts;
pub mod allauth;
pub mod api_keys;
pub mod attempts;
pub mod audit;
pub mod changes;
pub mod clients;
pub mod deactivations;
pub mod email_addresses;
pub mod engine;
pub mod error;
pub mod facts;
mod hosts;
pub mod link;
pub mod migrate;
pub mod one_time_links;
pub mod options;
pub mod outbox;
pub mod personal_keys;
mod postgres;
pub mod preferences;
pub mod refresh_families;
pub mod row;
pub mod sessions;
pub mod signing_keys;
mod sqlite;
pub mod statements;
mod tls;
pub mod triggers;
pub mod value;

pub use changes::Change;
pub use engine::{Store, Tx};
pub use error::StoreError;
pub use options::{Durability, Limits, Options};
pub use row::Row;
pub use value::Value;
