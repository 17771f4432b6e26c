//! One worker, and a mail server that misbehaves.

use std::collections::HashMap;
use std::os::unix::fs::PermissionsExt as _;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use avain::base::seal::MasterKey;
use avain::mail::outbox::{Event, Worker, WorkerRules};
use avain::mail::transport::Transport;
use avain::store::outbox::{Entry, MailState};
use tokio::time::{Instant, sleep};

use crate::harness::{Engine, block_on};
use crate::office::{Office, person};
use crate::sink::{Mood, Sink};

/// What is acknowledged arrives this soon after the mail server is well again.
const RECOVERY: Duration = Duration::from_secs(12);

fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

/// Waits for something that must happen.
async fn until(happened: impl Fn() -> bool) {
    let started = Instant::now();
    while !happened() {
        assert!(started.elapsed() < seconds(30), "it did not happen");
        sleep(Duration::from_millis(10)).await;
    }
}

/// Everybody was written to once.
fn once_each(count: usize) -> HashMap<String, usize> {
    (0..count).map(|number| (person(number), 1)).collect()
}

async fn arrive(engine: Engine) {
    let (office, sink) = (Office::new(engine).await, Sink::start().await);
    let running = office.start(office.worker(&sink));
    office.write_many(40).await;
    office.emptied(seconds(10)).await;
    assert_eq!(sink.counts(), once_each(40));
    assert!(sink.most_open() <= 4, "as many connections as senders: {}", sink.most_open());
    let entries = office.entries().await;
    assert!(entries.iter().all(|entry| entry.state == MailState::Sent && entry.attempts == 1));
    running.stop().await;
    let taken = sink.taken();
    let content = &taken[0].content;
    for line in [
        "From: Harrastuspassi <no-reply@harrastuspassi.example>\r\n",
        "Subject: Password reset on Harrastuspassi\r\n",
        "Auto-Submitted: auto-generated\r\n",
        "https://harrastuspassi.example/#/password/reset/confirm/MQ/t-0k3n\r\n",
    ] {
        assert!(content.contains(line), "{line}: {content}");
    }
    assert_eq!(sink.open_now(), 0, "a worker that stops leaves no connection");
}

#[test]
fn mails_arrive_from_sqlite() {
    block_on(arrive(Engine::Sqlite));
}

#[test]
fn mails_arrive_from_postgres() {
    block_on(arrive(Engine::Postgres));
}

#[test]
fn a_mail_goes_out_at_once_and_its_connection_is_not_kept() {
    block_on(async {
        let (office, sink) = (Office::new(Engine::Sqlite).await, Sink::start().await);
        let running = office.start(office.worker(&sink));
        sleep(Duration::from_millis(1500)).await;
        let started = Instant::now();
        office.write(&person(0)).await;
        while sink.taken().is_empty() {
            assert!(started.elapsed() < seconds(5), "it did not arrive");
            sleep(Duration::from_millis(5)).await;
        }
        // The next look would be seconds away.
        assert!(started.elapsed() < Duration::from_millis(500), "{:?}", started.elapsed());
        sleep(Duration::from_millis(500)).await;
        assert_eq!(sink.open_now(), 0);
        running.stop().await;
    });
}

/// The server misbehaves for a while; then everything arrives soon, once each but where the 250 was cut.
async fn recovers(mood: Mood, count: usize, trouble: Duration) {
    let (office, mut sink) = (Office::new(Engine::Sqlite).await, Sink::start().await);
    sink.set(mood);
    let running = office.start(office.worker(&sink));
    office.write_many(count).await;
    sleep(trouble).await;
    assert!(sink.cuts().len() == sink.counts().len(), "{mood:?} lets nothing through");
    let before = sink.connections();
    assert!(before < 60, "{mood:?}: {before} connections are a flood");
    // Whoever waits for an answer that never comes is cut off with the server.
    sink.close().await;
    sink.set(Mood::Well);
    sink.open().await;
    let took = office.emptied(RECOVERY).await;
    println!("{mood:?}: {took:?} after recovery, {before} connections before");
    let cuts = sink.cuts();
    for (to, count) in sink.counts() {
        let expected = 1 + cuts.get(&to).copied().unwrap_or_default();
        assert_eq!(count, expected, "{mood:?}, {to}: twice only where the 250 was cut");
    }
    assert_eq!(sink.counts().len(), count);
    running.stop().await;
}

