//! The service, asked as its clients and operators ask it: over HTTP, on a raw socket, by its command line.
//!
//! `routes/` is laid out like the URLs. A test is an `async fn(Engine)`; `on_both_engines!` makes
//! `sqlite::…` and `postgres::…` of each. PostgreSQL must be installed: without it tests fail.

macro_rules! on_both_engines {
    ($($test:ident)*) => {
        mod sqlite {
            $(#[test]
            fn $test() {
                crate::harness::on(crate::harness::Engine::Sqlite, super::$test);
            })*
        }
        mod postgres {
            $(#[test]
            fn $test() {
                crate::harness::on(crate::harness::Engine::Postgres, super::$test);
            })*
        }
    };
}

mod allauth;
mod audit;
mod bad_input;
mod browser;
mod cli;
mod client;
mod django;
#[path = "../support/django.rs"]
mod django_site;
mod drain;
mod harness;
mod housekeeping;
mod jwt;
mod keys;
mod link;
mod proxy;
mod races;
mod races_of_staff;
mod revocation;
mod routes;
#[path = "../support/mod.rs"]
mod support;
