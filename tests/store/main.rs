//! The store: one conformance suite, run on every engine.
//!
//! A test of the suite is an `async fn(Database)`; [`on_every_engine`] makes `sqlite::…`, `postgres::…`
//! and `postgres_unprepared::…` (as behind a pgbouncer in transaction mode) of each. The others concern
//! one engine alone. PostgreSQL must be installed: without it the tests fail, they do not skip.

/// One part of a transaction, as a transaction of its own.
macro_rules! alone {
    ($store:expr, $entity:ident::$part:ident($($argument:expr),* $(,)?)) => {
        async {
            let mut tx = $store.begin("test").await?;
            let done = $entity::$part(&mut tx, $($argument),*).await?;
            tx.commit().await?;
            Ok::<_, avain::store::StoreError>(done)
        }
    };
}

mod accounts;
mod api_keys;
mod attempts;
mod audit;
mod changes;
#[path = "../support/django.rs"]
mod django_site;
mod errors;
mod harness;
mod migrations;
mod outbox;
mod personal_keys;
mod postgres_only;
mod refresh_families;
mod signing_keys;
mod sqlite_only;
mod statements;
#[path = "../support/mod.rs"]
mod support;
mod transactions;
mod triggers;
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
    outbox: a_mail_is_there_when_its_transaction_is_committed
        what_is_due_is_leased_once_and_oldest_first a_lease_ends_and_can_be_prolonged
        a_mail_that_was_sent_keeps_nothing_of_what_it_said
        failures_are_kept_with_the_servers_words operators_retry_and_drop_what_is_not_being_sent
        what_can_never_be_sent_is_not_retried lists_go_on_where_they_ended sweeping_leaves_what_waits
        of_many_claimers_one_gets_each odd_rows_are_refused;
    attempts: nothing_is_counted_at_first a_limit_holds_against_many_at_once
        all_that_decide_have_room_or_nothing_is_counted windows_and_rows_are_as_the_rules_say
        a_success_ends_a_row_and_makes_known expired_ones_are_swept
        a_clock_that_leaps_locks_nobody_out;
    accounts: what_is_made_is_found a_hash_is_replaced_only_where_it_still_stands
        measures_end_families_and_are_told switching_is_told_once
        edits_leave_flags_where_none_are_given deletion_takes_all_of_ours_along
        standing_lists_families_that_ended_lately;
    api_keys: one_key_for_each_account a_key_tells_how_its_owner_stands revoking_is_told_once
        one_of_twenty_keys_is_kept;
    personal_keys: what_is_made_is_found_until_it_ends an_end_is_one_entry_in_the_feed
        one_of_twenty_rotations_takes_a_keys_place
        a_list_has_an_end_and_begins_with_what_is_in_force
        uses_are_noted_together_and_once_a_minute
        sweeping_takes_what_ended_long_ago_in_small_batches;
    refresh_families: what_is_begun_is_found rotation_asks_for_the_token_in_force
        one_of_twenty_rotations_wins an_end_is_told_once_and_stays sweeping_takes_what_has_expired;
    signing_keys: one_signs_for_each_purpose rotating_and_retiring a_killed_key_is_replaced_in_one_step one_of_twenty_next_keys_is_published one_of_twenty_first_keys_signs;
    audit: found_newest_first paged with_its_transaction_alone never_changed swept;
    changes: a_feed_begins_when_it_is_opened none_of_many_is_missed commits_out_of_order_are_each_told_once
        more_than_can_be_told_is_everything what_listeners_were_told_is_not_told_again
        a_link_is_told_of_commits a_link_has_a_url_of_its_own sweeping_forgets_the_old
        an_unknown_change_is_everything;
}
