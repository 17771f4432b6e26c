//! What concerns PostgreSQL alone: lost connections, restarts, slow statements, the pool.

use std::time::Duration;

use avain::store::migrate;
use avain::store::{Limits, Options, Store, StoreError, Value};
use tokio::net::TcpListener;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, timeout};

use crate::harness::{CLUSTER, Cluster, Database, Engine, NOW, block_on, connect};
use crate::values::add;

/// Fills the pool: so many connections have been used and are idle.
async fn fill_pool(store: &Store, connections: usize) {
    let mut open = Vec::new();
    for _ in 0..connections {
        let mut tx = store.begin("fill the pool").await.expect("it begins");
        tx.run("store.ping", &[]).await.expect("it answers");
        open.push(tx);
    }
    for tx in open {
        tx.commit().await.expect("it commits");
    }
}

/// How many other connections of this database's are in this state.
async fn connections(database: &Database, state: &str) -> usize {
    let sql = format!(
        "SELECT query FROM pg_stat_activity WHERE datname = current_database() \
         AND pid <> pg_backend_pid() AND backend_type = 'client backend' AND state LIKE '{state}'"
    );
    database.texts(&sql).await.len()
}

async fn terminate_all(database: &Database) {
    let sql = "SELECT pg_terminate_backend(pid)::text FROM pg_stat_activity
        WHERE datname = current_database() AND pid <> pg_backend_pid() AND backend_type = 'client backend'";
    database.texts(sql).await;
}

#[test]
fn killed_connections_give_no_stale_error() {
    block_on(async {
        let database = Database::empty(Engine::Postgres).await;
        let store = database.migrated().await;
        for round in 0..10 {
            fill_pool(&store, 8).await;
            terminate_all(&database).await;
            // At once, while the client may not have noticed: what is safe to send again succeeds.
            for _ in 0..3 {
                store.ping().await.expect("a read finds a good connection");
            }
            let tx = store.begin("after a kill").await.expect("it begins");
            tx.commit().await.expect("it commits");
            terminate_all(&database).await;
            sleep(Duration::from_millis(50)).await;
            add(&store, &format!("round {round}")).await;
        }
    });
}

#[test]
fn a_transaction_on_a_killed_connection_fails_and_the_next_works() {
    block_on(async {
        let database = Database::empty(Engine::Postgres).await;
        let store = database.migrated().await;
        let mut tx = store.begin("doomed").await.expect("it begins");
        tx.run("samples.count", &[]).await.expect("it runs");
        terminate_all(&database).await;
        let error = tx.run("samples.count", &[]).await.expect_err("the connection is gone");
        assert!(matches!(error, StoreError::Unavailable(_)), "{error:?}");
        tx.commit().await.expect_err("the connection is gone");
        add(&store, "a").await;
    });
}

#[test]
fn a_restarted_server_is_found_again() {
    let cluster = Cluster::start();
    block_on(async {
        let database = Database::empty_on(&cluster, Engine::Postgres).await;
        let store = database.migrated().await;
        fill_pool(&store, 8).await;
        cluster.tell("stop");
        for _ in 0..20 {
            let started = Instant::now();
            let error = store.ping().await.expect_err("the server is down");
            assert!(matches!(error, StoreError::Unavailable(_)), "{error:?}");
            let error = store.begin("while it is down").await.expect_err("the server is down");
            assert!(matches!(error, StoreError::Unavailable(_)), "{error:?}");
            assert!(started.elapsed() < Duration::from_secs(2), "it fails fast");
        }
        cluster.tell("start");
        let started = Instant::now();
        add(&store, "after the restart").await;
        fill_pool(&store, 8).await;
        assert!(started.elapsed() < Duration::from_secs(2), "no more waiting than to connect");

        // Under load, through a crash: only `Unavailable` is told, and what was acknowledged is kept.
        let load = tokio::spawn({
            let store = store.clone();
            async move {
                let mut kept = 0;
                let end = Instant::now() + Duration::from_secs(4);
                for number in 0.. {
                    if Instant::now() >= end {
                        break;
                    }
                    let params: [Value; 6] = [
                        format!("{number}").into(),
                        Value::Null,
                        1.into(),
                        Value::Null,
                        Value::Null,
                        1.into(),
                    ];
                    match store.write("samples.add", &params).await {
                        Ok(rows) => kept += rows.len(),
                        Err(StoreError::Unavailable(_)) => sleep(Duration::from_millis(20)).await,
                        Err(error) => panic!("{error:?}"),
                    }
                }
                kept
            }
        });
        sleep(Duration::from_millis(500)).await;
        tokio::task::block_in_place(|| cluster.tell("restart"));
        let kept = load.await.expect("no other error");
        let rows = store.read("samples.count", &[]).await.expect("it is up again");
        let count = rows[0].int("count").expect("a number");
        assert!(kept > 100, "it went on: {kept}");
        assert!(count > i64::try_from(kept).expect("few"), "{count} rows, {kept} acknowledged");
    });
}

