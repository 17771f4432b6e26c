//! Accounts: names, passwords, hashes, principals. Knows no store and no wire format.

#[expect(clippy::module_inception, reason = "the account is what this folder is about")]
pub mod account;
pub mod breached;
pub mod common_passwords;
pub mod cost;
pub mod derive;
pub mod email;
pub mod hashing;
pub mod password;
pub mod principal;
mod queue;
pub mod rules;
pub mod spelling;
pub mod throttle;
pub mod username;
