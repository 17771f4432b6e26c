//! A refresh token that is used twice: its owner is told, and not too often.

use std::time::Duration;

use serde_json::{Value, json};

use crate::client::Request;
use crate::site::{Engine, PASSWORD, Site};

on_both_engines! {
    the_owner_is_told_once_a_day
    nobody_is_told_where_the_site_wants_none
}

const AINO: &str = "aino@example.org";

async fn sign_in(site: &Site) -> Value {
    let credentials = json!({ "username": "aino", "password": PASSWORD });
    let answer = site.ask("POST", "/api/token/", "", &credentials).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    answer.json()["refresh"].clone()
}

async fn refresh(site: &Site, token: &Value) -> u16 {
    site.ask("POST", "/api/token/refresh/", "", &json!({ "refresh": token })).await.status
}

/// A token is used, and once more when nobody honest does.
async fn use_twice(site: &Site) {
    let token = sign_in(site).await;
    assert_eq!(refresh(site, &token).await, 200);
    assert_eq!(refresh(site, &token).await, 200, "a lost answer is no reuse");
    site.pass(Duration::from_secs(11));
    for _ in 0..3 {
        assert_eq!(refresh(site, &token).await, 401);
    }
}

async fn the_owner_is_told_once_a_day(engine: Engine) {
    let site = Site::with(engine, &[]).await;
    site.account("aino", AINO).await;
    site.account("eino", "").await;
    use_twice(&site).await;
    let mail = site.mail(AINO, 1).await;
    assert!(mail.contains("Subject: ") && mail.contains("sign-in was ended"), "{mail}");
    assert!(mail.contains("what may be used once was used twice"), "{mail}");
    assert!(!mail.contains("eyJ"), "no token is in it");
    use_twice(&site).await;
    site.pass(Duration::from_hours(25));
    use_twice(&site).await;
    site.mail(AINO, 2).await;

    // At the endpoints of OAuth, and where a token is handed in to be taken back.
    site.pass(Duration::from_hours(25));
    let token = sign_in(&site).await;
    assert_eq!(refresh(&site, &token).await, 200);
    site.pass(Duration::from_secs(11));
    let form =
        format!("grant_type=refresh_token&refresh_token={}", token.as_str().expect("is text"));
    let request = Request::new("POST", "/oauth/token");
    let answer = site.send(&request.body("application/x-www-form-urlencoded", &form)).await;
    assert_eq!(answer.json()["error"], "invalid_grant");
    site.mail(AINO, 3).await;
}

async fn nobody_is_told_where_the_site_wants_none(engine: Engine) {
    let site = Site::with(engine, &[("account.warn_of_reuse", "off")]).await;
    site.account("aino", AINO).await;
    use_twice(&site).await;
    // What comes after it has arrived, and nothing before.
    let reset = json!({ "email": AINO });
    assert_eq!(site.ask("POST", "/auth/users/reset_password/", "", &reset).await.status, 204);
    let mail = site.mail(AINO, 1).await;
    assert!(mail.contains("password"), "{mail}");
}
