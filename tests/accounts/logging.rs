//! Logging in and out as dj-rest-auth does, where its peers differ from Django's forms.

use avain::flow::{Caller, administer};
use serde_json::json;

use crate::client::Request;
use crate::site::{Engine, PASSWORD, Site, after};

on_both_engines! {
    a_log_in_with_tokens_leaves_reset_links_alone
    a_log_out_by_the_head_does_not_read_the_body
}

async fn a_log_in_with_tokens_leaves_reset_links_alone(engine: Engine) {
    for (mode, status) in [("jwt", 200), ("cookie", 200), ("key", 400)] {
        let site = Site::with(engine, &[("account.dj_rest_auth_mode", mode)]).await;
        let (id, _) = site.account("aino", "aino@example.org").await;
        let (store, now) = (&site.context().store, site.context().now());
        administer::mark_verified(store, &Caller::default(), id, "aino@example.org", now)
            .await
            .expect("it is noted");
        let asked = json!({ "email": "aino@example.org" });
        assert_eq!(site.ask("POST", "/users/password/reset/", "", &asked).await.status, 200);
        let mail = site.mail("aino@example.org", 1).await;
        let uid = after(&mail, "password-reset/confirm/");
        let token = after(&mail, &format!("password-reset/confirm/{uid}/"));
        let login = json!({ "username": "aino", "password": PASSWORD });
        let answer = site.ask("POST", "/users/login/", "", &login).await;
        assert_eq!(answer.status, 200, "{mode}: {}", answer.text());
        assert_eq!(site.stored(id).await.last_login.is_some(), mode == "key", "{mode}");
        let body = json!({
            "uid": uid, "token": token,
            "new_password1": "Quite-new-7-horse", "new_password2": "Quite-new-7-horse",
        });
        let answer = site.ask("POST", "/users/password/reset/confirm/", "", &body).await;
        assert_eq!(answer.status, status, "{mode}: {}", answer.text());
    }
}

async fn a_log_out_by_the_head_does_not_read_the_body(engine: Engine) {
    let site = Site::with(engine, &[]).await;
    let (_, key) = site.account("aino", "aino@example.org").await;
    let broken = |path: &str| {
        Request::new("POST", path)
            .header("Authorization", format!("Token {key}"))
            .body("application/json", "{broken")
    };
    for (path, status) in [("/users/logout/", 200), ("/auth/token/logout/", 401)] {
        let answer = site.send(&broken(path)).await;
        assert_eq!(answer.status, status, "{path}: {}", answer.text());
    }
    // Where the body says what is to end, it must be readable.
    let site = Site::with(engine, &[("account.dj_rest_auth_mode", "jwt")]).await;
    let request = Request::new("POST", "/users/logout/").body("application/json", "{broken");
    let answer = site.send(&request).await;
    assert_eq!(answer.status, 400, "{}", answer.text());
}
