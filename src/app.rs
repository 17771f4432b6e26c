//! The wired service: the only place where everything meets.

mod mail;
mod pages;
mod policy;

use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use arc_swap::ArcSwap;
use tokio::sync::{Mutex, Notify};

use crate::account::account::AccountId;
use crate::account::breached::BreachedList;
use crate::account::cost::{CostLimits, Parameters, Scheme as HashScheme};
use crate::account::hashing::{Hashing, HashingRules};
use crate::account::password::most_common_parameters;
use crate::account::rules::PasswordRules;
use crate::account::throttle::{Limit, Subjects, ThrottleRules};
use crate::app::mail::MailPlan;
use crate::app::pages::PagePlan;
use crate::app::policy::PolicyPlan;
use crate::background::{self, Background};
use crate::base::clock::{Clock, Timestamp};
use crate::base::random::Random;
use crate::base::seal::MasterKey;
use crate::base::secret::Secret;
use crate::base::time_zone::{TimeZone, UnknownTimeZone};
use crate::dialect::dj_rest_auth::{DjRestAuth, Mode};
use crate::dialect::djoser::{Djoser, Generation, Options as DjoserOptions};
use crate::dialect::metax::Metax;
use crate::dialect::native::Native;
use crate::dialect::oauth::{self, OAuth, Places};
use crate::dialect::simplejwt::SimpleJwt;
use crate::dialect::words::{CURRENT, PINNED, Words};
use crate::dialect::{Dialect, LoginField};
use crate::flow::audit::{self, AuditRules, RefusalBudget};
use crate::flow::key_schedule::KeySchedule;
use crate::flow::keys::KeyRoom;
use crate::flow::personal_keys::{KeyRules, LONGEST_OVERLAP};
use crate::flow::{AccountRules, Caller, Context, LayoutRules, Throttle};
use crate::gate::decide::{Gate, PhantomMint};
use crate::gate::known::Memory;
use crate::gate::link::Link;
use crate::gate::policies::Policies;
use crate::http::handlers::gate::LookUps;
use crate::http::question::Protocol;
use crate::http::router::{Manner, Mounted, Router};
use crate::http::{Limits as RequestLimits, Service, routes};
use crate::mail::outbox::Worker;
use crate::metrics::Metrics;
use crate::server::ConnectionLimits;
use crate::settings::{self, Settings};
use crate::store::accounts::Owner;
use crate::store::changes::{Change, Feed};
use crate::store::migrate::{self, Status};
use crate::store::options::EngineKind;
use crate::store::signing_keys::{self, Purpose};
use crate::store::{Durability, Limits, Options, Store, accounts};
use crate::telemetry;
use crate::token::algorithm::Algorithm;
use crate::token::claims::{ClaimSource, ClaimsShape, TokenRules, UserIdAs};
use crate::token::credential::{Scheme, Schemes};
use crate::token::django_link::DjangoLinks;
use crate::token::key::SigningKey;
use crate::token::key_ring::KeyRing;
use crate::token::provider;
use crate::token::verify::Expectations;

/// PostgreSQL without a master key.
const NO_MASTER_KEY: &str = "keys.master: needed with PostgreSQL, the same on all instances; make one with \
     `openssl rand -hex 32`";

/// Why the service does not start.
#[derive(Debug)]
pub enum StartError {
    /// The configuration is wrong: one line each.
    Configuration(Vec<String>),
    /// Something that it needs is not there: one line that says what to do.
    Fault(String),
}

impl StartError {
    fn fault(error: impl std::fmt::Display) -> Self {
        Self::Fault(error.to_string())
    }
}

/// Settings whose words were understood: what can be judged without a database.
pub struct Plan {
    settings: Settings,
    options: Options,
    algorithm: Algorithm,
    phantom_algorithm: Algorithm,
    shape: ClaimsShape,
    expectations: Expectations,
    schemes: Schemes,
    policies: PolicyPlan,
    protocol: Protocol,
    password_rules: PasswordRules,
    layouts: Vec<(&'static str, Tongue, LayoutRules)>,
    longest_access: Duration,
    mail: MailPlan,
    pages: PagePlan,
}

/// The wired service.
pub struct App {
    /// Behind the listeners.
    pub service: Arc<Service>,
    /// Beside them.
    pub background: Arc<Background>,
    /// What happens elsewhere from now on.
    pub feed: Feed,
    /// What connections may ask for.
    pub connections: ConnectionLimits,
}

impl Plan {
    /// Understands the settings, or tells everything that is wrong with them.
    pub fn new(settings: Settings) -> Result<Self, Vec<String>> {
        let mut wrong = Vec::new();
        let mut judge = Judge(&mut wrong);
        let algorithm = judge.algorithm("tokens.algorithm", &settings.tokens.algorithm);
        let phantom_algorithm =
            judge.algorithm("gate.phantom_algorithm", &settings.gate.phantom_algorithm);
        if !matches!(phantom_algorithm, Algorithm::Hs256 | Algorithm::Rs256) {
            judge.refuse("gate.phantom_algorithm", "the backend reads HS256 or RS256");
        }
        let shape = judge.shape(&settings);
        let schemes = judge.schemes(&settings);
        let policies = judge.policies(&settings);
        let protocol = judge.gate(&settings);
        let password_rules = judge.password_rules(&settings);
        let layouts = judge.layouts(&settings);
        let mail = judge.mail(&settings);
        let pages = judge.pages(&settings, mail.site_name());
        let options = store_options(&settings);
        judge.rest(&settings, &options);
        let longest_access = layouts
            .iter()
            .map(|(_, _, rules)| rules.tokens.access_lifetime)
            .max()
            .unwrap_or_default();
        let longest_refresh =
            layouts.iter().map(|(_, _, rules)| rules.tokens.refresh_lifetime).max();
        let expectations = Expectations {
            issuer: settings.tokens.issuer.0.clone(),
            audience: settings.tokens.audience.0.clone(),
            refuse_unexpected_audience: settings.tokens.unexpected_audience == "refuse",
            leeway: seconds(settings.tokens.leeway),
            user_claim: settings.tokens.user_claim.clone(),
            access_lifetime: seconds(longest_access),
            refresh_lifetime: seconds(longest_refresh.unwrap_or_default()),
        };
        if !wrong.is_empty() {
            return Err(wrong);
        }
        let plan = Self {
            settings,
            options,
            algorithm,
            phantom_algorithm,
            shape,
            expectations,
            schemes,
            policies,
            protocol,
            password_rules,
            layouts,
            longest_access,
            mail,
            pages,
        };
        match router(&plan) {
            Err(StartError::Configuration(overlaps)) => Err(overlaps),
            _ => Ok(plan),
        }
    }

