//! What everything stands on: time, randomness, secrets, digests, encodings and path patterns. Imports nothing of ours.

pub mod clock;
pub mod digest;
pub mod encode;
pub mod fingerprint;
pub mod pattern;
pub mod random;
pub mod seal;
pub mod secret;
pub mod time_zone;
