//! A service for each test: wired as `avain serve` wires it, in this process, on a database of its own,
//! with a clock that stands still until it is told to move.

use std::future::Future;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use avain::account::account::AccountId;
use avain::account::password::StoredPassword;
use avain::app::{App, Plan};
use avain::background::Background;
use avain::base::clock::{Clock, ManualClock, Timestamp};
use avain::base::random::SystemRandom;
use avain::base::secret::Secret;
use avain::flow::Caller;
use avain::flow::administer::{self, AccountDraft};
use avain::flow::obtain_key;
use avain::http::Service;
use avain::server::{self, Face, Listener};
use avain::settings::{Listen, Settings, Sources};
use avain::store::Store;
use avain::store::statements::Catalog;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::Instant;

use crate::client::{Answer, Connection, Request};
use crate::support::{CLUSTER, Cluster, block_on, connect};

/// When the tests take place.
pub(crate) const START: Timestamp = Timestamp::from_seconds(1_795_000_000);

/// The password of every account that [`TestService::account`] makes.
pub(crate) const PASSWORD: &str = "Corr3ct-horse-9";

/// With what services are started unless a test says otherwise: cheap hashes, no waiting for disks.
const DEFAULTS: &[(&str, &str)] = &[
    ("passwords.algorithm", "pbkdf2_sha256"),
    ("passwords.pbkdf2_iterations", "1000"),
    ("passwords.threads", "2"),
    ("database.durability", "normal"),
    ("database.pool", "8"),
    // On a busy machine everything takes longer, and that is no fault.
    ("database.timeout", "20s"),
    ("server.operations", ""),
    // One address asks for everything here; `tests/guessing.rs` is about what that costs.
    ("throttle.enabled", "off"),
    ("keys.master", "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff"),
];

/// What a test runs on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Engine {
    Sqlite,
    Postgres,
}

/// Runs one test on `engine`.
pub(crate) fn on<F: Future<Output = ()>>(engine: Engine, test: fn(Engine) -> F) {
    block_on(test(engine));
}

/// An empty database; it goes away with its folder or cluster.
pub(crate) struct Database {
    pub(crate) url: String,
    _folder: Option<TempDir>,
}

impl Database {
    /// A fresh one.
    pub(crate) async fn fresh(engine: Engine) -> Self {
        match engine {
            Engine::Sqlite => {
                let folder = TempDir::new().expect("a temporary folder can be made");
                let url = format!("sqlite:{}", folder.path().join("avain.db").display());
                Self { url, _folder: Some(folder) }
            }
            Engine::Postgres => Self::fresh_on(&CLUSTER).await,
        }
    }

    /// The same database, for another service or store on it. The first must outlive the second.
    pub(crate) fn alike(other: &Self) -> Self {
        Self { url: other.url.clone(), _folder: None }
    }

    /// One that somebody else looks after.
    pub(crate) const fn at(url: String) -> Self {
        Self { url, _folder: None }
    }

    /// Another opening of it, as the command line makes one.
    pub(crate) fn open(&self) -> Store {
        plan(self, &[]).open_store().expect("the store opens")
    }

    /// Another opening of it with statements of a test's own, as Django has its own.
    pub(crate) fn open_as_django(&self, statements: &str) -> Store {
        let catalog = Catalog::parse(&[("django", statements)]).expect("they are statements");
        let plan = plan(self, &[]);
        Store::open_with(plan.options(), Arc::new(catalog)).expect("the store opens")
    }

    /// A fresh one on a cluster of one's own.
    pub(crate) async fn fresh_on(cluster: &Cluster) -> Self {
        static MADE: AtomicU32 = AtomicU32::new(0);
        let name = format!("service_{}", MADE.fetch_add(1, Ordering::Relaxed));
        let client = connect(cluster.told("url")).await;
        let create = format!("CREATE DATABASE {name}");
        client.batch_execute(&create).await.expect("a database can be made");
        Self { url: cluster.url_of(&name), _folder: None }
    }
}

/// The name under which a test gives the text of a whole `avain.toml` among its settings.
pub(crate) const FILE: &str = "avain.toml";

