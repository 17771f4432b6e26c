//! Links that Django has sent before the change-over.

use avain::account::account::Account;
use serde_json::json;

use crate::site::{Engine, Site};

on_both_engines! {
    a_reset_works_once_and_only_where_the_key_is_known
    a_link_that_has_activated_resets_nothing
    links_of_allauth_are_followed
    a_forgotten_user_name_is_set
}

const SECRET_KEY: &str = "django, with a comma & such: 0123456789";

/// What Django 5.2 would have sent to the account at the start of the tests, 2026-11-18 13:06:40 in
/// Helsinki.
fn token_of(account: &Account) -> String {
    token_with(account, "")
}

/// The same by allauth, where these are all addresses.
fn token_with(account: &Account, addresses: &str) -> String {
    let sent = 1_795_000_000 - 978_307_200 + 2 * 3600;
    let salt = "django.contrib.auth.tokens.PasswordResetTokenGenerator";
    let key = ring::digest::digest(&ring::digest::SHA256, format!("{salt}{SECRET_KEY}").as_bytes());
    let key = ring::hmac::Key::new(ring::hmac::HMAC_SHA256, key.as_ref());
    let (id, password, email) = (account.id, account.password.expose(), &account.email);
    let value = format!("{id}{password}{sent}{email}{addresses}");
    let tag = ring::hmac::sign(&key, value.as_bytes());
    let digits: String = avain::base::encode::hex(tag.as_ref()).chars().step_by(2).collect();
    let (mut time, mut rest) = (String::new(), sent);
    while rest > 0 {
        let digit = u32::try_from(rest % 36).expect("small");
        time.insert(0, char::from_digit(digit, 36).expect("a digit"));
        rest /= 36;
    }
    format!("{time}-{digits}")
}

async fn a_reset_works_once_and_only_where_the_key_is_known(engine: Engine) {
    let path = "/auth/users/reset_password_confirm/";
    for (settings, good) in
        [(vec![("account.django_secret_keys", SECRET_KEY)], true), (vec![], false)]
    {
        let site = Site::with(engine, &settings).await;
        let (id, _) = site.account("aino", "aino@example.org").await;
        let account = site.stored(id).await;
        let (uid, token) = (avain::token::link::uid(id), token_of(&account));
        let body = json!({ "uid": uid, "token": token, "new_password": "Quite-new-7-horse" });
        let answer = site.ask("POST", path, "", &body).await;
        assert_eq!(answer.status, if good { 204 } else { 400 }, "{}", answer.text());
        let changed = site.stored(id).await.password != account.password;
        assert_eq!(changed, good);
        assert_eq!(site.ask("POST", path, "", &body).await.status, 400, "twice");
    }
}

async fn a_link_that_has_activated_resets_nothing(engine: Engine) {
    let settings = [("account.django_secret_keys", SECRET_KEY), ("account.activation", "on")];
    let site = Site::with(engine, &settings).await;
    let (id, _) = site.account("aino", "aino@example.org").await;
    site.switch_off_elsewhere(id).await;
    let account = site.stored(id).await;
    let (uid, token) = (avain::token::link::uid(id), token_of(&account));
    let body = json!({ "uid": uid, "token": token });
    let answer = site.ask("POST", "/auth/users/activation/", "", &body).await;
    assert_eq!(answer.status, 204, "{}", answer.text());
    assert!(site.stored(id).await.is_active);
    let body = json!({ "uid": uid, "token": token, "new_password": "Quite-new-7-horse" });
    let answer = site.ask("POST", "/auth/users/reset_password_confirm/", "", &body).await;
    answer.is(400, json!({ "token": ["Invalid token for given user."] }));
    assert_eq!(site.stored(id).await.password, account.password);
    // Nor does it switch the account on again.
    site.switch_off_elsewhere(id).await;
    let body = json!({ "uid": uid, "token": token });
    assert_eq!(site.ask("POST", "/auth/users/activation/", "", &body).await.status, 400);
    assert!(!site.stored(id).await.is_active);
}

async fn links_of_allauth_are_followed(engine: Engine) {
    let site = Site::with(engine, &[("account.django_secret_keys", SECRET_KEY)]).await;
    let path = "/users/password/reset/confirm/";
    for (name, further) in [("aino", None), ("eero", Some("a-second@example.org"))] {
        let own = format!("{name}@example.org");
        let (id, key) = site.account(name, &own).await;
        let mut addresses = own.clone();
        if let Some(further) = further {
            let added = site.ask("POST", "/users/email/", &key, &json!({ "email": further })).await;
            assert_eq!(added.status, 201, "{}", added.text());
            addresses = format!("{further}|{own}");
        }
        let token = token_with(&site.stored(id).await, &addresses);
        let body = |token: &str| {
            json!({
                "uid": avain::token::link::uid36(id), "token": token,
                "new_password1": "Quite-new-7-horse", "new_password2": "Quite-new-7-horse",
            })
        };
        let other = token_with(&site.stored(id).await, "other@example.org");
        let refused = site.ask("POST", path, "", &body(&other)).await;
        refused.is(400, json!({ "token": ["Invalid value"] }));
        let answer = site.ask("POST", path, "", &body(&token)).await;
        assert_eq!(answer.status, 200, "{name}: {}", answer.text());
        assert_eq!(site.ask("POST", path, "", &body(&token)).await.status, 400, "twice");
    }
}

async fn a_forgotten_user_name_is_set(engine: Engine) {
    let site = Site::with(engine, &[("account.django_secret_keys", SECRET_KEY)]).await;
    let (id, _) = site.account("aino", "aino@example.org").await;
    let (uid, token) = (avain::token::link::uid(id), token_of(&site.stored(id).await));
    let path = "/auth/users/reset_username_confirm/";
    let body = |name: &str| json!({ "uid": uid, "token": token, "new_username": name });
    assert_eq!(site.ask("POST", path, "", &body("eveliina")).await.status, 204);
    assert_eq!(site.stored(id).await.username, "eveliina");
    assert_eq!(site.ask("POST", path, "", &body("third")).await.status, 400, "twice");
    let body = json!({ "uid": uid, "token": token, "new_password": "Quite-new-7-horse" });
    let reset = site.ask("POST", "/auth/users/reset_password_confirm/", "", &body).await;
    assert_eq!(reset.status, 400, "for something else");
}
