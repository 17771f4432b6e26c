//! The gate: may this request pass? Synchronous, on memory alone; knows no store and waits for nothing.
//!
//! Invariant: for a credential that it knows, a decision allocates nothing, locks nothing of ours and
//! asks nobody. What it does not know, it names ([`decide::Verdict::Ask`]); `http` looks it up and comes
//! back.

pub mod allowed;
pub mod answer;
pub mod conflict;
pub mod decide;
mod front;
pub mod key;
pub mod known;
pub mod link;
pub mod path;
pub mod policies;
pub mod policy;