#[test]
fn whatever_the_server_does_mails_arrive_once_it_is_well() {
    block_on(async {
        let mut moods = tokio::task::JoinSet::new();
        for mood in [
            Mood::Busy,
            // For good or for now: the sender is about us, and not about a mail.
            Mood::NoSender(550),
            Mood::NoSender(451),
            Mood::NoRecipient(450),
            Mood::NoMessage(451),
            Mood::CutMessage,
            Mood::CutAnswer,
            Mood::Silent,
        ] {
            moods.spawn(recovers(mood, 30, seconds(6)));
        }
        moods.join_all().await;
    });
}

#[test]
fn refused_connections_are_tried_again() {
    block_on(async {
        let (office, mut sink) = (Office::new(Engine::Sqlite).await, Sink::start().await);
        sink.close().await;
        let running = office.start(office.worker(&sink));
        let started = Instant::now();
        office.write_many(30).await;
        let per_mail = started.elapsed() / 30;
        assert!(per_mail < Duration::from_millis(100), "{per_mail:?}: who writes does not wait");
        sleep(seconds(4)).await;
        let entries = office.entries().await;
        assert!(entries.iter().all(|entry| entry.state != MailState::Failed), "{entries:?}");
        let said = entries.iter().find_map(|entry| entry.last_error.clone());
        assert!(said.is_some_and(|said| said.contains("refused")), "{entries:?}");
        sink.open().await;
        office.emptied(RECOVERY).await;
        assert_eq!(sink.counts(), once_each(30));
        running.stop().await;
    });
}

#[test]
fn one_mail_put_off_by_itself_goes_out_soon_after() {
    block_on(async {
        let (office, sink) = (Office::new(Engine::Sqlite).await, Sink::start().await);
        sink.set(Mood::NoMessage(451));
        let running = office.start(office.worker(&sink));
        office.write(&person(0)).await;
        sleep(seconds(10)).await;
        sink.set(Mood::Well);
        office.emptied(RECOVERY).await;
        assert_eq!(sink.counts(), once_each(1));
        running.stop().await;
    });
}

#[test]
fn poison_blocks_nobody() {
    block_on(async {
        let (office, sink) = (Office::new(Engine::Sqlite).await, Sink::start().await);
        let poison = [
            ("gone@example.org", Mood::NoRecipient(550)),
            ("spam@example.org", Mood::NoMessage(554)),
            ("cut@example.org", Mood::CutMessage),
            ("later@example.org", Mood::NoRecipient(450)),
        ];
        for (to, mood) in poison {
            sink.set_for(to, mood);
            office.write(to).await;
        }
        let running = office.start(office.worker(&sink));
        for number in 0..30 {
            office.write(&person(number)).await;
            sleep(Duration::from_millis(100)).await;
        }
        let started = Instant::now();
        while sink.counts() != once_each(30) {
            assert!(started.elapsed() < seconds(6), "{:?}", sink.counts());
            sleep(Duration::from_millis(50)).await;
        }
        let mut told: Vec<_> = office.entries().await;
        told.retain(|entry| entry.state != MailState::Sent);
        told.sort_by(|a, b| a.last_error.cmp(&b.last_error));
        let [later, gone, spam, cut] = told.as_slice() else { panic!("{told:?}") };
        let said = |entry: &Entry| entry.last_error.clone().unwrap_or_default();
        assert_eq!(said(gone), "550 5.1.1 <…>: not here ask …");
        assert_eq!(said(spam), "554 not this");
        for refused in [gone, spam] {
            assert_eq!(
                (refused.state, refused.attempts),
                (MailState::Failed, 1),
                "not tried again"
            );
        }
        for tried in [later, cut] {
            assert_ne!(tried.state, MailState::Failed, "{tried:?}");
            assert!((2..=6).contains(&tried.attempts), "{tried:?}");
        }
        running.stop().await;
    });
}

