//! What concerns SQLite alone: its file, several processes, and its threads.

use std::os::unix::fs::PermissionsExt as _;
use std::time::Duration;

use avain::store::{Durability, Options, Store, StoreError};

use crate::harness::{Database, Engine, block_on};
use crate::values::add;

#[test]
fn the_file_is_private() {
    block_on(async {
        let database = Database::empty(Engine::Sqlite).await;
        let store = database.migrated().await;
        add(&store, "a").await;
        for suffix in ["", "-wal", "-shm"] {
            let path = format!("{}{suffix}", database.path());
            let mode = std::fs::metadata(&path).expect("it exists").permissions().mode();
            assert_eq!(mode & 0o777, 0o600, "{path}");
        }
    });
}

#[test]
fn what_cannot_be_opened_is_said_clearly() {
    block_on(async {
        let folder = tempfile::TempDir::new().expect("a temporary folder can be made");
        let missing = folder.path().join("missing/avain.db");
        let error = Store::open(&Options::new(&format!("sqlite:{}", missing.display())));
        let error = error.expect_err("the folder is missing");
        assert!(error.to_string().contains("missing of the database does not exist"), "{error}");

        let text = folder.path().join("text.db");
        std::fs::write(&text, "certainly no database, and longer than a header is".repeat(9))
            .expect("it can be written");
        let error = Store::open(&Options::new(&format!("sqlite:{}", text.display())));
        let error = error.expect_err("it is no database");
        assert!(error.to_string().contains("file is not a database"), "{error}");

        let error = Store::open(&Options::new(&format!("sqlite:{}", folder.path().display())));
        error.expect_err("a folder is no database");
    });
}

#[test]
fn reading_cannot_change_anything() {
    block_on(async {
        let database = Database::empty(Engine::Sqlite).await;
        let store = database.migrated().await;
        add(&store, "a").await;
        let error = store.read("samples.take", &["a".into()]).await.expect_err("it would change");
        assert!(error.to_string().contains("readonly"), "{error}");
    });
}

#[test]
fn another_opening_is_seen_and_waited_for() {
    block_on(async {
        let database = Database::empty(Engine::Sqlite).await;
        let server = database.migrated().await;
        let before = server.data_version().await.expect("it runs");
        assert!(before.is_some());
        assert_eq!(server.data_version().await.expect("it runs"), before);

        // As the command line would: its own opening of the file.
        let command = database.store();
        let mut tx = command.begin("a command").await.expect("it begins");
        tx.run("samples.count", &[]).await.expect("it runs");
        let waiting = tokio::spawn({
            let server = server.clone();
            async move { add(&server, "from the server").await }
        });
        tokio::time::sleep(Duration::from_millis(300)).await;
        assert!(!waiting.is_finished(), "the server's change waits for the command's transaction");
        tx.commit().await.expect("it commits");
        waiting.await.expect("then it is made");
        let after = server.data_version().await.expect("it runs");
        assert_ne!(after, before);
        assert_eq!(server.data_version().await.expect("it runs"), after);
    });
}

#[test]
fn reading_goes_on_beside_a_transaction() {
    block_on(async {
        let database = Database::empty(Engine::Sqlite).await;
        let store = database.migrated().await;
        let mut tx = store.begin("long").await.expect("it begins");
        let params = ["a".into(), 1.into()];
        tx.run("samples.set_small", &params).await.expect("it runs");
        let count = tokio::time::timeout(Duration::from_secs(1), store.read("samples.count", &[]));
        count.await.expect("at once").expect("it runs");
    });
}

#[test]
fn a_locked_file_is_unavailable_in_time() {
    block_on(async {
        let database = Database::empty(Engine::Sqlite).await;
        database.migrated().await;
        let mut options = database.options.clone();
        options.limits.whole = Duration::from_millis(400);
        let store = database.store_with(&options);
        let other = rusqlite::Connection::open(database.path()).expect("the file opens");
        other.execute_batch("BEGIN IMMEDIATE").expect("it locks");
        let error = store.begin("locked out").await.expect_err("it is locked");
        assert!(matches!(error, StoreError::Unavailable(_)), "{error:?}");
        other.execute_batch("ROLLBACK").expect("it unlocks");
        tokio::time::sleep(Duration::from_millis(200)).await;
        add(&store, "a").await;
    });
}

#[test]
fn closing_leaves_one_file() {
    block_on(async {
        let database = Database::empty(Engine::Sqlite).await;
        let store = database.migrated().await;
        add(&store, "a").await;
        store.close().await;
        let copy = format!("{}.copy", database.path());
        std::fs::copy(database.path(), &copy).expect("it can be copied");
        let copy = rusqlite::Connection::open(&copy).expect("it opens");
        let count = copy.query_row("SELECT count(*) FROM samples", [], |row| row.get::<_, i64>(0));
        assert_eq!(count, Ok(1), "the file alone is the database");
    });
}

/// What full durability costs: run with `--ignored --nocapture` (the figures are in `sql/README.md`).
#[test]
#[ignore = "measures"]
fn cost_of_durability() {
    block_on(async {
        for durability in [Durability::Normal, Durability::Full] {
            let database = Database::empty(Engine::Sqlite).await;
            database.migrated().await;
            let options = Options { durability, ..database.options.clone() };
            let store = database.store_with(&options);
            let started = tokio::time::Instant::now();
            for number in 0..1000 {
                add(&store, &format!("{number}")).await;
            }
            println!("{durability:?}: {:?} per change", started.elapsed() / 1000);
        }
    });
}
