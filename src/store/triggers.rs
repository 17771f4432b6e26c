//! Triggers on Django's tables, so that what others change there is told like our own changes
//! (`sql/postgres/triggers.sql`).

use crate::store::migrate::{administrative, locked};
use crate::store::options::{EngineKind, Options};
use crate::store::{Store, StoreError};

const INSTALL: &str = include_str!("../../sql/postgres/triggers.sql");
const REMOVE: &str = include_str!("../../sql/postgres/triggers_remove.sql");

/// How many triggers there are when they are installed.
const ALL: i64 = 6;

/// Whether what others change in Django's tables is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Status {
    /// It is.
    Installed,
    /// It is not, or not all of it.
    Missing,
    /// SQLite has none: a table that Django's migrations make anew would lose them.
    Unsupported,
}

/// Whether the triggers are there.
pub async fn status(store: &Store) -> Result<Status, StoreError> {
    if !store.is_postgres() {
        return Ok(Status::Unsupported);
    }
    let rows = store.read("triggers.installed", &[]).await?;
    let installed = rows.first().map(|row| row.int("installed")).transpose()?;
    Ok(if installed == Some(ALL) { Status::Installed } else { Status::Missing })
}

/// Puts the triggers on Django's tables, with `options.admin_url` where it is given: only the owner of a
/// table may.
pub async fn install(options: &Options) -> Result<(), StoreError> {
    run(options, INSTALL).await
}

/// Takes the triggers off Django's tables.
pub async fn remove(options: &Options) -> Result<(), StoreError> {
    run(options, REMOVE).await
}

async fn run(options: &Options, script: &str) -> Result<(), StoreError> {
    if !matches!(options.engine()?, EngineKind::Postgres) {
        let sentence = "triggers are for PostgreSQL; a SQLite file is for avain alone";
        return Err(StoreError::Other(sentence.to_owned()));
    }
    let owner = Store::open(&administrative(options))?;
    let done = run_as(&owner, options, script).await;
    owner.close().await;
    done.map_err(|error| {
        if error.sentence().contains("(42501)") {
            let sentence = format!(
                "{error}: only the owner of Django's tables may do that; give its URL as database.admin_url"
            );
            return error.with(sentence);
        }
        error
    })
}

async fn run_as(owner: &Store, options: &Options, script: &str) -> Result<(), StoreError> {
    if options.admin_url.is_some() {
        let rows = owner.read("triggers.role", &[]).await?;
        let role = rows.first().map(|row| row.text("name")).transpose()?.unwrap_or_default();
        allow(options, &role).await;
    }
    let mut tx = locked(owner, "triggers").await?;
    tx.script(script).await?;
    tx.commit().await
}

/// Lets the owner of Django's tables use our functions, which are the service's where it has made its own
/// schema. Where they are not, they are the owner's.
async fn allow(options: &Options, role: &str) {
    let role = format!("\"{}\"", role.replace('"', "\"\""));
    let grant = format!(
        "GRANT USAGE ON SCHEMA avain TO {role}; GRANT EXECUTE ON FUNCTION \
         avain.django_accounts_changed(), avain.django_keys_changed() TO {role}"
    );
    let done = async {
        let service = Store::open(options)?;
        let mut tx = locked(&service, "allow triggers").await?;
        tx.script(&grant).await?;
        tx.commit().await?;
        service.close().await;
        Ok::<_, StoreError>(())
    };
    if let Err(error) = done.await {
        tracing::debug!(%error, "nothing to grant");
    }
}
