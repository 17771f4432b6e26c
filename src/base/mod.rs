//! What everything stands on: time, randomness, secrets, digests and encodings. Imports nothing of ours.

pub mod clock;
pub mod digest;
pub mod encode;
pub mod random;
pub mod seal;
pub mod secret;
pub mod time_zone;
