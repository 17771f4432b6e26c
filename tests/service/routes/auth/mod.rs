//! `/auth`: the layout `harrastuspassi`, and API keys.

pub(crate) mod keys;
mod sessions;
mod token;
