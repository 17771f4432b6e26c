//! The gate's hot path allocates nothing: counted, not hoped for.
//!
//! Requests go through the real listener and the real hyper service over loopback, and beside it to a bare
//! hyper server that answers 204 with the same headers. What counts is what a thread allocates, so each
//! server has a thread of its own, and the client reads and writes buffers that it has.
#![expect(unsafe_code, reason = "a global allocator is unsafe to implement")]

#[path = "bench/yardstick.rs"]
mod yardstick;

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::future::Future;
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc;
use std::time::Duration;

use avain::account::account::AccountId;
use avain::account::password::StoredPassword;
use avain::app::{App, Plan};
use avain::base::clock::{Clock as _, SystemClock, Timestamp};
use avain::base::encode::base64url;
use avain::base::random::SystemRandom;
use avain::flow::Caller;
use avain::flow::administer::{self, AccountDraft};
use avain::flow::personal_keys::Wish;
use avain::flow::{Context, obtain_key};
use avain::gate::decide::{ClientAddress, Question, Verdict};
use avain::gate::link::Mode;
use avain::http::Service;
use avain::server::{self, Face, Listener};
use avain::settings::{Settings, Sources};
use avain::token::algorithm::Algorithm;
use avain::token::claims::Kind;
use avain::token::scope::Scopes;
use avain::token::terms::{HIGHEST_RATE, Networks, Terms};
use avain::token::verify::{Scratch, verify};
use http::{HeaderMap, HeaderName, HeaderValue};
use ring::hmac;
use serde_json::json;
use tokio::net::TcpListener;
use tokio::sync::watch;

/// Counts allocations for threads that asked for it.
struct Counting;

thread_local! {
    static COUNTER: Cell<Option<&'static AtomicU64>> = const { Cell::new(None) };
    /// Bytes that this thread has allocated and not freed.
    static LIVE: Cell<i64> = const { Cell::new(0) };
}

fn change_live(bytes: i64) {
    LIVE.set(LIVE.get() + bytes);
}

#[expect(clippy::cast_possible_wrap, reason = "no block is that large")]
const fn size(layout: Layout) -> i64 {
    layout.size() as i64
}

fn count() {
    if let Some(counter) = COUNTER.get() {
        counter.fetch_add(1, Ordering::Relaxed);
    }
}

