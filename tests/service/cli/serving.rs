//! `avain serve` as a process, and what other commands do to it while it runs.

use std::io::{BufRead as _, BufReader, Read as _};
use std::net::SocketAddr;
use std::process::Child;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use serde_json::json;
use tokio::time::Instant;

use super::Program;
use crate::client::{Answer, Connection, Request};
use crate::harness::{Engine, Pair, gate_request};
use crate::jwt::{claims, header};
use crate::support::block_on;

/// A running `avain serve`. It is killed when this is dropped.
pub(super) struct Serving {
    child: Child,
    log: Arc<Mutex<String>>,
    reader: Option<std::thread::JoinHandle<()>>,
    pub(super) public: SocketAddr,
    operations: SocketAddr,
}

fn free_port() -> SocketAddr {
    let probe = std::net::TcpListener::bind("127.0.0.1:0").expect("a port is free");
    probe.local_addr().expect("it is bound")
}

impl Serving {
    /// Starts it and waits until it is ready.
    pub(super) async fn start(program: &Program) -> Self {
        let (public, operations) = (free_port(), free_port());
        let mut command = program.command(&["serve"]);
        command.args(["--set", &format!("server.listen={public}")]);
        command.args(["--set", &format!("server.operations={operations}")]);
        let mut child = command.spawn().expect("it starts");
        let log = Arc::new(Mutex::new(String::new()));
        let errors = BufReader::new(child.stderr.take().expect("it is piped"));
        let kept = Arc::clone(&log);
        let reader = std::thread::spawn(move || {
            for line in errors.lines().map_while(Result::ok) {
                let mut log = kept.lock().expect("nobody panics here");
                log.push_str(&line);
                log.push('\n');
            }
        });
        let serving = Self { child, log, reader: Some(reader), public, operations };
        let started = Instant::now();
        loop {
            let open = tokio::net::TcpStream::connect(operations).await.is_ok();
            if open && serving.operate("/ready").await.status == 200 {
                return serving;
            }
            let log = serving.log();
            assert!(started.elapsed() < Duration::from_secs(20), "it is not ready: {log}");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    pub(super) fn log(&self) -> String {
        self.log.lock().expect("nobody panics here").clone()
    }

    /// Waits until something is logged; fails after ten seconds.
    pub(super) async fn says(&self, part: &str) {
        let started = Instant::now();
        while !self.log().contains(part) {
            assert!(started.elapsed() < Duration::from_secs(10), "{part} in {}", self.log());
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    pub(super) async fn operate(&self, path: &str) -> Answer {
        Connection::tcp(self.operations).await.ask(&Request::new("GET", path)).await
    }

    pub(super) async fn post(&self, target: &str, body: &serde_json::Value) -> Answer {
        Connection::tcp(self.public).await.ask(&Request::new("POST", target).json(body)).await
    }

    pub(super) async fn sign_in(&self, name: &str) -> Pair {
        let credentials = json!({ "username": name, "password": "password" });
        Pair::of(&self.post("/api/token/", &credentials).await)
    }

    pub(super) async fn admits(&self, credential: &str) -> bool {
        let request = gate_request("POST", "/api/v1/", credential);
        let answer = Connection::tcp(self.public).await.ask(&request).await;
        assert!(matches!(answer.status, 204 | 401), "{}", answer.status);
        answer.status == 204
    }

    /// Waits until it refuses a credential; fails after a second.
    pub(super) async fn refuses_soon(&self, credential: &str, after: &str) {
        let started = Instant::now();
        while self.admits(credential).await {
            assert!(started.elapsed() < Duration::from_secs(1), "still admitted after {after}");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        println!("refused {:?} after {after}", started.elapsed());
    }

    fn signal(&self, signal: Signal) {
        let id = i32::try_from(self.child.id()).expect("a process id");
        let id = Pid::from_raw(id).expect("a process id");
        kill_process(id, signal).expect("it runs");
    }

    /// Sends SIGHUP.
    pub(super) fn hang_up(&self) {
        self.signal(Signal::HUP);
    }

    /// Sends SIGTERM, and gives the exit status and all that was logged.
    pub(super) fn terminate(mut self) -> (i32, String) {
        self.signal(Signal::TERM);
        let status = self.child.wait().expect("it ends");
        let mut printed = String::new();
        let out = self.child.stdout.as_mut().expect("it is piped");
        out.read_to_string(&mut printed).expect("is text");
        assert_eq!(printed, "", "logs go to standard error");
        // What was logged last may still be on its way.
        let reader = self.reader.take().expect("it is taken here alone");
        reader.join().expect("nobody panics here");
        (status.code().expect("it exits by itself"), self.log())
    }
}

impl Drop for Serving {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

#[test]
fn commands_reach_a_running_service() {
    for engine in [Engine::Sqlite, Engine::Postgres] {
        block_on(async {
            let program = tokio::task::block_in_place(|| Program::new(engine));
            let run = |arguments: &[&str]| tokio::task::block_in_place(|| program.run(arguments));
            let serving = Serving::start(&program).await;
            tokio::task::block_in_place(|| program.user("aino"));
            for command in ["sign-out", "deactivate"] {
                let pair = serving.sign_in("aino").await;
                assert!(serving.admits(&pair.bearer()).await, "an account made while it runs");
                run(&["user", command, "aino"]).good();
                serving.refuses_soon(&pair.bearer(), command).await;
            }
            run(&["user", "activate", "aino"]).good();
            // One sign-in of two, by its id.
            let (one, other) = (serving.sign_in("aino").await, serving.sign_in("aino").await);
            let listed = run(&["user", "sessions", "aino", "--json"]).json_lines();
            assert_eq!(listed.len(), 2, "{listed:?}");
            let sid = claims(&one.access)["sid"].clone();
            let found = listed.iter().find(|found| found["id"] == sid).expect("it is listed");
            assert_eq!(found["address"], "127.0.0.1");
            let sid = sid.as_str().expect("is text");
            assert!(run(&["user", "sessions", "aino"]).good().contains(sid));
            let end = ["user", "sign-out", "aino", "--session", sid];
            assert_eq!(run(&end).good(), "Account aino is signed out there.\n");
            serving.refuses_soon(&one.bearer(), "sign-out --session").await;
            assert!(serving.admits(&other.bearer()).await);
            run(&end).refused(1, "is not signed in as");

            let key = run(&["token", "create", "aino"]).good().trim().to_owned();
            let key = format!("Token {key}");
            assert!(serving.admits(&key).await);
            let pair = serving.sign_in("aino").await;
            assert!(serving.admits(&pair.bearer()).await);
            run(&["token", "revoke", "--user", "aino"]).good();
            serving.refuses_soon(&key, "token revoke").await;
            assert!(serving.admits(&pair.bearer()).await, "the key alone was revoked");
            tokio::task::block_in_place(|| {
                program.run_with(
                    &["user", "set-password", "aino", "--password-stdin", "--force"],
                    "password\n",
                )
            })
            .good();
            serving.refuses_soon(&pair.bearer(), "set-password").await;

            // Rotating signs out nobody; retiring does.
            let pair = serving.sign_in("aino").await;
            let old = header(&pair.access)["kid"].as_str().expect("is text").to_owned();
            run(&["key", "rotate", "--algorithm", "ES256"]).good();
            let started = Instant::now();
            while header(&serving.sign_in("aino").await.access)["alg"] != "ES256" {
                assert!(started.elapsed() < Duration::from_secs(1), "the new key signs soon");
            }
            assert!(serving.admits(&pair.bearer()).await);
            run(&["key", "retire", &old]).good();
            serving.refuses_soon(&pair.bearer(), "key retire").await;

            let pair = serving.sign_in("aino").await;
            let accepted = run(&["token", "inspect", &pair.refresh]);
            assert!(accepted.good().ends_with("accepted\n"), "{}", accepted.out);
            assert!(serving.admits(&pair.bearer()).await);
            run(&["user", "delete", "aino", "--yes"]).good();
            serving.refuses_soon(&pair.bearer(), "delete").await;

            let (code, log) = tokio::task::block_in_place(|| serving.terminate());
            assert_eq!(code, 0, "{log}");
            for secret in ["password\"", &pair.access, &pair.refresh, &key[6..], "example.org"] {
                assert!(!log.contains(secret), "{secret} was logged: {log}");
            }
            assert!(log.contains("obtain_pair"), "one line for each request: {log}");
        });
    }
}

/// Two that serve one SQLite file would not hear of each other at once; after the first has ended, even
/// killed, the next may.
#[test]
fn one_process_serves_a_sqlite_file() {
    block_on(async {
        let program = tokio::task::block_in_place(|| Program::new(Engine::Sqlite));
        let first = Serving::start(&program).await;
        let listen = format!("server.listen={}", free_port());
        let second = ["serve", "--set", &listen, "--set", "server.operations="];
        let refused = tokio::task::block_in_place(|| program.run(&second));
        assert_eq!(refused.code, 1, "{}", refused.err);
        let sentence = format!("another `avain serve` (process {}) serves ", first.child.id());
        assert!(refused.err.contains(&sentence), "{}", refused.err);
        tokio::task::block_in_place(|| program.user("aino"));
        first.sign_in("aino").await;
        drop(first);
        let next = Serving::start(&program).await;
        next.sign_in("aino").await;
    });
}

#[test]
fn operators_have_their_own_listener() {
    block_on(async {
        let program = tokio::task::block_in_place(|| Program::new(Engine::Sqlite));
        let serving = Serving::start(&program).await;
        assert_eq!(serving.operate("/live").await.text(), "live\n");
        assert_eq!(serving.operate("/ready").await.text(), "ready\n");
        serving.post("/api/token/", &json!({})).await;
        let gate = gate_request("GET", "/api/", "Bearer x");
        Connection::tcp(serving.public).await.ask(&gate).await;
        let metrics = serving.operate("/metrics").await.text();
        for line in ["endpoint=\"obtain_pair\"", "verdict=\"deny\""] {
            assert!(metrics.contains(line), "{line} in {metrics}");
        }
        assert!(!metrics.contains("/api/"), "never labelled by path");
        assert_eq!(serving.operate("/api/token/").await.status, 404);
        assert_eq!(serving.operate("/gate").await.status, 404);
        let operations =
            Connection::tcp(serving.operations).await.ask(&Request::new("POST", "/live")).await;
        assert_eq!(operations.status, 405);
        for path in ["/metrics", "/ready", "/live"] {
            let public =
                Connection::tcp(serving.public).await.ask(&Request::new("GET", path)).await;
            assert_eq!(public.status, 404, "{path} is not public");
        }
        // An open idle connection does not hold up the end.
        let mut idle = Connection::tcp(serving.public).await;
        idle.ask(&gate_request("GET", "/api/", "")).await;
        let started = Instant::now();
        let (code, log) = tokio::task::block_in_place(|| serving.terminate());
        assert_eq!(code, 0, "{log}");
        assert!(started.elapsed() < Duration::from_secs(5), "{:?}", started.elapsed());
        idle.ends().await;
        assert!(log.contains("stopped"), "{log}");
    });
}

#[test]
fn a_taken_address_is_one_clear_line() {
    let program = Program::new(Engine::Sqlite);
    let taken = std::net::TcpListener::bind("127.0.0.1:0").expect("a port is free");
    let address = taken.local_addr().expect("it is bound");
    let listen = format!("server.listen={address}");
    let ran = program.run(&["serve", "--set", &listen, "--set", "log.level=error"]);
    ran.refused(1, &format!("cannot listen on {address}"));
    let listen = "server.listen=unix:/nonexistent/avain.sock";
    let ran = program.run(&["serve", "--set", listen, "--set", "log.level=error"]);
    ran.refused(1, "cannot listen on unix:/nonexistent/avain.sock");
}
