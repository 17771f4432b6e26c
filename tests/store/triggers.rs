//! Triggers on Django's tables: what others change there is told, ends what it must end, and is never hindered.

use avain::store::changes::{Change, Feed};
use avain::store::{Options, Store, migrate, triggers};
use tokio_postgres::Client;

use crate::django_site::django;
use crate::harness::{CLUSTER, Database, Engine, NOW, block_on, connect, replace_database};

/// A database of Django 2.2's with our tables and triggers; its account `matti` has the id 2 and a key.
struct Shared {
    database: Database,
    store: Store,
    django: Client,
}

impl Shared {
    async fn make() -> Self {
        let database = Database::empty(Engine::Postgres).await;
        database.script(include_str!("shapes/django_2_2_postgres.sql")).await;
        let store = database.migrated().await;
        assert_eq!(triggers::status(&store).await, Ok(triggers::Status::Missing));
        triggers::install(&database.options).await.expect("the owner may");
        assert_eq!(triggers::status(&store).await, Ok(triggers::Status::Installed));
        let django = connect(database.options.url.expose()).await;
        Self { database, store, django }
    }

    /// What the feed tells of a script that Django runs.
    async fn told(&self, script: &str) -> Vec<Change> {
        let mut feed = Feed::open(&self.store).await.expect("it opens");
        self.django.batch_execute(script).await.unwrap_or_else(|error| panic!("{script}: {error}"));
        feed.read(&self.store).await.expect("it runs")
    }

    /// A sign-in of matti's.
    async fn begin_family(&self) {
        let family = "INSERT INTO avain.refresh_families (id, account_id, layout, state, begun_at, ends_at,
                current_digest, current_token_id, current_issued_at, current_expires_at)
            VALUES (decode(md5(random()::text), 'hex'), 2, 'simplejwt', 'active', 1, 9, sha256('x'), 'x', 1, 9)";
        self.django.batch_execute(family).await.expect("it begins");
    }

    /// Why matti's families ended, or that they did not; and whether all tokens of before are revoked.
    async fn families(&self) -> (Vec<String>, bool) {
        let reasons = "SELECT coalesce(end_reason, state) FROM avain.refresh_families ORDER BY 1";
        let revoked = "SELECT count(*)::text FROM avain.account_revocations WHERE account_id = 2
            AND revoked_before_ms > extract(epoch FROM now() - interval '1 minute') * 1000";
        let reasons = self.database.texts(reasons).await;
        (reasons, self.database.texts(revoked).await == ["1"])
    }

    async fn forget(&self) {
        let forget = "DELETE FROM avain.refresh_families; DELETE FROM avain.account_revocations";
        self.django.batch_execute(forget).await.expect("they are deleted");
    }
}

#[test]
fn what_django_changes_is_told() {
    block_on(async {
        let shared = Shared::make().await;
        let matti = vec![Change::Account(2)];
        for quiet in [
            "UPDATE auth_user SET last_login = now()",
            "UPDATE auth_user SET username = username",
            "UPDATE auth_user SET username = 'x' WHERE id = 77",
            "INSERT INTO auth_user (password, is_superuser, username, first_name, last_name, email, is_staff,
                is_active, date_joined) VALUES ('!', FALSE, 'liisa', '', '', '', FALSE, TRUE, now())",
            "DELETE FROM auth_user WHERE username = 'nobody'",
            "BEGIN; UPDATE auth_user SET username = 'x' WHERE id = 2; ROLLBACK",
        ] {
            assert_eq!(shared.told(quiet).await, vec![], "{quiet}");
        }
        shared.begin_family().await;
        for loud in [
            "UPDATE auth_user SET username = 'matias' WHERE id = 2",
            "UPDATE auth_user SET is_staff = TRUE, last_login = now() WHERE id = 2",
            "UPDATE authtoken_token SET key = 'abc' WHERE user_id = 2",
            "DELETE FROM authtoken_token WHERE user_id = 2",
        ] {
            assert_eq!(shared.told(loud).await, matti, "{loud}");
            assert_eq!(shared.families().await, (vec!["active".to_owned()], false), "{loud}");
        }
        let all = shared.told("UPDATE auth_user SET is_superuser = TRUE").await;
        assert_eq!(all.len(), 3, "{all:?}");

        for (ends, reason) in [
            ("UPDATE auth_user SET password = 'x' WHERE id = 2", "password"),
            ("UPDATE auth_user SET is_active = FALSE WHERE id = 2", "deactivation"),
        ] {
            assert_eq!(shared.told(ends).await, matti, "{ends}");
            assert_eq!(shared.families().await, (vec![reason.to_owned()], true), "{ends}");
            shared.forget().await;
            shared.begin_family().await;
        }
        assert_eq!(shared.told("UPDATE auth_user SET is_active = TRUE WHERE id = 2").await, matti);
        assert_eq!(shared.families().await, (vec!["active".to_owned()], false));

        assert_eq!(shared.told("DELETE FROM auth_user WHERE id = 2").await, matti);
        assert_eq!(shared.families().await, (vec![], false), "they go with their account");
        assert_eq!(shared.told("TRUNCATE authtoken_token").await, vec![Change::Everything]);
        let all = shared.told("TRUNCATE auth_user CASCADE").await;
        assert_eq!(all, vec![Change::Everything; 2], "the keys are emptied with the accounts");

        triggers::remove(&shared.database.options).await.expect("the owner may");
        assert_eq!(triggers::status(&shared.store).await, Ok(triggers::Status::Missing));
        let disabled = "ALTER TABLE auth_user DISABLE TRIGGER avain_updated";
        triggers::install(&shared.database.options).await.expect("again");
        shared.django.batch_execute(disabled).await.expect("the owner may");
        assert_eq!(triggers::status(&shared.store).await, Ok(triggers::Status::Missing));
    });
}

