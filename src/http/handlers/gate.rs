//! What nginx's `auth_request` asks.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use futures_util::FutureExt as _;
use futures_util::future::{BoxFuture, Shared};
use http::header::{AUTHORIZATION, CONNECTION, CONTENT_LENGTH, TRANSFER_ENCODING};
use http::{HeaderMap, HeaderName, HeaderValue, Response};
use quick_cache::sync::Cache;

use crate::account::throttle::network;
use crate::base::clock::Timestamp;
use crate::base::digest::Digest;
use crate::flow::authenticate;
use crate::flow::{Context, Error};
use crate::gate::answer;
use crate::gate::decide::{Gate, LookUp, Question, Told, Verdict, key_digest};
use crate::gate::link::Mode;
use crate::http::response::Body;
use crate::http::{Peer, Service, caller};

static METHOD: HeaderName = HeaderName::from_static("x-original-method");
static URI: HeaderName = HeaderName::from_static("x-original-uri");

/// Decides about the request that `headers` describe.
pub async fn ask(service: &Arc<Service>, headers: &HeaderMap, peer: Peer) -> Response<Body> {
    let header = |name: &HeaderName| headers.get(name).map(HeaderValue::as_bytes);
    let (Some(method), Some(uri)) = (header(&METHOD), header(&URI)) else {
        service.metrics.decisions.with_label_values(&["misconfigured"]).inc();
        tracing::warn!("the gate was asked without X-Original-Method or X-Original-URI");
        return answer::misconfigured(&service.documents);
    };
    let question = Question { method, uri, authorization: header(&AUTHORIZATION) };
    let (gate, clock) = (&service.gate, &service.context.clock);
    let now = clock.now();
    let mut mode = gate.link.mode(clock.uptime());
    let mut verdict = gate.decide(&question, None, now, mode);
    if let Verdict::Ask(_) = verdict
        && let Err(seconds) = service.look_ups.spend(caller::address(service, headers, peer), now)
    {
        service.metrics.decisions.with_label_values(&["throttled"]).inc();
        return answer::throttled(seconds, &service.documents);
    }
    if let Verdict::Ask(look_up) | Verdict::AskAgain(look_up) = verdict {
        // Boxed, so that the future of a known credential stays small.
        let told = Box::pin(service.look_ups.find(service, look_up, mode)).await;
        if told.is_none() {
            // The database may have gone meanwhile.
            mode = gate.link.mode(clock.uptime());
        }
        verdict = gate.decide(&question, told.as_ref(), now, mode);
    }
    count(service, &verdict);
    let mut response = answer::answer(&verdict, mode, &service.documents);
    if announces_a_body(headers) {
        // nginx without `proxy_set_header Content-Length ""` announces the client's body and sends none:
        // what comes next on this connection would be taken for it.
        service.metrics.promised_bodies.inc();
        tracing::warn!("the gate was asked with a body: set Content-Length to \"\" in nginx");
        response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
    }
    response
}

fn announces_a_body(headers: &HeaderMap) -> bool {
    headers.contains_key(TRANSFER_ENCODING)
        || headers.get(CONTENT_LENGTH).is_some_and(|length| length != "0")
}

fn count(service: &Service, verdict: &Verdict) {
    let counts = &service.look_ups.counts;
    match verdict {
        Verdict::Anonymous => counts.anonymous.inc(),
        Verdict::Allow(_) => counts.allow.inc(),
        Verdict::Deny(_) => counts.deny.inc(),
        Verdict::Ask(_) | Verdict::AskAgain(_) | Verdict::Unavailable => counts.unavailable.inc(),
    }
}

/// Counters of the hot path, resolved once.
struct Counts {
    allow: prometheus::IntCounter,
    anonymous: prometheus::IntCounter,
    deny: prometheus::IntCounter,
    unavailable: prometheus::IntCounter,
}

type Running = Shared<BoxFuture<'static, Option<Told>>>;

/// A look-up under way.
struct Flight {
    running: Running,
    /// What the gate had heard of when it began.
    changes: u64,
    number: u64,
}

/// What the gate looks up: each thing once at a time, and not without bound for one client.
pub struct LookUps {
    flights: Mutex<HashMap<Digest, Flight>>,
    begun: AtomicU64,
    spent: Cache<IpAddr, Arc<AtomicU64>>,
    most_misses: u32,
    counts: Counts,
}

/// Misses are counted over so many seconds.
const WINDOW_SECONDS: i64 = 10;