/// Settings of [`DEFAULTS`], this database, and what a test wants otherwise.
pub(crate) fn plan(database: &Database, settings: &[(&str, &str)]) -> Plan {
    let (files, settings): (Vec<_>, Vec<_>) = settings.iter().partition(|(name, _)| *name == FILE);
    let all = DEFAULTS.iter().chain(&settings);
    let toml = files.first().map(|(name, text)| ((*text).to_owned(), (*name).to_owned()));
    let mut overrides: Vec<String> = all.map(|(name, value)| format!("{name}={value}")).collect();
    overrides.push(format!("database.url={}", database.url));
    let settings = Settings::read(&Sources { toml, overrides, ..Sources::default() });
    Plan::new(settings.expect("the settings are right")).expect("the settings make sense")
}

/// A running service.
pub(crate) struct TestService {
    pub(crate) service: Arc<Service>,
    pub(crate) background: Arc<Background>,
    pub(crate) clock: Arc<ManualClock>,
    pub(crate) address: SocketAddr,
    pub(crate) database: Database,
    stop: watch::Sender<bool>,
    serving: JoinSet<()>,
    beside: JoinSet<()>,
}

impl TestService {
    /// A service with the default settings.
    pub(crate) async fn start(engine: Engine) -> Self {
        Self::with(engine, &[]).await
    }

    /// A service with other settings.
    pub(crate) async fn with(engine: Engine, settings: &[(&str, &str)]) -> Self {
        Self::on(Database::fresh(engine).await, settings, START).await
    }

    /// A service on a database that may have been used before.
    pub(crate) async fn on(database: Database, settings: &[(&str, &str)], now: Timestamp) -> Self {
        Self::listening(database, settings, now, Listen::Tcp("127.0.0.1:0".to_owned())).await
    }

    /// A service behind a listener of the test's choice.
    pub(crate) async fn listening(
        database: Database,
        settings: &[(&str, &str)],
        now: Timestamp,
        listen: Listen,
    ) -> Self {
        let plan = plan(&database, settings);
        let clock = Arc::new(ManualClock::new(now));
        let moving: Arc<dyn Clock> = Arc::<ManualClock>::clone(&clock);
        let app = App::start(plan, moving, Arc::new(SystemRandom::new())).await;
        let app = app.unwrap_or_else(|error| panic!("the service does not start: {error:?}"));
        let (stop, stopping) = watch::channel(false);
        let listener = Listener::open(&listen, app.connections.unix_mode).await;
        let listener = listener.expect("the listener opens");
        let address = listener.address().unwrap_or_else(|| ([127, 0, 0, 1], 0).into());
        let service = Arc::clone(&app.service);
        let mut serving = JoinSet::new();
        serving.spawn(server::serve(
            Arc::clone(&service),
            listener,
            Face::Public,
            app.connections,
            stopping.clone(),
        ));
        let mut beside = JoinSet::new();
        beside.spawn(Arc::clone(&app.background.mail).run(stopping.clone()));
        beside.spawn(Arc::clone(&app.background).hear(app.feed, stopping));
        let background = app.background;
        Self { service, background, clock, address, database, stop, serving, beside }
    }

    /// Tells the service to stop, as SIGTERM does.
    pub(crate) fn begin_stop(&self) {
        server::begin_stop(&self.service, &self.stop);
    }

    /// Waits until every connection has ended.
    pub(crate) async fn stopped(mut self) -> Database {
        let serving = std::mem::take(&mut self.serving);
        serving.join_all().await;
        self.beside.shutdown().await;
        self.store().close().await;
        self.database
    }

    /// Stops, and gives the database back.
    pub(crate) async fn stop(self) -> Database {
        self.begin_stop();
        self.stopped().await
    }

    /// Its store.
    pub(crate) fn store(&self) -> &Store {
        &self.service.context.store
    }

    /// The present moment.
    pub(crate) fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// Lets time pass.
    pub(crate) fn pass(&self, seconds: u64) {
        self.clock.advance(Duration::from_secs(seconds));
    }

    /// A new connection.
    pub(crate) async fn connect(&self) -> Connection {
        Connection::tcp(self.address).await
    }

    /// The answer to one request on a connection of its own.
    pub(crate) async fn ask(&self, request: &Request) -> Answer {
        self.connect().await.ask(request).await
    }

    /// The answer to a POST of JSON.
    pub(crate) async fn post(&self, target: &str, body: &Value) -> Answer {
        self.ask(&Request::new("POST", target).json(body)).await
    }

    /// What the gate says about a request; `""` presents no credential.
    pub(crate) async fn gate(&self, method: &str, uri: &str, authorization: &str) -> Answer {
        let answer = self.ask(&gate_request(method, uri, authorization)).await;
        assert_eq!(answer.body, b"", "the gate never answers with a body");
        answer
    }

