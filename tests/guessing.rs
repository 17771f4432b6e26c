//! Guessing passwords: how far it gets, who is slowed down by it, and who is not. In this process, against
//! the service as it is wired, with requests made up as nginx or anybody else might send them.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use avain::app::{App, Plan};
use avain::base::clock::{ManualClock, Timestamp};
use avain::base::random::SystemRandom;
use avain::flow::administer::{self, AccountDraft};
use avain::flow::attempt;
use avain::flow::quota::{self, Quota};
use avain::flow::{Caller, Error, Refusal};
use avain::http::{Peer, dispatch};
use avain::settings::{Settings, Sources};
use bytes::Bytes;
use http::{HeaderMap, Request};
use http_body_util::{BodyExt as _, Full};
use serde_json::{Value, json};
use tempfile::TempDir;

const PASSWORD: &str = "Corr3ct-horse-9";
const HOME: &str = "192.0.2.1";
const ATTACKER: &str = "198.51.100.9";
const NGINX: &str = "127.0.0.1";

struct Service {
    app: App,
    clock: Arc<ManualClock>,
    _folder: TempDir,
}

/// What a client sees of an answer, but for the request's id.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Seen {
    status: u16,
    retry_after: Option<String>,
    headers: Vec<(String, String)>,
    body: String,
}

impl Service {
    /// A service with `alice`, `bob` and, switched off, `carol`.
    async fn start(settings: &[&str]) -> Self {
        let folder = TempDir::new().expect("a folder can be made");
        let database = format!("database.url=sqlite:{}", folder.path().join("avain.db").display());
        let defaults = [
            database.as_str(),
            "database.durability=normal",
            "passwords.algorithm=pbkdf2_sha256",
            "passwords.pbkdf2_iterations=1000",
            "passwords.queue=200",
            "server.trusted_proxies=127.0.0.1/32",
        ];
        let overrides = defaults.iter().chain(settings).map(|text| (*text).to_owned()).collect();
        let settings = Settings::read(&Sources { overrides, ..Sources::default() });
        let plan = Plan::new(settings.expect("the settings are right")).expect("they make sense");
        let clock = Arc::new(ManualClock::new(Timestamp::from_seconds(1_795_000_000)));
        let random = Arc::new(SystemRandom::new());
        let app = App::start(plan, Arc::<ManualClock>::clone(&clock), random).await;
        let app = app.unwrap_or_else(|error| panic!("the service does not start: {error:?}"));
        let service = Self { app, clock, _folder: folder };
        for name in ["alice", "bob", "carol"] {
            service.account(name, name != "carol").await;
        }
        service
    }

    async fn account(&self, name: &str, is_active: bool) {
        let context = &self.app.service.context;
        let password = context.hashing.hash(PASSWORD.into()).await.expect("the queue is empty");
        let draft = AccountDraft {
            username: name.to_owned(),
            email: String::new(),
            first_name: String::new(),
            last_name: String::new(),
            password,
            is_active,
            is_staff: false,
            is_superuser: false,
            classic_key: None,
            unique_email: false,
        };
        administer::create(&context.store, &Caller::default(), draft, context.now())
            .await
            .expect("it is made");
    }

    fn pass(&self, seconds: u64) {
        self.clock.advance(Duration::from_secs(seconds));
    }

    /// Signs in from `address`, as nginx tells it.
    async fn sign_in(&self, address: &str, name: &str, password: &str) -> Seen {
        self.sign_in_by(NGINX, &[("x-real-ip", address)], name, password).await
    }

    async fn sign_in_by(
        &self,
        peer: &str,
        headers: &[(&str, &str)],
        name: &str,
        password: &str,
    ) -> Seen {
        let body = json!({ "username": name, "password": password });
        self.post("/api/token", peer, headers, &body).await
    }

