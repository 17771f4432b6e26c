//! # avain: a standalone auth/token microservice
//!
//! It issues, refreshes, verifies and revokes tokens, manages accounts, and answers nginx's
//! `auth_request`; it speaks the wire formats of the Django stacks that it replaces.
//!
//! ## Where to look
//!
//! Names that appear at several levels (`store/refresh_families.rs`, `sql/queries/refresh_families.sql`)
//! are one subject. From the outside in:
//!
//! | Folder | What |
//! |---|---|
//! | [`http`] | routes, requests, responses; one handler a verb |
//! | [`dialect`] | how each peer spells requests and answers |
//! | [`flow`] | the rules: who may, when, how often; one verb a file |
//! | [`page`] | what people see: templates, forms, cookies |
//! | [`mail`] | what is written to people, and how it gets out |
//! | [`gate`] | the decision for every request to the backend: synchronous, on memory alone |
//! | [`store`] | SQLite and PostgreSQL behind one surface; one file an entity |
//! | [`token`] | claims, keys, issuing, verifying |
//! | [`account`] | names, addresses, passwords, hashes; what may be chosen, how often may be guessed |
//! | [`template`] | templates, and an operator's own in their place |
//! | [`locale`] | the languages that people are addressed in |
//! | [`base`] | time, randomness, secrets, digests |
//!
//! [`app`] wires them together; [`server`] listens; [`background`] ticks; [`settings`] and [`cli`] are what
//! an operator sees; [`doctor`] examines a live gateway for them. Which folder may import which is held by `tests/architecture.rs`.
//!
//! ## Invariants
//!
//! * Only `token/verify.rs` makes a [`token::verify::VerifiedToken`]; only `token/authenticated.rs` makes a
//!   [`token::authenticated::Authenticated`] or an `AuthorizedClient`, out of another proof; only `token/issue.rs` signs. Whoever has
//!   read these three files has read the whole trust argument.
//! * No clock, randomness or environment outside `base/`, `settings.rs` and `main.rs`.
//! * A plaintext token exists in two places: the response that issues it and the request that presents it.
//!   The store takes digests. (The one exception is Django's own `authtoken_token`, whose primary key it is.)
//! * Every change of state is one conditional statement or one named transaction.
//! * For a credential that it knows, the gate allocates nothing beyond the response, locks nothing of ours
//!   and queries nothing.
#![forbid(unsafe_code)]

pub mod account;
pub mod app;
pub mod background;
pub mod base;
pub mod cli;
pub mod dialect;
pub mod doctor;
pub mod flow;
pub mod gate;
pub mod http;
pub mod locale;
pub mod mail;
pub mod metrics;
pub mod page;
pub mod server;
pub mod settings;
pub mod store;
pub mod telemetry;
pub mod template;
pub mod token;