impl LookUps {
    /// One address may make `most_misses` look-ups in ten seconds.
    #[must_use]
    pub fn new(most_misses: u32, metrics: &crate::metrics::Metrics) -> Self {
        let count = |verdict| metrics.decisions.with_label_values(&[verdict]);
        Self {
            flights: Mutex::default(),
            begun: AtomicU64::new(0),
            spent: Cache::new(10_000),
            most_misses,
            counts: Counts {
                allow: count("allow"),
                anonymous: count("anonymous"),
                deny: count("deny"),
                unavailable: count("unavailable"),
            },
        }
    }

    /// Counts a look-up for a client; the error is the seconds after which to try again. IPv6 clients
    /// count by /64, which is what one of them has.
    fn spend(&self, client: Option<IpAddr>, now: Timestamp) -> Result<(), u64> {
        let Some(client) = client.map(network) else { return Ok(()) };
        let window = u64::try_from(now.seconds() / WINDOW_SECONDS).unwrap_or(0) << 32;
        let spent = self.spent.get(&client).unwrap_or_else(|| {
            let fresh = Arc::new(AtomicU64::new(window));
            self.spent.insert(client, Arc::clone(&fresh));
            fresh
        });
        let before = spent.fetch_update(Ordering::AcqRel, Ordering::Acquire, |count| {
            Some(if count >> 32 << 32 == window { count + 1 } else { window + 1 })
        });
        let count =
            before.map_or(0, |count| if count >> 32 << 32 == window { count - window } else { 0 });
        if count < u64::from(self.most_misses) {
            return Ok(());
        }
        Err(u64::try_from(WINDOW_SECONDS - now.seconds() % WINDOW_SECONDS).unwrap_or(1))
    }

    /// Looks up; whoever asks for the same meanwhile waits for the same answer, unless that may be older
    /// than a change: one that was heard of since, or in strict mode any. `None`: the store did not answer.
    async fn find(&self, service: &Arc<Service>, look_up: LookUp, mode: Mode) -> Option<Told> {
        let (id, what) = match &look_up {
            LookUp::Account(account) => (Digest::of(&account.get().to_be_bytes()), "account"),
            LookUp::ApiKey(key) => (key_digest(key.expose()), "api_key"),
        };
        let running = {
            let mut flights = self.flights.lock().unwrap_or_else(PoisonError::into_inner);
            let changes = service.gate.memory.changes();
            match flights.get(&id) {
                Some(flight) if mode != Mode::Strict && flight.changes == changes => {
                    flight.running.clone()
                }
                _ => {
                    service.metrics.look_ups.with_label_values(&[what]).inc();
                    let number = self.begun.fetch_add(1, Ordering::Relaxed);
                    let running = begin(Arc::clone(service), look_up, id, number);
                    flights.insert(id, Flight { running: running.clone(), changes, number });
                    running
                }
            }
        };
        running.await
    }
}

/// Begins a look-up in a task of its own: it ends and leaves the list even if nobody waits any more.
fn begin(service: Arc<Service>, look_up: LookUp, id: Digest, number: u64) -> Running {
    let task = tokio::spawn(async move {
        let told = look_up_now(&service.context, &service.gate, look_up).await;
        let mut flights = service.look_ups.flights.lock().unwrap_or_else(PoisonError::into_inner);
        // Unless a later one has taken its place.
        if flights.get(&id).is_some_and(|flight| flight.number == number) {
            flights.remove(&id);
        }
        drop(flights);
        told.inspect_err(|error| tracing::error!(%error, "the gate could not look up")).ok()
    });
    task.map(|told| told.ok().flatten()).boxed().shared()
}

async fn look_up_now(context: &Context, gate: &Gate, look_up: LookUp) -> Result<Told, Error> {
    let (account, standing, epoch) = match look_up {
        LookUp::Account(account) => {
            let epoch = gate.memory.epoch(account);
            (account, authenticate::standing_of(context, account).await?, epoch)
        }
        LookUp::ApiKey(key) => {
            let changes = gate.memory.changes();
            let Some(standing) = authenticate::owner_of_key(context, &key).await? else {
                gate.memory.remember_unknown_key(key_digest(key.expose()), context.now());
                return Ok(Told::UnknownKey);
            };
            let owner = standing.principal.id;
            (owner, Some(standing), gate.memory.epoch_since(changes, owner))
        }
    };
    Ok(Told::Subject(gate.memory.learn(account, standing, epoch, context.now())))
}
