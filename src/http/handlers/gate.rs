//! What nginx's `auth_request` asks, or Traefik's `ForwardAuth`.
//!
//! Whoever makes up keys in the right form could have each of them looked up. Four things stand before the
//! store: a key that was not found is remembered as that for a moment; of several requests with one key one
//! looks it up; a client has a budget of look-ups; and keys have but a few of the store's connections, for
//! which they do not wait long.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures_util::FutureExt as _;
use futures_util::future::{BoxFuture, Shared};
use http::header::CONNECTION;
use http::{HeaderMap, HeaderValue, Response};
use quick_cache::sync::Cache;
use tokio::sync::Semaphore;

use crate::account::throttle::network;
use crate::base::clock::Timestamp;
use crate::base::digest::Digest;
use crate::flow::{Context, Error, authenticate, personal_keys};
use crate::gate::answer::{self, Documents};
use crate::gate::decide::{ClientAddress, Gate, LookUp, Question, Told, Verdict, key_digest};
use crate::gate::key::Key;
use crate::gate::link::Mode;
use crate::gate::policies::Served;
use crate::http::question::{Protocol, Sent};
use crate::http::response::Body;
use crate::http::{Peer, Service, caller};
use crate::token::credential::Denial;

/// Decides about the request that `headers` describe, by the policy of that name or the default one; or says what
/// must be looked up for it first ([`look_up`]). What a gateway asks most is answered without a future, which
/// would be moved about more than it does.
pub fn answer_at_once(
    service: &Service,
    policy: &str,
    headers: &HeaderMap,
    peer: Peer,
) -> Result<Response<Body>, Unknown> {
    let (now, uptime) = (service.context.clock.now(), service.context.clock.uptime());
    let at = At { now, mode: service.gate.link.mode(uptime) };
    let (sent, client) = read(service, headers, peer);
    let response = decide(service, policy, (&sent, client), None, at)?;
    Ok(finish(service, &sent, response))
}

/// Looks up what was not known of the request that `headers` describe, and decides about it.
pub async fn look_up(
    service: &Arc<Service>,
    policy: &str,
    headers: &HeaderMap,
    peer: Peer,
    unknown: Unknown,
) -> Response<Body> {
    let (sent, client) = read(service, headers, peer);
    let response = ask_again(service, policy, (&sent, client), unknown).await;
    finish(service, &sent, response)
}

/// What is asked, and by whom.
fn read<'h>(
    service: &Service,
    headers: &'h HeaderMap,
    peer: Peer,
) -> (Sent<'h>, ClientAddress<'h>) {
    let sent = Sent::read(service.protocol, headers);
    let client = match service.protocol {
        Protocol::AuthRequest => caller::address_told(service, sent.address, peer),
        Protocol::ForwardAuth => {
            let otherwise = caller::address_forwarded(service, sent.address, peer);
            ClientAddress { told: None, otherwise }
        }
    };
    (sent, client)
}

fn finish(service: &Service, sent: &Sent<'_>, mut response: Response<Body>) -> Response<Body> {
    if sent.announces_a_body() {
        // nginx without `proxy_set_header Content-Length ""` announces the client's body and sends none:
        // what comes next on this connection would be taken for it.
        service.metrics.promised_bodies.inc();
        tracing::warn!("the gate was asked with a body: set Content-Length to \"\" in nginx");
        response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
    }
    service.protocol.hand_over(response)
}

/// When a request is decided about, and what is believed then.
#[derive(Clone, Copy)]
struct At {
    now: Timestamp,
    mode: Mode,
}

/// What must be looked up, whether the gate knows it but may not believe it, and when that was found.
pub struct Unknown {
    look_up: LookUp,
    is_known: bool,
    at: At,
}

/// Looks up what the gate does not know, and decides.
async fn ask_again(
    service: &Arc<Service>,
    policy: &str,
    asked: (&Sent<'_>, ClientAddress<'_>),
    unknown: Unknown,
) -> Response<Body> {
    let mut at = unknown.at;
    if !unknown.is_known
        && let Err(seconds) = service.look_ups.spend(asked.1.get(), at.now)
    {
        service.metrics.decisions.with_label_values(&["throttled"]).inc();
        return with_documents(service, policy, |documents| answer::throttled(seconds, documents));
    }
    let told = service.look_ups.find(service, unknown.look_up, unknown.is_known, at.mode).await;
    if told.is_none() {
        // The database may have gone meanwhile.
        at.mode = service.gate.link.mode(service.context.clock.uptime());
    }
    decide(service, policy, asked, told.as_ref(), at).unwrap_or_else(|_| {
        service.look_ups.counts.unavailable.inc();
        with_documents(service, policy, |documents| {
            answer::answer(Verdict::Unavailable, at.mode, documents)
        })
    })
}

