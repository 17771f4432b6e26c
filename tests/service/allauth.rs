//! Taking over which addresses allauth has verified, and following the keys that it has mailed to others.

use avain::base::clock::Timestamp;
use avain::base::encode::base64url;
use avain::flow::adopt_addresses::{self, Adopted};
use avain::flow::{Caller, emails};
use avain::store::allauth::AllauthTable;
use serde_json::json;

use crate::harness::{Engine, PASSWORD, START, TestService, plan};

on_both_engines! {
    verified_addresses_are_taken_over
    without_the_table_there_is_nothing_to_take
    a_key_that_allauth_has_mailed_verifies_its_address_once
}

const DJANGO: &str = "
-- name: create (postgres)
CREATE TABLE public.account_emailaddress (id serial PRIMARY KEY, email varchar(254) NOT NULL,
    verified boolean NOT NULL, \"primary\" boolean NOT NULL, user_id integer NOT NULL REFERENCES auth_user (id));
-- name: create (sqlite)
CREATE TABLE account_emailaddress (id integer PRIMARY KEY AUTOINCREMENT, email varchar(254) NOT NULL,
    verified bool NOT NULL, \"primary\" bool NOT NULL, user_id integer NOT NULL REFERENCES auth_user (id));
-- name: put
INSERT INTO account_emailaddress (email, verified, \"primary\", user_id) VALUES ($1, $2, TRUE, $3);
";

async fn verified_addresses_are_taken_over(engine: Engine) {
    let service = TestService::with(engine, &[("layouts.dj-rest-auth.enabled", "on")]).await;
    let aino = service.account("aino").await;
    let eino = service.account("eino").await;
    let log_in = async |name: &str| {
        let credentials = json!({ "username": name, "password": PASSWORD });
        service.post("/users/login/", &credentials).await.status
    };
    assert_eq!(log_in("aino").await, 400, "nothing is known to be verified");
    let django = service.database.open_as_django(DJANGO);
    django.write("django.create", &[]).await.expect("is made");
    for (email, verified, account) in [
        ("aino@example.org", true, aino),
        ("other@example.org", false, aino),
        ("eino@example.org", false, eino),
        ("AINO@example.org", true, eino),
        ("no address", true, eino),
    ] {
        let params = [email.into(), verified.into(), account.get().into()];
        django.write("django.put", &params).await.expect("is written");
    }
    let options = plan(&service.database, &[]).options().clone();
    let table = AllauthTable::open(&options).await.expect("answers").expect("is there");
    let (store, caller) = (service.store(), Caller::command_line());
    let adopt = async || {
        let adopted = adopt_addresses::adopt(store, &table, &caller, service.now()).await;
        adopted.expect("is done")
    };
    assert_eq!(adopt().await, Adopted { taken: 3, known: 0, left_out: 2 });
    assert_eq!((log_in("aino").await, log_in("eino").await), (200, 400));
    assert_eq!(adopt().await, Adopted { taken: 0, known: 3, left_out: 2 }, "again");
    // What has come since is taken over, too.
    let params = ["aino@elsewhere.example".into(), true.into(), aino.get().into()];
    django.write("django.put", &params).await.expect("is written");
    assert_eq!(adopt().await, Adopted { taken: 1, known: 3, left_out: 2 });
    let context = &service.service.context;
    let account = avain::store::accounts::find_by_id(store, aino).await.expect("answers");
    let listed = emails::list(context, &account.expect("is there")).await.expect("answers");
    let listed: Vec<_> =
        listed.iter().map(|own| (own.email.as_str(), own.verified, own.primary)).collect();
    let want = [
        ("aino@example.org", true, true),
        ("other@example.org", false, false),
        ("aino@elsewhere.example", true, false),
    ];
    assert_eq!(listed, want);
    table.close().await;
    django.close().await;
}

const SECRET_KEY: &str = "django, with a comma & such: 0123456789";

/// What allauth on Django 5.2 mails for a row at this time (`django.core.signing.dumps(id, salt="account")`).
fn key_of(row: i64, at: Timestamp) -> String {
    let digits = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz".as_bytes();
    let (mut time, mut rest) = (String::new(), usize::try_from(at.seconds()).expect("is later"));
    while rest > 0 {
        time.insert(0, char::from(digits[rest % 62]));
        rest /= 62;
    }
    let signed = format!("{}:{time}", base64url(row.to_string().as_bytes()));
    let key = ring::digest::digest(
        &ring::digest::SHA256,
        format!("accountsigner{SECRET_KEY}").as_bytes(),
    );
    let key = ring::hmac::Key::new(ring::hmac::HMAC_SHA256, key.as_ref());
    format!("{signed}:{}", base64url(ring::hmac::sign(&key, signed.as_bytes()).as_ref()))
}

async fn a_key_that_allauth_has_mailed_verifies_its_address_once(engine: Engine) {
    let layout = ("layouts.dj-rest-auth.enabled", "on");
    let settings = [layout, ("account.django_secret_keys", SECRET_KEY)];
    let service = TestService::with(engine, &settings).await;
    let aino = service.account("aino").await;
    let eino = service.account("eino").await;
    let django = service.database.open_as_django(DJANGO);
    django.write("django.create", &[]).await.expect("is made");
    for (email, verified, account) in [
        ("aino@example.org", false, aino),
        ("taken@example.org", true, eino),
        ("taken@example.org", false, aino),
        ("eino@example.org", false, eino),
    ] {
        let params = [email.into(), verified.into(), account.get().into()];
        django.write("django.put", &params).await.expect("is written");
    }
    let verify = async |service: &TestService, key: &str| {
        service.post("/users/register/verify-email/", &json!({ "key": key })).await.status
    };
    let log_in = async |name: &str| {
        let credentials = json!({ "username": name, "password": PASSWORD });
        service.post("/users/login/", &credentials).await.status
    };
    let [first, third, fourth] = [1, 3, 4].map(|row| key_of(row, START));
    assert_eq!(verify(&service, &first).await, 404, "its row is not known");
    let options = plan(&service.database, &[]).options().clone();
    let table = AllauthTable::open(&options).await.expect("answers").expect("is there");
    let (store, caller) = (service.store(), Caller::command_line());
    for _ in 0..2 {
        let adopted = adopt_addresses::adopt(store, &table, &caller, service.now()).await;
        adopted.expect("is done");
    }
    assert_eq!(log_in("aino").await, 400);
    let mut forged = first.clone();
    forged.replace_range(..2, &base64url(b"4")[..2]);
    assert_eq!(verify(&service, &forged).await, 404, "another row");
    assert_eq!(verify(&service, &first).await, 200);
    assert_eq!(log_in("aino").await, 200);
    assert_eq!(verify(&service, &first).await, 404, "twice");
    assert_eq!(verify(&service, &third).await, 404, "somebody else has verified it");
    service.pass(3 * 86_400);
    assert_eq!(verify(&service, &key_of(9, service.now())).await, 404, "no such row");
    let late = service.now().plus(std::time::Duration::from_secs(1));
    let service = TestService::on(service.stop().await, &[layout], late).await;
    assert_eq!(verify(&service, &key_of(4, late)).await, 404, "nobody knows the key of Django's");
    let service = TestService::on(service.stop().await, &settings, late).await;
    assert_eq!(verify(&service, &fourth).await, 404, "too late");
    assert_eq!(verify(&service, &key_of(4, late)).await, 200);
    table.close().await;
    django.close().await;
}

async fn without_the_table_there_is_nothing_to_take(engine: Engine) {
    let service = TestService::start(engine).await;
    let options = plan(&service.database, &[]).options().clone();
    assert!(AllauthTable::open(&options).await.expect("answers").is_none());
}