#[test]
fn slow_servers_are_borne_with() {
    block_on(recovers_slowly());
}

async fn recovers_slowly() {
    let (office, sink) = (Office::new(Engine::Sqlite).await, Sink::start().await);
    sink.set(Mood::Slow(Duration::from_millis(200)));
    let running = office.start(office.worker(&sink));
    office.write_many(12).await;
    office.emptied(seconds(15)).await;
    assert_eq!(sink.counts(), once_each(12));
    assert_eq!(sink.most_open(), 4, "several at once");
    running.stop().await;
}

#[test]
fn servers_may_end_connections_between_mails() {
    block_on(async {
        let (office, sink) = (Office::new(Engine::Sqlite).await, Sink::start().await);
        sink.set(Mood::Few(3));
        let running = office.start(office.worker(&sink));
        office.write_many(40).await;
        office.emptied(seconds(5)).await;
        assert_eq!(sink.counts(), once_each(40));
        let entries = office.entries().await;
        assert!(entries.iter().all(|entry| entry.attempts == 1), "it is no failure: {entries:?}");
        running.stop().await;
    });
}

#[test]
fn what_cannot_be_opened_is_given_up_with_a_reason() {
    block_on(async {
        let (office, sink) = (Office::new(Engine::Sqlite).await, Sink::start().await);
        let other = MasterKey::parse(&"11".repeat(32)).expect("it is one");
        let running = office.start(Worker { master: other, ..office.worker(&sink) });
        office.write(&person(0)).await;
        office.emptied(seconds(5)).await;
        let [entry] = office.entries().await.try_into().expect("there is one");
        assert_eq!(entry.state, MailState::Failed);
        assert!(entry.last_error.is_some_and(|error| error.contains("keys.master")));
        assert_eq!(sink.connections(), 0);
        running.stop().await;
    });
}

#[test]
fn what_never_goes_through_is_given_up_in_the_end() {
    block_on(async {
        let (office, sink) = (Office::new(Engine::Sqlite).await, Sink::start().await);
        sink.set(Mood::NoMessage(451));
        let told = Arc::new(Mutex::new(Vec::new()));
        let tell = Arc::clone(&told);
        let worker = office.worker(&sink);
        let rules = WorkerRules { give_up_after: seconds(3), ..worker.rules };
        let observer: avain::mail::outbox::Observer = Arc::new(move |event| {
            let word = match event {
                Event::Sent(..) => "sent",
                Event::Deferred(message) => message,
                Event::Failed(_) => "failed",
                Event::Depth(..) => return,
            };
            tell.lock().expect("nothing panicked").push(word.to_owned());
        });
        let running = office.start(Worker { rules, observer, ..worker });
        office.write(&person(0)).await;
        office.emptied(seconds(12)).await;
        let [entry] = office.entries().await.try_into().expect("there is one");
        assert_eq!(entry.state, MailState::Failed);
        assert_eq!(entry.last_error.as_deref(), Some("given up after 0 hours; 451 not this"));
        let told = told.lock().expect("nothing panicked").clone();
        assert_eq!(told.first().map(String::as_str), Some("password_reset"));
        assert_eq!(told.last().map(String::as_str), Some("failed"));
        running.stop().await;
    });
}

