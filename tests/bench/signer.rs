//! Tokens that nobody has seen, made out of one that is good.

use std::cell::Cell;

use avain::base::encode::{base64url, unbase64url_vec};
use ring::hmac;

/// Signs the claims of a token anew, each time with another `jti`.
pub(crate) struct Signer {
    key: hmac::Key,
    header: String,
    payload: String,
    /// Where the digits of `jti` begin in it.
    token_id: usize,
    count: Cell<u64>,
}

impl Signer {
    /// For a token that was signed with this HS256 secret. `None`: it is no token with a `jti`.
    pub(crate) fn new(token: &str, secret: &str) -> Option<Self> {
        let mut parts = token.split('.');
        let header = parts.next()?.to_owned();
        let payload = String::from_utf8(unbase64url_vec(parts.next()?.as_bytes())?).ok()?;
        let token_id = payload.find("\"jti\":\"")? + "\"jti\":\"".len();
        let key = hmac::Key::new(hmac::HMAC_SHA256, secret.as_bytes());
        // Runs of one server must not repeat each other's.
        let count = Cell::new(u64::from(std::process::id()) << 32);
        Some(Self { key, header, payload, token_id, count })
    }

    /// The next one.
    pub(crate) fn next(&self) -> String {
        let count = self.count.get();
        self.count.set(count + 1);
        let mut payload = self.payload.clone();
        payload.replace_range(self.token_id..self.token_id + 32, &format!("{count:032x}"));
        let message = format!("{}.{}", self.header, base64url(payload.as_bytes()));
        let signature = hmac::sign(&self.key, message.as_bytes());
        format!("{message}.{}", base64url(signature.as_ref()))
    }
}
