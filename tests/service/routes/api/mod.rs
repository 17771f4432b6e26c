//! `/api/token`: the layout `simplejwt`.

mod token;
