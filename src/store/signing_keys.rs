//! Signing keys, sealed: the store never sees one open.

use crate::base::clock::Timestamp;
use crate::store::changes::{self, Change};
use crate::store::{Row, Store, StoreError};

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
    /// Signs, and verifies.
    Signing,
    /// Verifies only.
    Verifying,
    /// Neither.
    Retired,
}

impl KeyState {
    /// As it is stored.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Signing => "signing",
            Self::Verifying => "verifying",
            Self::Retired => "retired",
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
}

/// All keys that are in use, oldest first.
pub async fn all(store: &Store) -> Result<Vec<StoredKey>, StoreError> {
    store.read("signing_keys.all", &[]).await?.iter().map(stored_key).collect()
}

/// All keys, the retired ones too, oldest first.
pub async fn list(store: &Store) -> Result<Vec<StoredKey>, StoreError> {
    store.read("signing_keys.list", &[]).await?.iter().map(stored_key).collect()
}

/// Keeps a key. `false` where there is one with its id, or another one signs already.
pub async fn create(store: &Store, key: &StoredKey) -> Result<bool, StoreError> {
    let mut tx = store.begin("create signing key").await?;
    let params = [
        key.id.as_str().into(),
        key.purpose.as_str().into(),
        key.algorithm.as_str().into(),
        key.state.as_str().into(),
        key.sealed.as_slice().into(),
        key.imported_at.map(Timestamp::seconds).into(),
        key.created_at.seconds().into(),
    ];
    let created = !tx.run("signing_keys.create", &params).await?.is_empty();
    if created {
        changes::note(&mut tx, Change::Keys, key.created_at).await?;
    }
    tx.commit().await?;
    Ok(created)
}

/// Lets a key that verifies sign, in place of the one that does. `false` where there is no such key.
pub async fn sign_with(
    store: &Store,
    purpose: Purpose,
    id: &str,
    now: Timestamp,
) -> Result<bool, StoreError> {
    let mut tx = store.begin("change signing key").await?;
    tx.run("signing_keys.stop_signing", &[purpose.as_str().into()]).await?;
    if tx.run("signing_keys.start_signing", &[id.into(), purpose.as_str().into()]).await?.is_empty()
    {
        return Ok(false);
    }
    changes::note(&mut tx, Change::Keys, now).await?;
    tx.commit().await?;
    Ok(true)
}

/// Takes a key that verifies out of use. `false` where there is none, or where it signs.
pub async fn retire(store: &Store, id: &str, now: Timestamp) -> Result<bool, StoreError> {
    let mut tx = store.begin("retire signing key").await?;
    let params = [id.into(), now.seconds().into()];
    if tx.run("signing_keys.retire", &params).await?.is_empty() {
        return Ok(false);
    }
    changes::note(&mut tx, Change::Keys, now).await?;
    tx.commit().await?;
    Ok(true)
}

fn stored_key(row: &Row) -> Result<StoredKey, StoreError> {
    let unknown = |what: &str, found: &str| StoreError::Other(format!("unknown {what} {found}"));
    let purpose = row.text("purpose")?;
    let state = row.text("state")?;
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
            "verifying" => KeyState::Verifying,
            "retired" => KeyState::Retired,
            other => return Err(unknown("state of a key", other)),
        },
        sealed: row.blob("sealed")?,
        imported_at: row.opt_seconds("imported_at")?,
        created_at: row.seconds("created_at")?,
    })
}
