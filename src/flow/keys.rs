//! Signing keys: made at the first start, imported, rotated, retired, killed; kept sealed in the store.
//! What happens to them by itself is told in [`crate::flow::key_schedule`].

use std::sync::Arc;
use std::time::Duration;

use crate::base::clock::Timestamp;
use crate::base::random::Random;
use crate::base::seal::{MasterKey, SealError};
use crate::flow::Caller;
use crate::flow::audit::{self, Event, Record};
use crate::store::signing_keys::{self, KeyState, Purpose, StoredKey, Succession};
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

/// How long running instances need at most to hear of a new key, and to verify with it.
pub const HEARD: Duration = Duration::from_secs(1);

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
    /// For how long what a key has signed lives on at most.
    pub overlap: Duration,
    /// Who changes something.
    pub caller: &'a Caller,
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
    /// Whether it waits to sign, signs, verifies, or none of these.
    pub state: KeyState,
    /// When it was imported, if it was.
    pub imported_at: Option<Timestamp>,
    /// When it came into the store.
    pub created_at: Timestamp,
    /// When the schedule lets it sign, while it is published for that.
    pub signs_at: Option<Timestamp>,
    /// When it is retired by itself.
    pub retires_at: Option<Timestamp>,
}

/// What came of asking for another key to sign.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Succeeded {
    /// It signs from now on.
    Now,
    /// It did already.
    Before,
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
        // Several instances may start at once: the store admits one, the others lose, and go on with it.
        let made = if let Some(key) = import {
            if of_purpose.any(|stored| stored.id == key.id().as_str()) {
                return Ok(());
            }
            self.add(purpose, key, true).await
        } else if of_purpose.any(|stored| stored.state == KeyState::Signing) {
            return Ok(());
        } else {
            let key = SigningKey::generate(algorithm, self.random);
            self.create(purpose, &key, KeyState::Signing, None, false).await
        };
        match made {
            Ok(()) | Err(KeysError::Refused(_)) => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// Puts a key into the store and lets it sign from now on; the one before goes on verifying.
    pub async fn add(
        &self,
        purpose: Purpose,
        key: &SigningKey,
        imported: bool,
    ) -> Result<(), KeysError> {
        self.keep(purpose, key, imported).await?;
        self.sign_with(purpose, key.id()).await.map(drop)
    }

    /// Puts a key into the store that does not sign yet: one that others may get to know, or one that
    /// verifies what another service has signed.
    pub async fn keep(
        &self,
        purpose: Purpose,
        key: &SigningKey,
        imported: bool,
    ) -> Result<(), KeysError> {
        let state = if imported { KeyState::Verifying } else { KeyState::Published };
        self.create(purpose, key, state, None, imported).await
    }

    /// Publishes the key that the schedule lets sign at `signs_at`. One is next at most.
    pub(super) async fn publish(
        &self,
        key: &SigningKey,
        signs_at: Timestamp,
    ) -> Result<(), KeysError> {
        self.create(Purpose::Token, key, KeyState::Published, Some(signs_at), false).await
    }

    /// Lets a stored key sign from now on. The one before verifies until nothing that it signed lives on,
    /// and then is retired; an imported one verifies until somebody retires it, since what was signed
    /// elsewhere may live longer.
    pub async fn sign_with(&self, purpose: Purpose, id: &KeyId) -> Result<Succeeded, KeysError> {
        let stored = signing_keys::all(self.store).await?;
        let signing = signing_key(&stored, purpose);
        let from = signing.map(|key| key.id.as_str());
        if from == Some(id.as_str()) {
            return Ok(Succeeded::Before);
        }
        let succession = self.succession(purpose, from, id.as_str());
        let record = self.event(Event::SigningKeyRotated, id.as_str());
        if signing_keys::succeed(self.store, &succession, self.now, record).await? {
            Ok(Succeeded::Now)
        } else {
            Err(KeysError::Refused(format!("there is no key {id} that verifies and could sign")))
        }
    }

    pub(super) fn succession<'k>(
        &self,
        purpose: Purpose,
        from: Option<&'k str>,
        to: &'k str,
    ) -> Succession<'k> {
        Succession { purpose, from, to, retires_at: self.now.plus(self.overlap) }
    }

    /// Signs tokens with another key from now on: the one that is published, else a new one of `algorithm`,
    /// which is published first for as long as instances need to hear of it. Gives its id.
    pub async fn rotate(
        &self,
        random: &Arc<dyn Random>,
        algorithm: Algorithm,
    ) -> Result<KeyId, KeysError> {
        let stored = signing_keys::all(self.store).await?;
        let published = stored
            .iter()
            .find(|key| key.purpose == Purpose::Token && key.state == KeyState::Published)
            .and_then(|key| KeyId::parse(&key.id));
        let id = match published {
            Some(published) => published,
            None => {
                let key = generate(algorithm, random).await?;
                self.keep(Purpose::Token, &key, false).await?;
                tokio::time::sleep(HEARD).await;
                key.id().clone()
            }
        };
        self.sign_with(Purpose::Token, &id).await?;
        Ok(id)
    }

    /// Takes a key for tokens out of use at once, also the one that signs: then the published key, else a
    /// new one of `algorithm`, takes its place. Everything that the killed key has signed ends: whoever has
    /// only that signs in again. Gives the id of the key that has taken its place, where one had to.
    pub async fn kill(&self, id: &KeyId, algorithm: Algorithm) -> Result<Option<KeyId>, KeysError> {
        let stored = signing_keys::all(self.store).await?;
        if stored.iter().any(|key| key.purpose == Purpose::Phantom && key.id == id.as_str()) {
            return Err(KeysError::Refused(format!(
                "key {id} is for phantom tokens, which only the backend reads: give gate.phantom_key another \
                 one, and the backend too"
            )));
        }
        if signing_key(&stored, Purpose::Token).is_none_or(|key| key.id != id.as_str()) {
            let record = self.event(Event::SigningKeyKilled, id.as_str());
            if signing_keys::retire(self.store, id.as_str(), self.now, record).await? {
                return Ok(None);
            }
            return Err(KeysError::Refused(format!("there is no key {id} in use")));
        }
        let published = stored
            .iter()
            .find(|key| key.purpose == Purpose::Token && key.state == KeyState::Published)
            .and_then(|key| KeyId::parse(&key.id));
        let successor = match published {
            Some(published) => published,
            None => {
                let key = SigningKey::generate(algorithm, self.random);
                self.keep(Purpose::Token, &key, false).await?;
                key.id().clone()
            }
        };
        let succession = self.succession(Purpose::Token, Some(id.as_str()), successor.as_str());
        let record = self.event(Event::SigningKeyKilled, id.as_str());
        if signing_keys::kill(self.store, &succession, self.now, record).await? {
            Ok(Some(successor))
        } else {
            let why = format!("key {id} has stopped signing meanwhile: ask once more");
            Err(KeysError::Refused(why))
        }
    }

    /// Takes a key out of use: what it signed is refused from now on. The key that signs stays.
    pub async fn retire(&self, id: &str) -> Result<(), KeysError> {
        let record = self.event(Event::SigningKeyRetired, id);
        if signing_keys::retire(self.store, id, self.now, record).await? {
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
                signs_at: key.signs_at,
                retires_at: key.retires_at,
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
        let found = signing_key(&stored, Purpose::Phantom).ok_or_else(|| {
            KeysError::Refused("there is no key for phantom tokens yet".to_owned())
        })?;
        self.open(found)
    }

    async fn create(
        &self,
        purpose: Purpose,
        key: &SigningKey,
        state: KeyState,
        signs_at: Option<Timestamp>,
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
            signs_at,
            signed_since: (state == KeyState::Signing).then_some(self.now),
            retires_at: None,
        };
        let mut record = self.event(Event::SigningKeyCreated, &stored.id);
        record.details.extend([
            ("purpose", purpose.as_str().to_owned()),
            ("algorithm", stored.algorithm.clone()),
            ("origin", if imported { "imported" } else { "made" }.to_owned()),
        ]);
        if signing_keys::create(self.store, &stored, record).await? {
            Ok(())
        } else {
            Err(KeysError::Refused(format!("key {} is in the store already", stored.id)))
        }
    }

    /// What is recorded of a change of the key `id`.
    pub(super) fn event(&self, event: Event, id: &str) -> Record {
        audit::event(event, self.caller, self.now).detail("key", id).into_record()
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

/// Makes a key where it keeps nobody waiting: RSA takes its time.
pub(super) async fn generate(
    algorithm: Algorithm,
    random: &Arc<dyn Random>,
) -> Result<SigningKey, KeysError> {
    let random = Arc::clone(random);
    let made = tokio::task::spawn_blocking(move || SigningKey::generate(algorithm, &*random));
    made.await.map_err(|error| KeysError::Refused(format!("no key could be made: {error}")))
}

/// The key of `purpose` that signs.
pub(super) fn signing_key(stored: &[StoredKey], purpose: Purpose) -> Option<&StoredKey> {
    stored.iter().find(|key| key.purpose == purpose && key.state == KeyState::Signing)
}

/// What a sealed key is bound to, so that one row's cannot be put into another's place.
fn bound_to(id: &str, purpose: Purpose, algorithm: &str) -> Vec<u8> {
    format!("avain signing key {id} {} {algorithm}", purpose.as_str()).into_bytes()
}
