//! Accounts by their owners: mails that are sent, and links that are followed, over HTTP. A test is an
//! `async fn(Engine)`; `on_both_engines!` makes `sqlite::…` and `postgres::…` of each.

macro_rules! on_both_engines {
    ($($test:ident)*) => {
        mod sqlite {
            $(#[test]
            fn $test() {
                crate::support::block_on(super::$test(crate::site::Engine::Sqlite));
            })*
        }
        mod postgres {
            $(#[test]
            fn $test() {
                crate::support::block_on(super::$test(crate::site::Engine::Postgres));
            })*
        }
    };
}

mod activation;
mod addresses;
#[expect(dead_code, reason = "the service's tests need more of it")]
#[path = "../service/client.rs"]
mod client;
mod django_links;
mod email_change;
mod email_login;
mod logging;
mod resets;
mod reuse;
mod site;
mod staff;
#[expect(dead_code, reason = "the store's tests need more of it")]
#[path = "../support/mod.rs"]
mod support;
