//! Tokens: keys, claims, issuing, verifying. Whoever has read `verify`, `authenticated` and `issue` has
//! read the whole trust argument.
#![cfg_attr(not(test), deny(clippy::indexing_slicing))]

pub mod algorithm;
pub mod allauth_key;
mod django_hmac;
pub mod django_link;
pub mod django_session;
pub mod jwk_set;
pub mod jws;
pub mod jws_header;
pub mod key;
pub mod key_error;
pub mod link;
pub mod provider;
pub mod verification_key;

pub mod authenticated;
pub mod claims;
pub mod client;
pub mod credential;
mod der;
mod ed25519;
pub mod issue;
mod jwk;
mod key_import;
pub mod key_ring;
pub mod opaque;
mod openssh;
mod p256;
mod pem;
pub mod personal;
mod pkcs8;
pub mod refresh;
mod rsa;
pub mod scope;
pub mod session;
pub mod standing;
pub mod terms;
pub mod verify;
