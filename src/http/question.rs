//! What a gateway's question says, and how the answer is handed to it. Each protocol is one table of names:
//! nginx's is that of nginx/ask.conf, Traefik's that of its `ForwardAuth`.
//!
//! Which one is spoken is a setting and never told by what a question holds: a gateway vouches for the
//! headers that it writes itself, and clients may write those of the other protocol.

use bytes::Bytes;
use http::header::{AUTHORIZATION, CONTENT_TYPE};
use http::{HeaderMap, HeaderValue, Response};

use crate::gate::answer::{ERROR, MODE, SCOPE, UPSTREAM_AUTHORIZATION, USER_ID, USERNAME, VIA};
use crate::http::response::Body;

/// How a gateway asks, and what it makes of the answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protocol {
    /// nginx, and Caddy as `deploy/caddy` has it: `X-Original-…` and `X-Real-IP`. What clients are told is
    /// put together by the gateway, out of headers; a body would only cost it the connection.
    AuthRequest,
    /// Traefik: `X-Forwarded-…`. It hands the backend headers under the names that they have in the answer,
    /// and clients a refusal as it is, with all headers and the body.
    ForwardAuth,
}

impl Protocol {
    /// The names of all.
    pub const NAMES: &[&str] = &["auth_request", "forward_auth"];

    /// The protocol of that name.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        match name {
            "auth_request" => Some(Self::AuthRequest),
            "forward_auth" => Some(Self::ForwardAuth),
            _ => None,
        }
    }

    /// The headers without which there is no question: method and target.
    #[must_use]
    pub const fn needed(self) -> (&'static str, &'static str) {
        match self {
            Self::AuthRequest => ("X-Original-Method", "X-Original-URI"),
            Self::ForwardAuth => ("X-Forwarded-Method", "X-Forwarded-Uri"),
        }
    }

    /// The gate's answer as the gateway takes it.
    #[must_use]
    pub fn hand_over(self, response: Response<Body>) -> Response<Body> {
        match self {
            Self::AuthRequest => response,
            Self::ForwardAuth => in_full(response),
        }
    }
}

/// The document of a refusal as its body, the token for the backend as `Authorization`, and nothing that
/// is not for clients.
fn in_full(response: Response<Body>) -> Response<Body> {
    let (mut head, mut body) = response.into_parts();
    for name in [USER_ID, USERNAME, SCOPE, VIA, MODE] {
        head.headers.remove(name);
    }
    if let Some(authorization) = head.headers.remove(UPSTREAM_AUTHORIZATION) {
        head.headers.insert(AUTHORIZATION, authorization);
    }
    if let Some(document) = head.headers.remove(ERROR) {
        head.headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        body = Body::new(Bytes::copy_from_slice(document.as_bytes()));
    }
    Response::from_parts(head, body)
}

/// The headers of a question, as they came; of several with one name the first.
#[derive(Clone, Copy, Debug, Default)]
pub struct Sent<'h> {
    /// The method of the client's request.
    pub method: Option<&'h [u8]>,
    /// Its raw request target.
    pub uri: Option<&'h [u8]>,
    /// The host that it was sent to, as the gateway chose its server by.
    pub original_host: Option<&'h [u8]>,
    /// The host that the client wrote, where that may be another one.
    pub host: Option<&'h [u8]>,
    /// Its credential.
    pub authorization: Option<&'h [u8]>,
    /// The page that a browser asks for, in CORS.
    pub origin: Option<&'h [u8]>,
    /// The method that a preflight announces.
    pub announced_method: Option<&'h [u8]>,
    /// Where the client is.
    pub address: Option<&'h [u8]>,
    content_length: Option<&'h [u8]>,
    transfer_encoding: Option<&'h [u8]>,
}

impl<'h> Sent<'h> {
    /// Reads the headers of a question in one pass over all of them, since it is done for every request.
    #[must_use]
    pub fn read(protocol: Protocol, headers: &'h HeaderMap) -> Self {
        match protocol {
            Protocol::AuthRequest => Self::sorted(headers, Self::in_auth_request),
            Protocol::ForwardAuth => Self::sorted(headers, Self::in_forward_auth),
        }
    }

    fn sorted(
        headers: &'h HeaderMap,
        place: impl for<'s> Fn(&'s mut Self, &str) -> Option<&'s mut Option<&'h [u8]>>,
    ) -> Self {
        let mut sent = Self::default();
        for (name, value) in headers {
            if let Some(place) = place(&mut sent, name.as_str()) {
                place.get_or_insert(value.as_bytes());
            }
        }
        sent
    }

    fn in_auth_request(&mut self, name: &str) -> Option<&mut Option<&'h [u8]>> {
        Some(match name {
            "x-original-method" => &mut self.method,
            "x-original-uri" => &mut self.uri,
            "x-original-host" => &mut self.original_host,
            "host" => &mut self.host,
            "x-real-ip" => &mut self.address,
            _ => return self.in_any(name),
        })
    }

    /// `Host` is avain's own here: Traefik asks it as a site of its own.
    fn in_forward_auth(&mut self, name: &str) -> Option<&mut Option<&'h [u8]>> {
        Some(match name {
            "x-forwarded-method" => &mut self.method,
            "x-forwarded-uri" => &mut self.uri,
            "x-forwarded-host" => &mut self.original_host,
            "x-forwarded-for" => {
                // Of several lines the last: what stands before it the client may have written.
                self.address = None;
                &mut self.address
            }
            _ => return self.in_any(name),
        })
    }

    fn in_any(&mut self, name: &str) -> Option<&mut Option<&'h [u8]>> {
        Some(match name {
            "authorization" => &mut self.authorization,
            "origin" => &mut self.origin,
            "access-control-request-method" => &mut self.announced_method,
            "content-length" => &mut self.content_length,
            "transfer-encoding" => &mut self.transfer_encoding,
            _ => return None,
        })
    }

    /// Whether a body is to follow. The gate reads none.
    #[must_use]
    pub fn announces_a_body(&self) -> bool {
        self.transfer_encoding.is_some() || self.content_length.is_some_and(|length| length != b"0")
    }
}
