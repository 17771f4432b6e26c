//! `/auth`: the layout `harrastuspassi`.

mod token;
