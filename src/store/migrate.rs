//! Forward-only migrations: numbered files for each engine, one transaction each, so that an interrupted
//! run leaves a database that the next run finishes.
//!
//! Every transaction first takes a lock (an advisory one in PostgreSQL, BEGIN IMMEDIATE in SQLite) and
//! then looks what is left to do, so any number of instances may start at once. Migrations expand before
//! they contract (`sql/README.md`): the version before still runs on the newer schema, which is why
//! [`status`] calls a newer database usable and only [`run`] refuses it.

use std::time::Duration;

use crate::base::clock::Timestamp;
use crate::base::digest::Digest;
use crate::base::encode::hex;
use crate::store::engine::{Store, Tx};
use crate::store::error::StoreError;
use crate::store::options::{EngineKind, Limits, Options};
use crate::store::postgres;

/// One numbered file.
#[derive(Clone, Copy, Debug)]
pub struct Migration {
    /// The file's name without `.sql`, as in `0001_accounts`.
    pub name: &'static str,
    /// Its statements.
    pub sql: &'static str,
}

macro_rules! migrations {
    ($folder:literal: $($name:literal)*) => {
        &[$(Migration {
            name: $name,
            sql: include_str!(concat!("../../sql/", $folder, "/", $name, ".sql")),
        }),*]
    };
}

/// PostgreSQL's migrations, in order (a test compares the list with the folder).
pub const POSTGRES: &[Migration] = migrations!("postgres": "0001_accounts" "0002_tokens" "0003_outbox" "0004_attempts" "0005_links" "0006_key_schedule" "0007_attempts_of_accounts" "0008_audit" "0009_link" "0010_family_origin" "0011_clients" "0012_sessions" "0013_triggers" "0014_personal_keys" "0015_account_pages" "0016_preferences" "0017_deactivations" "0018_triggers_end_acting" "0019_family_passwords" "0020_allauth_addresses" "0021_django_sessions_end");
/// SQLite's migrations, in order.
pub const SQLITE: &[Migration] = migrations!("sqlite": "0001_accounts" "0002_tokens" "0003_outbox" "0004_attempts" "0005_links" "0006_key_schedule" "0007_attempts_of_accounts" "0008_audit" "0009_link" "0010_family_origin" "0011_clients" "0012_sessions" "0013_triggers" "0014_personal_keys" "0015_account_pages" "0016_preferences" "0017_deactivations" "0018_triggers_end_acting" "0019_family_passwords" "0020_allauth_addresses" "0021_django_sessions_end");

/// What the service's role is granted by an administrative one.
const GRANTS: &str = include_str!("../../sql/postgres/grants.sql");

/// How a database stands to this program.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Status {
    /// Everything is applied.
    Current,
    /// These are left to apply: run `avain migrate`.
    Pending(Vec<&'static str>),
    /// A newer program has migrated it, up to this version. This one still runs.
    Newer(i64),
}

/// Applies what is pending and says what that was. Uses `options.admin_url` where it is given, and then
/// grants the role of `options.url` what the service needs.
pub async fn run(options: &Options, now: Timestamp) -> Result<Vec<&'static str>, StoreError> {
    run_list(options, embedded(options)?, now).await
}

/// As [`run`], with other migrations (tests bring their own).
pub async fn run_list(
    options: &Options,
    list: &[Migration],
    now: Timestamp,
) -> Result<Vec<&'static str>, StoreError> {
    let store = Store::open_to_migrate(&administrative(options))?;
    let applied = apply(&store, list, now).await;
    let done = match applied {
        Ok(applied) => grant(&store, options).await.map(|()| applied),
        Err(error) => Err(error),
    };
    store.close().await;
    done
}

/// Whether anything is pending, for `check` and `/ready`. Fails when the database cannot be reached, when
/// an applied migration is not the one we have, and when the role's `search_path` does not lead to our
/// tables.
pub async fn status(store: &Store) -> Result<Status, StoreError> {
    status_of(store, if store.is_postgres() { POSTGRES } else { SQLITE }).await
}

/// As [`status`], with other migrations.
pub async fn status_of(store: &Store, list: &[Migration]) -> Result<Status, StoreError> {
    let rows = store.read("migrations.begun", &[]).await?;
    let Some(row) = rows.first() else { return Err(no_row()) };
    if !row.bool("begun")? {
        return Ok(Status::Pending(list.iter().map(|migration| migration.name).collect()));
    }
    if !row.bool("reachable")? {
        let sentence = "the search_path of the database role does not begin with avain; set it with \
             ALTER ROLE … SET search_path TO avain, public";
        return Err(StoreError::Other(sentence.to_owned()));
    }
    let applied = store.read("migrations.applied", &[]).await?;
    let applied = applied.iter().map(Applied::read).collect::<Result<Vec<_>, _>>()?;
    let known = list.len();
    match pending(list, &applied)? {
        _ if applied.len() > known => {
            Ok(Status::Newer(applied.last().map_or(0, |last| last.version)))
        }
        [] => Ok(Status::Current),
        pending => Ok(Status::Pending(pending.iter().map(|migration| migration.name).collect())),
    }
}

async fn apply(
    store: &Store,
    list: &[Migration],
    now: Timestamp,
) -> Result<Vec<&'static str>, StoreError> {
    prepare(store).await?;
    let mut done = Vec::new();
    while let Some(name) = apply_next(store, list, now).await? {
        tracing::info!(migration = name, "applied a migration");
        done.push(name);
    }
    Ok(done)
}

