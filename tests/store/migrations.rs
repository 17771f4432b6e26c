//! Migrations: from nothing, onto Django's tables, several at once, interrupted, changed, newer.

use std::process::Command;
use std::time::Duration;

use avain::base::clock::Timestamp;
use avain::store::migrate::{self, Migration, Status};
use avain::store::{Options, Store, StoreError};

use crate::harness::{Database, Engine, NOW, block_on};

/// Django's tables as the engine describes them: columns, constraints and indexes with their names. The
/// indexes that we add to them begin with `avain_`: no migration of Django's meets them.
async fn shape(database: &Database) -> Vec<String> {
    let sqlite = "SELECT replace(replace(replace(sql, char(10), ''), ' ', ''), 'IFNOTEXISTS', '')
        FROM sqlite_master WHERE tbl_name IN ('auth_user', 'authtoken_token', 'django_session') AND sql IS NOT NULL
            AND name NOT LIKE 'avain#_%' ESCAPE '#'
        ORDER BY name";
    let postgres = "SELECT concat_ws(' ', table_name, ordinal_position, column_name, data_type,
            character_maximum_length, is_nullable, column_default, identity_generation) AS what
        FROM information_schema.columns WHERE table_schema = 'public'
        UNION ALL SELECT indexdef FROM pg_indexes WHERE schemaname = 'public'
            AND indexname NOT LIKE 'avain#_%' ESCAPE '#'
        UNION ALL SELECT conname || ' ' || pg_get_constraintdef(oid) FROM pg_constraint
            WHERE connamespace = 'public'::regnamespace
        UNION ALL SELECT relname || ' ' || relkind::text FROM pg_class
            WHERE relnamespace = 'public'::regnamespace
            AND relname NOT LIKE 'avain#_%' ESCAPE '#'
        ORDER BY what";
    database.texts(database.pick(sqlite, postgres)).await
}

async fn run(database: &Database) -> Result<Vec<&'static str>, StoreError> {
    migrate::run_list(&database.options, database.ours(), NOW).await
}

fn names(list: &[Migration]) -> Vec<&'static str> {
    list.iter().map(|migration| migration.name).collect()
}

pub(crate) async fn from_nothing(database: Database) {
    let list = names(database.ours());
    let store = database.store();
    assert_eq!(migrate::status(&store).await, Ok(Status::Pending(list.clone())));
    assert_eq!(run(&database).await, Ok(list));
    assert_eq!(migrate::status(&store).await, Ok(Status::Current));
    assert_eq!(store.fact("accounts.owner").await, Ok(Some("avain".to_owned())));
    assert_eq!(store.fact("missing").await, Ok(None));

    // What we made is what Django 5.2 would have made.
    let django = Database::empty(database.engine).await;
    django.script(new_django(&django)).await;
    assert_eq!(shape(&database).await, shape(&django).await);
    assert!(shape(&database).await.len() >= 2);
}

fn new_django(database: &Database) -> &'static str {
    database.pick(
        include_str!("shapes/django_5_2_sqlite.sql"),
        include_str!("shapes/django_5_2_postgres.sql"),
    )
}

fn old_django(database: &Database) -> &'static str {
    database.pick(
        include_str!("shapes/django_2_2_sqlite.sql"),
        include_str!("shapes/django_2_2_postgres.sql"),
    )
}

pub(crate) async fn again_changes_nothing(database: Database) {
    run(&database).await.expect("it applies");
    let before = shape(&database).await;
    let dump = database.pick(
        "SELECT name || applied_at FROM schema_versions",
        "SELECT name || applied_at FROM avain.schema_versions",
    );
    let applied = database.texts(dump).await;
    assert_eq!(applied.len(), database.ours().len());
    let later = Timestamp::from_seconds(NOW.seconds() + 1);
    let again = migrate::run_list(&database.options, database.ours(), later).await;
    assert_eq!(again, Ok(vec![]));
    assert_eq!(shape(&database).await, before);
    assert_eq!(database.texts(dump).await, applied);
}

