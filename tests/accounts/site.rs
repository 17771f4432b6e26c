//! A service on a database of its own, that writes its mails into a folder.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use avain::account::account::{Account, AccountId};
use avain::app::{App, Plan};
use avain::base::clock::{Clock, ManualClock, Timestamp};
use avain::base::random::SystemRandom;
use avain::base::secret::Secret;
use avain::flow::Caller;
use avain::flow::administer::{self, AccountDraft};
use avain::flow::{Context, obtain_key};
use avain::http::Service;
use avain::server::{self, Face, Listener};
use avain::settings::{Listen, Settings, Sources};
use avain::store::accounts;
use serde_json::Value;
use tempfile::TempDir;
use tokio::sync::watch;

use crate::client::{Answer, Connection, Request};
use crate::support::{CLUSTER, connect};

pub(crate) const PASSWORD: &str = "Corr3ct-horse-9";
const START: Timestamp = Timestamp::from_seconds(1_795_000_000);

/// What a test runs on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Engine {
    Sqlite,
    Postgres,
}

impl Engine {
    /// An empty database, for as long as `folder` or the cluster lives.
    async fn fresh(self, folder: &TempDir) -> String {
        static MADE: AtomicU32 = AtomicU32::new(0);
        if self == Self::Sqlite {
            return format!("sqlite:{}", folder.path().join("avain.db").display());
        }
        let name = format!("accounts_{}", MADE.fetch_add(1, Ordering::Relaxed));
        let client = connect(CLUSTER.told("url")).await;
        let made = client.batch_execute(&format!("CREATE DATABASE {name}")).await;
        made.expect("a database can be made");
        CLUSTER.url_of(&name)
    }
}

/// A running service.
pub(crate) struct Site {
    service: Arc<Service>,
    clock: Arc<ManualClock>,
    address: SocketAddr,
    folder: TempDir,
    _stop: watch::Sender<bool>,
}

impl Site {
    /// A service with these settings beside the usual ones.
    pub(crate) async fn with(engine: Engine, settings: &[(&str, &str)]) -> Self {
        let folder = TempDir::new().expect("a temporary folder can be made");
        let mut overrides: Vec<String> = [
            ("passwords.algorithm", "pbkdf2_sha256"),
            ("passwords.pbkdf2_iterations", "1000"),
            ("database.durability", "normal"),
            ("database.pool", "4"),
            // On a busy machine everything takes longer, and that is no fault.
            ("database.timeout", "20s"),
            ("keys.master", "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff"),
            ("server.operations", ""),
            ("layouts.dj-rest-auth.enabled", "on"),
            ("site.domain", "front.example"),
        ]
        .iter()
        .chain(settings)
        .map(|(name, value)| format!("{name}={value}"))
        .collect();
        overrides.push(format!("database.url={}", engine.fresh(&folder).await));
        let mails = folder.path().join("mails");
        overrides.push(format!("mail.transport=folder:{}", mails.display()));
        let settings = Settings::read(&Sources { overrides, ..Sources::default() });
        let plan = Plan::new(settings.expect("the settings are right")).expect("they make sense");
        let clock = Arc::new(ManualClock::new(START));
        let moving: Arc<dyn Clock> = Arc::<ManualClock>::clone(&clock);
        let app = App::start(plan, moving, Arc::new(SystemRandom::new())).await;
        let app = app.unwrap_or_else(|error| panic!("the service does not start: {error:?}"));
        let listen = Listen::Tcp("127.0.0.1:0".to_owned());
        let listener = Listener::open(&listen, app.connections.unix_mode).await;
        let listener = listener.expect("the listener opens");
        let address = listener.address().expect("it has one");
        let (stop, stopping) = watch::channel(false);
        let service = Arc::clone(&app.service);
        tokio::spawn(Arc::clone(&app.background.mail).run(stopping.clone()));
        tokio::spawn(server::serve(
            Arc::clone(&service),
            listener,
            Face::Public,
            app.connections,
            stopping,
        ));
        Self { service, clock, address, folder, _stop: stop }
    }

    pub(crate) fn context(&self) -> &Context {
        &self.service.context
    }

    /// Sets the clock forward.
    pub(crate) fn pass(&self, time: Duration) {
        self.clock.advance(time);
    }

