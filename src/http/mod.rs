//! HTTP: from a request to a flow or the gate, and back. Holds no rule and no SQL.

pub mod caller;
pub mod dispatch;
pub mod handlers;
pub mod operations;
pub mod pages;
pub mod question;
pub mod request;
pub mod response;
pub mod router;
pub mod routes;

use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use crate::flow;
use crate::gate::decide::Gate;
use crate::http::handlers::gate::LookUps;
use crate::http::pages::PageSite;
use crate::http::question::Protocol;
use crate::http::router::Router;
use crate::metrics::Metrics;
use crate::page::cookie::CookieNames;

/// How much a client may ask for.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Bytes of a body.
    pub body: usize,
    /// Time for a body to arrive.
    pub body_timeout: Duration,
    /// Time for an answer.
    pub request_timeout: Duration,
    /// Requests in work.
    pub in_flight: usize,
}

/// The service behind the listeners.
pub struct Service {
    /// What flows need.
    pub context: Arc<flow::Context>,
    /// The gate.
    pub gate: Arc<Gate>,
    /// What the gate looks up, once at a time.
    pub look_ups: LookUps,
    /// Where the gate is asked: there by the default policy, below it by the one that is named.
    pub gate_path: String,
    /// How it is asked.
    pub protocol: Protocol,
    /// The pages for people; `None`: not served.
    pub pages: Option<Arc<PageSite>>,
    /// What the cookies of browser sessions are called.
    pub cookies: CookieNames,
    /// Which path is which endpoint or page.
    pub router: Router,
    /// How much a client may ask for.
    pub limits: Limits,
    /// What is counted.
    pub metrics: Metrics,
    /// Peers that may tell a request's id and its client's address.
    pub trusted_proxies: Vec<ipnet::IpNet>,
    /// Whether the service stops: answers then end their connections.
    pub draining: AtomicBool,
}

/// Who is at the other end of a connection.
#[derive(Clone, Copy, Debug)]
pub enum Peer {
    /// An address.
    Address(std::net::IpAddr),
    /// A process on this machine, through a socket that its file mode protects.
    Local,
}
