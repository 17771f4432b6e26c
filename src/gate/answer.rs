//! The answer to nginx: status and headers, never a body (a body costs nginx the kept-alive connection).

use std::collections::HashMap;
use std::sync::Arc;

use http::header::{RETRY_AFTER, WWW_AUTHENTICATE};
use http::{HeaderName, HeaderValue, Response, StatusCode};

use crate::gate::decide::Verdict;
use crate::gate::link::Mode;
use crate::token::credential::Denial;
use crate::token::verify::{Flaw, Rejection};

/// The account's id.
pub const USER_ID: HeaderName = HeaderName::from_static("x-auth-user-id");
/// The account's name, percent-encoded UTF-8.
pub const USERNAME: HeaderName = HeaderName::from_static("x-auth-username");
/// The scopes of the credential, separated by spaces.
pub const SCOPE: HeaderName = HeaderName::from_static("x-auth-scope");
/// The kind of credential: `bearer`, `token`, `anonymous`.
pub const VIA: HeaderName = HeaderName::from_static("x-auth-via");
/// What the backend is to get as `Authorization`.
pub const UPSTREAM_AUTHORIZATION: HeaderName = HeaderName::from_static("x-upstream-authorization");
/// `strict` or `outage`, where the gate does not hear of changes; else absent.
pub const MODE: HeaderName = HeaderName::from_static("x-auth-mode");
/// The JSON that the client is to see, in ASCII.
pub const ERROR: HeaderName = HeaderName::from_static("x-auth-error");

/// The documents that clients see when they are refused: worded by a dialect, made ready at the start.
#[derive(Debug)]
pub struct Documents {
    /// For each denial, as [`worded`], its document.
    pub denials: HashMap<Denial, HeaderValue>,
    /// `WWW-Authenticate`, the same on all 401 answers.
    pub challenge: HeaderValue,
    /// For 503.
    pub unavailable: HeaderValue,
    /// For 429.
    pub throttled: HeaderValue,
    /// For 400: the question itself is incomplete.
    pub misconfigured: HeaderValue,
}

/// The answer to a verdict that was come to in `mode`. [`Verdict::Ask`] has none of its own: what could
/// not be looked up is unavailable.
pub fn answer<B: Default>(verdict: Verdict, mode: Mode, documents: &Documents) -> Response<B> {
    const ANONYMOUS: HeaderValue = HeaderValue::from_static("anonymous");

    let mut response = Response::new(B::default());
    let headers = response.headers_mut();
    let status = match verdict {
        Verdict::Anonymous => {
            headers.insert(VIA, ANONYMOUS);
            StatusCode::NO_CONTENT
        }
        Verdict::Allow(allowed) => {
            *headers = Arc::unwrap_or_clone(allowed.headers);
            StatusCode::NO_CONTENT
        }
        Verdict::Deny(denial) => {
            if let Some(document) = documents.denials.get(&worded(denial)) {
                headers.insert(ERROR, document.clone());
            }
            if denial.is_unauthenticated() {
                headers.insert(WWW_AUTHENTICATE, documents.challenge.clone());
                StatusCode::UNAUTHORIZED
            } else {
                StatusCode::FORBIDDEN
            }
        }
        Verdict::InsufficientScope(challenge) => {
            if let Some(document) = documents.denials.get(&Denial::Forbidden) {
                headers.insert(ERROR, document.clone());
            }
            headers.insert(WWW_AUTHENTICATE, challenge);
            StatusCode::FORBIDDEN
        }
        Verdict::Throttle(seconds) => return throttled(seconds, documents),
        Verdict::Ask(_) | Verdict::AskAgain(_) | Verdict::Unavailable => {
            headers.insert(RETRY_AFTER, HeaderValue::from_static("1"));
            headers.insert(ERROR, documents.unavailable.clone());
            StatusCode::SERVICE_UNAVAILABLE
        }
    };
    match mode {
        Mode::Live => {}
        Mode::Strict => drop(headers.insert(MODE, HeaderValue::from_static("strict"))),
        Mode::Outage | Mode::Closed => {
            headers.insert(MODE, HeaderValue::from_static("outage"));
        }
    }
    *response.status_mut() = status;
    response
}

/// The denial as clients are told it: what exactly makes a token invalid is not for them.
#[must_use]
pub fn worded(denial: Denial) -> Denial {
    match denial {
        Denial::Bearer(Rejection::Invalid(_)) => {
            Denial::Bearer(Rejection::Invalid(Flaw::Signature))
        }
        other => other,
    }
}

/// The answer to a client that presents too many unknown credentials, or one key too often.
pub fn throttled<B: Default>(retry_after: u64, documents: &Documents) -> Response<B> {
    let mut response = Response::new(B::default());
    *response.status_mut() = StatusCode::TOO_MANY_REQUESTS;
    let headers = response.headers_mut();
    headers.insert(RETRY_AFTER, HeaderValue::from(retry_after));
    headers.insert(ERROR, documents.throttled.clone());
    response
}

/// The answer to a question that lacks what was asked about: the gateway is set up wrongly.
pub fn misconfigured<B: Default>(documents: &Documents) -> Response<B> {
    let mut response = Response::new(B::default());
    *response.status_mut() = StatusCode::BAD_REQUEST;
    response.headers_mut().insert(ERROR, documents.misconfigured.clone());
    response
}