/// Before the first migration: our schema, the two tables that the migrations themselves need, and whose
/// the accounts were.
async fn prepare(store: &Store) -> Result<(), StoreError> {
    let mut tx = locked(store, "prepare the migrations").await?;
    let found = tx.run("migrations.begun", &[]).await?;
    let found = found.first().ok_or_else(no_row)?;
    if found.bool("begun")? {
        return Ok(());
    }
    if !found.bool("has_schema")? {
        let made = tx.run("migrations.make_schema", &[]).await;
        made.map_err(|error| hinted(error, store))?;
    }
    for statement in ["migrations.make_versions", "migrations.make_facts", "migrations.note_owner"]
    {
        tx.run(statement, &[]).await.map_err(|error| hinted(error, store))?;
    }
    tx.commit().await
}

/// Applies the first migration that is pending, if any.
async fn apply_next(
    store: &Store,
    list: &[Migration],
    now: Timestamp,
) -> Result<Option<&'static str>, StoreError> {
    let mut tx = locked(store, "migrate").await?;
    let applied = tx.run("migrations.applied", &[]).await?;
    let applied = applied.iter().map(Applied::read).collect::<Result<Vec<_>, _>>()?;
    if let Some(newest) = applied.get(list.len()) {
        return Err(StoreError::Other(format!(
            "the database is newer than this program: it has {}, which this program does not know; use \
             the version of avain that migrated it, or a later one",
            newest.name
        )));
    }
    let [next, ..] = pending(list, &applied)? else { return Ok(None) };
    let done = tx.script(next.sql).await;
    done.map_err(|error| hinted(error.during(next.name), store))?;
    let version = i64::try_from(applied.len() + 1).unwrap_or(i64::MAX);
    let record = [version.into(), next.name.into(), checksum(next).into(), now.seconds().into()];
    tx.run("migrations.record", &record).await?;
    tx.commit().await?;
    Ok(Some(next.name))
}

/// A transaction that no other migration runs beside.
pub(super) async fn locked(store: &Store, name: &'static str) -> Result<Tx, StoreError> {
    let mut tx = store.begin(name).await?;
    tx.run("migrations.path", &[]).await?;
    tx.run("migrations.lock", &[]).await?;
    Ok(tx)
}

async fn grant(store: &Store, options: &Options) -> Result<(), StoreError> {
    if options.admin_url.is_none() || !store.is_postgres() {
        return Ok(());
    }
    let administrator = postgres::role(&administrative(options))?;
    let service = postgres::role(options)?;
    if administrator == service {
        return Ok(()); // an owner needs no grants
    }
    let role = format!("\"{}\"", service.replace('"', "\"\""));
    let mut tx = locked(store, "grant").await?;
    tx.script(&GRANTS.replace("{role}", &role)).await?;
    tx.commit().await
}

struct Applied {
    version: i64,
    name: String,
    checksum: String,
}

impl Applied {
    fn read(row: &crate::store::Row) -> Result<Self, StoreError> {
        Ok(Self {
            version: row.int("version")?,
            name: row.text("name")?,
            checksum: row.text("checksum")?,
        })
    }
}

/// What of `list` is not applied yet, given that `applied` is the beginning of `list`.
fn pending<'l>(list: &'l [Migration], applied: &[Applied]) -> Result<&'l [Migration], StoreError> {
    for (migration, applied) in list.iter().zip(applied) {
        if migration.name != applied.name || checksum(migration) != applied.checksum {
            return Err(StoreError::Other(format!(
                "migration {} of this program is not the one that the database has as {}: an applied \
                 migration must never be changed",
                migration.name, applied.name
            )));
        }
    }
    Ok(list.get(applied.len()..).unwrap_or_default())
}

fn checksum(migration: &Migration) -> String {
    hex(Digest::of(migration.sql.as_bytes()).as_bytes())
}

fn embedded(options: &Options) -> Result<&'static [Migration], StoreError> {
    Ok(match options.engine()? {
        EngineKind::Postgres => POSTGRES,
        EngineKind::Sqlite(_) => SQLITE,
    })
}

/// The options for migrating: the administrative URL, few connections, and hours rather than seconds.
pub(super) fn administrative(options: &Options) -> Options {
    let hours = Duration::from_hours(4);
    Options {
        url: options.admin_url.clone().unwrap_or_else(|| options.url.clone()),
        connections: 1,
        readers: 1,
        limits: Limits { statement: hours, whole: hours, wait: hours, ..options.limits },
        ..options.clone()
    }
}

/// Says what to do when a right is missing.
fn hinted(error: StoreError, store: &Store) -> StoreError {
    if store.is_postgres() && error.sentence().contains("(42501)") {
        let sentence = format!(
            "{error}: grant the role that right (deploy/role.sql), or give `avain migrate` the URL of a role \
             that has it as database.admin_url"
        );
        return error.with(sentence);
    }
    error
}

fn no_row() -> StoreError {
    StoreError::Other("a statement of the migrations gave no row".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_lists_are_numbered_from_one_and_alike() {
        for list in [POSTGRES, SQLITE] {
            for (index, migration) in list.iter().enumerate() {
                let number = format!("{:04}_", index + 1);
                assert!(migration.name.starts_with(&number), "{}", migration.name);
            }
        }
    }
}