pub(crate) async fn several_at_once(database: Database) {
    let runners: Vec<_> = (0..6)
        .map(|_| {
            let (options, list) = (database.options.clone(), database.migrations());
            tokio::spawn(async move { migrate::run_list(&options, &list, NOW).await })
        })
        .collect();
    let mut applied = Vec::new();
    for runner in runners {
        applied.extend(runner.await.expect("no panic").expect("each runner succeeds"));
    }
    applied.sort_unstable();
    assert_eq!(applied, names(&database.migrations()), "each migration is applied once");
    let status = migrate::status_of(&database.store(), &database.migrations()).await;
    assert_eq!(status, Ok(Status::Current));
}

async fn adopted(database: &Database, django: &str) -> Store {
    database.script(django).await;
    let before = shape(database).await;
    run(database).await.expect("it applies");
    let left: Vec<_> = shape(database).await;
    assert_eq!(left, before, "Django's tables are untouched");
    let store = database.migrated().await;
    assert_eq!(store.fact("accounts.owner").await, Ok(Some("django".to_owned())));
    let at = Timestamp::from_seconds(1_600_000_000);
    let rows = store.write("samples.add_account", &["teppo".into(), at.into()]).await;
    let id = rows.expect("an account can be added")[0].int32("id").expect("an id");
    let token = ["fedcba".into(), at.into(), id.into()];
    store.write("samples.add_token", &token).await.expect("a token can be added");
    store
}

pub(crate) async fn an_old_django_is_adopted(database: Database) {
    let script = old_django(&database);
    let store = adopted(&database, script).await;
    let rows = store.read("samples.token", &["0123456789abcdef".into()]).await.expect("it runs");
    assert_eq!(rows[0].int32("user_id"), Ok(2), "its rows are still there");
    assert_eq!(rows[0].time("created"), Ok(Timestamp::from_seconds(1_577_836_800)));
}

pub(crate) async fn a_new_django_is_adopted(database: Database) {
    let script = new_django(&database);
    adopted(&database, script).await;
}

pub(crate) async fn a_failing_one_leaves_nothing(database: Database) {
    let mut list = database.ours().to_vec();
    let sql = "CREATE TABLE half (x INTEGER); INSERT INTO nowhere VALUES (1);";
    list.push(Migration { name: "broken", sql });
    let error = migrate::run_list(&database.options, &list, NOW).await.expect_err("it fails");
    assert!(error.to_string().contains("broken"), "{error}");
    // Those before it are kept, nothing of it is.
    assert_eq!(migrate::status(&database.store()).await, Ok(Status::Current));
    list.pop();
    list.push(Migration { name: "mended", sql: "CREATE TABLE half (x INTEGER);" });
    let done = migrate::run_list(&database.options, &list, NOW).await;
    assert_eq!(done, Ok(vec!["mended"]));
}

/// Tells [`interrupted_child`] what to migrate.
const INTERRUPTED: &str = "AVAIN_TEST_INTERRUPTED";

const SLOW_SQLITE: &str = "CREATE TABLE half (x INTEGER);
    WITH RECURSIVE n (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM n) INSERT INTO half SELECT n FROM n;";
const SLOW_POSTGRES: &str = "CREATE TABLE half (x INTEGER); SELECT pg_sleep(3);";