    /// The settings.
    #[must_use]
    pub const fn settings(&self) -> &Settings {
        &self.settings
    }

    /// What is asked of new passwords.
    #[must_use]
    pub const fn password_rules(&self) -> &PasswordRules {
        &self.password_rules
    }

    /// How the store is opened.
    #[must_use]
    pub const fn options(&self) -> &Options {
        &self.options
    }

    /// What is expected of presented tokens.
    #[must_use]
    pub const fn expectations(&self) -> &Expectations {
        &self.expectations
    }

    /// The longest life of an access token.
    #[must_use]
    pub const fn longest_access(&self) -> Duration {
        self.longest_access
    }

    /// The algorithm of signing keys that are made.
    #[must_use]
    pub const fn algorithm(&self) -> Algorithm {
        self.algorithm
    }

    /// How long tokens of clients live, also where the layout is off: they may have been issued before.
    #[must_use]
    pub fn client_token_lifetime(&self) -> Duration {
        self.settings.layout("oauth").map(|layout| layout.access_lifetime).unwrap_or_default()
    }

    /// When what happens to signing keys.
    #[must_use]
    pub const fn key_schedule(&self) -> KeySchedule {
        let keys = &self.settings.keys;
        let rotation = if keys.rotation.is_zero() { None } else { Some(keys.rotation) };
        KeySchedule { rotation, publish_ahead: keys.publish_ahead, algorithm: self.algorithm }
    }

    /// For how long what a key has signed lives on at most. A little more, since instances hear one after
    /// the other that a key has stopped signing, and by clocks that differ.
    fn key_overlap(&self) -> Duration {
        let expect = &self.expectations;
        let longest =
            expect.access_lifetime.max(expect.refresh_lifetime).saturating_add(expect.leeway);
        Duration::from_secs(u64::try_from(longest).unwrap_or_default()) + Duration::from_mins(5)
    }