    /// Makes an account with [`PASSWORD`], and gives its API key.
    pub(crate) async fn account(&self, username: &str, email: &str) -> (AccountId, String) {
        self.account_with(username, email, false, false).await
    }

    /// The same, with rights.
    pub(crate) async fn account_with(
        &self,
        username: &str,
        email: &str,
        is_staff: bool,
        is_superuser: bool,
    ) -> (AccountId, String) {
        let ranked = |draft: &mut AccountDraft| {
            (draft.is_staff, draft.is_superuser) = (is_staff, is_superuser);
        };
        self.account_that(username, email, ranked).await
    }

    /// The same, otherwise made.
    pub(crate) async fn account_that(
        &self,
        username: &str,
        email: &str,
        change: impl FnOnce(&mut AccountDraft) + Send,
    ) -> (AccountId, String) {
        let password = Secret::new(PASSWORD.to_owned());
        let context = self.context();
        let mut draft = AccountDraft {
            username: username.to_owned(),
            email: email.to_owned(),
            first_name: String::new(),
            last_name: String::new(),
            password: context.hashing.hash(password).await.expect("there is room"),
            is_active: true,
            is_staff: false,
            is_superuser: false,
            classic_key: None,
            unique_email: false,
        };
        change(&mut draft);
        let now = self.clock.now();
        let id = administer::create(&context.store, &Caller::default(), draft, now)
            .await
            .expect("it is made");
        let random = context.random.as_ref();
        let key = obtain_key::key_of(&context.store, &Caller::default(), id, random, now)
            .await
            .expect("a key is made");
        (id, key.expose().to_owned())
    }

    /// Switches an account off as Django does: nothing of ours says why.
    pub(crate) async fn switch_off_elsewhere(&self, id: AccountId) {
        let mut tx = self.context().store.begin("as Django").await.expect("it begins");
        let off = accounts::set_active_in(&mut tx, id, false, self.clock.now()).await;
        assert!(off.expect("it is switched off"), "it was on");
        tx.commit().await.expect("it commits");
    }

    /// An account as it is stored.
    pub(crate) async fn stored(&self, id: AccountId) -> Account {
        let found = accounts::find_by_id(&self.context().store, id).await;
        found.expect("the store answers").expect("it is there")
    }

    /// Asks with a JSON body; `key` empty: as nobody.
    pub(crate) async fn ask(&self, method: &str, target: &str, key: &str, body: &Value) -> Answer {
        let mut request = Request::new(method, target);
        if !key.is_empty() {
            request = request.header("Authorization", format!("Token {key}"));
        }
        if !body.is_null() {
            request = request.json(body);
        }
        self.send(&request).await
    }

    /// Asks as it is.
    pub(crate) async fn send(&self, request: &Request) -> Answer {
        Connection::tcp(self.address).await.ask(request).await
    }

    /// Waits for so many mails to an address and gives the text of the newest.
    pub(crate) async fn mail(&self, to: &str, count: usize) -> String {
        for _ in 0..500 {
            let mails = self.mails(to);
            if mails.len() >= count {
                assert_eq!(mails.len(), count, "mails to {to}");
                return mails.last().cloned().unwrap_or_default();
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        panic!("no {count} mails to {to}");
    }

    /// The mails to an address so far, oldest first.
    pub(crate) fn mails(&self, to: &str) -> Vec<String> {
        let Ok(files) = std::fs::read_dir(self.folder.path().join("mails")) else {
            return Vec::new();
        };
        let mut files: Vec<PathBuf> = files.filter_map(|file| Some(file.ok()?.path())).collect();
        files.retain(|file| file.extension().is_some_and(|found| found == "eml"));
        files.sort_by_key(|file| file.metadata().and_then(|found| found.modified()).ok());
        let texts = files.iter().filter_map(|file| std::fs::read_to_string(file).ok());
        let texts = texts.map(|text| text.replace("=\r\n", "").replace("=3D", "="));
        texts.filter(|text| text.contains(&format!("To: {to}\r\n"))).collect()
    }
}

/// The first word after `mark` in a mail, up to white space, a slash, a quotation mark or a bracket.
pub(crate) fn after<'m>(mail: &'m str, mark: &str) -> &'m str {
    let (_, rest) = mail.split_once(mark).unwrap_or_else(|| panic!("no {mark} in {mail}"));
    rest.split(|c: char| c.is_whitespace() || "/\"<>)".contains(c)).next().unwrap_or_default()
}