/// What somebody does as another ends when Django changes who they are; and no earlier moment than one that
/// counts already is where sign-outs begin.
#[test]
fn acting_ends_with_what_django_changes() {
    block_on(async {
        let shared = Shared::make().await;
        let act = "INSERT INTO avain.sessions (digest, account_id, password_digest, begun_at_ms, used_at, ends_at,
                address, program, actor_session)
            VALUES (sha256('actor'), 1, sha256('p'), 1, 1, 9, '', '', NULL),
                (sha256('acting'), 2, sha256('p'), 1, 1, 9, '', '', sha256('actor'));
            INSERT INTO avain.session_families SELECT id, sha256('acting') FROM avain.refresh_families";
        for change in ["is_staff = NOT is_staff", "password = password || 'x'", "is_active = FALSE"]
        {
            for (changed, told) in [(1, 2), (2, 1)] {
                shared.forget().await;
                shared.begin_family().await;
                let reset = "DELETE FROM avain.sessions; UPDATE auth_user SET is_active = TRUE";
                shared.django.batch_execute(reset).await.expect("it runs");
                shared.django.batch_execute(act).await.expect("they begin");
                let change = format!("UPDATE auth_user SET {change} WHERE id = {changed}");
                assert_eq!(shared.told(&change).await.len(), told, "{change}");
                assert_ne!(shared.families().await.0, ["active"], "{change}");
            }
        }
        let ahead = "UPDATE avain.account_revocations SET revoked_before_ms = 9000000000000000";
        shared.django.batch_execute(ahead).await.expect("it runs");
        shared.told("UPDATE auth_user SET password = 'again' WHERE id = 2").await;
        let moment =
            "SELECT revoked_before_ms::text FROM avain.account_revocations WHERE account_id = 2";
        assert_eq!(shared.database.texts(moment).await, ["9000000000000000"]);
    });
}

/// Our own transactions tell themselves what they change, and a password that is only hashed anew is the same.
#[test]
fn our_own_changes_are_told_once() {
    block_on(async {
        let shared = Shared::make().await;
        shared.begin_family().await;
        let mut feed = Feed::open(&shared.store).await.expect("it opens");
        let mut tx = shared.store.begin("one of ours").await.expect("it begins");
        tx.run("accounts.set_username", &[2.into(), "matias".into()]).await.expect("it runs");
        tx.commit().await.expect("it commits");
        let rehash = [2.into(), "!".into(), "?".into()];
        let done = shared.store.write("accounts.rehash_password", &rehash).await;
        assert_eq!(done.map(|rows| rows.len()), Ok(1));
        assert_eq!(feed.read(&shared.store).await, Ok(vec![]));
        assert_eq!(shared.families().await, (vec!["active".to_owned()], false));
        // The mark ends with the transaction: what comes next on these connections is somebody else's.
        let touch = [2.into(), NOW.into()];
        shared.store.write("accounts.touch_last_login", &touch).await.expect("it runs");
        let off = [2.into(), false.into()];
        shared.store.write("accounts.set_active", &off).await.expect("it runs");
        assert_eq!(feed.read(&shared.store).await, Ok(vec![Change::Account(2)]));
    });
}