    /// What keys are kept with.
    pub fn key_room<'a>(
        &self,
        store: &'a Store,
        master: &'a MasterKey,
        random: &'a dyn Random,
        now: Timestamp,
    ) -> KeyRoom<'a> {
        KeyRoom { store, master, random, now, overlap: self.key_overlap(), caller: Caller::SERVICE }
    }

    /// What the site wants of API keys.
    #[must_use]
    pub fn key_rules(&self) -> KeyRules {
        let keys = &self.settings.api_keys;
        KeyRules {
            overlap: keys.overlap,
            longest_life: (!keys.longest_life.is_zero()).then_some(keys.longest_life),
            most: keys.per_account,
        }
    }

    /// Sentences about settings that are right but not safe in production.
    #[must_use]
    pub fn warnings(&self) -> Vec<String> {
        let mut warnings = Vec::new();
        let mut warn = |condition: bool, sentence: &str| {
            if condition {
                warnings.push(sentence.to_owned());
            }
        };
        let settings = &self.settings;
        let public = |listen: &settings::Listen| match listen {
            settings::Listen::Tcp(address) => {
                !["127.", "[::1]", "localhost"].iter().any(|local| address.starts_with(local))
            }
            settings::Listen::Unix(_) => false,
        };
        warn(
            settings.server.listen.0.iter().any(public),
            "server.listen: other machines can reach it without TLS and can ask the gate; listen on a unix \
             socket or on 127.0.0.1, behind nginx",
        );
        warn(
            settings.server.operations.0.as_ref().is_some_and(public),
            "server.operations: other machines can reach it; nothing there asks who they are",
        );
        warn(
            settings.server.unix_mode.0 & 0o007 != 0,
            "server.unix_mode: everybody on this machine may ask the gate",
        );
        warn(
            settings.server.trusted_proxies.0.iter().any(|network| network.prefix_len() == 0),
            "server.trusted_proxies: everybody is believed about the client's address",
        );
        warn(
            settings.database.url.expose().contains("sslmode=disable"),
            "database.url: sslmode=disable sends accounts over the network in clear, unless the host is local",
        );
        warn(
            matches!(self.options.engine(), Ok(EngineKind::Postgres))
                && !settings.database.prepared_statements
                && settings.database.listen_url.0.is_none(),
            "database.listen_url: behind a pgbouncer nobody is told of changes, so they are polled for; give \
             the URL of the server itself",
        );
        warn(
            settings.keys.master.0.is_none()
                && matches!(self.options.engine(), Ok(EngineKind::Sqlite(_))),
            "keys.master: the master key lies in a file beside the database; who copies the folder has both",
        );
        warn(
            settings.tokens.leeway > Duration::from_mins(1),
            "tokens.leeway: more than a minute lets expired tokens live on",
        );
        warn(
            settings.tokens.family_lifetime.is_zero(),
            "tokens.family_lifetime: a sign-in can be refreshed for ever",
        );
        warn(
            settings.tokens.issuer.0.is_none() && self.algorithm != Algorithm::Hs256,
            "tokens.issuer: other services that verify our tokens should be able to tell whose they are",
        );
        warn(
            self.policies.opens_writing(),
            "gate.policy: lets everybody write everywhere; the backend must ask who they are",
        );
        warn(
            settings.gate.phantom_lifetime > Duration::from_mins(15),
            "gate.phantom_lifetime: a phantom token outlives a revocation by so long",
        );
        let throttle = &settings.throttle;
        warn(!throttle.enabled, "throttle.enabled: passwords may be guessed without end");
        warn(
            throttle.enabled && !(1..=100).contains(&throttle.ceiling),
            "throttle.ceiling: more than 100 failures in a row (NIST SP 800-63B 5.2.2)",
        );
        warn(
            settings.passwords.minimum_length < 8,
            "passwords.minimum_length: fewer than 8 characters",
        );
        warn(
            matches!(settings.passwords.algorithm.as_str(), "pbkdf2_sha256")
                && (1..600_000).contains(&settings.passwords.pbkdf2_iterations),
            "passwords.pbkdf2_iterations: fewer than 600,000",
        );
        warnings.extend(self.mail_warnings().into_iter().map(str::to_owned));
        warnings
    }

    /// Opens the store.
    pub fn open_store(&self) -> Result<Store, StartError> {
        Store::open(&self.options).map_err(|error| StartError::Fault(format!("database: {error}")))
    }

    /// Whether there will be a master key, as far as settings tell: what serving cannot do without.
    pub fn ensure_master_key(&self) -> Result<(), StartError> {
        match self.options.engine() {
            Ok(EngineKind::Postgres) if self.settings.keys.master.0.is_none() => {
                Err(StartError::Configuration(vec![NO_MASTER_KEY.to_owned()]))
            }
            _ => Ok(()),
        }
    }

    /// The master key: the configured one, or with SQLite the one in the file beside the database, which
    /// is made where there is none and no key was ever stored.
    pub async fn master_key(
        &self,
        store: &Store,
        random: &dyn Random,
    ) -> Result<MasterKey, StartError> {
        if let Some(master) = &self.settings.keys.master.0 {
            return MasterKey::parse(master.expose())
                .map_err(|error| StartError::Configuration(vec![format!("keys.master: {error}")]));
        }
        let Ok(EngineKind::Sqlite(database)) = self.options.engine() else {
            return Err(StartError::Configuration(vec![NO_MASTER_KEY.to_owned()]));
        };
        let mut path = database.into_os_string();
        path.push(".master-key");
        let path = PathBuf::from(path);
        let stored = signing_keys::all(store).await;
        if !path.exists() && !stored.map_err(StartError::fault)?.is_empty() {
            return Err(StartError::Fault(format!(
                "keys.master: {} is missing, and only it opens the keys in the database; put it back, or set \
                 keys.master to what it held",
                path.display()
            )));
        }
        master_key_in(&path, random)
    }

    /// Who owns the accounts.
    pub async fn owner(&self, store: &Store) -> Result<Owner, StartError> {
        match self.settings.accounts.owner.as_str() {
            "django" => Ok(Owner::Django),
            "avain" => Ok(Owner::Avain),
            _ => {
                let fact = store.fact("accounts.owner").await.map_err(StartError::fault)?;
                Ok(if fact.as_deref() == Some("django") { Owner::Django } else { Owner::Avain })
            }
        }
    }

    /// Starts the threads that hash.
    pub async fn hashing(
        &self,
        store: &Store,
        random: Arc<dyn Random>,
    ) -> Result<Arc<Hashing>, StartError> {
        let passwords = &self.settings.passwords;
        let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
        let threads = match passwords.threads {
            0 => cores.saturating_sub(1).max(1),
            threads => threads,
        };
        let rules = HashingRules {
            threads,
            queue: passwords.queue,
            scheme: self.hash_scheme(store).await?,
            floor_iterations: passwords.rehash_below,
            limits: CostLimits::default(),
        };
        Ok(Hashing::start(rules, random))
    }

    async fn hash_scheme(&self, store: &Store) -> Result<HashScheme, StartError> {
        let passwords = &self.settings.passwords;
        let argon2 = match passwords.algorithm.as_str() {
            "argon2id" => true,
            "pbkdf2_sha256" => false,
            _ => self.owner(store).await? == Owner::Avain,
        };
        if argon2 {
            return Ok(HashScheme::Argon2id {
                memory_kib: u32::try_from(passwords.argon2_memory.0 / 1024).unwrap_or(u32::MAX),
                iterations: passwords.argon2_passes,
                lanes: 1,
            });
        }
        if passwords.pbkdf2_iterations > 0 {
            return Ok(HashScheme::Pbkdf2Sha256 { iterations: passwords.pbkdf2_iterations });
        }
        let sample = accounts::newest_passwords(store, 1000).await.map_err(StartError::fault)?;
        let most = most_common_parameters(
            sample.iter().map(super::account::password::StoredPassword::expose),
        );
        let iterations = match most {
            Some(Parameters::Pbkdf2Sha256 { iterations }) => iterations,
            // Django 5.2's default, where nothing else is known.
            _ => 1_000_000,
        };
        Ok(HashScheme::Pbkdf2Sha256 { iterations })
    }

    /// Applies missing migrations, or refuses to start without them.
    pub async fn ensure_migrated(&self, clock: &dyn Clock) -> Result<(), StartError> {
        if self.settings.database.migrate_on_start {
            let applied = migrate::run(&self.options, clock.now()).await;
            return applied
                .map(drop)
                .map_err(|error| StartError::Fault(format!("database: {error}")));
        }
        let store = self.open_store()?;
        match migrate::status(&store).await {
            Ok(Status::Current | Status::Newer(_)) => Ok(()),
            Ok(Status::Pending(names)) => Err(StartError::Fault(format!(
                "database: migrations are missing ({}); run `avain migrate`",
                names.join(", ")
            ))),
            Err(error) => Err(StartError::Fault(format!("database: {error}"))),
        }
    }

    /// Makes sure that there are keys, as configured.
    pub async fn ensure_keys(&self, room: &KeyRoom<'_>) -> Result<(), StartError> {
        let import = read_key("keys.import", self.settings.keys.import.0.as_ref())?;
        let keys = room.ensure(Purpose::Token, self.algorithm, import.as_ref()).await;
        keys.map_err(|error| StartError::Fault(format!("keys: {error}")))?;
        if self.settings.gate.phantom_key.0.is_none() {
            let phantom = room.ensure(Purpose::Phantom, self.phantom_algorithm, None).await;
            phantom.map_err(|error| StartError::Fault(format!("phantom key: {error}")))?;
        }
        Ok(())
    }

    /// The key of phantom tokens: the configured one, or the one in the store.
    pub async fn phantom_key(&self, room: &KeyRoom<'_>) -> Result<SigningKey, StartError> {
        match read_key("gate.phantom_key", self.settings.gate.phantom_key.0.as_ref())? {
            Some(text) => Ok(text),
            None => room
                .phantom()
                .await
                .map_err(|error| StartError::Fault(format!("phantom key: {error}"))),
        }
    }
}

