//! Mail, from the outbox to a mail server that misbehaves in every way: each mail arrives, and twice only
//! where nobody could know that it had.

mod command_line;
mod delivery;
#[expect(dead_code, unused_imports, reason = "the store's tests need more of it")]
#[path = "../store/harness.rs"]
mod harness;
mod office;
mod several;
mod sink;
#[expect(dead_code, reason = "the tests of the store and of the service need more of it")]
#[path = "../support/mod.rs"]
mod support;
mod tls;