    async fn post(&self, path: &str, peer: &str, headers: &[(&str, &str)], body: &Value) -> Seen {
        let mut request = Request::post(path).header("content-type", "application/json");
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let body = Full::new(Bytes::from(body.to_string()));
        let request = request.body(body).expect("the request is well-formed");
        let peer = Peer::Address(peer.parse().expect("is an address"));
        let service = Arc::clone(&self.app.service);
        let answer = dispatch::handle(&service, request, peer).await;
        let (parts, body) = answer.expect("it cannot fail").into_parts();
        let body = body.collect().await.expect("it is in memory").to_bytes();
        Seen {
            status: parts.status.as_u16(),
            retry_after: text(&parts.headers, "retry-after"),
            headers: parts
                .headers
                .keys()
                .filter(|name| *name != "x-request-id")
                .filter_map(|name| Some((name.to_string(), text(&parts.headers, name.as_str())?)))
                .collect(),
            body: String::from_utf8(body.to_vec()).expect("it is text"),
        }
    }

    /// Fails to sign in so often; each time with 401.
    async fn fail(&self, times: usize, address: &str, name: &str) {
        for time in 0..times {
            let seen = self.sign_in(address, name, &format!("wrong {time}")).await;
            assert_eq!(seen.status, 401, "{name} from {address}, time {time}");
        }
    }

    async fn status(&self, address: &str, name: &str) -> u16 {
        self.sign_in(address, name, PASSWORD).await.status
    }
}

fn text(headers: &HeaderMap, name: &str) -> Option<String> {
    headers.get(name).map(|value| value.to_str().expect("it is text").to_owned())
}

fn from(address: &str) -> Caller {
    let address = address.parse::<IpAddr>().expect("is an address");
    Caller { address: Some(address), ..Caller::default() }
}

#[tokio::test]
async fn an_account_takes_ten_failures_a_minute() {
    let service = Service::start(&[]).await;
    service.fail(10, ATTACKER, "alice").await;
    service.pass(20);
    let seen = service.sign_in(ATTACKER, "alice", PASSWORD).await;
    assert_eq!(seen.status, 429, "the right password is not told from a wrong one");
    assert_eq!(seen.retry_after.as_deref(), Some("40"));
    assert_eq!(
        seen.body,
        r#"{"detail":"Request was throttled. Expected available in 40 seconds."}"#
    );
    assert_eq!(service.sign_in(ATTACKER, "alice", "wrong").await, seen);
    service.pass(40);
    service.fail(10, ATTACKER, "alice").await;
    assert_eq!(service.status(ATTACKER, "alice").await, 429);
    service.pass(60);
    assert_eq!(service.status(ATTACKER, "alice").await, 200);
}

#[tokio::test]
async fn other_spellings_and_other_doors_buy_nothing() {
    let service = Service::start(&[]).await;
    for name in ["alice", "ALICE", " Alice ", "ａｌｉｃｅ", "aliCe", "\u{2003}alice"] {
        service.fail(1, ATTACKER, name).await;
    }
    let body = json!({ "username": "alice", "password": "wrong" });
    let real_ip = [("x-real-ip", ATTACKER)];
    for path in ["/auth/token/", "/auth/token", "/api/token/"] {
        assert_eq!(service.post(path, NGINX, &real_ip, &body).await.status, 401, "{path}");
    }
    assert_eq!(service.post("/v3/drf-token-auth", NGINX, &real_ip, &body).await.status, 400);
    for path in ["/auth/token", "/api/token/", "/v3/drf-token-auth"] {
        assert_eq!(service.post(path, NGINX, &real_ip, &body).await.status, 429, "{path}");
    }
    for name in ["alice", "Alice", "ａlice"] {
        assert_eq!(service.status(ATTACKER, name).await, 429, "{name}");
    }
}

