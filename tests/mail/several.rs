//! Several workers on one outbox, and workers that die.

use std::io::Read as _;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use avain::store::outbox::MailState;
use tokio::time::{Instant, sleep};

use crate::harness::{Engine, block_on};
use crate::office::{MASTER, Office, person};
use crate::sink::{Mood, Sink};

fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

#[test]
fn two_workers_send_each_mail_once() {
    block_on(async {
        let (office, sink) = (Office::new(Engine::Postgres).await, Sink::start().await);
        office.write_many(100).await;
        let workers = [office.start(office.worker(&sink)), office.start(office.worker(&sink))];
        for number in 100..200 {
            office.write(&person(number)).await;
        }
        office.emptied(seconds(20)).await;
        assert_eq!(sink.taken().len(), 200);
        assert_eq!(sink.counts().len(), 200);
        assert!(sink.most_open() > 4, "both had a part in it: {}", sink.most_open());
        for worker in workers {
            worker.stop().await;
        }
    });
}

/// A lease lasts as long as its holder lives: longer than the server's answer takes.
#[test]
fn a_slow_answer_is_waited_for_by_one_worker_alone() {
    block_on(async {
        let (office, sink) = (Office::new(Engine::Postgres).await, Sink::start().await);
        sink.set(Mood::SlowEnd(seconds(12)));
        let workers = [office.start(office.worker(&sink)), office.start(office.worker(&sink))];
        office.write_many(3).await;
        office.emptied(seconds(20)).await;
        assert_eq!(sink.taken().len(), 3, "nobody else took them up meanwhile");
        for worker in workers {
            worker.stop().await;
        }
    });
}

#[test]
fn what_a_dead_worker_held_is_sent_by_another() {
    block_on(async {
        let (office, sink) = (Office::new(Engine::Postgres).await, Sink::start().await);
        sink.set(Mood::Slow(seconds(2)));
        let doomed = office.start(office.worker(&sink));
        office.write_many(6).await;
        sleep(seconds(3)).await;
        doomed.kill().await;
        let held = office.entries().await;
        let held = held.iter().filter(|entry| entry.state == MailState::Sending).count();
        assert_eq!(held, 4, "it died amid four");
        sink.set(Mood::Well);
        let other = office.start(office.worker(&sink));
        office.emptied(seconds(12)).await;
        assert_eq!((sink.taken().len(), sink.counts().len()), (6, 6));
        other.stop().await;
    });
}

struct Served(Child);

impl Served {
    fn start(office: &Office, sink: &Sink) -> Self {
        let mut command = Command::new(env!("CARGO_BIN_EXE_avain"));
        command.env_clear().current_dir("/");
        for setting in [
            format!("database.url={}", office.options.url.expose()),
            format!("keys.master={MASTER}"),
            format!("mail.transport=smtp://{}", sink.address),
            "mail.tls=none".to_owned(),
            "server.listen=127.0.0.1:0".to_owned(),
            "server.operations=".to_owned(),
        ] {
            command.arg("--set").arg(setting);
        }
        let child = command.arg("serve").stderr(Stdio::piped()).spawn();
        Self(child.expect("the program starts"))
    }

    /// SIGKILL; gives what it had logged.
    fn kill(mut self) -> String {
        self.0.kill().expect("it runs");
        self.0.wait().expect("it ends");
        let mut log = String::new();
        let errors = self.0.stderr.as_mut().expect("it is piped");
        errors.read_to_string(&mut log).expect("logs are text");
        log
    }
}

/// Two instances of the program share a queue, and one of them is killed amid some mails.
#[test]
fn the_other_instance_sends_what_a_killed_one_held() {
    block_on(async {
        const MAILS: usize = 60;
        let (office, sink) = (Office::new(Engine::Postgres).await, Sink::start().await);
        sink.set(Mood::Slow(Duration::from_millis(200)));
        let (doomed, other) = (Served::start(&office, &sink), Served::start(&office, &sink));
        office.write_many(MAILS).await;
        let started = Instant::now();
        while sink.taken().len() < 10 || sink.most_open() <= 4 {
            assert!(started.elapsed() < seconds(20), "both have a part in it");
            sleep(Duration::from_millis(10)).await;
        }
        let logs = doomed.kill();
        assert!(sink.counts().len() < MAILS, "killed amid some");
        office.emptied(seconds(30)).await;
        assert_eq!(sink.counts().len(), MAILS);
        let doubles = sink.taken().len() - MAILS;
        assert!(doubles <= 4, "{doubles} doubles: at most those under way at the kill");
        assert!(logs.contains("ready") && other.kill().contains("ready"));
    });
}

/// The program itself, killed again and again amid a queue.
#[test]
fn kill_9_loses_no_mail() {
    block_on(async {
        const MAILS: usize = 150;
        let (office, sink) = (Office::new(Engine::Sqlite).await, Sink::start().await);
        sink.set(Mood::Slow(Duration::from_millis(30)));
        office.write_many(MAILS).await;
        let mut logs = String::new();
        for _ in 0..2 {
            let served = Served::start(&office, &sink);
            let before = sink.taken().len();
            let started = Instant::now();
            while sink.taken().len() < before + 10 {
                assert!(started.elapsed() < seconds(20), "nothing is sent");
                sleep(Duration::from_millis(10)).await;
            }
            logs += &served.kill();
        }
        let left = office.entries().await;
        assert!(left.iter().any(|entry| entry.state == MailState::Sending), "killed amid some");
        sink.set(Mood::Well);
        let served = Served::start(&office, &sink);
        office.emptied(seconds(12)).await;
        logs += &served.kill();
        assert_eq!(sink.counts().len(), MAILS);
        let doubles = sink.taken().len() - MAILS;
        assert!(doubles <= 8, "{doubles} doubles: at most those under way at a kill");
        assert!(logs.contains("ready"), "{logs}");
        for secret in ["t-0k3n", "person-1", "@example.org"] {
            assert!(!logs.contains(secret), "{secret} was logged");
        }
    });
}