pub(crate) async fn a_killed_one_is_finished_later(database: Database) {
    let exe = std::env::current_exe().expect("the test knows its own file");
    let mut child = Command::new(exe)
        .args(["--ignored", "--exact", "migrations::interrupted_child"])
        .env(INTERRUPTED, database.options.url.expose())
        .stdout(std::process::Stdio::null())
        .spawn()
        .expect("it starts");
    // Ours are applied when the status says so; then the slow one is under way.
    let store = database.store();
    for _ in 0..500 {
        if migrate::status(&store).await == Ok(Status::Current) {
            break;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    tokio::time::sleep(Duration::from_millis(300)).await;
    child.kill().expect("it can be killed"); // SIGKILL
    child.wait().expect("it ended");

    let mut list = database.ours().to_vec();
    list.push(Migration { name: "slow", sql: "CREATE TABLE half (x INTEGER);" });
    assert_eq!(
        migrate::status_of(&store, &list).await,
        Ok(Status::Pending(vec!["slow"])),
        "what was applied before is there, the killed one is not"
    );
    let done = migrate::run_list(&database.options, &list, NOW).await;
    assert_eq!(done, Ok(vec!["slow"]), "nothing of the killed one was left");
}

/// What [`a_killed_one_is_finished_later`] starts and kills.
#[test]
#[ignore = "a part of another test"]
fn interrupted_child() {
    #[expect(clippy::disallowed_methods, reason = "the parent's word for this test")]
    let url = std::env::var(INTERRUPTED).expect("only started by another test");
    let options = Options::new(&url);
    let (ours, sql) = if url.starts_with("sqlite:") {
        (migrate::SQLITE, SLOW_SQLITE)
    } else {
        (migrate::POSTGRES, SLOW_POSTGRES)
    };
    let list = [ours, &[Migration { name: "slow", sql }]].concat();
    block_on(migrate::run_list(&options, &list, NOW)).expect_err("it is killed before");
}

pub(crate) async fn a_changed_one_is_refused(database: Database) {
    let mut list = database.migrations();
    migrate::run_list(&database.options, &list, NOW).await.expect("it applies");
    list.pop();
    list.push(Migration { name: "sample", sql: "CREATE TABLE other (x INTEGER);" });
    let error = migrate::run_list(&database.options, &list, NOW).await.expect_err("it was changed");
    assert!(error.to_string().contains("must never be changed"), "{error}");
    let error = migrate::status_of(&database.store(), &list).await.expect_err("it was changed");
    assert!(error.to_string().contains("sample"), "{error}");
}

pub(crate) async fn a_newer_database_is_told(database: Database) {
    let store = database.migrated().await;
    let newest = i64::try_from(database.migrations().len()).expect("a small number");
    // The version before still runs (expand, then contract), but migrates nothing.
    assert_eq!(migrate::status(&store).await, Ok(Status::Newer(newest)));
    let error = run(&database).await.expect_err("it is newer");
    assert!(error.to_string().contains("newer than this program"), "{error}");
}

/// The lists in the code are the files in the folders, and both engines have the same ones.
#[test]
fn every_file_is_listed() {
    for (folder, list) in [("postgres", migrate::POSTGRES), ("sqlite", migrate::SQLITE)] {
        let path = format!("{}/sql/{folder}", env!("CARGO_MANIFEST_DIR"));
        let mut files: Vec<String> = std::fs::read_dir(path)
            .expect("the folder is there")
            .map(|entry| entry.expect("it can be read").file_name().into_string().expect("UTF-8"))
            .filter(|name| name.starts_with(|first: char| first.is_ascii_digit()))
            .map(|name| name.trim_end_matches(".sql").to_owned())
            .collect();
        files.sort();
        assert_eq!(files, names(list), "{folder}");
    }
    assert_eq!(names(migrate::POSTGRES), names(migrate::SQLITE));
}

/// The role that `deploy/role.sql` makes in a Django backend's database migrates by itself.
#[test]
fn the_shipped_role_migrates() {
    block_on(async {
        let mut database = Database::empty(Engine::Postgres).await;
        database.script(old_django(&database)).await;
        let owner = database.options.url.expose().clone();
        let (_, name) = owner.rsplit_once('/').expect("the URL ends with a database");
        let admin = crate::harness::replace_database(crate::harness::CLUSTER.told("admin"), name);
        let shipped = include_str!("../../deploy/role.sql").replace(":password", "'x'");
        // The cluster's own role avain owns the databases of all other tests.
        let words = [("ROLE avain", "ROLE shipped"), ("TO avain;", "TO shipped;")];
        let shipped = words.iter().fold(shipped, |text, (from, to)| text.replace(from, to));
        let shipped = shipped.replace("AUTHORIZATION avain", "AUTHORIZATION shipped");
        let client = crate::harness::connect(&admin).await;
        client.batch_execute(&shipped).await.expect("a superuser may");

        let (_, server) = owner.split_once('@').expect("the URL has a password");
        database.options = Options::new(&format!("postgresql://shipped:x@{server}"));
        let applied = migrate::run(&database.options, NOW).await.expect("the role may migrate");
        assert!(applied.len() >= 2, "{applied:?}");
        let store = database.store();
        assert_eq!(migrate::status(&store).await, Ok(Status::Current));
        assert_eq!(store.fact("accounts.owner").await, Ok(Some("django".to_owned())));
    });
}

/// An administrative role migrates, and grants the service what it needs and no more.
#[test]
fn an_administrator_grants_the_service_its_rights() {
    block_on(async {
        for (django, service) in [(true, "svc_with_django"), (false, "svc \"alone\"")] {
            let mut database = Database::empty(Engine::Postgres).await;
            if django {
                database.script(old_django(&database)).await;
            }
            let owner = database.options.url.expose().clone();
            let (_, name) = owner.rsplit_once('/').expect("the URL ends with a database");
            let admin =
                crate::harness::replace_database(crate::harness::CLUSTER.told("admin"), name);
            let client = crate::harness::connect(&admin).await;
            let quoted = service.replace('"', "\"\"");
            let role = format!("CREATE ROLE \"{quoted}\" LOGIN PASSWORD 'x'");
            client.batch_execute(&role).await.expect("a superuser may");
            let (_, server) = owner.split_once('@').expect("the URL has a password");
            let encoded = service.replace(' ', "%20").replace('"', "%22");
            let url = format!("postgresql://{encoded}:x@{server}");

            database.options = Options::new(&url);
            let error = run(&database).await.expect_err("the service may not create a schema");
            assert!(error.to_string().contains("database.admin_url"), "{error}");
            database.options.admin_url = Some(admin.as_str().into());
            run(&database).await.expect("the administrator may");
            assert_eq!(run(&database).await, Ok(vec![]), "again");

            let store = database.store();
            assert_eq!(migrate::status(&store).await, Ok(Status::Current));
            let at = Timestamp::from_seconds(1);
            let rows = store.write("samples.add_account", &["a".into(), at.into()]).await;
            let id = rows.expect("the service adds accounts")[0].int32("id").expect("an id");
            let token = ["k".into(), at.into(), id.into()];
            store.write("samples.add_token", &token).await.expect("and tokens");
            let may = |right: String| {
                let client = &client;
                let service = service.to_owned();
                async move {
                    let sql = format!("SELECT {right}");
                    let row = client.query_one(&sql, &[&service]).await.expect("it runs");
                    row.get::<_, bool>(0)
                }
            };
            let column = |column: &str, right: &str| {
                may(format!("has_column_privilege($1, 'auth_user', '{column}', '{right}')"))
            };
            let table = |table: &str, right: &str| {
                may(format!("has_table_privilege($1, '{table}', '{right}')"))
            };
            assert!(column("password", "UPDATE").await);
            assert_eq!(column("is_superuser", "UPDATE").await, !django);
            assert_eq!(table("auth_user", "DELETE").await, !django);
            assert!(table("authtoken_token", "DELETE").await);
            assert!(!table("avain.schema_versions", "INSERT").await);
            assert!(!table("avain.facts", "UPDATE").await);
            if django {
                assert!(table("django_session", "DELETE").await);
            }
        }
    });
}