/// A key that a setting holds: `hs256:` and a secret, the text of a PEM, or the path of a PEM file.
fn read_key(name: &str, value: Option<&Secret<String>>) -> Result<Option<SigningKey>, StartError> {
    let Some(value) = value else { return Ok(None) };
    let text = value.expose();
    let wrong = |why: String| StartError::Configuration(vec![format!("{name}: {why}")]);
    let is_path = !text.starts_with("hs256:") && !text.contains("-----");
    let (text, file) = if is_path {
        // The text is not shown: it may be a secret whose `hs256:` was forgotten.
        let read = std::fs::read_to_string(text).map_err(|error| {
            wrong(format!(
                "is neither `hs256:` and a secret, nor a PEM, nor the path of a file that can be read ({error})"
            ))
        })?;
        (Secret::new(read), text.as_str())
    } else {
        (value.clone(), "KEY")
    };
    let key = SigningKey::import(text.expose(), file).map_err(|error| wrong(error.to_string()))?;
    Ok(Some(key))
}

fn master_key_in(path: &Path, random: &dyn Random) -> Result<MasterKey, StartError> {
    let failed = |what: &str, error: std::io::Error| {
        StartError::Fault(format!("master key: cannot {what} {}: {error}", path.display()))
    };
    let mut options = std::fs::OpenOptions::new();
    match options.write(true).create_new(true).mode(0o600).open(path) {
        Ok(mut file) => {
            let master = MasterKey::generate(random);
            std::io::Write::write_all(&mut file, master.to_hex().expose().as_bytes())
                .map_err(|error| failed("write", error))?;
            Ok(master)
        }
        Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {
            let text = std::fs::read_to_string(path).map_err(|error| failed("read", error))?;
            MasterKey::parse(text.trim()).map_err(|error| {
                StartError::Fault(format!("master key in {}: {error}", path.display()))
            })
        }
        Err(error) => Err(failed("make", error)),
    }
}

impl App {
    /// Wires the service. Migrates where that is configured, makes missing keys, opens no listener.
    pub async fn start(
        plan: Plan,
        clock: Arc<dyn Clock>,
        random: Arc<dyn Random>,
    ) -> Result<Self, StartError> {
        provider::install();
        plan.ensure_master_key()?;
        plan.ensure_migrated(clock.as_ref()).await?;
        let store = plan.open_store()?;
        let metrics = Metrics::new();
        observe(&store, &metrics);
        // From here on nothing that changes is missed: the feed is opened before anything is read.
        let feed = Feed::open(&store).await.map_err(StartError::fault)?;
        let master = plan.master_key(&store, random.as_ref()).await?;
        let hashing = plan.hashing(&store, Arc::clone(&random)).await?;
        let (ring, phantom) = {
            let room = plan.key_room(&store, &master, random.as_ref(), clock.now());
            plan.ensure_keys(&room).await?;
            let ring = room.ring(1).await.map_err(StartError::fault)?;
            (Arc::new(ring), plan.phantom_key(&room).await?)
        };

        let settings = &plan.settings;
        let gate = Arc::new(gate(&plan, plan.policies()?, &ring, phantom, clock.uptime(), &random));
        let wake = Arc::new(Notify::new());
        let mail = Arc::new(Worker {
            store: store.clone(),
            master: master.clone(),
            transport: plan.transport()?,
            clock: Arc::clone(&clock),
            random: Arc::clone(&random),
            rules: plan.worker_rules(),
            wake: Arc::clone(&wake),
            observer: mail::count(&metrics),
        });
        let mailer = plan.mailer(&master, &random)?;
        let family_lifetime = settings.tokens.family_lifetime;
        let throttle = settings.throttle.enabled.then(|| Throttle {
            rules: throttle_rules(&settings.throttle),
            subjects: Subjects::new(master.digest_key("attempts")),
        });
        let mut accounts = account_rules(settings, plan.password_rules.clone());
        plan.lead_links_to_pages(&mut accounts);
        let context = Arc::new(Context {
            store: store.clone(),
            hashing,
            mailer,
            accounts,
            sessions: plan.session_rules(&master),
            owner: plan.owner(&store).await?,
            ring: ArcSwap::new(ring),
            master,
            throttle,
            audit: audit_rules(&settings.audit),
            clock,
            random,
            shape: plan.shape.clone(),
            expectations: plan.expectations.clone(),
            refresh_grace: settings.tokens.refresh_grace,
            family_lifetime: (!family_lifetime.is_zero()).then_some(family_lifetime),
            longest_access: plan.longest_access,
            key_overlap: plan.key_overlap(),
            key_rules: plan.key_rules(),
        });
        background::learn_dummy(&context).await.map_err(StartError::fault)?;
        let background = Arc::new(Background {
            context: Arc::clone(&context),
            gate: Arc::clone(&gate),
            metrics: metrics.clone(),
            mail,
            key_schedule: plan.key_schedule(),
            recheck: settings.accounts.recheck,
            ring: Mutex::default(),
            keep_ended_keys: settings.api_keys.keep_ended,
        });
        hear_own_changes(&store, &background, wake);

        let service = Arc::new(Service {
            context,
            gate,
            look_ups: LookUps::new(settings.gate.misses, settings.gate.key_look_ups, &metrics),
            gate_path: settings.gate.path.clone(),
            protocol: plan.protocol,
            pages: plan.page_site()?,
            cookies: plan.cookie_names(),
            router: router(&plan)?,
            limits: RequestLimits {
                body: settings.server.max_body.0,
                body_timeout: settings.server.body_timeout,
                request_timeout: settings.server.request_timeout,
                in_flight: settings.server.max_in_flight,
            },
            metrics,
            trusted_proxies: settings.server.trusted_proxies.0.clone(),
            draining: AtomicBool::new(false),
        });
        let connections = connection_limits(&plan.settings);
        Ok(Self { service, background, feed, connections })
    }
}

