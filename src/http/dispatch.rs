//! From a request to its endpoint, and from what came of it to an answer.

use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use bytes::Bytes;
use http::header::{AUTHORIZATION, CONNECTION};
use http::request::Parts;
use http::{HeaderValue, Method, Request, Response, StatusCode};
use hyper::body::Body as HttpBody;
use serde_json::json;
use tokio::time::Instant;

use crate::base::encode::hex;
use crate::base::random;
use crate::dialect::{Answer, Endpoint, drf};
use crate::flow::{Error, Fault, Refusal, authenticate};
use crate::http::handlers::{gate, token};
use crate::http::response::{self, Body, REQUEST_ID};
use crate::http::router::Route;
use crate::http::routes::Methods;
use crate::http::{Peer, Service, request};
use crate::store::StoreError;

/// Answers a request on the public listener.
pub async fn handle<B>(
    service: &Arc<Service>,
    request: Request<B>,
    peer: Peer,
) -> Result<Response<Body>, Infallible>
where
    B: HttpBody<Data = Bytes> + Send + 'static,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    let mut response = if request.uri().path() == service.gate_path {
        gate::ask(service, request.headers(), peer).await
    } else {
        let (parts, body) = request.into_parts();
        Box::pin(answer(service, parts, body, peer)).await
    };
    if service.draining.load(Ordering::Relaxed) {
        response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
    }
    Ok(response)
}

async fn answer<B>(service: &Arc<Service>, parts: Parts, body: B, peer: Peer) -> Response<Body>
where
    B: HttpBody<Data = Bytes> + Send + 'static,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    let started = Instant::now();
    let request_id = request_id(service, &parts, peer);
    let method = parts.method.clone();
    let route = service.router.find(parts.uri.path()).cloned();
    let name = route.as_ref().map_or("none", |route| route.endpoint.name());

    let _in_flight = InFlight::enter(service);
    let busy = service.metrics.in_flight.get()
        > i64::try_from(service.limits.in_flight).unwrap_or(i64::MAX);
    let mut response = match &route {
        None => response::not_found(),
        Some(_) if busy => response::fault(StatusCode::SERVICE_UNAVAILABLE, &request_id),
        Some(route) => serve(service, route, parts, body, &request_id).await,
    };
    if let Ok(request_id) = HeaderValue::from_str(&request_id) {
        response.headers_mut().insert(REQUEST_ID, request_id);
    }
    if response.status() == StatusCode::PAYLOAD_TOO_LARGE {
        // The rest of the body is not read.
        response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
    }

    let elapsed = started.elapsed();
    let status = response.status();
    service.metrics.requests.with_label_values(&[name, status.as_str()]).inc();
    service.metrics.request_seconds.with_label_values(&[name]).observe(elapsed.as_secs_f64());
    tracing::info!(
        method = %shown(&method),
        endpoint = name,
        status = status.as_u16(),
        millis = u64::try_from(elapsed.as_millis()).unwrap_or(u64::MAX),
        %request_id,
        "answered"
    );
    response
}

/// Counts a request for as long as it is in work.
struct InFlight<'s>(&'s Service);

impl<'s> InFlight<'s> {
    fn enter(service: &'s Service) -> Self {
        service.metrics.in_flight.inc();
        Self(service)
    }
}

impl Drop for InFlight<'_> {
    fn drop(&mut self) {
        self.0.metrics.in_flight.dec();
    }
}

