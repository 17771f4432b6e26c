//! Signing keys, sealed: the store never sees one open.

use crate::base::clock::Timestamp;
use crate::store::audit::{self, Record};
use crate::store::changes::{self, Change};
use crate::store::{Row, Store, StoreError, Tx};

/// What a key signs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// Access and refresh tokens.
    Token,
    /// Phantom tokens.
    Phantom,
}

impl Purpose {
    /// As it is stored.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Token => "token",
            Self::Phantom => "phantom",
        }
    }
}

/// What a key is used for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyState {
    /// Has not signed yet: verifiers get to know it. (Verifies too: nothing depends on it.)
    Published,
    /// Signs, and verifies.
    Signing,
    /// Has signed, here or elsewhere, and verifies.
    Verifying,
    /// Neither.
    Retired,
}

impl KeyState {
    /// Its name.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Published => "published",
            Self::Signing => "signing",
            Self::Verifying => "verifying",
            Self::Retired => "retired",
        }
    }

    /// As it is stored: a published key is one that verifies and has not signed yet.
    const fn stored(self) -> &'static str {
        match self {
            Self::Published => Self::Verifying.as_str(),
            Self::Signing | Self::Verifying | Self::Retired => self.as_str(),
        }
    }
}

/// A key as it is kept.
#[derive(Debug)]
pub struct StoredKey {
    /// Its `kid`.
    pub id: String,
    /// What it signs.
    pub purpose: Purpose,
    /// Its algorithm's JOSE name.
    pub algorithm: String,
    /// What it is used for.
    pub state: KeyState,
    /// The key, sealed under the master key.
    pub sealed: Vec<u8>,
    /// When it was imported from a service that ours takes over from.
    pub imported_at: Option<Timestamp>,
    /// When it came into the store.
    pub created_at: Timestamp,
    /// When the schedule lets it sign, while it is published for that.
    pub signs_at: Option<Timestamp>,
    /// Since when it signs, or when it began to the last time.
    pub signed_since: Option<Timestamp>,
    /// When it is retired, since nothing that it signed lives on.
    pub retires_at: Option<Timestamp>,
}

/// All keys that are in use, oldest first.
pub async fn all(store: &Store) -> Result<Vec<StoredKey>, StoreError> {
    store.read("signing_keys.all", &[]).await?.iter().map(stored_key).collect()
}

/// All keys, the retired ones too, oldest first.
pub async fn list(store: &Store) -> Result<Vec<StoredKey>, StoreError> {
    store.read("signing_keys.list", &[]).await?.iter().map(stored_key).collect()
}

/// Keeps a key. `false` where there is one with its id, another one signs already, or another one is next
/// in the schedule already.
pub async fn create(store: &Store, key: &StoredKey, record: Record) -> Result<bool, StoreError> {
    let mut tx = store.begin("create signing key").await?;
    let params = [
        key.id.as_str().into(),
        key.purpose.as_str().into(),
        key.algorithm.as_str().into(),
        key.state.stored().into(),
        key.sealed.as_slice().into(),
        key.imported_at.map(Timestamp::seconds).into(),
        key.created_at.seconds().into(),
        key.signs_at.map(Timestamp::seconds).into(),
        key.signed_since.map(Timestamp::seconds).into(),
    ];
    let created = !tx.run("signing_keys.create", &params).await?.is_empty();
    if created {
        changes::note(&mut tx, Change::Keys, key.created_at).await?;
        audit::insert(&mut tx, record).await?;
    }
    tx.commit().await?;
    Ok(created)
}

/// One key taking the place of another.
#[derive(Clone, Copy, Debug)]
pub struct Succession<'a> {
    /// What for.
    pub purpose: Purpose,
    /// The key that signs; `None` where none does.
    pub from: Option<&'a str>,
    /// The key that is to sign: one that verifies.
    pub to: &'a str,
    /// When nothing that `from` signed lives on.
    pub retires_at: Timestamp,
}

/// Lets a key sign in place of the one that does. `false` where the two are not as `succession` says: then
/// nothing changes.
pub async fn succeed(
    store: &Store,
    succession: &Succession<'_>,
    now: Timestamp,
    record: Record,
) -> Result<bool, StoreError> {
    let mut tx = store.begin("change signing key").await?;
    if succeed_in(&mut tx, succession, now).await? {
        changes::note(&mut tx, Change::Keys, now).await?;
        audit::insert(&mut tx, record).await?;
        tx.commit().await?;
        return Ok(true);
    }
    Ok(false)
}