#[tokio::test]
async fn what_an_untrusted_peer_says_about_addresses_is_not_believed() {
    let service = Service::start(&["throttle.account_failures=0"]).await;
    for time in 0..30 {
        let made_up = format!("203.0.113.{time}");
        let headers =
            ["x-real-ip", "x-forwarded-for", "forwarded", "x-client-ip", "true-client-ip"];
        let headers = headers.map(|name| (name, made_up.as_str()));
        let name = format!("nobody{time}");
        let seen = service.sign_in_by(ATTACKER, &headers, &name, "wrong").await;
        assert_eq!(seen.status, 401, "time {time}");
    }
    let fresh = [("x-real-ip", "203.0.113.99"), ("x-forwarded-for", "203.0.113.99")];
    assert_eq!(service.sign_in_by(ATTACKER, &fresh, "alice", PASSWORD).await.status, 429);
    // The proxy is believed about X-Real-IP, and about nothing else.
    assert_eq!(service.sign_in_by(NGINX, &fresh, "alice", PASSWORD).await.status, 200);
    let other = [("x-real-ip", ATTACKER), ("x-forwarded-for", "203.0.113.99")];
    assert_eq!(service.sign_in_by(NGINX, &other, "bob", PASSWORD).await.status, 429);
}

#[tokio::test]
async fn missing_and_inactive_accounts_answer_and_count_alike() {
    let service = Service::start(&["throttle.address_failures=0"]).await;
    let mut seen = Vec::new();
    for name in ["alice", "nobody", "carol"] {
        let mut answers = Vec::new();
        for _ in 0..12 {
            answers.push(service.sign_in(ATTACKER, name, "wrong").await);
        }
        seen.push(answers);
    }
    assert_eq!(seen[0].iter().filter(|seen| seen.status == 401).count(), 10);
    assert_eq!(seen[0], seen[1]);
    assert_eq!(seen[0], seen[2]);
    // The right password of an account that is switched off is a wrong one.
    service.pass(60);
    service.fail(9, ATTACKER, "carol").await;
    assert_eq!(service.status(ATTACKER, "carol").await, 401);
    assert_eq!(service.status(ATTACKER, "carol").await, 429);
}

#[tokio::test]
async fn the_owner_is_not_locked_out() {
    let service = Service::start(&[]).await;
    assert_eq!(service.status(HOME, "alice").await, 200);
    for attacker in 1..=3 {
        for _ in 0..10 {
            service.sign_in(&format!("198.51.100.{attacker}"), "alice", "wrong").await;
        }
    }
    assert_eq!(service.status("198.51.100.4", "alice").await, 429, "strangers wait");
    assert_eq!(service.status(HOME, "alice").await, 200, "at home");
    assert_eq!(
        service.status("198.51.100.4", "alice").await,
        429,
        "a success elsewhere frees nobody"
    );
    // Whoever guesses from the owner's own address has that address's budget, and no other.
    service.fail(10, HOME, "alice").await;
    assert_eq!(service.status(HOME, "alice").await, 429);
    service.pass(60);
    assert_eq!(service.status(HOME, "alice").await, 200);
}

#[tokio::test]
async fn an_operator_unlocks_an_account_for_strangers_and_for_its_owner() {
    let service = Service::start(&["throttle.ceiling=12"]).await;
    assert_eq!(service.status(HOME, "alice").await, 200);
    for from in [ATTACKER, HOME] {
        service.fail(10, from, "alice").await;
        service.pass(60);
        service.fail(2, from, "alice").await;
    }
    service.fail(10, ATTACKER, "bob").await;
    service.pass(60);
    for from in [ATTACKER, HOME] {
        assert_eq!(service.status(from, "alice").await, 429, "the ceiling is reached");
    }
    service.fail(2, ATTACKER, "bob").await;
    let context = &service.app.service.context;
    let subjects = &context.throttle.as_ref().expect("it is on").subjects;
    let alice = administer::find(&context.store, "alice").await.expect("she is there");
    let unlock = async || {
        administer::unlock(&context.store, Caller::SERVICE, subjects, &alice, context.now()).await
    };
    assert!(unlock().await.expect("the store answers"));
    assert!(!unlock().await.expect("the store answers"), "nothing is left to forget");
    for from in [ATTACKER, HOME] {
        assert_eq!(service.status(from, "alice").await, 200, "{from}");
    }
    assert_eq!(service.status(ATTACKER, "bob").await, 429, "bob is somebody else");
}

