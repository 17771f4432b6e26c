//! `avain triggers …`, on a database of Django's.

use super::Program;
use super::serving::Serving;
use crate::django_site::django;
use crate::harness::Engine;
use crate::support::block_on;

fn warnings(program: &Program) -> String {
    program.run(&["check", "--json"]).json()["warnings"].to_string()
}

#[test]
fn they_are_put_on_djangos_tables_and_taken_off() {
    block_on(async {
        let program = tokio::task::block_in_place(|| Program::new(Engine::Postgres));
        django(&program.database.url, &["migrate"]);
        tokio::task::block_in_place(|| program.user("matti"));
        let serving = Serving::start(&program).await;
        let run = |arguments: &[&str]| tokio::task::block_in_place(|| program.run(arguments));
        let found = tokio::task::block_in_place(|| warnings(&program));
        assert!(found.contains("there are no triggers on Django's tables"), "{found}");
        assert!(found.contains("run `avain triggers install`"), "{found}");
        let is_missing = || {
            let ran = run(&["triggers", "status"]);
            (ran.code, ran.out.as_str()) == (1, "missing: run `avain triggers install`\n")
        };
        assert!(is_missing());

        for _ in 0..2 {
            run(&["triggers", "install"]).good();
            assert_eq!(run(&["triggers", "status"]).good(), "installed\n");
        }
        let found = tokio::task::block_in_place(|| warnings(&program));
        assert!(!found.contains("triggers"), "{found}");
        // A service that runs already hears of what Django changes from then on.
        let pair = serving.sign_in("matti").await;
        assert!(serving.admits(&pair.bearer()).await);
        django(&program.database.url, &["do", "matti.set_password('another'); matti.save()"]);
        serving.refuses_soon(&pair.bearer(), "a password change in Django").await;

        run(&["triggers", "remove"]).good();
        assert!(is_missing());
    });
}

#[test]
fn a_sqlite_file_has_none() {
    let program = Program::new(Engine::Sqlite);
    program.run(&["migrate"]).good();
    program.run(&["triggers", "install"]).refused(1, "triggers are for PostgreSQL");
    assert!(!warnings(&program).contains("triggers"));
}
