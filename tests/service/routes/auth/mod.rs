//! `/auth`: the layout `harrastuspassi`.

mod sessions;
mod token;
