//! Values go in and come out the same.

use avain::base::clock::Timestamp;
use avain::base::digest::Digest;
use avain::store::{Store, StoreError, Value};

use crate::harness::Database;

/// Adds a sample with nothing odd about it.
pub(crate) async fn add(store: &Store, name: &str) {
    let params = [name.into(), Value::Null, 1.into(), true.into(), Value::Null, 7_i64.into()];
    store.write("samples.add", &params).await.expect("a sample is added");
}

pub(crate) async fn round_trip(database: Database) {
    let store = database.migrated().await;
    let digest = Digest::of(b"round trip");
    let name = "ääkköset 'and' \"quotes\" $1 ?1 -- \u{1F511}\r\n\t";
    let moments = [
        Timestamp::from_micros(1_795_326_667_000_042),
        Timestamp::from_seconds(1_795_326_667),
        Timestamp::from_micros(-1),
        Timestamp::from_seconds(253_402_200_000),
    ];
    for (index, moment) in moments.into_iter().enumerate() {
        let name = format!("{name}{index}");
        let params = [
            name.as_str().into(),
            digest.into(),
            i32::MIN.into(),
            (index % 2 == 0).into(),
            moment.into(),
            i64::MAX.into(),
        ];
        let added = store.write("samples.add", &params).await.expect("it is added");
        assert_eq!(added.len(), 1);
        let found = store.read("samples.find", &[name.as_str().into()]).await.expect("it is found");
        let [row] = found.as_slice() else { panic!("{} rows", found.len()) };
        assert_eq!(row.text("name"), Ok(name));
        assert_eq!(row.text("state").as_deref(), Ok("free"));
        assert_eq!(row.digest("digest"), Ok(digest));
        assert_eq!(row.blob(2), Ok(digest.as_bytes().to_vec()));
        assert_eq!(row.int("small"), Ok(i32::MIN.into()));
        assert_eq!(row.int32("small"), Ok(i32::MIN));
        assert_eq!(row.bool("flag"), Ok(index % 2 == 0));
        assert_eq!(row.time("moment"), Ok(moment));
        assert_eq!(row.int("made_at"), Ok(i64::MAX));
    }

    let empty = ["".into(), Value::Null, 0.into(), Value::Null, Value::Null, i64::MIN.into()];
    store.write("samples.add", &empty).await.expect("it is added");
    let found = store.read("samples.find", &["".into()]).await.expect("it is found");
    let row = found.first().expect("one row");
    assert_eq!(row.text("name").as_deref(), Ok(""), "an empty text is no NULL");
    assert_eq!(row.opt_digest("digest"), Ok(None));
    assert_eq!(row.opt_time("moment"), Ok(None));
    assert_eq!(row.int("made_at"), Ok(i64::MIN));
    assert_eq!(store.read("samples.find", &["none".into()]).await.map(|rows| rows.len()), Ok(0));
}

pub(crate) async fn parameters_go_by_number(database: Database) {
    let store = database.migrated().await;
    let rows = store.read("samples.swapped", &["one".into(), "two".into()]).await;
    let rows = rows.expect("it runs");
    assert_eq!(rows[0].text("first").as_deref(), Ok("one"));
    assert_eq!(rows[0].text("second").as_deref(), Ok("two"));
    assert_eq!(rows[0].text("quoted").as_deref(), Ok("$3"));

    for wrong in [vec!["one".into()], vec!["one".into(), "two".into(), "three".into()]] {
        let error = store.read("samples.swapped", &wrong).await.expect_err("two are wanted");
        assert!(matches!(error, StoreError::Other(_)), "{error:?}");
    }
    store.ping().await.expect("the store goes on");
}

pub(crate) async fn integers_fit_their_column(database: Database) {
    let store = database.migrated().await;
    add(&store, "a").await;
    let wide = store.write("samples.set_small", &["a".into(), i64::MAX.into()]).await;
    let error = wide.expect_err("the column has 32 bits");
    assert!(matches!(error, StoreError::Check(_) | StoreError::Other(_)), "{error:?}");
    let set = store.write("samples.set_small", &["a".into(), (-5_i64).into()]).await;
    assert_eq!(set.expect("it fits")[0].int("small"), Ok(-5));
}

pub(crate) async fn times_sort_and_compare(database: Database) {
    let store = database.migrated().await;
    let seconds = [("c", 1_800_000_000), ("a", 999_999_999), ("b", 1_700_000_000)];
    for (name, second) in seconds {
        let moment = Timestamp::from_seconds(second).into();
        let params = [name.into(), Value::Null, 1.into(), Value::Null, moment, 0_i64.into()];
        store.write("samples.add", &params).await.expect("it is added");
    }
    let before = Timestamp::from_seconds(1_800_000_000);
    let rows = store.read("samples.before", &[before.into()]).await.expect("it runs");
    let names: Vec<_> = rows.iter().map(|row| row.text("name").expect("a name")).collect();
    assert_eq!(names, ["a", "b"]);
}

pub(crate) async fn wrong_types_are_refused(database: Database) {
    let store = database.migrated().await;
    add(&store, "a").await;
    let rows = store.read("samples.find", &["a".into()]).await.expect("it is found");
    assert!(rows[0].int("name").is_err());
    assert!(rows[0].text("small").is_err());
    assert!(rows[0].time("name").is_err());
    assert!(rows[0].digest("digest").is_err(), "it is NULL");
    assert!(rows[0].text("missing").is_err());
    assert!(!format!("{rows:?}").contains("\"a\""), "a row prints no values");
    // NULL needs no type; Django's tables keep their own.
    let at = Timestamp::from_micros(1_500_000);
    let rows = store.write("samples.add_account", &["x".into(), at.into()]).await.expect("added");
    assert!(rows[0].int32("id").expect("an id") > 0);
    assert_eq!(rows[0].bool("is_active"), Ok(true));
    assert_eq!(rows[0].opt_time("last_login"), Ok(None));
    assert_eq!(rows[0].time("date_joined"), Ok(at));
}