fn gate(
    plan: &Plan,
    policies: Policies,
    ring: &Arc<KeyRing>,
    phantom: SigningKey,
    uptime: Duration,
    random: &Arc<dyn Random>,
) -> Gate {
    Gate {
        link: Link::new(plan.settings.gate.outage_reading, uptime),
        memory: Memory::with_room(plan.settings.gate.cache.0, random.as_ref()),
        ring: ArcSwap::new(Arc::clone(ring)),
        expectations: plan.expectations.clone(),
        schemes: plan.schemes.clone(),
        policies: ArcSwap::from_pointee(policies),
        phantoms: PhantomMint {
            key: phantom,
            lifetime: plan.settings.gate.phantom_lifetime,
            random: Arc::clone(random),
        },
    }
}

fn connection_limits(settings: &Settings) -> ConnectionLimits {
    let server = &settings.server;
    ConnectionLimits {
        connections: server.max_connections,
        head: server.max_head.0,
        head_timeout: server.head_timeout,
        unix_mode: server.unix_mode.0,
    }
}

fn audit_rules(settings: &settings::Audit) -> AuditRules {
    AuditRules {
        retention: (!settings.retention.is_zero()).then_some(settings.retention),
        refreshes: settings.refreshes,
        refusals: RefusalBudget::of(settings.refusals_per_minute),
    }
}

fn observe(store: &Store, metrics: &Metrics) {
    let events = metrics.audit_events.clone();
    store.audit(Arc::new(move |record| {
        audit::log(record);
        events.with_label_values(&[record.event.as_str()]).inc();
    }));
    let seconds = metrics.store_seconds.clone();
    store.observe(Arc::new(move |observed| {
        seconds
            .with_label_values(&[observed.name, observed.outcome])
            .observe(observed.elapsed.as_secs_f64());
    }));
}

/// What this instance commits counts at once, not only when the feed is read again.
fn hear_own_changes(store: &Store, background: &Arc<Background>, mail: Arc<Notify>) {
    let background = Arc::clone(background);
    let own = background.metrics.changes.with_label_values(&["own"]);
    store.subscribe(Arc::new(move |changes| {
        for change in changes {
            match *change {
                Change::Account(account) => {
                    own.inc();
                    background.gate.memory.forget(AccountId::new(account));
                }
                Change::Keys | Change::Everything => {
                    own.inc();
                    let (background, change) = (Arc::clone(&background), *change);
                    tokio::spawn(async move { background.apply(change).await });
                }
                Change::Outbox => mail.notify_one(),
            }
        }
    }));
}

fn router(plan: &Plan) -> Result<Router, StartError> {
    let mounted = plan.layouts.iter().filter_map(|(name, tongue, rules)| {
        let layout = routes::LAYOUTS.iter().find(|layout| layout.name == *name)?;
        let mount = plan.settings.layout(name)?.mount.trim_end_matches('/').to_owned();
        Some(Mounted {
            layout,
            mount,
            dialect: Arc::clone(&tongue.dialect),
            token_dialect: Arc::clone(&tongue.token_dialect),
            schemes: Arc::new(Schemes {
                accepted: tongue.schemes.clone(),
                bearer_prefix: plan.settings.tokens.prefix.clone(),
            }),
            manner: tongue.manner.clone(),
            login: login_field(&plan.settings),
            rules: Arc::new(rules.clone()),
        })
    });
    let pages = plan.settings.pages.enabled.then_some((&plan.pages.mounts, routes::PAGES));
    Router::build(&mounted.collect::<Vec<_>>(), &plan.settings.gate.path, pages)
        .map_err(StartError::Configuration)
}

/// How a layout speaks.
#[derive(Clone)]
struct Tongue {
    dialect: Arc<dyn Dialect>,
    token_dialect: Arc<dyn Dialect>,
    schemes: Vec<Scheme>,
    manner: Manner,
}

