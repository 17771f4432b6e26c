//! Signing keys by the calendar: published, signing, verifying, retired.
//!
//! Some time before the key that signs becomes too old its successor is *published*: it stands in the key
//! set, so that verifiers who keep a copy get to know it, and every instance of ours does. Then it signs, and
//! the one before *verifies* until nothing that it signed lives on; then it is *retired*. Nobody is signed out.
//!
//! Any instance may take a step; each is one conditional statement or transaction that names the state it
//! leaves, so of several at once one takes it (and one key is next at most, by an index).
//!
//! An imported key is left alone: others hold it too, and the calendar cannot know when they let go of it.
//! `avain key rotate` moves on from one.

use std::sync::Arc;
use std::time::Duration;

use crate::base::clock::Timestamp;
use crate::base::random::Random;
use crate::flow::audit::{self, Event};
use crate::flow::keys::{KeyRoom, KeysError, generate, signing_key};
use crate::store::signing_keys::{self, KeyState, Purpose, StoredKey};
use crate::token::algorithm::Algorithm;

/// When what happens to keys.
#[derive(Clone, Copy, Debug)]
pub struct KeySchedule {
    /// How long a key signs; `None`: until somebody lets another one.
    pub rotation: Option<Duration>,
    /// How long before it signs a key is published.
    pub publish_ahead: Duration,
    /// The algorithm of keys that are made.
    pub algorithm: Algorithm,
}

/// A step that was taken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// A key is published.
    Published {
        /// Its id.
        id: String,
        /// When it will sign.
        signs_at: Timestamp,
    },
    /// The published key signs.
    Signs(String),
    /// Nothing that these have signed lives on.
    Retired(Vec<String>),
}

impl KeySchedule {
    /// How often to look whether a step is due.
    #[must_use]
    pub fn interval(&self) -> Duration {
        let ahead = if self.rotation.is_some() { self.publish_ahead } else { Duration::MAX };
        (ahead / 8).clamp(Duration::from_millis(100), Duration::from_mins(1))
    }

    /// Takes the steps that are due at `room.now`. Gives those that this instance has taken.
    pub async fn keep(
        &self,
        room: &KeyRoom<'_>,
        random: &Arc<dyn Random>,
    ) -> Result<Vec<Step>, KeysError> {
        let mut steps = Vec::new();
        let stored = signing_keys::all(room.store).await?;
        if let (Some(rotation), Some(signing)) =
            (self.rotation, signing_key(&stored, Purpose::Token))
            && signing.imported_at.is_none()
        {
            steps.extend(self.rotate(room, random, &stored, signing, rotation).await?);
        }
        if stored.iter().any(|key| key.retires_at.is_some_and(|moment| moment <= room.now)) {
            let record = audit::event(Event::SigningKeyRetired, room.caller, room.now);
            let record = record.into_record();
            let retired = signing_keys::retire_due(room.store, room.now, &record).await?;
            steps.extend((!retired.is_empty()).then_some(Step::Retired(retired)));
        }
        Ok(steps)
    }

    async fn rotate(
        &self,
        room: &KeyRoom<'_>,
        random: &Arc<dyn Random>,
        stored: &[StoredKey],
        signing: &StoredKey,
        rotation: Duration,
    ) -> Result<Option<Step>, KeysError> {
        // A key may have begun to sign by command since its successor was published: it gets its time.
        let due = signing.signed_since.unwrap_or(signing.created_at).plus(rotation);
        let next = stored.iter().find_map(|key| {
            let waits = key.purpose == Purpose::Token && key.state == KeyState::Published;
            key.signs_at.filter(|_| waits).map(|signs_at| (key, signs_at))
        });
        if let Some((next, signs_at)) = next {
            if room.now < signs_at.max(due) {
                return Ok(None);
            }
            let succession = room.succession(Purpose::Token, Some(&signing.id), &next.id);
            let record = room.event(Event::SigningKeyRotated, &next.id);
            let succeeded =
                signing_keys::succeed(room.store, &succession, room.now, record).await?;
            return Ok(succeeded.then(|| Step::Signs(next.id.clone())));
        }
        if room.now < due.minus(self.publish_ahead) {
            return Ok(None);
        }
        let key = generate(self.algorithm, random).await?;
        let signs_at = due.max(room.now.plus(self.publish_ahead));
        match room.publish(&key, signs_at).await {
            Ok(()) => Ok(Some(Step::Published { id: key.id().to_string(), signs_at })),
            // Another instance was first.
            Err(KeysError::Refused(_)) => Ok(None),
            Err(error) => Err(error),
        }
    }
}