#[test]
fn a_slow_statement_is_given_up_and_cancelled() {
    block_on(async {
        let database = Database::empty(Engine::Postgres).await;
        database.migrated().await;
        let mut options = database.options.clone();
        options.connections = 1;
        options.limits.statement = Duration::from_millis(300);
        let store = database.store_with(&options);
        let started = Instant::now();
        let error = store.read("samples.slow", &[]).await.expect_err("it is too slow");
        assert!(matches!(error, StoreError::Unavailable(_)), "{error:?}");
        assert!(started.elapsed() < Duration::from_secs(2));
        store.ping().await.expect("the pool has a good connection");
        assert!(started.elapsed() < Duration::from_secs(3));
    });
}

#[test]
fn a_caller_that_goes_away_leaves_nothing_running() {
    block_on(async {
        let database = Database::empty(Engine::Postgres).await;
        database.migrated().await;
        let mut options = database.options.clone();
        options.connections = 1;
        let store = database.store_with(&options);
        let brief = Duration::from_millis(200);
        timeout(brief, store.read("samples.slow", &[])).await.expect_err("the caller goes away");
        let started = Instant::now();
        store.ping().await.expect("the next one does not wait for the abandoned one");
        assert!(started.elapsed() < Duration::from_secs(1));

        let mut tx = store.begin("abandoned").await.expect("it begins");
        timeout(brief, tx.run("samples.slow", &[])).await.expect_err("the caller goes away");
        drop(tx);
        store.ping().await.expect("the next one does not wait for the abandoned one");
        sleep(brief).await;
        assert_eq!(connections(&database, "active").await, 0, "the server was told to stop");
        assert_eq!(connections(&database, "idle in transaction%").await, 0);
        assert!(connections(&database, "idle").await <= 1);
    });
}

#[test]
fn an_exhausted_pool_is_unavailable_in_time() {
    block_on(async {
        let database = Database::empty(Engine::Postgres).await;
        database.migrated().await;
        let mut options = database.options.clone();
        options.connections = 2;
        options.limits.wait = Duration::from_millis(300);
        let store = database.store_with(&options);
        let first = store.begin("first").await.expect("it begins");
        let _second = store.begin("second").await.expect("it begins");
        let started = Instant::now();
        let error = store.ping().await.expect_err("both connections are taken");
        assert!(matches!(error, StoreError::Unavailable(_)), "{error:?}");
        assert!(started.elapsed() < Duration::from_secs(1));
        drop(first);
        store.ping().await.expect("one is free again");
    });
}

#[test]
fn a_locked_table_is_unavailable_in_time() {
    block_on(async {
        let database = Database::empty(Engine::Postgres).await;
        let store = database.migrated().await;
        let client = connect(database.options.url.expose()).await;
        let lock = "BEGIN; LOCK TABLE avain.samples IN ACCESS EXCLUSIVE MODE";
        client.batch_execute(lock).await.expect("it locks");
        let started = Instant::now();
        let error = store.read("samples.count", &[]).await.expect_err("it is locked");
        assert!(matches!(error, StoreError::Unavailable(_)), "{error:?}");
        assert!(started.elapsed() < Duration::from_millis(4500), "{:?}", started.elapsed());
        client.batch_execute("ROLLBACK").await.expect("it unlocks");
        store.read("samples.count", &[]).await.expect("it goes on");
    });
}

