//! The key ring: the one key that signs and all keys that verify.

use std::sync::Arc;

use crate::base::clock::Timestamp;
use crate::token::algorithm::Algorithm;
use crate::token::issue;
use crate::token::key::{KeyId, SigningKey};
use crate::token::verification_key::VerificationKey;

/// The keys in force. Never changes: a change of keys makes a new ring of the next generation.
#[derive(Debug)]
pub struct KeyRing {
    signing: Arc<SigningKey>,
    verifying: Vec<RingKey>,
    generation: u64,
    /// The header of the tokens that `signing` signs, as it stands in them.
    own_header: String,
}

/// A key that verifies, and where it came from.
#[derive(Debug)]
pub struct RingKey {
    /// The public half, or the shared secret.
    pub key: VerificationKey,
    /// When it was imported from a service that ours takes over from; `None` for keys made here.
    pub imported_at: Option<Timestamp>,
}

impl KeyRing {
    /// A ring in which `signing` signs and every key of `verifying` verifies (`signing`'s own half must
    /// be among them).
    #[must_use]
    pub fn new(signing: Arc<SigningKey>, verifying: Vec<RingKey>, generation: u64) -> Self {
        let own_header = issue::header_of_tokens(&signing);
        Self { signing, verifying, generation, own_header }
    }

    /// The key that signs.
    #[must_use]
    pub fn signing(&self) -> &SigningKey {
        &self.signing
    }

    /// All keys that verify.
    #[must_use]
    pub fn verifying(&self) -> &[RingKey] {
        &self.verifying
    }

    /// The public halves of all keys that verify, those included that do not sign yet (RFC 7517 5). Secrets
    /// have none.
    #[must_use]
    pub fn key_set(&self) -> serde_json::Value {
        let keys: Vec<_> = self.verifying.iter().filter_map(|held| held.key.jwk()).collect();
        serde_json::json!({ "keys": keys })
    }

    /// Counts the changes of the ring: what was verified under another generation is verified anew.
    #[must_use]
    pub const fn generation(&self) -> u64 {
        self.generation
    }

    /// The algorithm and the key that an encoded header names, if it is, to the letter, the one that our own
    /// tokens have: nearly all have it, and it need not be decoded and read each time.
    pub(super) fn read_own_header(&self, encoded: &[u8]) -> Option<(Algorithm, &str)> {
        (encoded == self.own_header.as_bytes())
            .then(|| (self.signing.algorithm(), self.signing.id().as_str()))
    }

    /// The keys to try for a token: the one that its `kid` names, else every key of its algorithm (the
    /// peers do not look at `kid`, so a foreign one is no reason to refuse).
    pub(super) fn candidates<'r>(
        &'r self,
        algorithm: Algorithm,
        key_id: Option<&str>,
    ) -> impl Iterator<Item = &'r RingKey> {
        let named = key_id.and_then(|id| {
            self.verifying
                .iter()
                .position(|held| held.key.id().as_str() == id && held.key.algorithm() == algorithm)
        });
        self.verifying
            .iter()
            .enumerate()
            .filter(move |(at, held)| match named {
                Some(named) => *at == named,
                None => held.key.algorithm() == algorithm,
            })
            .map(|(_, held)| held)
    }

    /// The key with this id.
    #[must_use]
    pub fn find(&self, id: &KeyId) -> Option<&RingKey> {
        self.verifying.iter().find(|held| held.key.id() == id)
    }
}
