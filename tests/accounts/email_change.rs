//! `account.email_change = "confirm"`: a new address counts once the link to it was followed.

use std::time::Duration;

use serde_json::json;

use crate::site::{Engine, Site, after};

on_both_engines! {
    the_link_moves_the_account_once
    the_link_is_of_its_account_its_purpose_and_its_time
    a_link_to_an_address_that_was_taken_meanwhile_is_refused
    an_address_of_another_account_is_refused_at_once
    mail_to_an_address_is_not_asked_for_without_end
}

const LINK: &str = "#/email/confirm/";

/// The link in a mail.
fn link(mail: &str) -> (String, String) {
    let uid = after(mail, LINK).to_owned();
    let token = after(mail, &format!("{LINK}{uid}/")).to_owned();
    (uid, token)
}

async fn site(engine: Engine) -> Site {
    Site::with(engine, &[("account.email_change", "confirm")]).await
}

async fn the_link_moves_the_account_once(engine: Engine) {
    let site = site(engine).await;
    let (id, key) = site.account("aino", "old@example.org").await;
    let answer =
        site.ask("PATCH", "/auth/users/me/", &key, &json!({ "email": "new@example.org" })).await;
    assert_eq!((answer.status, answer.json()["email"].clone()), (200, json!("old@example.org")));
    let (uid, token) = link(&site.mail("new@example.org", 1).await);
    let body = json!({ "uid": uid, "token": token });
    let answer = site.ask("POST", "/auth/users/confirm_email/", "", &body).await;
    assert_eq!(answer.status, 204, "{}", answer.text());
    assert_eq!(site.stored(id).await.email, "new@example.org");
    site.mail("old@example.org", 1).await;
    for path in ["/auth/users/confirm_email/", "/auth/email/confirm/", "/users/email/confirm/"] {
        let again = site.ask("POST", path, "", &body).await;
        assert_eq!(again.status, 400, "{path}: {}", again.text());
    }
    let list = site.ask("GET", "/users/email/", &key, &json!(null)).await.json();
    assert_eq!(list.as_array().map(Vec::len), Some(1), "{list}");
    assert_eq!(list[0]["verified"], true);
    assert_eq!(list[0]["primary"], true);
}

async fn the_link_is_of_its_account_its_purpose_and_its_time(engine: Engine) {
    let site = site(engine).await;
    let (id, key) = site.account("aino", "old@example.org").await;
    site.account("eero", "eero@example.org").await;
    let change = json!({ "email": "new@example.org" });
    site.ask("PATCH", "/auth/users/me/", &key, &change).await;
    let (uid, token) = link(&site.mail("new@example.org", 1).await);
    let path = "/auth/users/confirm_email/";
    for (uid, token, field) in
        [("Mg", token.as_str(), "token"), (&uid, "x-y", "token"), ("OTk", &token, "uid")]
    {
        let answer = site.ask("POST", path, "", &json!({ "uid": uid, "token": token })).await;
        assert!(answer.status == 400 && answer.json().get(field).is_some(), "{field}");
    }
    let reset = json!({ "uid": uid, "token": token, "new_password": "Quite-new-7-horse" });
    let answer = site.ask("POST", "/auth/users/reset_password_confirm/", "", &reset).await;
    assert_eq!(answer.status, 400, "no password by the link to an address");
    site.pass(Duration::from_hours(73));
    let late = site.ask("POST", path, "", &json!({ "uid": uid, "token": token })).await;
    assert_eq!(late.status, 400);
    assert_eq!(site.stored(id).await.email, "old@example.org");
}

async fn a_link_to_an_address_that_was_taken_meanwhile_is_refused(engine: Engine) {
    let settings = [("account.email_change", "confirm"), ("account.unique_email", "on")];
    let site = Site::with(engine, &settings).await;
    let (id, key) = site.account("aino", "old@example.org").await;
    let change = json!({ "email": "new@example.org" });
    site.ask("PATCH", "/auth/users/me/", &key, &change).await;
    let (uid, token) = link(&site.mail("new@example.org", 1).await);
    site.account("eero", "New@example.org").await;
    let body = json!({ "uid": uid, "token": token });
    let answer = site.ask("POST", "/auth/users/confirm_email/", "", &body).await;
    answer.is(400, json!({ "email": ["A user with that email already exists."] }));
    assert_eq!(site.stored(id).await.email, "old@example.org");
}

async fn an_address_of_another_account_is_refused_at_once(engine: Engine) {
    let site = Site::with(engine, &[("account.unique_email", "on")]).await;
    let (id, key) = site.account("aino", "old@example.org").await;
    site.account("eero", "eero@example.org").await;
    let taken = json!({ "email": ["A user with that email already exists."] });
    for (path, method) in [("/auth/users/me/", "PATCH"), ("/auth/me/", "PUT")] {
        let change = json!({ "email": "Eero@example.org" });
        site.ask(method, path, &key, &change).await.is(400, taken.clone());
    }
    assert_eq!(site.stored(id).await.email, "old@example.org");
    // One's own may be written otherwise.
    let change = json!({ "email": "Old@example.org" });
    assert_eq!(site.ask("PATCH", "/auth/users/me/", &key, &change).await.status, 200);
    assert_eq!(site.stored(id).await.email, "Old@example.org");
}

/// Whoever has an account could have any address written to, link after link.
async fn mail_to_an_address_is_not_asked_for_without_end(engine: Engine) {
    for how in ["confirm", "immediate"] {
        let settings = [("account.email_change", how), ("throttle.resends_per_hour", "2")];
        let site = Site::with(engine, &settings).await;
        let (id, key) = site.account("aino", "old@example.org").await;
        let moved = async |method: &str, path: &str, email: &str| {
            let answer = site.ask(method, path, &key, &json!({ "email": email })).await;
            (answer.status, answer.json()["detail"].as_str().unwrap_or_default().to_owned())
        };
        for _ in 0..2 {
            let (status, _) = moved("PATCH", "/auth/users/me/", "victim@example.org").await;
            assert_eq!(status, 200, "{how}");
            assert_eq!(moved("PATCH", "/auth/users/me/", "").await.0, 200, "{how}");
        }
        for (method, path) in [("PATCH", "/auth/users/me/"), ("PUT", "/auth/me/")] {
            let (status, detail) = moved(method, path, "victim@example.org").await;
            assert_eq!(status, 429, "{how}: {path}: {detail}");
            assert!(detail.starts_with("Request was throttled."), "{how}: {path}: {detail}");
        }
        assert_eq!(site.stored(id).await.email, "", "{how}");
        let (status, _) = moved("PATCH", "/auth/users/me/", "own@example.org").await;
        assert_eq!(status, 200, "{how}: other addresses are counted by themselves");
    }
}
