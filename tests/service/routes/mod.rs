//! One file for each URL, in folders as the URLs have them.

mod accounts;
mod api;
pub(crate) mod auth;
mod every_route;
mod gate;
pub(crate) mod oauth;
mod sysadmin;
mod v3;