/// An answer in the words of a policy; of the default one, where it has gone meanwhile.
fn with_documents(
    service: &Service,
    policy: &str,
    answer: impl FnOnce(&Documents) -> Response<Body>,
) -> Response<Body> {
    let policies = service.gate.policies.load();
    answer(&policies.find(policy).unwrap_or_else(|| policies.default_policy()).documents)
}

/// Decides on what the gate knows and was `told`, or names what it does not know.
fn decide(
    service: &Service,
    policy: &str,
    (sent, client): (&Sent<'_>, ClientAddress<'_>),
    told: Option<&Told>,
    at: At,
) -> Result<Response<Body>, Unknown> {
    let policies = service.gate.policies.load();
    let misconfigured = || {
        service.metrics.decisions.with_label_values(&["misconfigured"]).inc();
        Ok(answer::misconfigured(&policies.default_policy().documents))
    };
    let Some(served) = policies.find(policy) else {
        let there_are: Vec<&str> = policies.names().collect();
        tracing::warn!(?policy, ?there_are, "the gate was asked by a policy that there is not");
        return misconfigured();
    };
    let question = match question(service.protocol, sent, client, served) {
        Ok(question) => question,
        Err(what) => {
            tracing::warn!(
                "the gate was asked without {what}: see gate.protocol, and nginx/ask.conf or deploy/traefik"
            );
            return misconfigured();
        }
    };
    let verdict = match question {
        Some(question) => service.gate.decide(&served.policy, &question, told, at.now, at.mode),
        None => Verdict::Deny(Denial::Forbidden),
    };
    let verdict = match verdict {
        Verdict::Ask(look_up) => return Err(Unknown { look_up, is_known: false, at }),
        Verdict::AskAgain(look_up) => return Err(Unknown { look_up, is_known: true, at }),
        verdict => verdict,
    };
    let counts = &service.look_ups.counts;
    match &verdict {
        Verdict::Anonymous => counts.anonymous.inc(),
        Verdict::Allow(_) => counts.allow.inc(),
        Verdict::Deny(_) | Verdict::InsufficientScope(_) => counts.deny.inc(),
        Verdict::Throttle(_) => service.metrics.decisions.with_label_values(&["throttled"]).inc(),
        Verdict::Ask(_) | Verdict::AskAgain(_) | Verdict::Unavailable => counts.unavailable.inc(),
    }
    Ok(answer::answer(verdict, at.mode, &served.documents))
}

/// The verdict on a question, after whatever must be looked up for it.
pub async fn judge(service: &Arc<Service>, served: &Served, question: &Question<'_>) -> Verdict {
    let (gate, now) = (&service.gate, service.context.now());
    // Nobody tells of changes here: nothing but what is looked up now is believed.
    let mode = Mode::Strict;
    match gate.decide(&served.policy, question, None, now, mode) {
        Verdict::Ask(look_up) | Verdict::AskAgain(look_up) => {
            match service.look_ups.find(service, look_up, true, mode).await {
                Some(told) => gate.decide(&served.policy, question, Some(&told), now, mode),
                None => Verdict::Unavailable,
            }
        }
        verdict => verdict,
    }
}

/// What is asked; `None` where it is not the same in every view. The error names the header that is missing.
fn question<'h>(
    protocol: Protocol,
    sent: &Sent<'h>,
    client: ClientAddress<'h>,
    served: &Served,
) -> Result<Option<Question<'h>>, &'static str> {
    let (needs_method, needs_uri) = protocol.needed();
    let method = sent.method.ok_or(needs_method)?;
    let uri = sent.uri.ok_or(needs_uri)?;
    let host = sent.original_host.map(without_port);
    if served.policy.names_hosts() {
        let host = host.ok_or("the host, which the policy needs")?;
        // nginx chose the server by the one; the backend may look at the other.
        let differs = |written| !without_port(written).eq_ignore_ascii_case(host);
        // A name with its root's dot is the same to a gateway, and another one to rules.
        if sent.host.is_some_and(differs) || host.ends_with(b".") {
            return Ok(None);
        }
    }
    Ok(Some(Question {
        method,
        uri,
        host: host.unwrap_or_default(),
        authorization: sent.authorization,
        preflight_for: sent.announced_method.filter(|_| sent.origin.is_some()),
        client,
    }))
}

