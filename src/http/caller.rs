//! Who asks, as far as that can be believed.

use std::net::IpAddr;

use http::{HeaderMap, HeaderName};

use crate::flow::Caller;
use crate::http::{Peer, Service};

static REAL_IP: HeaderName = HeaderName::from_static("x-real-ip");

/// What flows are told about the client.
#[must_use]
pub fn caller(service: &Service, headers: &HeaderMap, peer: Peer) -> Caller {
    Caller { address: address(service, headers, peer) }
}

/// The client's address, as a trusted peer tells it in `X-Real-IP`. What anybody else says there, and
/// `X-Forwarded-For` from whomever, is not looked at.
#[must_use]
pub fn address(service: &Service, headers: &HeaderMap, peer: Peer) -> Option<IpAddr> {
    let told = || headers.get(&REAL_IP)?.to_str().ok()?.trim().parse().ok();
    match peer {
        Peer::Local => told(),
        Peer::Address(address) if service.trusts(peer) => told().or(Some(address)),
        Peer::Address(address) => Some(address),
    }
}