#[test]
fn deadlocks_are_to_be_retried() {
    block_on(async {
        let database = Database::empty(Engine::Postgres).await;
        let store = database.migrated().await;
        let (alter, client) = (
            "ALTER ROLE postgres SET deadlock_timeout = '50ms'",
            connect(CLUSTER.told("admin")).await,
        );
        client.batch_execute(alter).await.expect("a superuser may");
        for name in ["a", "b"] {
            add(&store, name).await;
        }
        let step = |name: &'static str, small: i32| [Value::from(name), Value::from(small)];
        let mut one = store.begin("one").await.expect("it begins");
        let mut two = store.begin("two").await.expect("it begins");
        one.run("samples.set_small", &step("a", 1)).await.expect("it runs");
        two.run("samples.set_small", &step("b", 2)).await.expect("it runs");
        let (first, second) = (step("b", 1), step("a", 2));
        let (first, second) = tokio::join!(
            one.run("samples.set_small", &first),
            two.run("samples.set_small", &second)
        );
        let loser = match (first, second) {
            (Err(error), Ok(_)) | (Ok(_), Err(error)) => error,
            other => panic!("{other:?}"),
        };
        assert!(matches!(loser, StoreError::Retry(_)), "{loser:?}");
    });
}

#[test]
fn a_standby_is_skipped_and_a_dead_host_too() {
    block_on(async {
        let database = Database::empty(Engine::Postgres).await;
        database.migrated().await;
        // The first host refuses; the second one takes writes.
        let url = database.options.url.expose().clone();
        let (user, rest) = url.split_once('@').expect("the URL has a password");
        let url = format!("{user}@127.0.0.1:1,{rest}?target_session_attrs=read-write");
        let options = Options { url: url.as_str().into(), ..database.options.clone() };
        let store = database.store_with(&options);
        add(&store, "a").await;

        // A database that has become read-only, as a standby is: the connection is given up.
        let (_, name) = rest.rsplit_once('/').expect("the URL ends with a database");
        let admin = connect(CLUSTER.told("admin")).await;
        let alter =
            |on: bool| format!("ALTER DATABASE {name} SET default_transaction_read_only = {on}");
        admin.batch_execute(&alter(true)).await.expect("a superuser may");
        terminate_all(&database).await;
        let error = store.ping().await.expect_err("no host takes writes");
        assert!(matches!(error, StoreError::Unavailable(_)), "{error:?}");
        admin.batch_execute(&alter(false)).await.expect("a superuser may");
        add(&store, "b").await;
    });
}

/// A host that takes connections and says nothing.
async fn silent_host() -> (u16, JoinSet<()>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port is free");
    let port = listener.local_addr().expect("it is bound").port();
    let mut accepting = JoinSet::new();
    accepting.spawn(async move {
        let mut kept = Vec::new();
        while let Ok(connection) = listener.accept().await {
            kept.push(connection);
        }
    });
    (port, accepting)
}

#[test]
fn a_host_that_says_nothing_is_passed_over() {
    block_on(async {
        let database = Database::empty(Engine::Postgres).await;
        database.migrated().await;
        let (silent, _accepting) = silent_host().await;
        let url = database.options.url.expose().clone();
        let (user, rest) = url.split_once('@').expect("the URL has a password");
        let reaching = |hosts: &str, sslmode: &str| Options {
            url: format!("{user}@{hosts}?target_session_attrs=read-write&sslmode={sslmode}")
                .as_str()
                .into(),
            limits: Limits { connect: Duration::from_secs(2), ..database.options.limits },
            ..database.options.clone()
        };
        for sslmode in ["disable", "prefer"] {
            let both = reaching(&format!("127.0.0.1:{silent},{rest}"), sslmode);
            let store = database.store_with(&both);
            store.ping().await.expect("the second host answers within the time of one statement");
            // The next connections go where the first one has led.
            let began = Instant::now();
            fill_pool(&store, 4).await;
            assert!(began.elapsed() < both.limits.connect, "{:?}", began.elapsed());
            let began = Instant::now();
            assert!(store.listen(|| ()).await.expect("it is told of changes").is_some());
            assert!(began.elapsed() < both.limits.connect * 2, "{:?}", began.elapsed());
        }
        let (_, name) = rest.rsplit_once('/').expect("the URL ends with a database");
        let alone = database.store_with(&reaching(&format!("127.0.0.1:{silent}/{name}"), "prefer"));
        let error = alone.ping().await.expect_err("nobody answers");
        assert!(error.to_string().contains("no answer in time"), "{error}");
        let error = alone.listen(|| ()).await.expect_err("nobody answers");
        assert!(error.to_string().contains("no answer in time"), "{error}");
    });
}

