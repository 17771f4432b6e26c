//! The store: one conformance suite, run on every engine.
//!
//! A test of the suite is an `async fn(Database)`; [`on_every_engine`] makes `sqlite::…`, `postgres::…`
//! and `postgres_unprepared::…` (as behind a pgbouncer in transaction mode) of each. The others concern
//! one engine alone. PostgreSQL must be installed: without it the tests fail, they do not skip.

mod errors;
mod harness;
mod migrations;
mod postgres_only;
mod sqlite_only;
mod statements;
#[path = "../support/mod.rs"]
mod support;
mod transactions;
mod values;

macro_rules! on_every_engine {
    ($($file:ident: $($test:ident)*;)*) => {
        on_every_engine!(@ sqlite Sqlite $($file: $($test)*;)*);
        on_every_engine!(@ postgres Postgres $($file: $($test)*;)*);
        on_every_engine!(@ postgres_unprepared PostgresUnprepared $($file: $($test)*;)*);
    };
    (@ $module:ident $engine:ident $($file:ident: $($test:ident)*;)*) => {
        mod $module {
            $(mod $file {
                $(#[test]
                fn $test() {
                    crate::harness::on(crate::harness::Engine::$engine, crate::$file::$test);
                })*
            })*
        }
    };
}

on_every_engine! {
    values: round_trip parameters_go_by_number integers_fit_their_column
        times_sort_and_compare wrong_types_are_refused;
    errors: constraints_are_told_apart a_deferred_foreign_key_fails_at_commit
        nul_is_refused names_are_in_the_sentence;
    transactions: commit_keeps drop_rolls_back an_error_ends_it
        one_of_twenty_callers_wins one_of_twenty_transactions_wins
        listeners_hear_after_commit_alone observers_hear_of_everything
        an_idle_one_is_rolled_back a_cancelled_call_spoils_nothing many_at_once_take_turns;
    migrations: from_nothing again_changes_nothing several_at_once an_old_django_is_adopted
        a_new_django_is_adopted a_failing_one_leaves_nothing a_killed_one_is_finished_later
        a_changed_one_is_refused a_newer_database_is_told;
}