/// How the layout of that name speaks.
fn tongue(settings: &Settings, layout: &str) -> Option<Tongue> {
    let found = settings.layout(layout)?;
    let prefix = &settings.tokens.prefix;
    let words: &'static Words = if found.wording == "pinned" { &PINNED } else { &CURRENT };
    let login = login_field(settings);
    let tokens: Arc<dyn Dialect> = Arc::new(SimpleJwt::new(words, prefix, login));
    let djoser = |generation| {
        let account = &settings.account;
        let djoser = Djoser {
            generation,
            options: DjoserOptions {
                retype_password: account.retype_password,
                retype_username: account.retype_username,
                show_unknown: account.show_unknown,
                require_names: account.require_names,
                login,
            },
        };
        let mut schemes = vec![Scheme::Token];
        if generation == Generation::V2 {
            schemes.push(Scheme::Bearer);
        }
        Tongue {
            dialect: Arc::new(djoser.clone()),
            token_dialect: Arc::clone(&tokens),
            schemes,
            manner: Manner::Djoser(djoser),
        }
    };
    Some(match layout {
        "harrastuspassi" | "simplejwt" => Tongue {
            dialect: Arc::clone(&tokens),
            token_dialect: tokens,
            schemes: vec![Scheme::Bearer],
            manner: Manner::Tokens,
        },
        "djoser" => djoser(Generation::V2),
        "djoser-legacy" if found.wording == "0.1" => djoser(Generation::V0_1),
        "djoser-legacy" => djoser(Generation::V0_5),
        "dj-rest-auth" => {
            let account = &settings.account;
            let mode = match account.dj_rest_auth_mode.as_str() {
                "jwt" => Mode::Jwt,
                "cookie" => Mode::Cookie,
                _ => Mode::Key,
            };
            let scheme = if mode == Mode::Key { Scheme::Token } else { Scheme::Bearer };
            let challenge = match mode {
                Mode::Key => "Token".to_owned(),
                Mode::Jwt | Mode::Cookie => format!("{prefix} realm=\"api\""),
            };
            let dialect = DjRestAuth {
                mode,
                by_username: account.dj_rest_auth_usernames && login == LoginField::Username,
                login,
                expirations: account.dj_rest_auth_expirations,
                old_password: account.dj_rest_auth_old_password,
                challenge,
            };
            let shared: Arc<dyn Dialect> = Arc::new(dialect.clone());
            Tongue {
                dialect: Arc::clone(&shared),
                token_dialect: shared,
                schemes: vec![scheme],
                manner: Manner::DjRestAuth(dialect),
            }
        }
        "native" => {
            let native = Native::new(prefix);
            let shared: Arc<dyn Dialect> = Arc::new(native.clone());
            Tongue {
                dialect: Arc::clone(&shared),
                token_dialect: shared,
                schemes: vec![Scheme::Bearer, Scheme::Token],
                manner: Manner::Native(native),
            }
        }
        "oauth" => {
            let dialect = oauth(settings, &found.mount);
            let shared: Arc<dyn Dialect> = Arc::new(dialect.clone());
            Tongue {
                dialect: Arc::clone(&shared),
                token_dialect: shared,
                schemes: vec![Scheme::Bearer, Scheme::Token],
                manner: Manner::OAuth(dialect),
            }
        }
        "metax" => Tongue {
            dialect: Arc::new(Metax),
            token_dialect: tokens,
            schemes: vec![Scheme::Token],
            manner: Manner::Tokens,
        },
        _ => return None,
    })
}

/// What accounts sign in with.
fn login_field(settings: &Settings) -> LoginField {
    if settings.account.email_login { LoginField::Email } else { LoginField::Username }
}

/// For how long others may keep a copy of the key set at most.
const KEY_SET_AGE: Duration = Duration::from_mins(5);

/// What the layout `oauth` says of itself. Its places are never taken from a request: a copy of them is kept.
fn oauth(settings: &Settings, mount: &str) -> OAuth {
    let site = format!("{}://{}", settings.site.protocol, settings.site.domain);
    let is_url = |issuer: &&str| issuer.starts_with("https://") || issuer.starts_with("http://");
    let issuer = settings.tokens.issuer.0.as_deref().filter(is_url).unwrap_or(&site);
    let host = issuer.find("://").map_or(0, |at| at + 3);
    let origin = issuer.get(host..).and_then(|rest| rest.find('/'));
    let origin = origin.and_then(|end| issuer.get(..host + end)).unwrap_or(issuer);
    let base = format!("{origin}{}", mount.trim_end_matches('/'));
    // A copy must be older than a key is published ahead before it can lack the key that signs.
    let age = KEY_SET_AGE.min(settings.keys.publish_ahead / 2);
    OAuth {
        token_type: settings.tokens.prefix.clone(),
        user_claim: settings.tokens.user_claim.clone(),
        metadata: oauth::metadata(&Places { issuer, base: &base, origin }),
        key_set_age: age.as_secs(),
    }
}

/// What the site wants of accounts.
fn account_rules(settings: &Settings, passwords: PasswordRules) -> AccountRules {
    let account = &settings.account;
    AccountRules {
        activation: account.activation,
        classic_keys: account.classic_keys,
        log_in_after_registration: account.login_after_registration,
        log_in_after_activation: account.login_after_activation,
        confirm_activation: account.confirm_activation,
        confirm_password: account.confirm_password,
        warn_of_reuse: account.warn_of_reuse,
        confirm_username: account.confirm_username,
        end_keys_on_password_change: account.end_keys_on_password_change,
        unique_email: account.unique_email,
        email_login: account.email_login,
        confirm_email_change: account.email_change == "confirm",
        confirm_on_get: account.confirm_on_get,
        link_lifetime: account.link_lifetime,
        activation_url: account.activation_url.clone(),
        password_reset_url: account.password_reset_url.clone(),
        username_reset_url: account.username_reset_url.clone(),
        email_verification_url: account.email_verification_url.clone(),
        allauth_password_reset_url: account.allauth_password_reset_url.clone(),
        email_change_url: account.email_change_url.clone(),
        django_links: django_links(account).ok().flatten(),
        passwords,
    }
}

/// What it takes to follow links that Django has sent; `None` where no key of its is known.
fn django_links(account: &settings::Account) -> Result<Option<DjangoLinks>, UnknownTimeZone> {
    let time_zone = TimeZone::named(&account.django_time_zone)?;
    let secret_keys = account.django_secret_keys.0.clone();
    let lifetime = account.django_link_lifetime;
    Ok((!secret_keys.is_empty()).then_some(DjangoLinks { secret_keys, time_zone, lifetime }))
}

fn throttle_rules(throttle: &settings::Throttle) -> ThrottleRules {
    let hourly = |most| Limit::of(most, Duration::from_hours(1));
    ThrottleRules {
        account: Limit {
            most: throttle.account_failures,
            window: throttle.window,
            ceiling: throttle.ceiling,
            rest: throttle.ceiling_rest,
        },
        address: Limit::of(throttle.address_failures, throttle.window),
        known_for: throttle.known_for,
        resets: hourly(throttle.resets_per_hour),
        resends: hourly(throttle.resends_per_hour),
        mail_requests: hourly(throttle.mail_requests_per_hour),
        registrations: hourly(throttle.registrations_per_hour),
    }
}

