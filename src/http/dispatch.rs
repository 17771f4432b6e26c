//! From a request to its endpoint, and from what came of it to an answer.

use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use bytes::Bytes;
use futures_util::future::{BoxFuture, Either, Ready, ready};
use http::header::{AUTHORIZATION, CONNECTION, HOST, ORIGIN};
use http::request::Parts;
use http::{HeaderValue, Method, Request, Response, StatusCode, Uri};
use hyper::body::Body as HttpBody;
use serde_json::json;
use tokio::time::Instant;

use crate::base::encode::hex;
use crate::base::{random, secret};
use crate::dialect::dj_rest_auth::Mode;
use crate::dialect::form::Submission;
use crate::dialect::{Answer, Endpoint, drf};
use crate::flow::authenticate::{self, Presentation, SignedIn};
use crate::flow::{Caller, Error, Fault, Refusal};
use crate::http::handlers::{
    self, Ask, Stop, dj_rest_auth, djoser, families, gate, oauth, personal_keys, token,
};
use crate::http::response::{self, Body, REQUEST_ID};
use crate::http::router::{Found, Manner, Route};
use crate::http::routes::Access;
use crate::http::{Peer, Service, caller, pages, request};
use crate::store::StoreError;
use crate::token::credential::Denial;

/// An answer: there already, or in work.
pub type Answering<'s> = Either<Ready<Answered>, BoxFuture<'s, Answered>>;
type Answered = Result<Response<Body>, Infallible>;

/// Answers a request on the public listener.
pub fn handle<B>(service: &Arc<Service>, request: Request<B>, peer: Peer) -> Answering<'_>
where
    B: HttpBody<Data = Bytes> + Send + 'static,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    let Some(policy) = policy(service, request.uri()) else {
        return Either::Right(Box::pin(async move {
            let (parts, body) = request.into_parts();
            Ok(draining(service, answer(service, parts, body, peer).await))
        }));
    };
    match gate::answer_at_once(service, policy, request.headers(), peer) {
        Ok(response) => Either::Left(ready(Ok(draining(service, response)))),
        Err(unknown) => {
            let policy = policy.to_owned();
            Either::Right(Box::pin(async move {
                let headers = request.headers();
                let response = gate::look_up(service, &policy, headers, peer, unknown).await;
                Ok(draining(service, response))
            }))
        }
    }
}

/// The policy by which the gate is asked; `None` where something else is.
fn policy<'u>(service: &Service, uri: &'u Uri) -> Option<&'u str> {
    uri.path().strip_prefix(service.gate_path.as_str()).and_then(policy_name)
}

/// While the service stops, connections end with what they were asked last.
fn draining(service: &Service, mut response: Response<Body>) -> Response<Body> {
    if service.draining.load(Ordering::Relaxed) {
        response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
    }
    response
}

/// The policy that a path names behind the gate's own; behind nothing, the empty name of the default one.
/// `None` where the path is another one.
fn policy_name(below: &str) -> Option<&str> {
    if below.is_empty() {
        return Some(below);
    }
    below.strip_prefix('/').filter(|name| !name.is_empty())
}

async fn answer<B>(service: &Arc<Service>, parts: Parts, body: B, peer: Peer) -> Response<Body>
where
    B: HttpBody<Data = Bytes> + Send + 'static,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    let started = Instant::now();
    let request_id = request_id(service, &parts, peer);
    let method = parts.method.clone();
    let found = service.router.find(parts.uri.path());
    let name = match &found {
        None => "none",
        Some(Found::Endpoint(route, _)) => route.endpoint.name(),
        Some(Found::Page(route, _)) => route.page.name(),
    };

    let _in_flight = InFlight::enter(service);
    let busy = service.metrics.in_flight.get()
        > i64::try_from(service.limits.in_flight).unwrap_or(i64::MAX);
    let by_https = caller::is_https(service, &parts.headers, peer);
    let layout = match &found {
        Some(Found::Endpoint(route, _)) => route.rules.name,
        Some(Found::Page(..)) | None => "pages",
    };
    let caller = caller::caller(service, &parts.headers, peer, layout, &request_id);
    let mut response = match (found, &service.pages) {
        (Some(found), _) if busy => {
            let dialect = match &found {
                Found::Endpoint(route, _) => Some(route.dialect.as_ref()),
                Found::Page(..) => None,
            };
            response::fault(StatusCode::SERVICE_UNAVAILABLE, &request_id, dialect)
        }
        (Some(Found::Endpoint(route, id)), _) => {
            let asked = Asked { parts, id, caller };
            serve(service, &route, asked, body, &request_id).await
        }
        (Some(Found::Page(route, places)), Some(site)) => {
            pages::serve(service, site, (route, places), (parts, body), caller, &request_id).await
        }
        (_, site) => site
            .as_ref()
            .and_then(|site| pages::not_found(site, &parts))
            .unwrap_or_else(response::not_found),
    };
    if by_https {
        response::secure_cookies(&mut response);
    }
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

