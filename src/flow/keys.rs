//! Signing keys: made at the first start, imported, rotated, retired; kept sealed in the store.

use std::sync::Arc;

use crate::base::clock::Timestamp;
use crate::base::random::Random;
use crate::base::seal::{MasterKey, SealError};
use crate::store::signing_keys::{self, KeyState, Purpose, StoredKey};
use crate::store::{Store, StoreError};
use crate::token::algorithm::Algorithm;
use crate::token::key::{KeyId, SigningKey};
use crate::token::key_error::KeyError;
use crate::token::key_ring::{KeyRing, RingKey};

/// Why keys could not be loaded or changed. Every sentence says what to do.
#[derive(Debug)]
pub enum KeysError {
    /// The store did not answer.
    Store(StoreError),
    /// A stored key does not open under the master key.
    Sealed(String, SealError),
    /// A key is unreadable or too weak.
    Key(KeyError),
    /// There is no such key, or it is not in the state for this.
    Refused(String),
}

impl std::fmt::Display for KeysError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Store(error) => error.fmt(f),
            Self::Sealed(id, error) => write!(f, "signing key {id}: {error}"),
            Self::Key(error) => error.fmt(f),
            Self::Refused(why) => f.write_str(why),
        }
    }
}

impl From<StoreError> for KeysError {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

impl From<KeyError> for KeysError {
    fn from(error: KeyError) -> Self {
        Self::Key(error)
    }
}

/// What keys are kept with.
pub struct KeyRoom<'a> {
    /// Where they are kept.
    pub store: &'a Store,
    /// Under what they are sealed.
    pub master: &'a MasterKey,
    /// For nonces and new keys.
    pub random: &'a dyn Random,
    /// The moment.
    pub now: Timestamp,
}

/// A key as `avain key list` shows it: no private part.
#[derive(Debug)]
pub struct KeySummary {
    /// Its `kid`.
    pub id: String,
    /// What it is for.
    pub purpose: Purpose,
    /// Its algorithm.
    pub algorithm: String,
    /// Whether it signs, verifies, or neither.
    pub state: KeyState,
    /// When it was imported, if it was.
    pub imported_at: Option<Timestamp>,
    /// When it came into the store.
    pub created_at: Timestamp,
}

