//! Every statement is well-formed on every engine that has it, and every name in the code exists.

use std::collections::BTreeSet;

use avain::store::migrate;
use avain::store::statements::{Catalog, FILES};
use tokio_postgres::types::Type;

use crate::harness::{Database, Engine, NOW, block_on, connect};

/// Types that a [`avain::store::Value`] can be.
const KNOWN: [Type; 10] = [
    Type::BOOL,
    Type::INT2,
    Type::INT4,
    Type::INT8,
    Type::TEXT,
    Type::VARCHAR,
    Type::BPCHAR,
    Type::NAME,
    Type::BYTEA,
    Type::TIMESTAMPTZ,
];

/// What a value is sent as without a prepared statement.
fn sent_as(wanted: &Type) -> Type {
    match *wanted {
        Type::INT2 | Type::INT4 => Type::INT8,
        Type::VARCHAR | Type::BPCHAR | Type::NAME => Type::TEXT,
        ref other => other.clone(),
    }
}

#[test]
fn every_statement_prepares_on_both_engines() {
    block_on(async {
        let postgres = Database::empty(Engine::Postgres).await;
        migrate::run(&postgres.options, NOW).await.expect("migrations apply");
        let client = connect(postgres.options.url.expose()).await;
        client.batch_execute("SET search_path TO avain, public").await.expect("it runs");
        let sqlite = Database::empty(Engine::Sqlite).await;
        migrate::run(&sqlite.options, NOW).await.expect("migrations apply");
        let connection = rusqlite::Connection::open(sqlite.path()).expect("the file opens");

        let mut wrong = Vec::new();
        for statement in Catalog::embedded().iter() {
            let name = &statement.name;
            let mut count = None;
            if let Some(sql) = &statement.postgres {
                match client.prepare(sql).await {
                    Ok(prepared) => {
                        count = Some(prepared.params().len());
                        for wanted in prepared.params().iter().filter(|ty| !KNOWN.contains(ty)) {
                            wrong.push(format!("{name}: no value is a {wanted}; CAST it"));
                        }
                        let given = prepared.columns().iter().map(tokio_postgres::Column::type_);
                        for given in given.filter(|ty| !KNOWN.contains(ty) && **ty != Type::VOID) {
                            wrong.push(format!("{name}: no value is a {given}; CAST it"));
                        }
                        let types: Vec<Type> = prepared.params().iter().map(sent_as).collect();
                        if let Err(error) = client.prepare_typed(sql, &types).await {
                            wrong.push(format!("{name} without prepared statements: {error:?}"));
                        }
                    }
                    Err(error) => wrong.push(format!("{name} on PostgreSQL: {error:?}")),
                }
            }
            if let Some(sql) = &statement.sqlite {
                match connection.prepare(sql) {
                    Ok(prepared)
                        if count.is_some_and(|count| count != prepared.parameter_count()) =>
                    {
                        wrong.push(format!("{name}: the engines count its parameters differently"));
                    }
                    Ok(_) => {}
                    Err(error) => wrong.push(format!("{name} on SQLite: {error}")),
                }
            }
        }
        assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    });
}

/// The names that the code passes to `read`, `write` and `run` exist, and all that exist are used.
#[test]
fn names_in_the_code_and_in_the_files_agree() {
    let mut used = BTreeSet::new();
    let mut sources = String::new();
    for entry in std::fs::read_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/src/store")).expect("src")
    {
        let path = entry.expect("it can be read").path();
        if path.extension().is_some_and(|extension| extension == "rs") {
            let source = std::fs::read_to_string(&path).expect("it is text");
            used.extend(names_passed(&source));
            sources.push_str(&source);
        }
    }
    assert!(used.contains("store.ping"), "the scan finds what it should: {used:?}");
    // What is asked of allauth's table stands beside: that table need not be there.
    let allauth = [("allauth", include_str!("../../sql/allauth.sql"))];
    let allauth = Catalog::parse(&allauth).expect("they are statements");
    let known: BTreeSet<String> = Catalog::embedded()
        .iter()
        .chain(allauth.iter())
        .map(|statement| statement.name.clone())
        .collect();
    let unknown: Vec<_> = used.iter().filter(|name| !known.contains(*name)).collect();
    assert!(unknown.is_empty(), "no statement has these names: {unknown:?}");
    let unused: Vec<_> =
        known.iter().filter(|name| !sources.contains(&format!("\"{name}\""))).collect();
    assert!(unused.is_empty(), "nothing uses these statements: {unused:?}");
}

/// The string literals that are first arguments of `.read(`, `.write(` and `.run(`.
fn names_passed(source: &str) -> impl Iterator<Item = String> + '_ {
    [".read(", ".write(", ".run("].into_iter().flat_map(move |call| {
        source.match_indices(call).filter_map(move |(at, _)| {
            let argument = source[at + call.len()..].trim_start().strip_prefix('"')?;
            argument.split_once('"').map(|(name, _)| name.to_owned())
        })
    })
}

/// The list in the code is the files in the folder.
#[test]
fn every_file_is_listed() {
    let mut files: Vec<String> =
        std::fs::read_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/sql/queries"))
            .expect("the folder is there")
            .map(|entry| entry.expect("it can be read").file_name().into_string().expect("UTF-8"))
            .map(|name| name.trim_end_matches(".sql").to_owned())
            .collect();
    files.sort();
    let listed: Vec<_> = FILES.iter().map(|(entity, _)| (*entity).to_owned()).collect();
    assert_eq!(listed, files);
}
