//! Who asks, as far as that can be believed.

use std::net::IpAddr;

use http::header::USER_AGENT;
use http::{HeaderMap, HeaderName, HeaderValue};

use crate::flow::Caller;
use crate::gate::decide::ClientAddress;
use crate::http::question::Protocol;
use crate::http::{Peer, Service};

static FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
static FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");
static REAL_IP: HeaderName = HeaderName::from_static("x-real-ip");

/// What flows are told about the client. Who is signed in is found out later.
#[must_use]
pub fn caller(
    service: &Service,
    headers: &HeaderMap,
    peer: Peer,
    layout: &'static str,
    request_id: &str,
) -> Caller {
    Caller {
        address: address(service, headers, peer).map(|address| address.to_canonical()),
        user_agent: user_agent(headers),
        request_id: Some(request_id.to_owned()),
        layout: Some(layout),
        actor: None,
    }
}

/// Whether the client's request came by https, as a trusted peer tells it in `X-Forwarded-Proto`.
#[must_use]
pub fn is_https(service: &Service, headers: &HeaderMap, peer: Peer) -> bool {
    let told = headers.get(&FORWARDED_PROTO).map(http::HeaderValue::as_bytes);
    service.trusts(peer) && told.is_some_and(|scheme| scheme.eq_ignore_ascii_case(b"https"))
}

/// Characters of a user agent at most; browsers' have fewer.
const LONGEST_USER_AGENT: usize = 300;

/// What the client's program says it is: printable, and not longer than is worth keeping.
fn user_agent(headers: &HeaderMap) -> Option<String> {
    let told = String::from_utf8_lossy(headers.get(USER_AGENT)?.as_bytes());
    let plain = told.chars().filter(|c| !c.is_control()).take(LONGEST_USER_AGENT);
    Some(plain.collect::<String>()).filter(|told| !told.is_empty())
}

/// The client's address, as a trusted peer tells it: in `X-Real-IP`, or behind Traefik, which leaves that to
/// a load balancer before it, in `X-Forwarded-For`. The other header, and what anybody else says, is not
/// looked at.
#[must_use]
pub fn address(service: &Service, headers: &HeaderMap, peer: Peer) -> Option<IpAddr> {
    match service.protocol {
        Protocol::AuthRequest => {
            let told = headers.get(&REAL_IP).map(HeaderValue::as_bytes);
            address_told(service, told, peer).get()
        }
        Protocol::ForwardAuth => {
            let told = headers.get_all(&FORWARDED_FOR).iter().next_back();
            address_forwarded(service, told.map(HeaderValue::as_bytes), peer)
        }
    }
}

/// The client's address, where `told` is what stands in `X-Real-IP`.
#[must_use]
pub fn address_told<'h>(
    service: &Service,
    told: Option<&'h [u8]>,
    peer: Peer,
) -> ClientAddress<'h> {
    match peer {
        Peer::Local => ClientAddress { told, otherwise: None },
        Peer::Address(address) if service.trusts(peer) => {
            ClientAddress { told, otherwise: Some(address) }
        }
        Peer::Address(address) => ClientAddress { told: None, otherwise: Some(address) },
    }
}

/// The client's address, where `told` is a list to which every proxy has added whom it heard
/// (`X-Forwarded-For`): from the right, the first that is no trusted proxy, and the last where all are.
#[must_use]
pub fn address_forwarded(service: &Service, told: Option<&[u8]>, peer: Peer) -> Option<IpAddr> {
    let mut address = match peer {
        Peer::Local => None,
        Peer::Address(address) => Some(address),
    };
    let mut is_proxy = service.trusts(peer);
    for entry in std::str::from_utf8(told.unwrap_or_default()).unwrap_or_default().rsplit(',') {
        let Ok(before) = entry.trim().parse() else { break };
        if !is_proxy {
            break;
        }
        address = Some(before);
        is_proxy = service.trusts(Peer::Address(before));
    }
    address
}
