//! A post office: a database with an outbox, somebody who writes, and workers that send.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use avain::account::email::EmailAddress;
use avain::base::clock::{Clock as _, SystemClock};
use avain::base::random::{Random, SystemRandom};
use avain::base::seal::MasterKey;
use avain::base::secret::Secret;
use avain::locale::Language;
use avain::mail::letter::Sender;
use avain::mail::message::Site;
use avain::mail::outbox::{Worker, WorkerRules};
use avain::mail::smtp::{Security, Smtp, SmtpRules};
use avain::mail::transport::Transport;
use avain::mail::{Composer, Draft, Link, MailUser, Mailer, Message};
use avain::store::outbox::{self, Entry};
use avain::store::{Change, Options, Store, migrate};
use tokio::sync::{Notify, watch};
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep};

use crate::harness::{Database, Engine};
use crate::sink::Sink;

/// The master key of all tests, as 64 digits.
pub(crate) const MASTER: &str = "5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a";

pub(crate) struct Office {
    pub(crate) options: Options,
    pub(crate) store: Store,
    mailer: Mailer,
    _database: Database,
}

impl Office {
    pub(crate) async fn new(engine: Engine) -> Self {
        let database = Database::empty(engine).await;
        let options = database.options.clone();
        migrate::run(&options, SystemClock.now()).await.expect("migrations apply");
        let store = Store::open(&options).expect("the store opens");
        let site = Site {
            name: "Harrastuspassi".to_owned(),
            domain: "harrastuspassi.example".to_owned(),
            protocol: "https".to_owned(),
        };
        let from = "Harrastuspassi <no-reply@harrastuspassi.example>";
        let from = Sender::parse(from).expect("it is a sender");
        let random: Arc<dyn Random> = Arc::new(SystemRandom::new());
        let mailer = Mailer::new(Composer::new(site), from, Language::Finnish, master(), random);
        Self { options, store, mailer, _database: database }
    }

    /// Writes a mail to somebody, in a transaction of its own.
    pub(crate) async fn write(&self, to: &str) {
        let mut tx = self.store.begin("test mail").await.expect("begins");
        let to = EmailAddress::parse(to).expect("it is an address");
        let user =
            MailUser { username: "maija", first_name: "", last_name: "", email: to.as_str() };
        let link = Link { url: "#/password/reset/confirm/MQ/t-0k3n", uid: "MQ", token: "t-0k3n" };
        let draft = Draft {
            message: Message::PasswordReset,
            to: &to,
            language: Language::English,
            user,
            link: Some(link),
        };
        self.mailer.enqueue(&mut tx, &draft, SystemClock.now()).await.expect("is written");
        tx.commit().await.expect("commits");
    }

    /// Writes what nobody gets.
    pub(crate) async fn write_decoy(&self) {
        let mut tx = self.store.begin("test decoy").await.expect("begins");
        let nobody = EmailAddress::parse("nobody@localhost").expect("it is an address");
        let user = MailUser { username: "", first_name: "", last_name: "", email: "" };
        let link = Link { url: "#/x", uid: "", token: "t" };
        let draft = Draft {
            message: Message::PasswordReset,
            to: &nobody,
            language: Language::English,
            user,
            link: Some(link),
        };
        let written = self.mailer.enqueue_nothing(&mut tx, &draft, SystemClock.now()).await;
        written.expect("is written");
        tx.commit().await.expect("commits");
    }

    /// Writes to `person-0`, `person-1`, ….
    pub(crate) async fn write_many(&self, count: usize) {
        for number in 0..count {
            self.write(&person(number)).await;
        }
    }

    pub(crate) async fn entries(&self) -> Vec<Entry> {
        outbox::list(&self.store, None, None, 5000).await.expect("lists")
    }

    /// A worker on a store of its own, as in another process, that sends to `sink`.
    pub(crate) fn worker(&self, sink: &Sink) -> Worker {
        let smtp = Smtp::new(rules(sink.address), None).expect("nothing to be read");
        self.worker_with(Transport::Smtp(Box::new(smtp)))
    }

    pub(crate) fn worker_with(&self, transport: Transport) -> Worker {
        Worker {
            store: Store::open(&self.options).expect("the store opens"),
            master: master(),
            transport,
            clock: Arc::new(SystemClock),
            random: Arc::new(SystemRandom::new()),
            rules: WorkerRules {
                senders: 4,
                give_up_after: Duration::from_hours(72),
                keep_sent: Duration::from_hours(1),
                keep_failed: Duration::from_hours(1),
            },
            wake: Arc::new(Notify::new()),
            observer: Arc::new(|_| {}),
        }
    }

    /// Starts a worker that hears of what this office writes.
    pub(crate) fn start(&self, worker: Worker) -> Running {
        let wake = Arc::clone(&worker.wake);
        self.store.subscribe(Arc::new(move |changes| {
            if changes.contains(&Change::Outbox) {
                wake.notify_one();
            }
        }));
        let (stop, stopping) = watch::channel(false);
        Running { stop, task: tokio::spawn(Arc::new(worker).run(stopping)) }
    }

    /// Waits until nothing waits any more.
    pub(crate) async fn emptied(&self, within: Duration) -> Duration {
        let started = Instant::now();
        loop {
            let depth = outbox::depth(&self.store).await.expect("tells");
            if depth.waiting == 0 {
                return started.elapsed();
            }
            let left = self.entries().await;
            let left = left.iter().filter(|entry| entry.sent_at.is_none()).take(3);
            assert!(
                started.elapsed() < within,
                "{} mails still wait: {:?}",
                depth.waiting,
                left.collect::<Vec<_>>()
            );
            sleep(Duration::from_millis(50)).await;
        }
    }
}

pub(crate) fn person(number: usize) -> String {
    format!("person-{number}@example.org")
}

pub(crate) fn master() -> MasterKey {
    MasterKey::parse(MASTER).expect("it is one")
}

pub(crate) fn rules(address: SocketAddr) -> SmtpRules {
    SmtpRules {
        host: address.ip().to_string(),
        port: address.port(),
        security: Security::None,
        credentials: None,
        timeout: Duration::from_secs(5),
        final_timeout: Duration::from_mins(1),
    }
}

/// With a password and a protected connection.
pub(crate) fn guarded(
    address: SocketAddr,
    security: Security,
    authority: Option<&Path>,
) -> Transport {
    let credentials = Some(("avain".to_owned(), Secret::from("pa55word")));
    let smtp = Smtp::new(SmtpRules { security, credentials, ..rules(address) }, authority);
    Transport::Smtp(Box::new(smtp.expect("the authority can be read")))
}

/// A worker at work.
pub(crate) struct Running {
    stop: watch::Sender<bool>,
    task: JoinHandle<()>,
}

impl Running {
    /// Stops as `serve` does.
    pub(crate) async fn stop(self) {
        self.stop.send_replace(true);
        self.task.await.expect("it does not panic");
    }

    /// Ends at once.
    pub(crate) async fn kill(self) {
        self.task.abort();
        drop(self.task.await);
    }
}
