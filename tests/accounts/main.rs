//! Accounts by their owners: mails that are sent, and links that are followed, over HTTP.

mod addresses;
#[expect(dead_code, reason = "the service's tests need more of it")]
#[path = "../service/client.rs"]
mod client;
mod django_links;
mod email_change;
mod site;
mod staff;
