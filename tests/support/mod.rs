//! What the tests of the store and of the service share: a throw-away PostgreSQL, and a runtime.

use std::future::Future;
use std::io::{BufRead as _, BufReader, Write as _};
use std::process::{Child, Command, Stdio};
use std::sync::{LazyLock, Mutex};

use serde_json::Value;
use tokio_postgres::{Client, NoTls};

/// Runs `test` on a runtime of its own.
pub(crate) fn block_on<T>(test: impl Future<Output = T>) -> T {
    let mut runtime = tokio::runtime::Builder::new_multi_thread();
    let runtime = runtime.worker_threads(2).enable_all().build();
    runtime.expect("a runtime starts").block_on(test)
}

/// A connection beside the store.
pub(crate) async fn connect(url: &str) -> Client {
    let (client, connection) =
        tokio_postgres::connect(url, NoTls).await.expect("the test cluster answers");
    tokio::spawn(connection);
    client
}

/// The cluster that the tests of one process share. It ends with the process, since its standard input
/// closes.
pub(crate) static CLUSTER: LazyLock<Cluster> = LazyLock::new(Cluster::start);

/// A throw-away PostgreSQL (`tests/setup/postgres.py`).
pub(crate) struct Cluster {
    told: Value,
    talk: Mutex<Talk>,
}

struct Talk {
    child: Child,
    lines: std::io::Lines<BufReader<std::process::ChildStdout>>,
}

impl Cluster {
    /// Makes and starts a cluster of its own, for tests that stop it.
    pub(crate) fn start() -> Self {
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/setup/postgres.py");
        let mut child = Command::new("python3")
            .arg(script)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("python3 is installed");
        let output = child.stdout.take().expect("the output is piped");
        let mut lines = BufReader::new(output).lines();
        let line = lines.next().expect(
            "these tests need PostgreSQL: see the message of tests/setup/postgres.py above",
        );
        let line = line.expect("the script writes text");
        let told: Value = serde_json::from_str(&line).expect("the script writes JSON");
        Self { told, talk: Mutex::new(Talk { child, lines }) }
    }

    /// What the script tells: `url` for the role that owns the databases, `admin` for a superuser, or
    /// `certificate`, a file (where `openssl` is in PATH).
    pub(crate) fn told(&self, what: &str) -> &str {
        self.told[what].as_str().unwrap_or_else(|| panic!("the cluster has no {what}"))
    }

    /// Tells the script to `stop`, `start` or `restart` the server, or what else it can do, and waits until it did.
    pub(crate) fn tell(&self, command: &str) -> Value {
        let mut talk = self.talk.lock().expect("no test panicked here");
        let input = talk.child.stdin.as_mut().expect("the input is piped");
        writeln!(input, "{command}").expect("the script listens");
        let answer =
            talk.lines.next().expect("the script answers").expect("the script writes text");
        assert!(answer.contains("done"), "{answer}");
        serde_json::from_str(&answer).expect("the script writes JSON")
    }

    /// The URL of another database, for the role that owns it.
    pub(crate) fn url_of(&self, database: &str) -> String {
        replace_database(self.told("url"), database)
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        if let Ok(talk) = self.talk.get_mut() {
            drop(talk.child.stdin.take());
            drop(talk.child.wait());
        }
    }
}

/// `url` with another database's name.
pub(crate) fn replace_database(url: &str, database: &str) -> String {
    let (server, _) = url.rsplit_once('/').expect("the URL ends with a database");
    format!("{server}/{database}")
}