#[tokio::test]
async fn others_behind_the_same_router_are_not_locked_out() {
    let service = Service::start(&[]).await;
    assert_eq!(service.status(HOME, "bob").await, 200);
    service.fail(10, HOME, "alice").await;
    assert_eq!(service.status(HOME, "alice").await, 429);
    assert_eq!(service.sign_in(HOME, "nobody", "wrong").await.status, 401, "the address has room");
    for time in 0..19 {
        service.fail(1, HOME, &format!("nobody{time}")).await;
    }
    assert_eq!(service.sign_in(HOME, "nobody", "wrong").await.status, 429, "it has no room");
    assert_eq!(service.status(HOME, "alice").await, 429);
    assert_eq!(service.status(HOME, "bob").await, 200, "bob has signed in from here before");
    service.fail(1, HOME, "bob").await;
    assert_eq!(service.status(HOME, "bob").await, 429, "once: the address is used up for him too");
    assert_eq!(service.status(ATTACKER, "bob").await, 200, "another address");
}

#[tokio::test]
async fn an_ipv6_client_is_its_network() {
    let service = Service::start(&[]).await;
    for time in 0..30 {
        service.fail(1, &format!("2001:db8::{time}:1"), &format!("nobody{time}")).await;
    }
    assert_eq!(service.status("2001:db8::ffff", "alice").await, 429);
    assert_eq!(service.status("2001:db8:0:1::1", "alice").await, 200);
}