async fn succeed_in(
    tx: &mut Tx,
    succession: &Succession<'_>,
    now: Timestamp,
) -> Result<bool, StoreError> {
    if let Some(from) = succession.from {
        let params = [from.into(), succession.retires_at.seconds().into()];
        if tx.run("signing_keys.stop_signing", &params).await?.is_empty() {
            return Ok(false);
        }
    }
    let (to, purpose) = (succession.to, succession.purpose);
    let params = [to.into(), purpose.as_str().into(), now.seconds().into()];
    Ok(!tx.run("signing_keys.start_signing", &params).await?.is_empty())
}

/// Takes a key out of use although it signs, and lets another one sign. `false` as [`succeed`].
pub async fn kill(
    store: &Store,
    succession: &Succession<'_>,
    now: Timestamp,
    record: Record,
) -> Result<bool, StoreError> {
    let mut tx = store.begin("kill signing key").await?;
    let Some(killed) = succession.from else { return Ok(false) };
    if !succeed_in(&mut tx, succession, now).await? {
        return Ok(false);
    }
    let params = [killed.into(), now.seconds().into()];
    if tx.run("signing_keys.retire", &params).await?.is_empty() {
        return Ok(false);
    }
    changes::note(&mut tx, Change::Keys, now).await?;
    audit::insert(&mut tx, record).await?;
    tx.commit().await?;
    Ok(true)
}

/// Takes a key that verifies out of use. `false` where there is none, or where it signs.
pub async fn retire(
    store: &Store,
    id: &str,
    now: Timestamp,
    record: Record,
) -> Result<bool, StoreError> {
    let mut tx = store.begin("retire signing key").await?;
    let params = [id.into(), now.seconds().into()];
    if tx.run("signing_keys.retire", &params).await?.is_empty() {
        return Ok(false);
    }
    changes::note(&mut tx, Change::Keys, now).await?;
    audit::insert(&mut tx, record).await?;
    tx.commit().await?;
    Ok(true)
}

/// Takes out of use the keys of which nothing lives on. Gives their ids. `record` is kept for each, with
/// its id.
pub async fn retire_due(
    store: &Store,
    now: Timestamp,
    record: &Record,
) -> Result<Vec<String>, StoreError> {
    let mut tx = store.begin("retire signing keys").await?;
    let rows = tx.run("signing_keys.retire_due", &[now.seconds().into()]).await?;
    if rows.is_empty() {
        return Ok(Vec::new());
    }
    let ids: Vec<String> = rows.iter().map(|row| row.text("id")).collect::<Result<_, _>>()?;
    for id in &ids {
        let mut record = record.clone();
        record.details.push(("key", id.clone()));
        audit::insert(&mut tx, record).await?;
    }
    changes::note(&mut tx, Change::Keys, now).await?;
    tx.commit().await?;
    Ok(ids)
}

fn stored_key(row: &Row) -> Result<StoredKey, StoreError> {
    let unknown = |what: &str, found: &str| StoreError::Other(format!("unknown {what} {found}"));
    let purpose = row.text("purpose")?;
    let state = row.text("state")?;
    let (imported_at, signed_since) =
        (row.opt_seconds("imported_at")?, row.opt_seconds("signed_since")?);
    Ok(StoredKey {
        id: row.text("id")?,
        purpose: match purpose.as_str() {
            "token" => Purpose::Token,
            "phantom" => Purpose::Phantom,
            other => return Err(unknown("purpose of a key", other)),
        },
        algorithm: row.text("algorithm")?,
        state: match state.as_str() {
            "signing" => KeyState::Signing,
            "verifying" if signed_since.is_none() && imported_at.is_none() => KeyState::Published,
            "verifying" => KeyState::Verifying,
            "retired" => KeyState::Retired,
            other => return Err(unknown("state of a key", other)),
        },
        sealed: row.blob("sealed")?,
        imported_at,
        created_at: row.seconds("created_at")?,
        signs_at: row.opt_seconds("signs_at")?,
        signed_since,
        retires_at: row.opt_seconds("retires_at")?,
    })
}
