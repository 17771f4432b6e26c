//! The only place that draws random numbers. Everything else is handed a [`Random`].

use std::sync::Mutex;

use ring::digest::{SHA256, digest};
use ring::rand::{SecureRandom, SystemRandom as RingRandom};

/// A source of random bytes. (ring's own trait is sealed, so tests could not seed it.)
pub trait Random: Send + Sync + 'static {
    /// Fills `bytes` with random bytes.
    fn fill(&self, bytes: &mut [u8]);
}

/// `N` random bytes.
pub fn bytes<const N: usize>(random: &dyn Random) -> [u8; N] {
    let mut bytes = [0; N];
    random.fill(&mut bytes);
    bytes
}

/// The operating system's random numbers.
#[derive(Debug)]
pub struct SystemRandom(RingRandom);

impl SystemRandom {
    /// Opens the operating system's source.
    #[expect(clippy::disallowed_methods, reason = "this is the source of randomness")]
    #[must_use]
    pub fn new() -> Self {
        Self(RingRandom::new())
    }
}

impl Default for SystemRandom {
    fn default() -> Self {
        Self::new()
    }
}

impl Random for SystemRandom {
    fn fill(&self, bytes: &mut [u8]) {
        // Going on without randomness would issue guessable tokens; nothing sensible is left to do.
        self.0.fill(bytes).expect("the operating system provides random numbers");
    }
}

/// ring's own source, for what ring insists on drawing itself: P-256 keys and the nonces of ECDSA.
/// Its trait is sealed, so none of ours can stand in for it.
#[expect(clippy::disallowed_methods, reason = "this is the source of randomness")]
#[must_use]
pub fn for_ring() -> RingRandom {
    RingRandom::new()
}

/// The same bytes for the same seed, for tests. Never for tokens of a running service.
#[derive(Debug)]
pub struct SeededRandom {
    seed: u64,
    drawn: Mutex<u64>,
}

impl SeededRandom {
    /// A source that starts over from `seed`.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Self { seed, drawn: Mutex::new(0) }
    }
}

impl Random for SeededRandom {
    fn fill(&self, bytes: &mut [u8]) {
        let mut drawn = self.drawn.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        for chunk in bytes.chunks_mut(32) {
            *drawn += 1;
            let mut block = self.seed.to_be_bytes().to_vec();
            block.extend_from_slice(&drawn.to_be_bytes());
            let block = digest(&SHA256, &block);
            for (to, from) in chunk.iter_mut().zip(block.as_ref()) {
                *to = *from;
            }
        }
    }
}