#[tokio::test]
async fn a_success_ends_the_penalty_of_its_account_and_address() {
    let service = Service::start(&[]).await;
    service.fail(9, HOME, "alice").await;
    assert_eq!(service.status(HOME, "alice").await, 200);
    service.fail(9, HOME, "alice").await;
    assert_eq!(service.status(HOME, "alice").await, 200);
    service.fail(10, HOME, "alice").await;
    assert_eq!(service.status(HOME, "alice").await, 429);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn many_guesses_at_once_learn_no_more_than_one_after_the_other() {
    let service = Arc::new(Service::start(&["passwords.threads=8"]).await);
    let guesses: Vec<_> = (0..60)
        .map(|guess| {
            let service = Arc::clone(&service);
            let password = format!("wrong {guess}");
            tokio::spawn(async move { service.sign_in(ATTACKER, "alice", &password).await.status })
        })
        .collect();
    let mut statuses = Vec::new();
    for guess in guesses {
        statuses.push(guess.await.expect("no panic"));
    }
    assert_eq!(statuses.iter().filter(|status| **status == 401).count(), 10);
    assert_eq!(statuses.iter().filter(|status| **status == 429).count(), 50);
}

#[tokio::test]
async fn an_attempt_that_ends_too_late_learns_nothing() {
    let service = Service::start(&[]).await;
    let context = &service.app.service.context;
    let attacker = from(ATTACKER);
    let begin = async |name| {
        let begun = attempt::Attempt::begin(context, &attacker, name, None).await;
        begun.expect("there is room")
    };
    let (right, wrong, others) = (begin("alice").await, begin("alice").await, begin("bob").await);
    service.fail(10, ATTACKER, "alice").await;
    for outcome in [right.succeeded().await, wrong.failed("wrong_password").await] {
        let refused = matches!(outcome, Err(Error::Refused(Refusal::TooMany { retry_after: 60 })));
        assert!(refused, "{outcome:?}");
    }
    assert!(others.succeeded().await.is_ok());
    // It was not noted as a success either.
    assert_eq!(service.status(ATTACKER, "alice").await, 429);
}

#[tokio::test]
async fn many_sign_ins_at_once_do_not_get_into_each_others_way() {
    let service = Arc::new(Service::start(&[]).await);
    let clients: Vec<_> = (0..60)
        .map(|_| {
            let service = Arc::clone(&service);
            tokio::spawn(async move { service.status(HOME, "alice").await })
        })
        .collect();
    for client in clients {
        assert_eq!(client.await.expect("no panic"), 200);
    }
}

#[tokio::test]
async fn a_hundred_failures_in_a_row_are_the_most() {
    let service = Service::start(&[]).await;
    assert_eq!(service.status(HOME, "alice").await, 200);
    for _ in 0..10 {
        service.fail(10, ATTACKER, "alice").await;
        service.pass(60);
    }
    let seen = service.sign_in(ATTACKER, "alice", PASSWORD).await;
    assert_eq!((seen.status, seen.retry_after.as_deref()), (429, Some("3540")));
    service.pass(3539);
    assert_eq!(service.status(ATTACKER, "alice").await, 429);
    assert_eq!(service.status(HOME, "alice").await, 200, "which ends the row");
    assert_eq!(service.status(ATTACKER, "alice").await, 200);
}

#[tokio::test]
async fn a_recovery_by_mail_lets_the_owner_in() {
    let service = Service::start(&[]).await;
    service.fail(10, ATTACKER, "alice").await;
    assert_eq!(service.status(HOME, "alice").await, 429);
    let context = &service.app.service.context;
    attempt::recovered(context, &from(HOME), "alice").await.expect("it is noted");
    service.fail(10, ATTACKER, "alice").await;
    assert_eq!(service.status(HOME, "alice").await, 200);
}

#[tokio::test]
async fn all_of_it_can_be_switched_off() {
    let service = Service::start(&["throttle.enabled=off"]).await;
    service.fail(120, ATTACKER, "alice").await;
    assert_eq!(service.status(ATTACKER, "alice").await, 200);
    let service = Service::start(&["throttle.account_failures=0", "throttle.ceiling=0"]).await;
    service.fail(30, ATTACKER, "alice").await;
    assert_eq!(service.status(ATTACKER, "alice").await, 429, "the address still counts");
}

#[tokio::test]
async fn mail_and_registrations_have_quotas() {
    let service = Service::start(&["throttle.mail_requests_per_hour=10"]).await;
    let context = &service.app.service.context;
    let ask =
        async |address: &str, quota: Quota<'_>| match quota::spend(context, &from(address), quota)
            .await
        {
            Ok(()) => None,
            Err(Error::Refused(Refusal::TooMany { retry_after })) => Some(retry_after),
            Err(error) => panic!("{error:?}"),
        };
    for address in
        ["alice@example.org", "ALICE@example.org", "ａlice@EXAMPLE.org", "alice@example.org "]
    {
        assert_eq!(ask(ATTACKER, Quota::Reset(address)).await, None, "{address}");
    }
    service.pass(600);
    let again = Quota::Reset("alice@example.org");
    assert_eq!(ask(ATTACKER, again).await, Some(3000));
    assert_eq!(ask(HOME, again).await, Some(3000), "whoever asks");
    assert_eq!(ask(HOME, Quota::Resend("alice@example.org")).await, None, "another mail");
    assert_eq!(ask(HOME, Quota::Reset("bob@example.org")).await, None, "another address");
    service.pass(3000);
    assert_eq!(ask(HOME, again).await, None);

    for address in 0..10 {
        assert_eq!(ask(ATTACKER, Quota::Reset(&format!("{address}@example.org"))).await, None);
    }
    assert_eq!(ask(ATTACKER, Quota::Resend("new@example.org")).await, Some(3600));
    for _ in 0..60 {
        assert_eq!(ask(ATTACKER, Quota::Registration).await, None);
    }
    assert_eq!(ask(ATTACKER, Quota::Registration).await, Some(3600));
    assert_eq!(ask(HOME, Quota::Registration).await, None);
}