    /// Whether the gate lets this access token or `Token …` write.
    pub(crate) async fn admits(&self, authorization: &str) -> bool {
        let admits = match self.gate("POST", "/api/v1/hobbies/", authorization).await.status {
            204 => true,
            401 => false,
            status => panic!("the gate answers {status}"),
        };
        // What has passed three times, the gate knows by heart: what ends a credential must end that too.
        for _ in 0..if admits { 2 } else { 0 } {
            self.gate("POST", "/api/v1/hobbies/", authorization).await;
        }
        admits
    }

    /// Waits until the gate refuses a credential; fails after a second. Gives how long it took.
    pub(crate) async fn refuses_soon(&self, authorization: &str) -> Duration {
        let started = Instant::now();
        while self.admits(authorization).await {
            assert!(started.elapsed() < Duration::from_secs(1), "the gate still admits it");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        started.elapsed()
    }

    /// Waits until the service has heard of all that was changed so far, by itself or by others.
    pub(crate) async fn settled(&self) {
        let asked = self.clock.uptime();
        let heard = || {
            let now = self.clock.uptime();
            now.saturating_sub(self.service.gate.link.age(now))
        };
        let started = Instant::now();
        while heard() < asked {
            assert!(started.elapsed() < Duration::from_secs(5), "the feed is read in time");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    /// Makes an active account with [`PASSWORD`].
    pub(crate) async fn account(&self, username: &str) -> AccountId {
        self.account_with(username, |_| {}).await
    }

    /// Makes an account that differs from the usual one.
    pub(crate) async fn account_with(
        &self,
        username: &str,
        change: impl FnOnce(&mut AccountDraft) + Send,
    ) -> AccountId {
        let mut draft = AccountDraft {
            username: username.to_owned(),
            email: format!("{username}@example.org"),
            first_name: "Aino".to_owned(),
            last_name: "Mäkelä".to_owned(),
            password: self.hash(PASSWORD).await,
            is_active: true,
            is_staff: false,
            is_superuser: false,
            classic_key: None,
            unique_email: false,
        };
        change(&mut draft);
        administer::create(self.store(), &Caller::default(), draft, self.now())
            .await
            .expect("an account is made")
    }

    /// The stored form of a password.
    pub(crate) async fn hash(&self, password: &str) -> StoredPassword {
        let hashed = self.service.context.hashing.hash(Secret::new(password.to_owned())).await;
        hashed.expect("there is room in the queue")
    }

    /// The API key of an account.
    pub(crate) async fn api_key(&self, account: AccountId) -> String {
        let random = self.service.context.random.as_ref();
        let key =
            obtain_key::key_of(self.store(), &Caller::default(), account, random, self.now()).await;
        key.expect("a key is made").expose().to_owned()
    }

    /// Signs in at `/api/token`.
    pub(crate) async fn sign_in(&self, username: &str) -> Pair {
        self.sign_in_at("/api/token/", username).await
    }

    /// Signs in somewhere else.
    pub(crate) async fn sign_in_at(&self, target: &str, username: &str) -> Pair {
        let credentials = json!({ "username": username, "password": PASSWORD });
        Pair::of(&self.post(target, &credentials).await)
    }

    /// The answer to a refresh token at `/api/token/refresh`.
    pub(crate) async fn refresh(&self, refresh_token: &str) -> Answer {
        self.post("/api/token/refresh/", &json!({ "refresh": refresh_token })).await
    }
}

/// What nginx asks about a request.
pub(crate) fn gate_request(method: &str, uri: &str, authorization: &str) -> Request {
    let request = Request::new("GET", "/gate")
        .header("X-Original-Method", method)
        .header("X-Original-URI", uri);
    if authorization.is_empty() { request } else { request.header("Authorization", authorization) }
}

/// A token pair.
#[derive(Clone, Debug)]
pub(crate) struct Pair {
    pub(crate) access: String,
    pub(crate) refresh: String,
}

impl Pair {
    /// The pair in a good answer.
    #[track_caller]
    pub(crate) fn of(answer: &Answer) -> Self {
        assert_eq!(answer.status, 200, "{}", answer.text());
        let body = answer.json();
        let text = |name: &str| body[name].as_str().unwrap_or_default().to_owned();
        Self { access: text("access"), refresh: text("refresh") }
    }

    /// The access token as it is presented.
    pub(crate) fn bearer(&self) -> String {
        format!("Bearer {}", self.access)
    }
}