/// A host without the port behind it. What stands in brackets is an IPv6 address.
fn without_port(host: &[u8]) -> &[u8] {
    let end = host.iter().rposition(|byte| matches!(byte, b':' | b']'));
    match end.map(|end| (end, host.get(end))) {
        Some((end, Some(b':'))) => host.split_at(end).0,
        _ => host,
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
    /// How many keys may be looked up at once, and wait for that.
    room: Semaphore,
    queue: Semaphore,
    counts: Counts,
}

/// Misses are counted over so many seconds.
const WINDOW_SECONDS: i64 = 10;
/// How many keys may wait to be looked up, for each that is.
const QUEUE: usize = 64;
/// How long a key may wait to be looked up: nginx waits three seconds for the verdict.
const PATIENCE: Duration = Duration::from_secs(1);

impl LookUps {
    /// One address may make `most_misses` look-ups in ten seconds; of keys, `at_once` are looked up at the
    /// same time.
    #[must_use]
    pub fn new(most_misses: u32, at_once: usize, metrics: &crate::metrics::Metrics) -> Self {
        let count = |verdict| metrics.decisions.with_label_values(&[verdict]);
        Self {
            flights: Mutex::default(),
            begun: AtomicU64::new(0),
            spent: Cache::new(10_000),
            most_misses,
            room: Semaphore::new(at_once),
            queue: Semaphore::new(at_once.saturating_mul(QUEUE)),
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
    async fn find(
        &self,
        service: &Arc<Service>,
        look_up: LookUp,
        is_known: bool,
        mode: Mode,
    ) -> Option<Told> {
        let (id, what) = match &look_up {
            LookUp::Account(account) => (Digest::of(&account.get().to_be_bytes()), "account"),
            LookUp::ApiKey(key) => (key_digest(key.expose()), "api_key"),
            LookUp::PersonalKey(digest) => (*digest.digest(), "api_key"),
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
                    let running = begin(Arc::clone(service), (look_up, is_known), id, number);
                    flights.insert(id, Flight { running: running.clone(), changes, number });
                    running
                }
            }
        };
        running.await
    }

    /// Looks up, a key when its turn comes. `None`: it did not come soon, or the store did not answer.
    /// One that is known, and looked up anew, does not wait behind made-up ones.
    async fn in_turn(&self, service: &Service, look_up: LookUp, is_known: bool) -> Option<Told> {
        let _turn = match look_up {
            LookUp::Account(_) => None,
            LookUp::ApiKey(_) | LookUp::PersonalKey(_) if is_known => None,
            LookUp::ApiKey(_) | LookUp::PersonalKey(_) => {
                let _place = self.queue.try_acquire().ok()?;
                let turn = tokio::time::timeout(PATIENCE, self.room.acquire()).await;
                Some(turn.ok()?.ok()?)
            }
        };
        let told = look_up_now(&service.context, &service.gate, look_up).await;
        told.inspect_err(|error| tracing::error!(%error, "the gate could not look up")).ok()
    }
}

/// Begins a look-up in a task of its own: it ends and leaves the list even if nobody waits any more.
fn begin(
    service: Arc<Service>,
    (look_up, is_known): (LookUp, bool),
    id: Digest,
    number: u64,
) -> Running {
    let task = tokio::spawn(async move {
        let told = service.look_ups.in_turn(&service, look_up, is_known).await;
        let mut flights = service.look_ups.flights.lock().unwrap_or_else(PoisonError::into_inner);
        // Unless a later one has taken its place.
        if flights.get(&id).is_some_and(|flight| flight.number == number) {
            flights.remove(&id);
        }
        drop(flights);
        told
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
        LookUp::PersonalKey(digest) => {
            let memory = &gate.memory;
            let changes = memory.changes();
            let Some(found) = personal_keys::in_force(context, &digest).await? else {
                memory.remember_unknown_key(*digest.digest(), context.now());
                return Ok(Told::UnknownKey);
            };
            let owner = found.owner.principal.id;
            let epoch = memory.epoch_since(changes, owner);
            let subject = memory.learn(owner, Some(found.owner), epoch, context.now());
            let key = Key::new(found.terms, memory.usages.of(found.id));
            return Ok(Told::Key(subject, Arc::new(key)));
        }
    };
    Ok(Told::Subject(gate.memory.learn(account, standing, epoch, context.now())))
}
