//! What the gate believes when it does not hear of changes: nothing while the database can be asked, and
//! little, for a while, when the database is gone.

mod promotion;

use std::net::SocketAddr;
use std::time::Duration;

use avain::account::account::AccountId;
use avain::base::clock::Clock as _;
use avain::gate::link::Mode;
use avain::http::operations;
use http::Method;
use http_body_util::BodyExt as _;
use tokio::time::Instant;
use tokio_postgres::Client;

use crate::client::Request;
use crate::harness::{Database, Engine, START, TestService};
use crate::proxy::{Proxy, Way};
use crate::support::{CLUSTER, Cluster, block_on, connect};

/// Waits until something holds; fails after ten seconds. Gives how long it took.
async fn until(what: &str, mut holds: impl AsyncFnMut() -> bool) -> Duration {
    let started = Instant::now();
    while !holds().await {
        assert!(started.elapsed() < Duration::from_secs(10), "waited for: {what}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    started.elapsed()
}

fn mode(service: &TestService) -> Mode {
    service.service.gate.link.mode(service.clock.uptime())
}

fn is_listening(service: &TestService) -> bool {
    service.service.metrics.listening.get() == 1
}

/// What operators are told.
async fn operate(service: &TestService, path: &str) -> (u16, String) {
    let answer = operations::handle(&service.service, &Method::GET, path).await;
    let status = answer.status().as_u16();
    let body = answer.into_body().collect().await.expect("it is in memory").to_bytes();
    (status, String::from_utf8_lossy(&body).into_owned())
}

/// Status of an answer of the gate, and its `X-Auth-Mode`.
async fn gate(service: &TestService, method: &str, credential: &str) -> (u16, String) {
    let answer = service.gate(method, "/api/v1/hobbies/", credential).await;
    (answer.status, answer.header("x-auth-mode").to_owned())
}

fn answer(status: u16, mode: &str) -> (u16, String) {
    (status, mode.to_owned())
}

/// An account that was met by the gate, with a bearer token and an API key.
struct Met {
    account: AccountId,
    bearer: String,
    key: String,
}

async fn met(service: &TestService, name: &str) -> Met {
    let account = service.account(name).await;
    let bearer = service.sign_in(name).await.bearer();
    let key = format!("Token {}", service.api_key(account).await);
    assert!(service.admits(&bearer).await && service.admits(&key).await);
    Met { account, bearer, key }
}

/// A service on PostgreSQL, listening, and a connection beside it.
async fn listening() -> (TestService, Client) {
    let service = TestService::with(Engine::Postgres, &[("gate.misses", "1000000")]).await;
    until("it listens", async || is_listening(&service)).await;
    let beside = connect(&service.database.url).await;
    (service, beside)
}

#[test]
fn a_killed_link_is_replaced_and_nothing_is_missed() {
    block_on(async {
        let (service, beside) = listening().await;
        let kill = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity
            WHERE datname = current_database() AND application_name = 'avain changes'";
        for round in 0..5 {
            let met = met(&service, &format!("aino-{round}")).await;
            let lost = service.service.metrics.links_lost.get();
            assert_eq!(beside.query(kill, &[]).await.expect("it runs").len(), 1);
            // At once, while nobody listens.
            let id = met.account.get();
            let delete = format!(
                "BEGIN; DELETE FROM public.authtoken_token WHERE user_id = {id}; INSERT INTO avain.changes
                     (kind, account_id, changed_at) VALUES ('account', {id}, 1); COMMIT"
            );
            beside.batch_execute(&delete).await.expect("it is deleted");
            service.refuses_soon(&met.key).await;
            assert!(service.admits(&met.bearer).await);
            until("it listens again", async || {
                is_listening(&service) && service.service.metrics.links_lost.get() > lost
            })
            .await;
            assert_eq!(mode(&service), Mode::Live);
        }
    });
}

/// All connections to the database are killed at once, again and again; what is revoked meanwhile behind
/// the service's back with a note in the feed is refused soon all the same.
#[test]
fn all_connections_killed_are_replaced() {
    block_on(async {
        let (service, beside) = listening().await;
        let kill = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity
            WHERE datname = current_database() AND pid <> pg_backend_pid()
              AND backend_type = 'client backend'";
        for round in 0..5 {
            let met = met(&service, &format!("aino-{round}")).await;
            beside.query(kill, &[]).await.expect("it runs");
            revoke(&beside, &met, true).await;
            service.refuses_soon(&met.bearer).await;
            service.refuses_soon(&met.key).await;
            until("it listens again", async || is_listening(&service)).await;
        }
    });
}

/// Switches an account off in SQL, with or without a note in the feed.
async fn revoke(beside: &Client, met: &Met, noted: bool) {
    let id = met.account.get();
    let note = format!(
        "INSERT INTO avain.changes (kind, account_id, changed_at) VALUES ('account', {id}, 1);"
    );
    let revoke = format!(
        "BEGIN; UPDATE public.auth_user SET is_active = FALSE WHERE id = {id}; {} COMMIT",
        if noted { note } else { String::new() }
    );
    beside.batch_execute(&revoke).await.expect("it is off");
}

/// The feed cannot be read, but accounts can: somebody has locked its table.
#[test]
fn a_stale_gate_asks_for_every_request() {
    block_on(async {
        let (service, beside) = listening().await;
        let mut accounts = Vec::new();
        for number in 0..30 {
            accounts.push(met(&service, &format!("aino-{number}")).await);
        }
        let bystander = met(&service, "bystander").await;
        assert_eq!(gate(&service, "GET", &bystander.bearer).await, answer(204, ""));
        let locker = connect(&service.database.url).await;
        let locked = Instant::now();
        let lock = "BEGIN; LOCK TABLE avain.changes IN ACCESS EXCLUSIVE MODE";
        locker.batch_execute(lock).await.expect("it is locked");
        until("it turns strict", async || {
            gate(&service, "GET", &bystander.bearer).await == answer(204, "strict")
        })
        .await;
        let turned = locked.elapsed();
        println!("strict after {turned:?}");
        assert!(turned < Duration::from_millis(2100), "{turned:?}");
        let (status, ready) = operate(&service, "/ready").await;
        assert_eq!(status, 200);
        assert!(ready.starts_with("ready, but strict: no news of changes for 2 s"), "{ready}");
        let (_, metrics) = operate(&service, "/metrics").await;
        assert!(metrics.contains("avain_gate_mode{mode=\"strict\"} 1"), "{metrics}");
        assert!(metrics.contains("avain_gate_mode{mode=\"live\"} 0"), "{metrics}");

        for met in &accounts {
            revoke(&beside, met, false).await;
            assert_eq!(gate(&service, "GET", &met.bearer).await, answer(401, "strict"));
            assert_eq!(gate(&service, "POST", &met.key).await, answer(401, "strict"));
            assert_eq!(gate(&service, "POST", &bystander.key).await, answer(204, "strict"));
        }
        assert_eq!(gate(&service, "GET", "").await, answer(204, "strict"));

        locker.batch_execute("ROLLBACK").await.expect("it is unlocked");
        until("it hears again", async || mode(&service) == Mode::Live).await;
        for met in &accounts {
            assert_eq!(gate(&service, "GET", &met.bearer).await, answer(401, ""));
        }
        assert_eq!(gate(&service, "POST", &bystander.key).await, answer(204, ""));
        assert_eq!(operate(&service, "/ready").await, (200, "ready\n".to_owned()));
    });
}

fn server_of(cluster: &Cluster) -> SocketAddr {
    let server = cluster.told("url").split_once('@').expect("a URL with a password").1;
    server.split('/').next().and_then(|at| at.parse().ok()).expect("an address")
}

/// A service that reaches its database through a proxy.
async fn behind_a_proxy(cluster: &Cluster, outage_reading: &str) -> (TestService, Proxy, Client) {
    let server = server_of(cluster);
    let proxy = Proxy::to(server).await;
    let direct = Database::fresh_on(cluster).await;
    let beside = connect(&direct.url).await;
    let url = direct.url.replace(&server.to_string(), &proxy.address.to_string());
    let database = Database::at(url);
    let settings = [
        ("gate.outage_reading", outage_reading),
        ("database.timeout", "1s"),
        ("database.connect_timeout", "500ms"),
        ("gate.misses", "1000000"),
    ];
    let service = TestService::on(database, &settings, START).await;
    until("it listens", async || is_listening(&service)).await;
    (service, proxy, beside)
}

/// The way to the database is cut, loudly or silently: what is known may read for a while, nothing may be
/// written, and what was revoked meanwhile is never let through again once the database is back.
fn cut_off(way: Way) {
    block_on(async {
        let (service, proxy, beside) = behind_a_proxy(&CLUSTER, "6s").await;
        let known = met(&service, "known").await;
        service.account("unknown").await;
        let unknown = service.sign_in("unknown").await.bearer();
        let mut revoked = Vec::new();
        for number in 0..10 {
            revoked.push(met(&service, &format!("revoked-{number}")).await);
        }
        proxy.set(way);
        let cut = Instant::now();
        until("it notices the outage", async || mode(&service) == Mode::Outage).await;
        println!("{way:?}: an outage after {:?}", cut.elapsed());
        for met in &revoked {
            revoke(&beside, met, true).await;
        }
        assert_eq!(gate(&service, "GET", &known.bearer).await, answer(204, "outage"));
        assert_eq!(gate(&service, "HEAD", &known.key).await, answer(204, "outage"));
        assert_eq!(gate(&service, "GET", "").await, answer(204, "outage"));
        for credential in [&known.bearer, &known.key] {
            assert_eq!(gate(&service, "POST", credential).await, answer(503, "outage"));
        }
        let asked = Instant::now();
        assert_eq!(gate(&service, "GET", &unknown).await, answer(503, "outage"));
        assert!(asked.elapsed() < Duration::from_millis(500), "nobody waits for what is gone");
        assert_eq!(gate(&service, "POST", "").await, answer(401, "outage"));
        assert_eq!(gate(&service, "GET", "Bearer x").await, answer(401, "outage"));
        let (status, ready) = operate(&service, "/ready").await;
        assert_eq!(status, 503);
        assert!(ready.contains("known credentials may read for"), "{ready}");

        until("the time for reading is over", async || mode(&service) == Mode::Closed).await;
        assert!(cut.elapsed() >= Duration::from_secs(5), "{:?}", cut.elapsed());
        assert_eq!(gate(&service, "GET", &known.bearer).await, answer(503, "outage"));
        assert_eq!(gate(&service, "GET", &known.key).await, answer(503, "outage"));
        assert_eq!(gate(&service, "GET", "").await, answer(204, "outage"));
        let (status, ready) = operate(&service, "/ready").await;
        assert_eq!(status, 503);
        assert!(ready.contains("only anonymous reading passes"), "{ready}");
        let request =
            Request::new("POST", "/oauth/introspect").header("Authorization", "Basic YTpi");
        let request = request.body("application/x-www-form-urlencoded", "token=x");
        let told = service.ask(&request).await;
        assert_eq!((told.status, told.header("retry-after")), (503, "1"));
        assert_eq!(told.json()["error"], "temporarily_unavailable");
        let (_, metrics) = operate(&service, "/metrics").await;
        assert!(metrics.contains("avain_gate_mode{mode=\"closed\"} 1"), "{metrics}");

        proxy.set(Way::Open);
        until("it is back", async || mode(&service) == Mode::Live).await;
        for credential in revoked.iter().flat_map(|met| [&met.bearer, &met.key]) {
            // The pool may still hold a broken connection or two: never 204 in any case.
            until("a refusal", async || match gate(&service, "GET", credential).await.0 {
                401 => true,
                503 => false,
                status => panic!("the gate answers {status}"),
            })
            .await;
        }
        assert_eq!(gate(&service, "POST", &known.bearer).await, answer(204, ""));
        assert_eq!(gate(&service, "POST", &unknown).await, answer(204, ""));
        until("it listens again", async || is_listening(&service)).await;
    });
}

/// Two hosts in the URL, and the way to the first is cut: everything goes on by the second, nothing that was
/// revoked passes meanwhile, and what is changed from then on is heard of.
#[test]
fn the_second_host_takes_over() {
    block_on(async {
        let server = server_of(&CLUSTER);
        let (first, second) = (Proxy::to(server).await, Proxy::to(server).await);
        let direct = Database::fresh_on(&CLUSTER).await;
        let beside = connect(&direct.url).await;
        let hosts = format!("{},{}", first.address, second.address);
        let url = direct.url.replace(&server.to_string(), &hosts);
        let database = Database::at(format!("{url}?target_session_attrs=read-write"));
        let settings = [("database.connect_timeout", "500ms"), ("gate.misses", "1000000")];
        let service = TestService::on(database, &settings, START).await;
        until("it listens", async || is_listening(&service)).await;
        let bystander = met(&service, "bystander").await;
        let revoked = met(&service, "revoked").await;
        let later = met(&service, "later").await;

        first.set(Way::Cut);
        let cut = Instant::now();
        revoke(&beside, &revoked, true).await;
        until("it is refused", async || {
            matches!(gate(&service, "POST", &revoked.bearer).await.0, 401 | 503)
        })
        .await;
        let refused = cut.elapsed();
        until("the second host is asked", async || {
            mode(&service) == Mode::Live && is_listening(&service)
        })
        .await;
        println!("refused after {refused:?}, live again after {:?}", cut.elapsed());
        assert_eq!(gate(&service, "POST", &revoked.bearer).await, answer(401, ""));
        assert_eq!(gate(&service, "POST", &bystander.bearer).await, answer(204, ""));
        service.sign_in("bystander").await;
        revoke(&beside, &later, true).await;
        service.refuses_soon(&later.key).await;
    });
}

#[test]
fn a_cut_connection_is_an_outage() {
    cut_off(Way::Cut);
}

#[test]
fn a_silent_connection_is_an_outage() {
    cut_off(Way::Silent);
}

#[test]
fn without_a_time_for_reading_an_outage_closes_at_once() {
    block_on(async {
        let (service, proxy, _) = behind_a_proxy(&CLUSTER, "0").await;
        let known = met(&service, "known").await;
        proxy.set(Way::Cut);
        until("it notices", async || mode(&service) == Mode::Closed).await;
        assert_eq!(gate(&service, "GET", &known.bearer).await, answer(503, "outage"));
        assert_eq!(gate(&service, "GET", "").await, answer(204, "outage"));
    });
}

/// A restarted server is another era: what was remembered of the one before is not relied upon.
#[test]
fn a_restarted_server_is_heard_again() {
    let cluster = Cluster::start();
    block_on(async {
        let database = Database::fresh_on(&cluster).await;
        let service = TestService::on(database, &[("database.timeout", "1s")], START).await;
        until("it listens", async || is_listening(&service)).await;
        let known = met(&service, "known").await;
        let looked_up = || service.service.metrics.look_ups.with_label_values(&["account"]).get();
        let before = looked_up();
        tokio::task::block_in_place(|| cluster.tell("restart"));
        let recovered = until("it listens again", async || {
            is_listening(&service) && mode(&service) == Mode::Live
        })
        .await;
        println!("listens again {recovered:?} after the restart");
        service.settled().await;
        assert!(service.admits(&known.bearer).await);
        assert!(looked_up() > before, "it was looked up anew");
        let beside = connect(&service.database.url).await;
        revoke(&beside, &known, true).await;
        service.refuses_soon(&known.bearer).await;
    });
}