// SAFETY: every call goes on to the system's allocator unchanged.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count();
        change_live(size(layout));
        // SAFETY: the caller's promises are passed on.
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        count();
        change_live(size(layout));
        // SAFETY: the caller's promises are passed on.
        unsafe { System.alloc_zeroed(layout) }
    }

    #[expect(clippy::cast_possible_wrap, reason = "no block is that large")]
    unsafe fn realloc(&self, block: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        count();
        change_live(size as i64 - self::size(layout));
        // SAFETY: the caller's promises are passed on.
        unsafe { System.realloc(block, layout, size) }
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        change_live(-size(layout));
        // SAFETY: the caller's promises are passed on.
        unsafe { System.dealloc(block, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// Begins to count what this thread allocates.
fn counted() -> &'static AtomicU64 {
    let counter = Box::leak(Box::default());
    COUNTER.set(Some(counter));
    counter
}

/// What this thread allocates while `work` runs.
fn allocations_of(work: impl FnOnce()) -> u64 {
    let counter = counted();
    work();
    COUNTER.set(None);
    counter.load(Ordering::Relaxed)
}

/// A running service, and credentials that it accepts.
struct Running {
    service: Arc<Service>,
    bearer: String,
    token: String,
    /// A key of our own with every kind of terms, behind either word.
    narrow: String,
    narrow_bearer: String,
    _folder: tempfile::TempDir,
}

impl Running {
    /// Starts a service that signs with `algorithm`, with an account.
    async fn start(algorithm: Algorithm) -> (Self, App) {
        let folder = tempfile::TempDir::new().expect("a temporary folder can be made");
        let sources = Sources {
            overrides: vec![
                format!("database.url=sqlite:{}", folder.path().join("avain.db").display()),
                format!("tokens.algorithm={algorithm}"),
                "gate.policy=read-only-for-anonymous".to_owned(),
                format!("gate.cache={CACHE}"),
                format!(
                    "keys.import={}",
                    if algorithm == Algorithm::Hs256 {
                        format!("hs256:{SECRET}")
                    } else {
                        String::new()
                    }
                ),
            ],
            ..Sources::default()
        };
        let settings = Settings::read(&sources).expect("the settings are right");
        let plan = Plan::new(settings).expect("the settings make sense");
        let random = Arc::new(SystemRandom::new());
        let app =
            App::start(plan, Arc::new(SystemClock), random).await.expect("the service starts");
        // Nobody changes anything here, and nothing that looks for changes is to be counted.
        app.service.gate.link.heard(Duration::MAX);
        let context = &app.service.context;
        let draft = AccountDraft {
            username: "matti".to_owned(),
            email: String::new(),
            first_name: String::new(),
            last_name: String::new(),
            password: StoredPassword::unusable(context.random.as_ref()),
            is_active: true,
            is_staff: false,
            is_superuser: false,
            classic_key: None,
            unique_email: false,
        };
        let account =
            administer::create(&context.store, &Caller::default(), draft, context.now()).await;
        let account = account.expect("the account is made");
        let (store, random) = (&context.store, context.random.as_ref());
        let key =
            obtain_key::key_of(store, &Caller::default(), account, random, context.now()).await;
        let narrow = narrow_key(context, account).await;
        let running = Self {
            service: Arc::clone(&app.service),
            bearer: format!("Bearer {}", access_token(context, account.get(), "jti")),
            token: format!("Token {}", key.expect("the key is made").expose()),
            narrow_bearer: format!("Bearer {narrow}"),
            narrow: format!("Token {narrow}"),
            _folder: folder,
        };
        (running, app)
    }
}

/// A key with scopes, networks, a rate that nobody reaches, and an end.
async fn narrow_key(context: &Context, account: AccountId) -> String {
    let scopes =
        "hobbies:read GET:/mobile-api/v1/x/** GET,POST:/api/v1/hobbies/{id} GET:/api/v1/**";
    let terms = Terms {
        scopes: Scopes::parse(scopes).expect("they are scopes"),
        networks: Networks::parse("198.51.100.0/24 192.0.2.0/24").expect("they are networks"),
        rate: Some(HIGHEST_RATE),
        expires_at: Some(Timestamp::from_seconds(context.now().seconds() + 3600)),
    };
    let wish = Wish { name: "narrow".to_owned(), terms };
    let made = context
        .cabinet(&Caller::default())
        .make(account, wish, None)
        .await
        .expect("the store answers");
    made.expect("the key is made").key.expose().to_owned()
}

/// A complete access token, as our issuer signs it.
fn access_token(context: &Context, account: i32, token_id: &str) -> String {
    let ring = context.ring.load();
    let key = ring.signing();
    let mut header = jsonwebtoken::Header::new(key.algorithm().for_jsonwebtoken());
    header.kid = Some(key.id().as_str().to_owned());
    let now = context.now().seconds();
    let claims = json!({
        "token_type": "access", "exp": now + 3600, "iat": now, "jti": token_id,
        "user_id": account.to_string(), "first_name": "Matti", "last_name": "Meikäläinen",
    });
    jsonwebtoken::encode(&header, &claims, key.encoding_key()).expect("the key signs")
}

/// Runs `work` on a runtime of this thread.
fn block_on<T>(work: impl Future<Output = T>) -> T {
    let mut runtime = tokio::runtime::Builder::new_current_thread();
    runtime.enable_all().build().expect("a runtime starts").block_on(work)
}

/// The service on a port of its own, in a thread whose allocations are counted.
fn serve(algorithm: Algorithm) -> (SocketAddr, &'static AtomicU64, Running) {
    let (tell, told) = mpsc::channel();
    std::thread::spawn(move || {
        block_on(async {
            let (running, app) = Running::start(algorithm).await;
            let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port is free");
            let address = listener.local_addr().expect("it is bound");
            let service = Arc::clone(&app.service);
            tell.send((address, counted(), running)).expect("the test listens");
            let (_stop, stopping) = watch::channel(false);
            let listener = Listener::Tcp(listener);
            server::serve(service, listener, Face::Public, app.connections, stopping).await;
        });
    });
    told.recv().expect("the service starts")
}

/// The yardstick on a port of its own, in a thread whose allocations are counted.
fn serve_bare(headers: HeaderMap) -> (SocketAddr, &'static AtomicU64) {
    let headers: &'static HeaderMap = Box::leak(Box::new(headers));
    let (tell, told) = mpsc::channel();
    std::thread::spawn(move || {
        block_on(async {
            let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port is free");
            let address = listener.local_addr().expect("it is bound");
            tell.send((address, counted())).expect("the test listens");
            yardstick::serve_tcp(listener, headers).await;
        });
    });
    told.recv().expect("the yardstick starts")
}

/// What nginx sends.
fn request(authorization: Option<&str>) -> Vec<u8> {
    let authorization = authorization.map(|value| format!("Authorization: {value}\r\n"));
    format!(
        "GET /gate HTTP/1.1\r\nHost: api.example.org\r\n{}X-Original-Method: GET\r\n\
         X-Original-URI: /api/v1/hobbies/?page=2\r\nX-Real-IP: 192.0.2.7\r\n\
         X-Forwarded-Proto: https\r\nX-Request-ID: 5b4f9f0f3e1e4bd1b2c0a1d2e3f40516\r\n\r\n",
        authorization.unwrap_or_default()
    )
    .into_bytes()
}

/// Asks once; gives the length of the answer in `answer`.
fn ask(stream: &mut TcpStream, request: &[u8], answer: &mut [u8]) -> usize {
    stream.write_all(request).expect("the server reads");
    let mut length = 0;
    while !answer[..length].ends_with(b"\r\n\r\n") {
        let read = stream.read(&mut answer[length..]).expect("the server answers");
        assert_ne!(read, 0, "the server hung up");
        length += read;
    }
    length
}

const REQUESTS: u64 = 200;

/// What signs where tests sign HS256 themselves.
const SECRET: &str = "another-service-signed-with-this-secret";

/// What a server allocates for [`REQUESTS`] requests on a warm connection: the least of some rounds, since
/// buffers grow now and then.
fn measure(address: SocketAddr, counter: &AtomicU64, request: &[u8]) -> u64 {
    let mut stream = TcpStream::connect(address).expect("the server listens");
    stream.set_nodelay(true).expect("a socket has this option");
    let mut answer = [0; 4096];
    let mut round = || {
        let before = counter.load(Ordering::Relaxed);
        for _ in 0..REQUESTS {
            let length = ask(&mut stream, request, &mut answer);
            assert!(answer[..length].starts_with(b"HTTP/1.1 204"), "the credential is good");
        }
        counter.load(Ordering::Relaxed) - before
    };
    round();
    (0..5).map(|_| round()).min().expect("there are rounds")
}

/// The headers that the gate's answer has beside hyper's own.
fn headers_of(address: SocketAddr, request: &[u8]) -> HeaderMap {
    let mut stream = TcpStream::connect(address).expect("the server listens");
    let mut answer = [0; 4096];
    let length = ask(&mut stream, request, &mut answer);
    let text = std::str::from_utf8(&answer[..length]).expect("headers are ASCII");
    let lines = text.lines().filter_map(|line| line.split_once(": "));
    lines
        .filter(|(name, _)| *name != "date")
        .map(|(name, value)| {
            let name: HeaderName = name.parse().expect("it is a name");
            (name, HeaderValue::from_str(value).expect("it is a value"))
        })
        .collect()
}

#[test]
fn a_known_credential_costs_no_allocation_more_than_a_bare_204() {
    for algorithm in Algorithm::ALL {
        let (address, counter, running) = serve(algorithm);
        for (what, authorization) in [
            ("bearer", Some(running.bearer.as_str())),
            ("token", Some(running.token.as_str())),
            ("token", Some(running.narrow.as_str())),
            ("bearer", Some(running.narrow_bearer.as_str())),
            ("anonymous", None),
        ] {
            let request = request(authorization);
            let ours = measure(address, counter, &request);
            let headers = headers_of(address, &request);
            assert_eq!(headers["x-auth-via"], what);
            let (bare_address, bare_counter) = serve_bare(headers);
            let bare = measure(bare_address, bare_counter, &request);
            println!("{algorithm} {what}: {ours} of ours, {bare} bare, {REQUESTS} requests");
            assert!(bare > 0, "hyper allocates: else nothing was counted");
            // A buffer that grows once in a while is neither's; one more a request would be 200.
            assert!(ours < bare + REQUESTS / 20, "{algorithm} {what}: {ours} against {bare}");
        }
    }
}

#[test]
fn a_decision_about_a_known_credential_allocates_nothing() {
    for algorithm in Algorithm::ALL {
        let (running, _) = block_on(known(algorithm));
        let gate = &running.service.gate;
        let policies = gate.policies.load();
        let policy = &policies.default_policy().policy;
        let now = running.service.context.now();
        for (via, method, uri) in [
            (Some(&running.bearer), "GET", "/api/v1/hobbies/?page=2"),
            (Some(&running.bearer), "POST", "/api/v1/hobbies/k%C3%A4sity%C3%B6t/"),
            (Some(&running.token), "PUT", "/mobile-api/v1/hobbies/3/"),
            (Some(&running.narrow), "POST", "/api/v1/hobbies/3/?x"),
            (Some(&running.narrow_bearer), "GET", "/api/v1/hobbies/k%C3%A4sity%C3%B6t/"),
            (None, "GET", "/api/v1/hobbies/"),
        ] {
            let authorization = via.map(String::as_bytes);
            let question = question(method, uri, authorization);
            // What comes twice is copied, and is known from then on.
            for _ in 0..2 {
                gate.decide(policy, &question, None, now, Mode::Live);
            }
            let count = allocations_of(|| {
                for _ in 0..100 {
                    let verdict = gate.decide(policy, &question, None, now, Mode::Live);
                    assert!(matches!(verdict, Verdict::Allow(_) | Verdict::Anonymous));
                }
            });
            assert_eq!(count, 0, "{algorithm} {method} {uri}");
        }
        let refused = question("POST", "/api/v1/", None);
        let count = allocations_of(|| {
            assert!(matches!(
                gate.decide(policy, &refused, None, now, Mode::Live),
                Verdict::Deny(_)
            ));
        });
        assert_eq!(count, 0, "a refusal");
        for (authorization, method) in [
            (running.narrow.as_bytes(), "DELETE"),
            (b"Token avn_00000000000000000000000000000000000000".as_slice(), "GET"),
        ] {
            let refused = question(method, "/api/v1/", Some(authorization));
            let count = allocations_of(|| {
                assert!(matches!(
                    gate.decide(policy, &refused, None, now, Mode::Live),
                    Verdict::Deny(_)
                ));
            });
            assert_eq!(count, 0, "a key that may not, and one that is none");
        }
    }
}

/// Presents that many tokens that nobody has seen, each with scopes, and gives what the gate's memory has grown
/// by. Everything happens on this thread.
fn growth_over(tokens: u64) -> i64 {
    let (running, app) = block_on(known(Algorithm::Hs256));
    let (gate, context) = (&running.service.gate, &running.service.context);
    let (now, policies) = (context.now(), gate.policies.load());
    let policy = &policies.default_policy().policy;
    let secret = hmac::Key::new(hmac::HMAC_SHA256, SECRET.as_bytes());
    let header = base64url(br#"{"alg":"HS256","typ":"JWT"}"#);
    let before = LIVE.get();
    for number in 0..tokens {
        let claims = format!(
            r#"{{"token_type":"access","exp":{},"jti":"{number}","user_id":"1","scope":"{:0>300}"}}"#,
            now.seconds() + 3600,
            number,
        );
        let signed = format!("{header}.{}", base64url(claims.as_bytes()));
        let signature = base64url(hmac::sign(&secret, signed.as_bytes()).as_ref());
        let authorization = format!("Bearer {signed}.{signature}");
        let question = question("GET", "/api/v1/", Some(authorization.as_bytes()));
        let verdict = gate.decide(policy, &question, None, now, Mode::Live);
        assert!(matches!(verdict, Verdict::Allow(_)), "{verdict:?}");
    }
    drop(app);
    LIVE.get() - before
}

/// What the service of [`growth_over`] may remember.
const CACHE: i64 = 1 << 20;

#[test]
fn tokens_never_seen_do_not_grow_the_memory_beyond_its_setting() {
    // Far more than there is room for: what is remembered of each takes more than a hundred bytes.
    let growth = growth_over(20_000);
    println!("{growth} bytes of {CACHE}");
    assert!((CACHE / 8..=CACHE).contains(&growth), "{growth} of {CACHE}");
}

#[test]
#[ignore = "takes a minute: make soak"]
fn a_million_tokens_do_not_grow_the_memory_beyond_its_setting() {
    let growth = growth_over(1_000_000);
    assert!((CACHE / 8..=CACHE).contains(&growth), "{growth} of {CACHE}");
}

/// A policy of fifty rules of every kind, of which the last decides about `/api/v1/hobbies/`.
fn fifty_rules() -> String {
    let rules = (0..49).map(|number| {
        let rule = match number % 3 {
            0 => format!("paths = \"/api/v1/things{number}/{{id}}/\"\naccess = \"staff\""),
            1 => {
                format!("paths = \"~^/api/v1/thing[0-9]/{number}/$\"\naccess = \"scope:s{number}\"")
            }
            _ => format!("hosts = [\"h{number}.example.org\"]\naccess = \"deny\""),
        };
        format!("[[gate.policies.long.rules]]\n{rule}")
    });
    let rules: Vec<String> = rules.collect();
    let last = "[[gate.policies.long.rules]]\naccess = \"read-only-for-anonymous\"";
    format!("[gate]\npolicy = \"long\"\n{}\n{last}\n", rules.join("\n"))
}

#[test]
fn a_policy_of_fifty_rules_allocates_nothing() {
    let (running, _) = block_on(known(Algorithm::Hs256));
    let (gate, now) = (&running.service.gate, running.service.context.now());
    let toml = Some((fifty_rules(), "avain.toml".to_owned()));
    let settings = Settings::read(&Sources { toml, ..Sources::default() }).expect("it is right");
    let policies = Plan::new(settings).expect("it makes sense").policies().expect("it is served");
    let policy = &policies.find("long").expect("it is there").policy;
    assert!(policy.rules().len() > 50);
    for (authorization, method, uri, allowed) in [
        (Some(&running.bearer), "GET", "/api/v1/hobbies/?page=2", true),
        (Some(&running.token), "POST", "/api/v1/hobbies/k%C3%A4sity%C3%B6t/", true),
        (None, "GET", "/api/v1/hobbies;x=1", true),
        (Some(&running.bearer), "GET", "/api/v1/things3/7/", false),
        (Some(&running.bearer), "GET", "/api/v1/thing7/4/", false),
        (None, "POST", "/api/v1/hobbies/", false),
    ] {
        let question = question(method, uri, authorization.map(String::as_bytes));
        for _ in 0..2 {
            gate.decide(policy, &question, None, now, Mode::Live);
        }
        let count = allocations_of(|| {
            for _ in 0..100 {
                let verdict = gate.decide(policy, &question, None, now, Mode::Live);
                let passes = matches!(verdict, Verdict::Allow(_) | Verdict::Anonymous);
                assert_eq!(passes, allowed, "{method} {uri} {verdict:?}");
            }
        });
        assert_eq!(count, 0, "{method} {uri}");
    }
}

/// What nginx asks about such a request.
fn question<'q>(method: &'q str, uri: &'q str, authorization: Option<&'q [u8]>) -> Question<'q> {
    let (method, uri) = (method.as_bytes(), uri.as_bytes());
    let client = ClientAddress { told: Some(b"192.0.2.7"), otherwise: None };
    Question { method, uri, host: b"api.example.org", authorization, preflight_for: None, client }
}

/// A service whose gate has seen its credentials.
async fn known(algorithm: Algorithm) -> (Running, App) {
    let (running, app) = Running::start(algorithm).await;
    let peer = avain::http::Peer::Local;
    for authorization in [&running.bearer, &running.token, &running.narrow] {
        let request = http::Request::get("/gate")
            .header("authorization", authorization)
            .header("x-original-method", "GET")
            .header("x-original-uri", "/api/v1/")
            .header("x-real-ip", "192.0.2.7");
        let request = request.body(http_body_util::Empty::new()).expect("it is a request");
        let service = &running.service;
        let answered = avain::http::dispatch::handle(service, request, peer).await;
        let Ok(response) = answered;
        assert_eq!(response.status(), http::StatusCode::NO_CONTENT);
    }
    (running, app)
}

#[test]
fn verifying_a_token_never_seen_allocates_nothing() {
    // ring allocates for RSA, and nobody else does: its own count is what RS256 may cost.
    for algorithm in [Algorithm::Hs256, Algorithm::Es256, Algorithm::EdDsa] {
        let (running, _) = block_on(Running::start(algorithm));
        let context = &running.service.context;
        let tokens: Vec<String> =
            (0..50).map(|number| access_token(context, 1, &format!("id-{number}"))).collect();
        let ring = context.ring.load();
        let count = allocations_of(|| {
            for token in &tokens {
                let mut scratch = Scratch::default();
                let (expect, token) = (&context.expectations, token.as_bytes());
                let verified = verify(&ring, expect, token, SystemClock.now(), &mut scratch);
                let verified = verified.expect("the token is good");
                assert_eq!(verified.require(Kind::Access), Ok(()));
            }
        });
        assert_eq!(count, 0, "{algorithm}");
    }
}

#[test]
fn refusing_a_bad_signature_or_an_expired_token_allocates_nothing() {
    let (running, _) = block_on(Running::start(Algorithm::Hs256));
    let context = &running.service.context;
    let token = access_token(context, 1, "id");
    let mut forged = token.clone().into_bytes();
    // In the middle of the signature, where every bit counts.
    let at = forged.len() - 20;
    forged[at] = if forged[at] == b'A' { b'B' } else { b'A' };
    let ring = context.ring.load();
    let late = Timestamp::from_seconds(SystemClock.now().seconds() + 7200);
    for (presented, now) in [(forged.as_slice(), SystemClock.now()), (token.as_bytes(), late)] {
        let count = allocations_of(|| {
            let mut scratch = Scratch::default();
            assert!(verify(&ring, &context.expectations, presented, now, &mut scratch).is_err());
        });
        assert_eq!(count, 0);
    }
}
