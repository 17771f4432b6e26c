//! # avain: a standalone auth/token microservice
//!
//! It issues, refreshes, verifies and revokes tokens, manages accounts, and answers nginx's
//! `auth_request`; it speaks the wire formats of the Django stacks that it replaces.
#![forbid(unsafe_code)]

pub mod account;
pub mod base;
pub mod store;
pub mod token;