/// Whatever happens to the triggers, Django's own work goes on.
#[test]
fn django_is_never_hindered() {
    block_on(async {
        let shared = Shared::make().await;
        let change = "UPDATE auth_user SET password = password || 'x' WHERE id = 2;
            DELETE FROM authtoken_token; TRUNCATE authtoken_token";
        for breakage in [
            "ALTER TABLE avain.refresh_families RENAME COLUMN state TO condition",
            "ALTER TABLE avain.account_revocations RENAME TO elsewhere",
            "ALTER TABLE avain.changes RENAME TO also_elsewhere",
        ] {
            shared.django.batch_execute(breakage).await.expect("the owner may");
            shared.django.batch_execute(change).await.expect("it goes on");
            let stored = shared.database.texts("SELECT password FROM auth_user WHERE id = 2").await;
            assert!(stored[0].ends_with('x'), "{stored:?}");
        }
        let undo = "ALTER TABLE avain.also_elsewhere RENAME TO changes";
        shared.django.batch_execute(undo).await.expect("the owner may");
        // What cannot be told in detail is told at all.
        let told = shared.told("UPDATE auth_user SET password = 'y' WHERE id = 2").await;
        assert_eq!(told, vec![Change::Everything]);
        shared.django.batch_execute("DROP SCHEMA avain CASCADE").await.expect("the owner may");
        shared.django.batch_execute(change).await.expect("it goes on");
    });
}

/// What may come: whatever is altered in these tables, as Django's migrations would alter it.
#[test]
fn tables_can_be_altered_beneath_the_triggers() {
    block_on(async {
        let shared = Shared::make().await;
        for (column, kind) in [
            ("first_name", "varchar(150)"),
            ("username", "varchar(254)"),
            ("username", "varchar(150)"),
            ("last_name", "varchar(200)"),
            ("email", "text"),
            ("password", "text"),
        ] {
            // As Django's schema editor writes them, in one transaction with a change of rows.
            let alter = format!(
                "BEGIN; UPDATE auth_user SET is_staff = NOT is_staff WHERE id = 2;
                 ALTER TABLE \"auth_user\" ALTER COLUMN \"{column}\" TYPE {kind} USING \"{column}\"::{kind};
                 UPDATE auth_user SET is_staff = NOT is_staff WHERE id = 2; COMMIT"
            );
            let told = shared.told(&alter).await;
            assert_eq!(told, vec![Change::Account(2); 2], "{column} {kind}");
        }
        let more = "BEGIN; ALTER TABLE auth_user ADD COLUMN extra integer DEFAULT 1 NOT NULL;
            ALTER TABLE auth_user ALTER COLUMN extra DROP DEFAULT; COMMIT";
        assert_eq!(shared.told(more).await, vec![]);
        let told = shared.told("UPDATE auth_user SET extra = 2 WHERE id = 2").await;
        assert_eq!(told, vec![Change::Account(2)]);
        assert_eq!(shared.told("ALTER TABLE auth_user DROP COLUMN extra").await, vec![]);
        let told = shared.told("UPDATE auth_user SET password = 'z' WHERE id = 2").await;
        assert_eq!(told, vec![Change::Account(2)]);
        let wide = "ALTER TABLE auth_user ALTER COLUMN id TYPE bigint;
            ALTER TABLE authtoken_token ALTER COLUMN user_id TYPE bigint";
        assert_eq!(shared.told(wide).await, vec![]);
        let told = shared.told("UPDATE auth_user SET password = 'zz' WHERE id = 2").await;
        assert_eq!(told, vec![Change::Account(2)]);
        assert_eq!(shared.told("DELETE FROM authtoken_token").await, vec![Change::Account(2)]);
    });
}

/// What `sqlmigrate` of these versions prints for all migrations of Django's own (`shapes/README.md`).
const RECORDED: [(&str, &str); 3] = [
    ("2.2", include_str!("shapes/migrations_2_2.sql")),
    ("3.2", include_str!("shapes/migrations_3_2.sql")),
    ("4.2", include_str!("shapes/migrations_4_2.sql")),
];

/// The triggers go on tables as they first were, and every migration since runs beneath them.
#[test]
fn the_migrations_of_earlier_djangos_run_with_them_in_place() {
    block_on(async {
        for (version, recorded) in RECORDED {
            let migrations: Vec<(&str, &str)> =
                recorded.split("-- ").filter_map(|migration| migration.split_once('\n')).collect();
            let is_first = |name: &str| name.ends_with(".0001_initial");
            let (first, since): (Vec<_>, Vec<_>) =
                migrations.into_iter().partition(|(name, _)| is_first(name));
            assert!(since.len() > 6, "Django {version}: {since:?}");
            let database = Database::empty(Engine::Postgres).await;
            for (_, script) in first {
                database.script(script).await;
            }
            let matti = "INSERT INTO auth_user (id, password, is_superuser, username, first_name, last_name,
                    email, is_staff, is_active, date_joined, last_login)
                VALUES (2, '!', FALSE, 'matti', '', '', '', FALSE, TRUE, now(), now());
                INSERT INTO authtoken_token (key, created, user_id) VALUES ('k', now(), 2)";
            database.script(matti).await;
            let store = database.migrated().await;
            triggers::install(&database.options).await.expect("the owner may");
            let django = connect(database.options.url.expose()).await;
            let shared = Shared { database, store, django };
            for (name, script) in since {
                assert_eq!(shared.told(script).await, vec![], "Django {version}: {name}");
                let change = "UPDATE auth_user SET is_staff = NOT is_staff WHERE id = 2;
                    UPDATE authtoken_token SET key = key || 'k'";
                let told = shared.told(change).await;
                assert_eq!(told, vec![Change::Account(2); 2], "Django {version}: {name}");
            }
            shared.begin_family().await;
            shared.told("UPDATE auth_user SET password = 'x' WHERE id = 2").await;
            assert_eq!(shared.families().await, (vec!["password".to_owned()], true));
        }
    });
}

