//! Many at once with one refresh token: whatever the order, one line goes on.

use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use serde_json::json;
use tokio::sync::Barrier;
use tokio::task::JoinSet;
use tokio::time::Instant;

use crate::client::{Answer, Connection, Request};
use crate::harness::{Engine, Pair, TestService};
use crate::jwt::claim;
use crate::support::{block_on, connect};

on_both_engines! {
    one_winner_and_no_family
}

/// Clients with an open connection each, who all ask at the same moment.
struct Crowd {
    connections: Vec<Connection>,
    /// How often one of them was told that the database is too busy.
    put_off: Arc<AtomicUsize>,
}

impl Crowd {
    async fn gather(service: &TestService, count: usize) -> Self {
        let mut connections = Vec::new();
        for _ in 0..count {
            connections.push(service.connect().await);
        }
        Self { connections, put_off: Arc::default() }
    }

    /// The answers of all to the same refresh token.
    async fn refresh(&mut self, refresh_token: &str) -> Vec<Answer> {
        let request =
            Request::new("POST", "/api/token/refresh/").json(&json!({ "refresh": refresh_token }));
        let (request, start) = (Arc::new(request), Arc::new(Barrier::new(self.connections.len())));
        let mut clients = JoinSet::new();
        for mut connection in self.connections.drain(..) {
            let (request, start) = (Arc::clone(&request), Arc::clone(&start));
            let put_off = Arc::clone(&self.put_off);
            clients.spawn(async move {
                start.wait().await;
                let mut answer = connection.ask(&request).await;
                for _ in 0..100 {
                    if answer.status != 503 {
                        break;
                    }
                    // A database that is too busy: to ask again is as safe as after a lost answer.
                    assert_eq!(answer.header("retry-after"), "1");
                    put_off.fetch_add(1, Ordering::Relaxed);
                    answer = connection.ask(&request).await;
                }
                (connection, answer)
            });
        }
        let (connections, answers) = clients.join_all().await.into_iter().unzip();
        self.connections = connections;
        answers
    }
}

/// `rounds` times: a hundred clients use one refresh token at once. All get the one successor, which is
/// used in the next round; every tenth round ends with a replay outside the grace period, which ends the
/// family.
async fn rounds_of_a_hundred(engine: Engine, rounds: usize) {
    let settings = [("gate.misses", "1000000"), ("database.pool", "16")];
    let service = TestService::with(engine, &settings).await;
    service.account("aino").await;
    let mut crowd = Crowd::gather(&service, 100).await;
    let mut pair = service.sign_in("aino").await;
    for round in 0..rounds {
        let answers = crowd.refresh(&pair.refresh).await;
        let pairs: Vec<Pair> = answers.iter().map(Pair::of).collect();
        let successors: HashSet<String> =
            pairs.iter().map(|pair| claim(&pair.refresh, "jti").to_string()).collect();
        assert_eq!(successors.len(), 1, "round {round}: one live branch");
        let last = pairs.last().expect("a hundred").clone();
        assert!(service.admits(&last.bearer()).await, "round {round}");
        if round % 10 == 9 {
            service.pass(10);
            for answer in crowd.refresh(&pair.refresh).await {
                let refused =
                    json!({ "detail": "Token is blacklisted", "code": "token_not_valid" });
                answer.is(401, refused);
            }
            assert!(!service.admits(&last.bearer()).await, "round {round}: the family has ended");
            assert_eq!(service.refresh(&last.refresh).await.status, 401, "round {round}");
            pair = service.sign_in("aino").await;
        } else {
            pair = last;
        }
    }
    let metrics = String::from_utf8(service.service.metrics.text()).expect("metrics are text");
    assert!(!metrics.contains("outcome=\"retry\""), "no statement loses against another one");
}

/// Somebody keeps the database from answering: all are told to come again, do so, and nobody is signed out by
/// that.
#[test]
fn who_is_put_off_comes_again() {
    block_on(async {
        let settings = [("database.timeout", "1s"), ("gate.misses", "1000")];
        let service = TestService::with(Engine::Postgres, &settings).await;
        service.account("aino").await;
        let mut crowd = Crowd::gather(&service, 20).await;
        let pair = service.sign_in("aino").await;
        let locker = connect(&service.database.url).await;
        let lock = "BEGIN; LOCK TABLE avain.refresh_families IN ACCESS EXCLUSIVE MODE";
        locker.batch_execute(lock).await.expect("it is locked");
        let put_off = Arc::clone(&crowd.put_off);
        let unlocking = async {
            let begun = Instant::now();
            while put_off.load(Ordering::Relaxed) < 20 {
                assert!(begun.elapsed() < Duration::from_secs(30), "nobody is put off");
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
            locker.batch_execute("ROLLBACK").await.expect("it is unlocked");
        };
        let (answers, ()) = tokio::join!(crowd.refresh(&pair.refresh), unlocking);
        let id = |answer: &Answer| claim(&Pair::of(answer).refresh, "jti").to_string();
        let ids: HashSet<String> = answers.iter().map(id).collect();
        assert_eq!(ids.len(), 1, "one live branch");
        assert!(service.admits(&Pair::of(&answers[0]).bearer()).await);
    });
}

/// Without a grace period at most one caller wins, and the others' attempts end the family: nobody can
/// tell the thief from the owner.
async fn one_winner_and_no_family(engine: Engine) {
    let settings = [("tokens.refresh_grace", "0"), ("gate.misses", "1000000")];
    let service = TestService::with(engine, &settings).await;
    service.account("aino").await;
    let mut crowd = Crowd::gather(&service, 32).await;
    for _ in 0..5 {
        let pair = service.sign_in("aino").await;
        let answers = crowd.refresh(&pair.refresh).await;
        let winners: Vec<_> = answers.iter().filter(|answer| answer.status == 200).collect();
        assert!(winners.len() <= 1, "{} winners", winners.len());
        for winner in winners {
            assert!(!service.admits(&Pair::of(winner).bearer()).await);
        }
        assert!(!service.admits(&pair.bearer()).await);
    }
}

#[test]
fn fifty_rounds_of_a_hundred_on_sqlite() {
    block_on(rounds_of_a_hundred(Engine::Sqlite, 50));
}

#[test]
fn fifty_rounds_of_a_hundred_on_postgres() {
    block_on(rounds_of_a_hundred(Engine::Postgres, 50));
}

#[test]
#[ignore = "takes minutes: `make soak`"]
fn a_thousand_rounds_of_a_hundred_on_sqlite() {
    block_on(rounds_of_a_hundred(Engine::Sqlite, 1000));
}

#[test]
#[ignore = "takes minutes: `make soak`"]
fn a_thousand_rounds_of_a_hundred_on_postgres() {
    block_on(rounds_of_a_hundred(Engine::Postgres, 1000));
}
