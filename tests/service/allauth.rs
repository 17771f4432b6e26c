//! Taking over which addresses allauth has verified.

use avain::flow::adopt_addresses::{self, Adopted};
use avain::flow::{Caller, emails};
use avain::store::allauth::AllauthTable;
use serde_json::json;

use crate::harness::{Engine, PASSWORD, TestService, plan};

on_both_engines! {
    verified_addresses_are_taken_over
    without_the_table_there_is_nothing_to_take
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

async fn without_the_table_there_is_nothing_to_take(engine: Engine) {
    let service = TestService::start(engine).await;
    let options = plan(&service.database, &[]).options().clone();
    assert!(AllauthTable::open(&options).await.expect("answers").is_none());
}
