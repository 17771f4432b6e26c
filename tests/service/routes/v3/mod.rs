//! `/v3`: the layout `metax`.

mod auth_tokens;
mod drf_token_auth;