fn store_options(settings: &Settings) -> Options {
    let database = &settings.database;
    let mut options = Options::new(database.url.expose());
    options.admin_url.clone_from(&database.admin_url.0);
    options.listen_url.clone_from(&database.listen_url.0);
    options.connections = database.pool;
    options.readers = database.readers;
    options.prepared_statements = database.prepared_statements;
    options.durability = match database.durability {
        settings::Durability::Normal => Durability::Normal,
        settings::Durability::Full => Durability::Full,
    };
    options.limits = Limits {
        statement: database.timeout,
        wait: database.timeout,
        whole: database.timeout + Duration::from_secs(1),
        connect: database.connect_timeout,
    };
    options
}

fn seconds(duration: Duration) -> i64 {
    i64::try_from(duration.as_secs()).unwrap_or(i64::MAX)
}

/// Judges words whose meaning the settings do not know.
struct Judge<'w>(&'w mut Vec<String>);

impl Judge<'_> {
    fn refuse(&mut self, name: &str, why: impl std::fmt::Display) {
        self.0.push(format!("{name}: {why}"));
    }

    fn one_of(&mut self, name: &str, value: &str, known: &[&str]) {
        if !known.contains(&value) {
            self.refuse(name, format!("`{value}` is none of {}", known.join(", ")));
        }
    }

    fn algorithm(&mut self, name: &str, value: &str) -> Algorithm {
        Algorithm::parse(value).unwrap_or_else(|| {
            self.one_of(name, value, &["HS256", "RS256", "ES256", "EdDSA"]);
            Algorithm::Hs256
        })
    }

    fn shape(&mut self, settings: &Settings) -> ClaimsShape {
        let tokens = &settings.tokens;
        self.one_of("tokens.user_id", &tokens.user_id, &["string", "number"]);
        self.one_of(
            "tokens.unexpected_audience",
            &tokens.unexpected_audience,
            &["accept", "refuse"],
        );
        let taken = [
            "token_type",
            "exp",
            "iat",
            "nbf",
            "jti",
            "iss",
            "aud",
            "sid",
            "act",
            "scope",
            "client_id",
        ];
        if tokens.user_claim.is_empty() || taken.contains(&tokens.user_claim.as_str()) {
            self.refuse("tokens.user_claim", format!("`{}` is taken", tokens.user_claim));
        }
        let mut further = Vec::new();
        for entry in &tokens.further.0 {
            let (claim, source) = entry.split_once('=').unwrap_or((entry, ""));
            let source = match source {
                "username" => ClaimSource::Username,
                "email" => ClaimSource::Email,
                "is_staff" => ClaimSource::IsStaff,
                "user_id" => ClaimSource::UserId,
                other => match other.strip_prefix("fixed:") {
                    Some(value) => ClaimSource::Fixed(
                        serde_json::from_str(value).unwrap_or_else(|_| value.into()),
                    ),
                    None => {
                        let why = format!(
                            "`{entry}`: write CLAIM=SOURCE, where SOURCE is username, email, is_staff, \
                             user_id or fixed:VALUE"
                        );
                        self.refuse("tokens.further", why);
                        continue;
                    }
                },
            };
            if claim.is_empty() || taken.contains(&claim) || claim == tokens.user_claim {
                self.refuse("tokens.further", format!("the claim `{claim}` is taken"));
            }
            further.push((claim.to_owned(), source));
        }
        ClaimsShape {
            issuer: tokens.issuer.0.clone(),
            audience: tokens.audience.0.clone(),
            user_claim: tokens.user_claim.clone(),
            user_id_as: if tokens.user_id == "number" { UserIdAs::Number } else { UserIdAs::Text },
            issued_at: tokens.issued_at,
            further,
        }
    }

    fn schemes(&mut self, settings: &Settings) -> Schemes {
        let mut accepted = Vec::new();
        for name in &settings.gate.schemes.0 {
            match name.as_str() {
                "Bearer" => accepted.push(Scheme::Bearer),
                "Token" => accepted.push(Scheme::Token),
                other => self.one_of("gate.schemes", other, &["Bearer", "Token"]),
            }
        }
        let prefix = &settings.tokens.prefix;
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
        if prefix.is_empty() || !prefix.bytes().all(plain) {
            self.refuse("tokens.prefix", "one word of letters, digits, - _ and .");
        } else if prefix.eq_ignore_ascii_case("token") && accepted.contains(&Scheme::Token) {
            self.refuse(
                "tokens.prefix",
                "`Token` is the scheme of API keys; take it from gate.schemes",
            );
        }
        Schemes { accepted, bearer_prefix: prefix.clone() }
    }

    fn gate(&mut self, settings: &Settings) -> Protocol {
        let gate = &settings.gate;
        if !gate.path.starts_with('/') || gate.path.ends_with('/') {
            self.refuse("gate.path", "a path that begins with a slash and does not end with one");
        }
        if gate.phantom_lifetime < Duration::from_secs(10) {
            self.refuse("gate.phantom_lifetime", "at least 10s: nginx needs some time with it");
        }
        Protocol::named(&gate.protocol).unwrap_or_else(|| {
            self.one_of("gate.protocol", &gate.protocol, Protocol::NAMES);
            Protocol::AuthRequest
        })
    }

    fn password_rules(&mut self, settings: &Settings) -> PasswordRules {
        let passwords = &settings.passwords;
        if !(1..=128).contains(&passwords.minimum_length) {
            self.refuse("passwords.minimum_length", "between 1 and 128");
        }
        let list = passwords.breached.0.as_ref().map(|path| BreachedList::open(Path::new(path)));
        let breached = list.transpose().unwrap_or_else(|error| {
            self.refuse("passwords.breached", error);
            None
        });
        PasswordRules {
            minimum: passwords.minimum_length,
            similarity: passwords.similarity,
            common: passwords.common,
            numeric: passwords.numeric,
            breached,
        }
    }

    fn layouts(&mut self, settings: &Settings) -> Vec<(&'static str, Tongue, LayoutRules)> {
        let mut layouts = Vec::new();
        for (name, layout) in &settings.layouts {
            let wordings: &[&str] =
                if *name == "djoser-legacy" { &["0.1", "0.5"] } else { &["current", "pinned"] };
            self.one_of(&format!("layouts.{name}.wording"), &layout.wording, wordings);
            if !layout.mount.starts_with('/') {
                self.refuse(&format!("layouts.{name}.mount"), "begins with a slash");
            }
            for (what, lifetime) in [
                ("access_lifetime", layout.access_lifetime),
                ("refresh_lifetime", layout.refresh_lifetime),
            ] {
                if lifetime < Duration::from_secs(1) {
                    self.refuse(&format!("layouts.{name}.{what}"), "at least 1s");
                }
            }
            let rules = LayoutRules {
                name,
                tokens: TokenRules {
                    access_lifetime: layout.access_lifetime,
                    refresh_lifetime: layout.refresh_lifetime,
                    names: layout.names,
                    rotation: layout.rotation,
                },
            };
            if layout.enabled
                && let Some(tongue) = tongue(settings, name)
            {
                layouts.push((*name, tongue, rules));
            }
        }
        layouts
    }

    fn database_urls(&mut self, options: &Options) {
        if let Err(error) = options.check() {
            self.refuse("database.url", error);
        }
        for (name, url) in [
            ("database.admin_url", &options.admin_url),
            ("database.listen_url", &options.listen_url),
        ] {
            if let Some(url) = url
                && let Err(error) = Options::new(url.expose()).check()
            {
                self.refuse(name, error);
            }
        }
    }

    fn rest(&mut self, settings: &Settings, options: &Options) {
        self.one_of("accounts.owner", &settings.accounts.owner, &["auto", "avain", "django"]);
        self.one_of(
            "account.email_change",
            &settings.account.email_change,
            &["immediate", "confirm"],
        );
        if settings.account.email_login && !settings.account.unique_email {
            let why =
                "whose account an address is must be certain: set account.unique_email = true";
            self.refuse("account.email_login", why);
        }
        let modes = ["key", "jwt", "cookie"];
        self.one_of("account.dj_rest_auth_mode", &settings.account.dj_rest_auth_mode, &modes);
        if let Err(error) = django_links(&settings.account) {
            self.refuse("account.django_time_zone", error);
        }
        if settings.account.link_lifetime < Duration::from_mins(1) {
            self.refuse("account.link_lifetime", "at least 1m");
        }
        let hashes = ["auto", "argon2id", "pbkdf2_sha256"];
        self.one_of("passwords.algorithm", &settings.passwords.algorithm, &hashes);
        if !(64 * 1024..=256 << 20).contains(&settings.passwords.argon2_memory.0) {
            self.refuse("passwords.argon2_memory", "between 64KiB and 256MiB");
        }
        if !(1..=50).contains(&settings.passwords.argon2_passes) {
            self.refuse("passwords.argon2_passes", "between 1 and 50");
        }
        if settings.passwords.pbkdf2_iterations > 5_000_000 {
            self.refuse("passwords.pbkdf2_iterations", "at most 5,000,000");
        }
        for (name, duration) in [
            ("throttle.window", settings.throttle.window),
            ("throttle.ceiling_rest", settings.throttle.ceiling_rest),
            ("api_keys.keep_ended", settings.api_keys.keep_ended),
        ] {
            if duration < Duration::from_secs(1) {
                self.refuse(name, "at least 1s");
            }
        }
        if settings.api_keys.overlap > LONGEST_OVERLAP {
            self.refuse("api_keys.overlap", "at most 30d");
        }
        self.one_of("log.format", &settings.log.format, &["auto", "human", "json"]);
        if let Err(why) = telemetry::check_filter(&settings.log.level) {
            self.refuse("log.level", why);
        }
        if settings.server.listen.0.is_empty() {
            self.refuse("server.listen", "names nothing to listen on");
        }
        if settings.server.max_head.0 < 8192 {
            self.refuse("server.max_head", "at least 8KiB");
        }
        for (name, value) in [
            ("server.max_connections", settings.server.max_connections),
            ("server.max_in_flight", settings.server.max_in_flight),
            ("database.pool", settings.database.pool),
            ("database.readers", settings.database.readers),
            ("passwords.queue", settings.passwords.queue),
            ("gate.key_look_ups", settings.gate.key_look_ups),
        ] {
            if value == 0 || value > 1_000_000 {
                self.refuse(name, "between 1 and 1,000,000");
            }
        }
        for (name, threads) in [
            ("server.workers", settings.server.workers),
            ("passwords.threads", settings.passwords.threads),
        ] {
            if threads > 1024 {
                self.refuse(name, "at most 1024 threads");
            }
        }
        self.database_urls(options);
        if let Some(master) = &settings.keys.master.0
            && let Err(error) = MasterKey::parse(master.expose())
        {
            self.refuse("keys.master", error);
        }
        let keys = &settings.keys;
        if !keys.rotation.is_zero() && keys.rotation < keys.publish_ahead * 2 {
            self.refuse("keys.rotation", "at least twice keys.publish_ahead, or 0 for never");
        }
        if keys.publish_ahead < Duration::from_secs(1) {
            self.refuse(
                "keys.publish_ahead",
                "at least 1s: instances must get to know a key before it signs",
            );
        }
        for (name, value) in [
            ("keys.import", &settings.keys.import.0),
            ("gate.phantom_key", &settings.gate.phantom_key.0),
        ] {
            if let Err(StartError::Configuration(lines)) = read_key(name, value.as_ref()) {
                self.0.extend(lines);
            }
        }
    }
}