#[test]
fn a_wrong_search_path_is_said_clearly() {
    block_on(async {
        let mut database = Database::empty(Engine::Postgres).await;
        migrate::run(&database.options, NOW).await.expect("migrations apply");
        // (PostgreSQL's own default finds a schema that is named like the role.)
        let script = "DO $$ BEGIN EXECUTE format('ALTER DATABASE %I SET search_path TO public',
            current_database()); END $$";
        database.script(script).await;
        database.options.prepared_statements = false;
        let error = migrate::status(&database.store()).await.expect_err("no path leads there");
        assert!(error.to_string().contains("ALTER ROLE"), "{error}");
    });
}

#[test]
fn a_wrong_url_or_password_is_unavailable_or_refused() {
    block_on(async {
        let database = Database::empty(Engine::Postgres).await;
        let url = database.options.url.expose().replace("avain:", "avain:not");
        let mut options = database.options.clone();
        options.url = url.as_str().into();
        let error = database.store_with(&options).ping().await.expect_err("the password is wrong");
        assert!(matches!(error, StoreError::Unavailable(_)), "{error:?}");
        assert!(error.to_string().contains("password authentication failed"), "{error}");
        options.url = "postgresql://localhost:port/x".into();
        let error = Store::open(&options).expect_err("the port is no number");
        assert!(matches!(error, StoreError::Other(_)), "{error:?}");
    });
}

#[test]
fn tls_is_as_strict_as_sslmode_says() {
    block_on(async {
        let certificate = CLUSTER.told("certificate");
        let database = Database::empty(Engine::Postgres).await;
        database.migrated().await;
        let plain = database.options.url.expose().clone();
        let by_name = plain.replace("127.0.0.1", "localhost");
        let ours = format!("&sslrootcert={certificate}");
        for (case, (url, mode, root, expected)) in [
            (&plain, "disable", "", Some("false")),
            (&plain, "prefer", "", Some("true")),
            (&plain, "require", "", Some("true")),
            (&plain, "verify-ca", ours.as_str(), Some("true")),
            (&plain, "verify-full", &ours, Some("true")),
            // The certificate is for the address alone; the machine's authorities do not know it.
            (&by_name, "require", &ours, Some("true")),
            (&by_name, "verify-ca", &ours, Some("true")),
            (&by_name, "verify-full", &ours, None),
            (&plain, "verify-full", "", None),
            (&plain, "verify-ca", "", None),
        ]
        .into_iter()
        .enumerate()
        {
            let name = format!("tls_{case}");
            let url = format!("{url}?application_name={name}&sslmode={mode}{root}");
            let options = Options { url: url.as_str().into(), ..database.options.clone() };
            // Without any authority on this machine, the store cannot even be opened.
            let Ok(store) = Store::open(&options) else {
                assert!(expected.is_none() && root.is_empty(), "{mode}{root}");
                continue;
            };
            let answer = store.ping().await;
            if let Some(expected) = expected {
                answer.expect("it connects");
                let encrypted = format!(
                    "SELECT ssl::text FROM pg_stat_ssl JOIN pg_stat_activity USING (pid) \
                     WHERE application_name = '{name}'"
                );
                assert_eq!(database.texts(&encrypted).await, [expected], "{mode}{root}");
            } else {
                let error = answer.expect_err("the certificate is not good enough");
                assert!(matches!(error, StoreError::Unavailable(_)), "{mode}{root} {error:?}");
                assert!(error.to_string().contains("certificate"), "{error}");
            }
            store.close().await;
        }
    });
}