impl KeyRoom<'_> {
    /// Makes sure that there is a key that signs for `purpose`: an imported one where one is configured
    /// and not yet in the store, else a new one of `algorithm` where there is none at all.
    pub async fn ensure(
        &self,
        purpose: Purpose,
        algorithm: Algorithm,
        import: Option<&SigningKey>,
    ) -> Result<(), KeysError> {
        let stored = signing_keys::all(self.store).await?;
        let mut of_purpose = stored.iter().filter(|key| key.purpose == purpose);
        if let Some(key) = import {
            if !of_purpose.any(|stored| stored.id == key.id().as_str()) {
                self.add(purpose, key, true).await?;
            }
        } else if !of_purpose.any(|stored| stored.state == KeyState::Signing) {
            let key = SigningKey::generate(algorithm, self.random);
            // Several instances may start at once: the store admits one signing key, the others lose.
            match self.create(purpose, &key, KeyState::Signing, false).await {
                Ok(()) | Err(KeysError::Refused(_)) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// Puts a key into the store and lets it sign from now on; the one before goes on verifying.
    pub async fn add(
        &self,
        purpose: Purpose,
        key: &SigningKey,
        imported: bool,
    ) -> Result<(), KeysError> {
        self.keep(purpose, key, imported).await?;
        self.sign_with(purpose, key.id()).await
    }

    /// Puts a key into the store that verifies and does not sign yet.
    pub async fn keep(
        &self,
        purpose: Purpose,
        key: &SigningKey,
        imported: bool,
    ) -> Result<(), KeysError> {
        self.create(purpose, key, KeyState::Verifying, imported).await
    }

    /// Lets a stored key sign from now on.
    pub async fn sign_with(&self, purpose: Purpose, id: &KeyId) -> Result<(), KeysError> {
        if signing_keys::sign_with(self.store, purpose, id.as_str(), self.now).await? {
            Ok(())
        } else {
            Err(KeysError::Refused(format!("there is no key {id} that verifies and could sign")))
        }
    }

    /// Takes a key out of use: what it signed is refused from now on. The key that signs stays.
    pub async fn retire(&self, id: &str) -> Result<(), KeysError> {
        if signing_keys::retire(self.store, id, self.now).await? {
            Ok(())
        } else {
            Err(KeysError::Refused(format!(
                "there is no key {id} that could be retired; the key that signs cannot be: rotate first"
            )))
        }
    }

    /// All keys, the retired ones too.
    pub async fn list(&self) -> Result<Vec<KeySummary>, KeysError> {
        let keys = signing_keys::list(self.store).await?;
        Ok(keys
            .into_iter()
            .map(|key| KeySummary {
                id: key.id,
                purpose: key.purpose,
                algorithm: key.algorithm,
                state: key.state,
                imported_at: key.imported_at,
                created_at: key.created_at,
            })
            .collect())
    }

    /// The keys in force for tokens, as the next `generation` of the ring.
    pub async fn ring(&self, generation: u64) -> Result<KeyRing, KeysError> {
        let mut signing = None;
        let mut verifying = Vec::new();
        for stored in signing_keys::all(self.store).await? {
            if stored.purpose != Purpose::Token {
                continue;
            }
            let key = self.open(&stored)?;
            verifying
                .push(RingKey { key: key.verification_key(), imported_at: stored.imported_at });
            if stored.state == KeyState::Signing {
                signing = Some(Arc::new(key));
            }
        }
        let signing = signing.ok_or_else(|| {
            KeysError::Refused("no key signs tokens: run `avain key generate`".to_owned())
        })?;
        Ok(KeyRing::new(signing, verifying, generation))
    }

    /// The key that signs phantom tokens.
    pub async fn phantom(&self) -> Result<SigningKey, KeysError> {
        let stored = signing_keys::all(self.store).await?;
        let found = stored
            .iter()
            .find(|key| key.purpose == Purpose::Phantom && key.state == KeyState::Signing)
            .ok_or_else(|| {
                KeysError::Refused("there is no key for phantom tokens yet".to_owned())
            })?;
        self.open(found)
    }

    async fn create(
        &self,
        purpose: Purpose,
        key: &SigningKey,
        state: KeyState,
        imported: bool,
    ) -> Result<(), KeysError> {
        let id = key.id().as_str().to_owned();
        let algorithm = key.algorithm().to_string();
        let bound = bound_to(&id, purpose, &algorithm);
        let sealed = self.master.seal(self.random, &bound, key.to_stored().expose());
        let stored = StoredKey {
            id,
            purpose,
            algorithm,
            state,
            sealed,
            imported_at: imported.then_some(self.now),
            created_at: self.now,
        };
        if signing_keys::create(self.store, &stored).await? {
            Ok(())
        } else {
            Err(KeysError::Refused(format!("key {} is in the store already", stored.id)))
        }
    }

    fn open(&self, stored: &StoredKey) -> Result<SigningKey, KeysError> {
        let bound = bound_to(&stored.id, stored.purpose, &stored.algorithm);
        let opened = self
            .master
            .open(&bound, &stored.sealed)
            .map_err(|error| KeysError::Sealed(stored.id.clone(), error))?;
        let algorithm = Algorithm::parse(&stored.algorithm).ok_or_else(|| {
            KeysError::Refused(format!(
                "key {} has the unknown algorithm {}",
                stored.id, stored.algorithm
            ))
        })?;
        Ok(SigningKey::from_stored(algorithm, opened.expose())?)
    }
}

/// What a sealed key is bound to, so that one row's cannot be put into another's place.
fn bound_to(id: &str, purpose: Purpose, algorithm: &str) -> Vec<u8> {
    format!("avain signing key {id} {} {algorithm}", purpose.as_str()).into_bytes()
}
