//! What goes wrong is told apart alike on every engine.

use avain::base::clock::Timestamp;
use avain::store::{StoreError, Value};

use crate::harness::Database;
use crate::values::add;

pub(crate) async fn constraints_are_told_apart(database: Database) {
    let store = database.migrated().await;
    add(&store, "a").await;
    let again = ["a".into(), Value::Null, 1.into(), Value::Null, Value::Null, 0_i64.into()];
    let short = ["b".into(), [1_u8; 31].into(), 1.into(), Value::Null, Value::Null, 0_i64.into()];
    let nothing = ["b".into(), Value::Null, Value::Null, Value::Null, Value::Null, 0_i64.into()];
    let cases: [(&str, &[Value], &str); 6] = [
        ("samples.add", &again, "unique"),
        ("samples.add", &short, "check"),
        ("samples.add", &nothing, "check"),
        ("samples.set_state", &["a".into(), "odd".into()], "check"),
        ("samples.clear_name", &["a".into()], "check"),
        ("samples.set_account", &["a".into(), 12345.into()], "foreign_key"),
    ];
    for (statement, params, kind) in cases {
        let error = store.write(statement, params).await.expect_err("a constraint refuses it");
        assert_eq!(error.kind(), kind, "{statement} {error:?}");
        let mut tx = store.begin("test constraints").await.expect("it begins");
        let error = tx.run(statement, params).await.expect_err("a constraint refuses it");
        assert_eq!(error.kind(), kind, "{statement} {error:?}");
    }
    // Django's own: a second user of that name, a second token of that user.
    let at: Value = Timestamp::from_seconds(1).into();
    let user = ["matti".into(), at.clone()];
    let rows = store.write("samples.add_account", &user).await.expect("it is added");
    let id: Value = rows[0].int32("id").expect("an id").into();
    let error = store.write("samples.add_account", &user).await.expect_err("the name is taken");
    assert!(matches!(error, StoreError::Unique(_)), "{error:?}");
    assert!(!error.to_string().contains("matti"), "no values in sentences: {error}");
    let token = |key: &str| [key.into(), at.clone(), id.clone()];
    store.write("samples.add_token", &token("k1")).await.expect("it is added");
    let error = store.write("samples.add_token", &token("k2")).await.expect_err("he has one");
    assert!(matches!(error, StoreError::Unique(_)), "{error:?}");
}

pub(crate) async fn a_deferred_foreign_key_fails_at_commit(database: Database) {
    let store = database.migrated().await;
    let params = ["k".into(), Timestamp::from_seconds(1).into(), 12345.into()];
    let mut tx = store.begin("test deferred").await.expect("it begins");
    tx.run("samples.add_token", &params).await.expect("Django defers this key");
    let error = tx.commit().await.expect_err("there is no such account");
    assert!(matches!(error, StoreError::ForeignKey(_)), "{error:?}");
    let rows = store.read("samples.token", &["k".into()]).await.expect("the store goes on");
    assert!(rows.is_empty());
}

pub(crate) async fn nul_is_refused(database: Database) {
    let store = database.migrated().await;
    let error = store.read("samples.find", &["a\0b".into()]).await.expect_err("no NUL in texts");
    assert!(matches!(error, StoreError::Check(_)), "{error:?}");
    let mut tx = store.begin("test NUL").await.expect("it begins");
    let error = tx.run("samples.find", &["\0".into()]).await.expect_err("no NUL in texts");
    assert!(matches!(error, StoreError::Check(_)), "{error:?}");
    let nul_bytes = ["a".into(), [0_u8; 32].into(), 1.into(), Value::Null, Value::Null, 1.into()];
    store.write("samples.add", &nul_bytes).await.expect("bytes may be 0");
}

pub(crate) async fn names_are_in_the_sentence(database: Database) {
    let store = database.migrated().await;
    let error = store.read("samples.missing", &[]).await.expect_err("it does not exist");
    assert!(matches!(error, StoreError::Other(_)), "{error:?}");
    assert!(error.to_string().contains("samples.missing"), "{error}");
    add(&store, "a").await;
    let mut tx = store.begin("rename a sample").await.expect("it begins");
    let error = tx.run("samples.clear_name", &["a".into()]).await.expect_err("it is NOT NULL");
    let sentence = error.to_string();
    assert!(sentence.starts_with("rename a sample: samples.clear_name: "), "{sentence}");
}
