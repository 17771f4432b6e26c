//! `/v3`: the layout `metax`.

mod drf_token_auth;
