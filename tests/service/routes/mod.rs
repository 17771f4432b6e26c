//! One file for each URL, in folders as the URLs have them.

mod accounts;
mod api;
mod auth;
mod every_route;
mod gate;
mod oauth;
mod sysadmin;
mod v3;