/// A request as far as it is read.
struct Asked {
    parts: Parts,
    id: Option<String>,
    caller: Caller,
}

async fn serve<B>(
    service: &Arc<Service>,
    route: &Route,
    asked: Asked,
    body: B,
    request_id: &str,
) -> Response<Body>
where
    B: HttpBody<Data = Bytes> + Send + 'static,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    let words = route.dialect.words();
    // OAuth clients name media types of their own, and get JSON whatever they name.
    let negotiates = !matches!(route.manner, Manner::OAuth(_));
    if negotiates && let Err(answer) = request::negotiate(words, &asked.parts) {
        return response::render(&answer, route);
    }
    // The body is read here, bounded in size and time; what follows runs in a task of its own, so that a
    // change that is under way survives a client that hangs up.
    let body = match asked.parts.method {
        Method::POST | Method::PUT | Method::PATCH | Method::DELETE => {
            request::read_body(&asked.parts, body, &service.limits).await
        }
        _ => Ok(Bytes::new()),
    };
    let body = match body {
        Ok(body) => body,
        Err(answer) => return response::render(&route.dialect.around(answer), route),
    };
    let dialect = Some(route.dialect.as_ref());
    let task = {
        let (service, route) = (Arc::clone(service), route.clone());
        tokio::spawn(async move { run(&service, &route, &asked, &body).await })
    };
    match tokio::time::timeout(service.limits.request_timeout, task).await {
        Ok(Ok(Ok(answer) | Err(Stop::Lacks(answer)))) => response::render(&answer, route),
        Ok(Ok(Err(Stop::Failed(Error::Refused(refusal))))) => {
            count_refusal(service, route.endpoint.name(), &refusal);
            response::render(&route.dialect.refuse(route.endpoint, &refusal), route)
        }
        Ok(Ok(Err(Stop::Failed(Error::Fault(fault))))) => {
            service.metrics.faults.with_label_values(&[route.endpoint.name()]).inc();
            tracing::error!(endpoint = route.endpoint.name(), %request_id, %fault, "fault");
            response::fault(status_of(&fault), request_id, dialect)
        }
        Ok(Err(panicked)) => {
            service.metrics.faults.with_label_values(&[route.endpoint.name()]).inc();
            tracing::error!(endpoint = route.endpoint.name(), %request_id, %panicked, "panic");
            response::fault(StatusCode::INTERNAL_SERVER_ERROR, request_id, dialect)
        }
        Err(_) => {
            tracing::error!(endpoint = route.endpoint.name(), %request_id, "took too long");
            response::fault(StatusCode::SERVICE_UNAVAILABLE, request_id, dialect)
        }
    }
}

async fn run(
    service: &Service,
    route: &Route,
    asked: &Asked,
    body: &Bytes,
) -> Result<Answer, Stop> {
    let words = route.dialect.words();
    let parts = &asked.parts;
    let method = &parts.method;
    let needs_caller = match route.access {
        Access::Ignored | Access::Open => false,
        Access::OpenPost => method != Method::POST,
        Access::SignedIn => true,
    };
    let caller = match route.access {
        Access::Ignored => None,
        Access::Open | Access::OpenPost | Access::SignedIn => {
            authenticate(service, route, asked).await?
        }
    };
    let (caller, key) = caller.map_or((None, None), |signed| (Some(signed.account), signed.key));
    if let Some(key) = key {
        let usage = service.gate.memory.usages.of(key.id);
        let counted = usage.count(key.rate, service.context.now());
        counted.map_err(|retry_after| Refusal::TooMany { retry_after })?;
    }
    // Who it is comes before what is asked: the order of Django REST framework's views.
    if needs_caller && caller.is_none() {
        return Err(Refusal::Denied(Denial::NoCredentials).into());
    }
    if method == Method::OPTIONS {
        return Ok(describe(route));
    }
    if !route.methods.include(method) {
        return Ok(route.dialect.around(drf::method_not_allowed(words, method.as_str())));
    }
    if let Manner::OAuth(dialect) = &route.manner {
        let asked = oauth::Asked { headers: &parts.headers, body, client: &asked.caller };
        return oauth::answer(&service.context, route, dialect, &asked).await;
    }
    let submission = if route.manner.reads_body(route.endpoint) {
        request::submission(words, parts, body).await?
    } else {
        Submission::default()
    };
    let actor = caller.as_ref().map(|account| account.id);
    let ask = Ask {
        endpoint: route.endpoint,
        method,
        id: asked.id.as_deref(),
        caller,
        key,
        client: Caller { actor, ..asked.caller.clone() },
        headers: &parts.headers,
    };
    let context = &service.context;
    if matches!(route.endpoint, Endpoint::Families | Endpoint::FamilyById) {
        return families::answer(context, route, &ask).await;
    }
    match &route.manner {
        Manner::Djoser(djoser) if route.access != Access::Ignored => {
            djoser::answer(context, djoser, &ask, &submission).await
        }
        Manner::DjRestAuth(dialect) => {
            dj_rest_auth::answer(context, &route.rules, dialect, &ask, &submission).await
        }
        Manner::Native(dialect) => personal_keys::answer(context, dialect, &ask, &submission).await,
        Manner::Tokens | Manner::Djoser(_) | Manner::OAuth(_) => {
            token::answer(service, route, &ask, &submission).await
        }
    }
}