/// Django 5.2 itself: the tables as Django 2.2 had them (its migrations up to auth 0011 and authtoken 0002 are
/// the same), our triggers on them, and then the migrations since, back and forth; and its ORM's own statements.
#[test]
fn the_migrations_of_django_itself_run_with_them_in_place() {
    block_on(async {
        let database = Database::empty(Engine::Postgres).await;
        let url = database.options.url.expose().clone();
        django(&url, &["migrate", "auth", "0011"]);
        django(&url, &["migrate", "authtoken", "0002"]);
        let store = database.migrated().await;
        triggers::install(&database.options).await.expect("the owner may");
        django(&url, &["migrate"]);
        django(&url, &["migrate", "auth", "0002"]);
        django(&url, &["migrate"]);
        assert_eq!(triggers::status(&store).await, Ok(triggers::Status::Installed));

        let create = "Token.objects.create(user=User.objects.create_user('matti', password='x'))";
        django(&url, &["do", create]);
        let login = "from django.contrib.auth.models import update_last_login; update_last_login(None, matti)";
        for (statement, is_told) in [
            (login, false),
            ("matti.set_password('y'); matti.save()", true),
            ("matti.is_active = False; matti.save(update_fields=['is_active'])", true),
            ("User.objects.update(is_staff=True)", true),
            ("Token.objects.all().delete()", true),
            ("Token.objects.create(user=matti)", false),
            ("matti.delete()", true),
        ] {
            let mut feed = Feed::open(&store).await.expect("it opens");
            django(&url, &["do", statement]);
            let told = feed.read(&store).await.expect("it runs");
            assert_eq!(!told.is_empty(), is_told, "{statement}: {told:?}");
            let is_matti = |change: &Change| *change == Change::Account(1);
            assert!(told.iter().all(is_matti), "{statement}: {told:?}");
        }
    });
}

/// Django's tables belong to Django's role, our schema to ours, and neither is a superuser.
#[test]
fn the_owner_of_the_tables_installs_them() {
    block_on(async {
        let mut database = Database::empty(Engine::Postgres).await;
        let url = database.options.url.expose().clone();
        let (_, name) = url.rsplit_once('/').expect("the URL ends with a database");
        let admin = connect(&replace_database(CLUSTER.told("admin"), name)).await;
        let roles = format!(
            "CREATE ROLE site LOGIN PASSWORD 'x'; GRANT CREATE ON SCHEMA public TO site;
             CREATE ROLE keeper LOGIN PASSWORD 'x'; GRANT CREATE ON DATABASE {name} TO keeper;"
        );
        admin.batch_execute(&roles).await.expect("a superuser may");
        let (_, server) = url.split_once('@').expect("the URL has a password");
        let site_url = format!("postgresql://site:x@{server}");
        let site = connect(&site_url).await;
        site.batch_execute(include_str!("shapes/django_2_2_postgres.sql"))
            .await
            .expect("it is its own");
        site.batch_execute(
            "GRANT SELECT, INSERT, UPDATE, DELETE, REFERENCES ON auth_user, authtoken_token TO keeper",
        )
        .await
        .expect("it is its own");
        database.options = Options::new(&format!("postgresql://keeper:x@{server}"));
        migrate::run(&database.options, NOW).await.expect("the role may");
        let store = database.store();
        let error = triggers::install(&database.options).await.expect_err("they are not its own");
        assert!(error.sentence().contains("database.admin_url"), "{error}");
        database.options.admin_url = Some(site_url.as_str().into());
        triggers::install(&database.options).await.expect("the owner may");
        assert_eq!(triggers::status(&store).await, Ok(triggers::Status::Installed));
        let mut feed = Feed::open(&store).await.expect("it opens");
        site.batch_execute("UPDATE auth_user SET password = 'x' WHERE id = 2")
            .await
            .expect("it is its own");
        assert_eq!(feed.read(&store).await, Ok(vec![Change::Account(2)]));
        let error =
            site.batch_execute("INSERT INTO avain.changes (kind, changed_at) VALUES ('keys', 1)");
        error.await.expect_err("it may use the triggers, and nothing else");
        triggers::remove(&database.options).await.expect("the owner may");
    });
}
