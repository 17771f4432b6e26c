//! `/users/email`: several addresses for an account.

use serde_json::{Value, json};

use crate::site::{Engine, PASSWORD, Site, after};

on_both_engines! {
    an_address_is_added_verified_made_primary_and_the_old_one_removed
    others_addresses_are_not_there
    an_address_that_another_account_has_verified_can_be_named_but_not_taken
    opening_the_link_verifies_where_the_site_wants_that
    mails_and_addresses_are_limited
}

/// The key of the verification mail.
fn key_in(mail: &str) -> String {
    after(mail, "confirm-email/").to_owned()
}

async fn id_of(site: &Site, key: &str, email: &str) -> i64 {
    let list = site.ask("GET", "/users/email/", key, &Value::Null).await.json();
    let list = list.as_array().cloned().unwrap_or_default();
    let found = list.iter().find(|address| address["email"] == email);
    found.and_then(|found| found["id"].as_i64()).expect("it is in the list")
}

async fn an_address_is_added_verified_made_primary_and_the_old_one_removed(engine: Engine) {
    let site = Site::with(engine, &[]).await;
    let (id, key) = site.account("aino", "old@example.org").await;
    let body = json!({ "email": "new@example.org" });
    let added = site.ask("POST", "/users/email/", &key, &body).await;
    let new = added.json()["id"].as_i64().expect("an id");
    added.is(
        201,
        json!({ "id": new, "email": "new@example.org", "verified": false, "primary": false }),
    );
    let primary = format!("/users/email/{new}/primary/");
    assert_eq!(site.ask("POST", &primary, &key, &Value::Null).await.status, 400, "unverified");
    let reset = json!({ "email": "old@example.org" });
    site.ask("POST", "/auth/users/reset_password/", "", &reset).await;
    let mail = site.mail("old@example.org", 1).await;
    let uid = after(&mail, "reset/confirm/").to_owned();
    let token = after(&mail, &format!("reset/confirm/{uid}/")).to_owned();

    let verification = key_in(&site.mail("new@example.org", 1).await);
    let body = json!({ "key": verification });
    let verified = site.ask("POST", "/users/register/verify-email/", "", &body).await;
    assert_eq!(verified.status, 200);
    let verify = format!("/users/email/{new}/verify/");
    assert_eq!(site.ask("POST", &verify, &key, &Value::Null).await.status, 400, "verified");
    site.ask("POST", &primary, &key, &Value::Null).await.is(
        200,
        json!({ "id": new, "email": "new@example.org", "verified": true, "primary": true }),
    );
    assert_eq!(site.stored(id).await.email, "new@example.org");
    site.mail("old@example.org", 2).await;
    let confirm = json!({ "uid": uid, "token": token, "new_password": "Quite-new-7-horse" });
    let late = site.ask("POST", "/auth/users/reset_password_confirm/", "", &confirm).await;
    late.is(400, json!({ "token": ["Invalid token for given user."] }));

    let delete = format!("/users/email/{new}/");
    assert_eq!(site.ask("DELETE", &delete, &key, &Value::Null).await.status, 400, "primary");
    let old = id_of(&site, &key, "old@example.org").await;
    let delete = format!("/users/email/{old}/");
    assert_eq!(site.ask("DELETE", &delete, &key, &Value::Null).await.status, 204);
    assert_eq!(site.ask("DELETE", &delete, &key, &Value::Null).await.status, 404);
    let log_in = json!({ "email": "new@example.org", "password": PASSWORD });
    assert_eq!(site.ask("POST", "/users/login/", "", &log_in).await.status, 200);
}

async fn others_addresses_are_not_there(engine: Engine) {
    let site = Site::with(engine, &[]).await;
    let (_, aino) = site.account("aino", "aino@example.org").await;
    let (_, eero) = site.account("eero", "eero@example.org").await;
    let id = id_of(&site, &aino, "aino@example.org").await;
    for (method, rest) in [("DELETE", ""), ("POST", "/verify"), ("POST", "/primary")] {
        for id in [id.to_string(), "99".to_owned(), "x".to_owned()] {
            let path = format!("/users/email/{id}{rest}/");
            assert_eq!(site.ask(method, &path, &eero, &Value::Null).await.status, 404, "{path}");
            assert_eq!(site.ask(method, &path, "", &Value::Null).await.status, 401, "{path}");
        }
    }
    for (method, path) in [("GET", "/users/email/"), ("POST", "/users/email/")] {
        assert_eq!(site.ask(method, path, "", &Value::Null).await.status, 401);
    }
}

async fn an_address_that_another_account_has_verified_can_be_named_but_not_taken(engine: Engine) {
    let site = Site::with(engine, &[]).await;
    let (_, aino) = site.account("aino", "aino@example.org").await;
    let (_, eero) = site.account("eero", "eero@example.org").await;
    let new = json!({ "email": "shared@example.org" });
    for key in [&aino, &eero] {
        assert_eq!(site.ask("POST", "/users/email/", key, &new).await.status, 201);
        assert_eq!(site.ask("POST", "/users/email/", key, &new).await.status, 400, "twice");
    }
    site.mail("shared@example.org", 2).await;
    let statuses = site.mails("shared@example.org").into_iter().map(async |mail| {
        let body = json!({ "key": key_in(&mail) });
        site.ask("POST", "/users/register/verify-email/", "", &body).await.status
    });
    let mut seen = Vec::new();
    for status in statuses {
        seen.push(status.await);
    }
    assert_eq!(seen, [200, 404]);
}

async fn opening_the_link_verifies_where_the_site_wants_that(engine: Engine) {
    for on in [true, false] {
        let setting = if on { "on" } else { "off" };
        let site = Site::with(engine, &[("account.confirm_on_get", setting)]).await;
        let (_, key) = site.account("aino", "aino@example.org").await;
        let body = json!({ "email": "new@example.org" });
        site.ask("POST", "/users/email/", &key, &body).await;
        let verification = key_in(&site.mail("new@example.org", 1).await);
        let path = format!("/users/register/confirm-email/{verification}/");
        assert_eq!(site.ask("HEAD", &path, "", &Value::Null).await.status, 404);
        let seen = site.ask("GET", &path, "", &Value::Null).await.status;
        assert_eq!(seen, if on { 200 } else { 404 });
        assert_eq!(site.ask("GET", &path, "", &Value::Null).await.status, 404, "once");
        let list = site.ask("GET", "/users/email/", &key, &Value::Null).await.json();
        assert_eq!(list[1]["verified"], on);
    }
}

async fn mails_and_addresses_are_limited(engine: Engine) {
    let site = Site::with(engine, &[]).await;
    let (_, key) = site.account("aino", "aino@example.org").await;
    let id = id_of(&site, &key, "aino@example.org").await;
    let path = format!("/users/email/{id}/verify/");
    for _ in 0..4 {
        assert_eq!(site.ask("POST", &path, &key, &Value::Null).await.status, 200);
    }
    let answer = site.ask("POST", &path, &key, &Value::Null).await;
    assert!(answer.status == 429 && !answer.header("retry-after").is_empty());
    for at in 1..10 {
        let body = json!({ "email": format!("n{at}@example.org") });
        assert_eq!(site.ask("POST", "/users/email/", &key, &body).await.status, 201);
    }
    let body = json!({ "email": "n10@example.org" });
    assert_eq!(site.ask("POST", "/users/email/", &key, &body).await.status, 400);
    for wrong in ["", "x", "a@b@c", "a\n@example.org"] {
        let body = json!({ "email": wrong });
        assert_eq!(site.ask("POST", "/users/email/", &key, &body).await.status, 400);
    }
}