async fn serve<B>(
    service: &Arc<Service>,
    route: &Route,
    parts: Parts,
    body: B,
    request_id: &str,
) -> Response<Body>
where
    B: HttpBody<Data = Bytes> + Send + 'static,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    let words = route.dialect.words();
    if let Err(answer) = request::negotiate(words, &parts) {
        return response::render(&answer, route);
    }
    // The body is read here, bounded in size and time; what follows runs in a task of its own, so that a
    // change that is under way survives a client that hangs up.
    let body = match &parts.method {
        &Method::POST => request::read_body(&parts, body, &service.limits).await,
        _ => Ok(Bytes::new()),
    };
    let body = match body {
        Ok(body) => body,
        Err(answer) => return response::render(&answer, route),
    };
    let task = {
        let (service, route) = (Arc::clone(service), route.clone());
        tokio::spawn(async move { run(&service, &route, &parts, &body).await })
    };
    match tokio::time::timeout(service.limits.request_timeout, task).await {
        Ok(Ok(Ok(answer))) => response::render(&answer, route),
        Ok(Ok(Err(Error::Refused(refusal)))) => {
            count_refusal(service, route, &refusal);
            response::render(&route.dialect.refuse(route.endpoint, &refusal), route)
        }
        Ok(Ok(Err(Error::Fault(fault)))) => {
            service.metrics.faults.with_label_values(&[route.endpoint.name()]).inc();
            tracing::error!(endpoint = route.endpoint.name(), %request_id, %fault, "fault");
            let status = match fault {
                Fault::Store(StoreError::Unavailable(_) | StoreError::Retry(_)) => {
                    StatusCode::SERVICE_UNAVAILABLE
                }
                Fault::Store(_) | Fault::Signing(_) | Fault::Broken(_) => {
                    StatusCode::INTERNAL_SERVER_ERROR
                }
            };
            response::fault(status, request_id)
        }
        Ok(Err(panicked)) => {
            service.metrics.faults.with_label_values(&[route.endpoint.name()]).inc();
            tracing::error!(endpoint = route.endpoint.name(), %request_id, %panicked, "panic");
            response::fault(StatusCode::INTERNAL_SERVER_ERROR, request_id)
        }
        Err(_) => {
            tracing::error!(endpoint = route.endpoint.name(), %request_id, "took too long");
            response::fault(StatusCode::SERVICE_UNAVAILABLE, request_id)
        }
    }
}

async fn run(
    service: &Service,
    route: &Route,
    parts: &Parts,
    body: &Bytes,
) -> Result<Answer, Error> {
    let words = route.dialect.words();
    if route.dialect.judges_authorization() {
        let header = parts.headers.get(AUTHORIZATION).map(HeaderValue::as_bytes);
        authenticate::judge_authorization(&service.context, &service.schemes, header).await?;
    }
    match parts.method {
        Method::OPTIONS => Ok(describe(route)),
        Method::POST => {
            let submission = match request::submission(words, parts, body).await {
                Ok(submission) => submission,
                Err(answer) => return Ok(answer),
            };
            token::post(service, route, &submission).await
        }
        Method::GET | Method::HEAD if route.methods == Methods::GetPost => match route.endpoint {
            Endpoint::ObtainPair => token::obtain_pair_by_session(),
            Endpoint::RefreshPair
            | Endpoint::VerifyToken
            | Endpoint::BlacklistToken
            | Endpoint::ObtainKey => Ok(drf::method_not_allowed(words, "GET")),
        },
        _ => Ok(drf::method_not_allowed(words, parts.method.as_str())),
    }
}

/// The answer to OPTIONS (`rest_framework.metadata.SimpleMetadata`): what is rendered and parsed.
fn describe(route: &Route) -> Answer {
    Answer::json(
        StatusCode::OK,
        json!({
            "name": route.endpoint.name(),
            "description": "",
            "renders": ["application/json"],
            "parses": [
                "application/json",
                "application/x-www-form-urlencoded",
                "multipart/form-data",
            ],
        }),
    )
}

fn count_refusal(service: &Service, route: &Route, refusal: &Refusal) {
    let reason = match refusal {
        Refusal::WrongCredentials => "wrong_credentials",
        Refusal::Token(_) => "token",
        Refusal::OwnerInactive => "owner_inactive",
        Refusal::Denied(_) => "authorization",
        Refusal::Busy { .. } => "busy",
    };
    service.metrics.refusals.with_label_values(&[route.endpoint.name(), reason]).inc();
}

/// The id that a trusted peer gives the request, else a new one.
fn request_id(service: &Service, parts: &Parts, peer: Peer) -> String {
    let told = parts.headers.get(&REQUEST_ID).and_then(|id| id.to_str().ok()).filter(|id| {
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
        (1..=64).contains(&id.len()) && id.bytes().all(plain)
    });
    match told {
        Some(id) if service.trusts(peer) => id.to_owned(),
        _ => hex(&random::bytes::<16>(service.context.random.as_ref())),
    }
}

/// A method for a log line: invented ones may be long and odd.
fn shown(method: &Method) -> &str {
    match method.as_str() {
        known @ ("GET" | "HEAD" | "POST" | "PUT" | "PATCH" | "DELETE" | "OPTIONS") => known,
        _ => "other",
    }
}

impl Service {
    /// Whether a peer may tell a request's id and its client's address.
    #[must_use]
    pub fn trusts(&self, peer: Peer) -> bool {
        match peer {
            Peer::Local => true,
            Peer::Address(address) => {
                self.trusted_proxies.iter().any(|network| network.contains(&address.to_canonical()))
            }
        }
    }

    /// How long a stop may take before connections are cut.
    #[must_use]
    pub const fn request_timeout(&self) -> Duration {
        self.limits.request_timeout
    }
}
