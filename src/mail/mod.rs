//! Mail: what is written, and how it gets out.
//!
//! A flow hands a [`Draft`] to the [`Mailer`], which renders it, seals it
//! and puts it into the outbox in the flow's own transaction: either both happen or neither. The
//! [`Worker`](outbox::Worker) takes it from there, through a [`Transport`](transport::Transport); no
//! request ever waits for it.

pub mod composer;
pub mod letter;
pub mod mailer;
pub mod message;
pub mod outbox;
pub mod smtp;
mod templates;
pub mod transport;
mod weather;

pub use composer::Composer;
pub use mailer::{MailError, Mailer};
pub use message::{Draft, Link, MailUser, Message};