/// Who is signed in, by `Authorization`, or by a cookie where the layout reads one.
async fn authenticate(
    service: &Service,
    route: &Route,
    asked: &Asked,
) -> Result<Option<SignedIn>, Stop> {
    let parts = &asked.parts;
    let presentation = Presentation {
        address: asked.caller.address,
        method: parts.method.as_str(),
        path: parts.uri.path(),
    };
    let header = parts.headers.get(AUTHORIZATION).map(HeaderValue::as_bytes);
    let caller =
        authenticate::caller(&service.context, &route.schemes, header, &presentation).await?;
    if caller.is_some()
        || header.is_some()
        || !matches!(&route.manner, Manner::DjRestAuth(dialect) if dialect.mode == Mode::Cookie)
    {
        return Ok(caller);
    }
    let Some(token) = handlers::cookie(&parts.headers, "access-token") else { return Ok(None) };
    // A cookie comes along by itself: whoever changes something must show that the page is ours.
    let safe = matches!(parts.method, Method::GET | Method::HEAD | Method::OPTIONS);
    if !safe && let Some(refusal) = csrf_refusal(&parts.headers) {
        let detail = format!("CSRF Failed: {refusal}");
        return Err(Answer::detail(StatusCode::FORBIDDEN, &detail).into());
    }
    let header = format!("{} {token}", route.schemes.bearer_prefix);
    let (context, header) = (&service.context, Some(header.as_bytes()));
    Ok(authenticate::caller(context, &route.schemes, header, &presentation).await?)
}

/// How long Django's CSRF secrets are, bare and masked.
const SECRET_LENGTH: usize = 32;
const MASKED_LENGTH: usize = 64;

/// Why a request that a cookie speaks for is refused; `None` where cookie and header agree.
fn csrf_refusal(headers: &http::HeaderMap) -> Option<String> {
    if let Some(origin) = headers.get(ORIGIN).and_then(|origin| origin.to_str().ok()) {
        let asked = headers.get(HOST).and_then(|host| host.to_str().ok());
        if origin.split_once("://").map(|(_, host)| host) != asked {
            return Some(format!(
                "Origin checking failed - {origin} does not match any trusted origins."
            ));
        }
    }
    csrf_token_refusal(headers).map(str::to_owned)
}

fn csrf_token_refusal(headers: &http::HeaderMap) -> Option<&'static str> {
    let has_length = |value: &[u8]| matches!(value.len(), SECRET_LENGTH | MASKED_LENGTH);
    let Some(cookie) = handlers::cookie(headers, "csrftoken") else {
        return Some("CSRF cookie not set.");
    };
    if !has_length(cookie.as_bytes()) {
        return Some("CSRF cookie has incorrect length.");
    }
    match headers.get("x-csrftoken") {
        Some(header) if !has_length(header.as_bytes()) => {
            Some("CSRF token from the 'X-Csrftoken' HTTP header has incorrect length.")
        }
        None => Some("CSRF token missing."),
        Some(header) if secret::same_bytes(header.as_bytes(), cookie.as_bytes()) => None,
        Some(_) => Some("CSRF token from the 'X-Csrftoken' HTTP header incorrect."),
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

/// The status of a fault of ours.
pub(super) const fn status_of(fault: &Fault) -> StatusCode {
    match fault {
        Fault::Store(StoreError::Unavailable(_) | StoreError::Retry(_)) => {
            StatusCode::SERVICE_UNAVAILABLE
        }
        Fault::Store(_)
        | Fault::Signing(_)
        | Fault::Mail(_)
        | Fault::Page(_)
        | Fault::Unreadable(_)
        | Fault::Broken(_) => StatusCode::INTERNAL_SERVER_ERROR,
    }
}

/// Counts a refusal by endpoint and reason.
pub(super) fn count_refusal(service: &Service, endpoint: &str, refusal: &Refusal) {
    let reason = match refusal {
        Refusal::WrongCredentials => "wrong_credentials",
        Refusal::Token(_) => "token",
        Refusal::OwnerInactive => "owner_inactive",
        Refusal::Denied(_) => "authorization",
        Refusal::Client(_) => "client",
        Refusal::TooMany { .. } => "throttled",
        Refusal::Busy { .. } => "busy",
    };
    service.metrics.refusals.with_label_values(&[endpoint, reason]).inc();
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
