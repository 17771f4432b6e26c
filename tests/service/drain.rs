//! Stopping without dropping a request, and unix sockets.

use std::os::unix::fs::PermissionsExt as _;
use std::time::Duration;

use avain::settings::Listen;
use serde_json::json;
use tokio::time::{Instant, timeout};

use crate::client::{Connection, Request};
use crate::harness::{Database, Engine, PASSWORD, START, TestService, gate_request};
use crate::support::block_on;

#[test]
fn what_was_asked_is_answered_and_connections_end() {
    block_on(async {
        let service = TestService::start(Engine::Sqlite).await;
        service.account("aino").await;
        let mut idle = service.connect().await;
        assert_eq!(idle.ask(&gate_request("GET", "/api/v1/", "")).await.status, 204);
        let mut silent = service.connect().await;
        let mut half = service.connect().await;
        let body = json!({ "username": "aino", "password": PASSWORD }).to_string();
        let head = format!(
            "POST /api/token/ HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n\
             Content-Length: {}\r\n\r\n",
            body.len()
        );
        half.send(head.as_bytes()).await;
        half.send(&body.as_bytes()[..5]).await;
        // Until the service has begun with it.
        while service.service.metrics.in_flight.get() < 1 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }

        service.begin_stop();
        idle.ends().await;
        silent.ends().await;
        half.send(&body.as_bytes()[5..]).await;
        let answer = half.answer("POST").await.expect("what was begun is answered");
        assert_eq!(answer.status, 200, "{}", answer.text());
        assert_eq!(answer.header("connection"), "close");
        half.ends().await;
        let address = service.address;
        timeout(Duration::from_secs(5), service.stopped()).await.expect("it stops");
        tokio::net::TcpStream::connect(address).await.expect_err("nobody listens any more");
    });
}

/// A request may arrive on a kept connection at the very moment of the stop.
#[test]
fn while_draining_answers_say_so() {
    block_on(async {
        let service = TestService::start(Engine::Sqlite).await;
        let draining = &service.service.draining;
        for target in ["/gate", "/api/token/", "/nothing"] {
            let mut connection = service.connect().await;
            let request = Request::new("GET", target);
            assert_eq!(connection.ask(&request).await.header("connection"), "");
            draining.store(true, std::sync::atomic::Ordering::Release);
            let answer = connection.ask(&request).await;
            assert_eq!(answer.header("connection"), "close", "{target}");
            connection.ends().await;
            draining.store(false, std::sync::atomic::Ordering::Release);
        }
        service.stop().await;
    });
}

/// A busy client does not notice: every request is answered until a connection is refused.
#[test]
fn under_load_no_request_is_lost() {
    block_on(async {
        let service = TestService::start(Engine::Sqlite).await;
        service.account("aino").await;
        let bearer = service.sign_in("aino").await.bearer();
        let address = service.address;
        let clients: Vec<_> = (0..4)
            .map(|_| {
                let bearer = bearer.clone();
                tokio::spawn(async move {
                    let mut answered = 0;
                    let mut connection = Connection::tcp(address).await;
                    let started = Instant::now();
                    while started.elapsed() < Duration::from_secs(10) {
                        let answer = connection.ask(&gate_request("GET", "/api/", &bearer)).await;
                        assert_eq!(answer.status, 204);
                        answered += 1;
                        if answer.header("connection") == "close" {
                            return answered;
                        }
                    }
                    panic!("no answer ends the connection");
                })
            })
            .collect();
        tokio::time::sleep(Duration::from_millis(100)).await;
        service.service.draining.store(true, std::sync::atomic::Ordering::Release);
        for client in clients {
            let answered = client.await.expect("no request was lost");
            assert!(answered > 1, "{answered}");
        }
        timeout(Duration::from_secs(5), service.stop()).await.expect("it stops");
    });
}

#[test]
fn a_unix_socket_has_its_mode_and_is_cleaned_up() {
    block_on(async {
        let folder = tempfile::TempDir::new().expect("a temporary folder can be made");
        let path = folder.path().join("avain.sock");
        for mode in ["660", "600"] {
            let database = Database::fresh(Engine::Sqlite).await;
            let listen = Listen::Unix(path.clone());
            let settings = [("server.unix_mode", mode), ("gate.misses", "2")];
            let service = TestService::listening(database, &settings, START, listen.clone()).await;
            let found = std::fs::metadata(&path).expect("it is there").permissions().mode();
            assert_eq!(format!("{:o}", found & 0o777), mode);

            let mut connection = Connection::unix(&path).await;
            let request = gate_request("GET", "/api/v1/", "");
            assert_eq!(connection.ask(&request).await.status, 204);
            // Who is behind a socket is trusted about ids and addresses.
            let request = Request::new("POST", "/api/token/").header("X-Request-ID", "mine");
            assert_eq!(connection.ask(&request).await.header("x-request-id"), "mine");
            for number in 0..6 {
                let request = gate_request("GET", "/api/v1/", &format!("Token {number:040}"));
                let request = request.header("X-Real-IP", format!("192.0.2.{number}"));
                assert_eq!(connection.ask(&request).await.status, 401);
            }

            let taken = avain::server::Listener::open(&listen, 0o600).await;
            let why = taken.expect_err("a socket in use is not taken away");
            assert!(why.contains("another program listens there"), "{why}");
            service.stop().await;
            assert!(!path.exists(), "it is removed");
            // As a killed process leaves it.
            drop(std::os::unix::net::UnixListener::bind(&path).expect("it can be made"));
            assert!(path.exists());
        }
        let file = folder.path().join("file");
        std::fs::write(&file, "precious").expect("it can be written");
        let listen = Listen::Unix(file.clone());
        avain::server::Listener::open(&listen, 0o600).await.expect_err("it is no socket");
        assert_eq!(std::fs::read_to_string(&file).expect("it is there"), "precious");
    });
}