#[test]
fn a_stop_finishes_what_is_under_way() {
    block_on(async {
        let (office, sink) = (Office::new(Engine::Sqlite).await, Sink::start().await);
        sink.set(Mood::SlowEnd(seconds(1)));
        let running = office.start(office.worker(&sink));
        office.write_many(8).await;
        sleep(Duration::from_millis(300)).await;
        running.stop().await;
        let entries = office.entries().await;
        let sent = entries.iter().filter(|entry| entry.state == MailState::Sent).count();
        let queued = entries.iter().filter(|entry| entry.state == MailState::Queued).count();
        assert_eq!((sent, queued), (4, 4), "nothing is left half done: {entries:?}");
        assert_eq!(sink.taken().len(), 4);
    });
}

#[test]
fn folders_take_mails_as_files() {
    block_on(async {
        let office = Office::new(Engine::Sqlite).await;
        let folder = tempfile::TempDir::new().expect("a folder can be made");
        let inner = folder.path().join("mail");
        let running = office.start(office.worker_with(Transport::Folder(inner.clone())));
        office.write_many(3).await;
        office.emptied(seconds(5)).await;
        running.stop().await;
        let mut files = 0;
        for entry in std::fs::read_dir(&inner).expect("it was made") {
            let path = entry.expect("it can be read").path();
            assert_eq!(path.extension().and_then(|ending| ending.to_str()), Some("eml"));
            let mode = std::fs::metadata(&path).expect("it is there").permissions().mode();
            assert_eq!(mode & 0o777, 0o600);
            let content = std::fs::read_to_string(&path).expect("it is ASCII");
            assert!(content.contains("\r\nSubject: Password reset on Harrastuspassi\r\n"));
            files += 1;
        }
        assert_eq!(files, 3);
    });
}

/// Many servers allow one client a few connections.
#[test]
fn a_server_that_allows_one_connection_is_not_flooded() {
    block_on(async {
        let (office, sink) = (Office::new(Engine::Sqlite).await, Sink::start().await);
        sink.set(Mood::OneAtATime);
        let running = office.start(office.worker(&sink));
        office.write_many(60).await;
        office.emptied(seconds(20)).await;
        assert_eq!(sink.counts(), once_each(60));
        let refused = sink.connections();
        assert!(refused < 20, "{refused} connections for 60 mails");
        running.stop().await;
    });
}

/// The Figure: a thousand mails, and a server that refuses, is slow, drops them in mid-message, takes some
/// without saying so, and is well again.
#[test]
fn a_thousand_mails_survive_everything() {
    block_on(async {
        const MAILS: usize = 1000;
        let (office, mut sink) = (Office::new(Engine::Sqlite).await, Sink::start().await);
        sink.close().await;
        let running = office.start(office.worker(&sink));
        let started = Instant::now();
        office.write_many(MAILS).await;
        println!("written in {:?}", started.elapsed());
        sink.set(Mood::Slow(Duration::from_millis(20)));
        sink.open().await;
        until(|| sink.counts().len() >= 20).await;
        sink.set(Mood::CutMessage);
        let before = sink.connections();
        until(|| sink.connections() >= before + 4).await;
        sink.set(Mood::Well);
        let before = sink.counts().len();
        until(|| sink.counts().len() >= before + 100).await;
        sink.set(Mood::CutAnswer);
        until(|| sink.cuts().len() >= 5).await;
        sink.set(Mood::NoMessage(451));
        sleep(seconds(1)).await;
        sink.set(Mood::Busy);
        sleep(seconds(1)).await;
        assert!(sink.counts().len() < MAILS - 500, "the trouble was no trouble");
        sink.set(Mood::Well);
        let took = office.emptied(seconds(40)).await;
        let (counts, cuts) = (sink.counts(), sink.cuts());
        println!("{took:?} after recovery, {} connections in all", sink.connections());
        assert_eq!(counts.len(), MAILS, "all arrive");
        for (to, count) in counts {
            assert_eq!(count, 1 + cuts.get(&to).copied().unwrap_or_default(), "{to}");
        }
        running.stop().await;
    });
}
