//! Links that Django has sent before the change-over.

use avain::account::account::Account;
use serde_json::json;

use crate::site::{Engine, Site};

on_both_engines! {
    a_reset_works_once_and_only_where_the_key_is_known
    a_link_that_has_activated_resets_nothing
}

const SECRET_KEY: &str = "django, with a comma & such: 0123456789";

/// What Django 5.2 would have sent to the account at the start of the tests, 2026-11-18 13:06:40 in
/// Helsinki.
fn token_of(account: &Account) -> String {
    let sent = 1_795_000_000 - 978_307_200 + 2 * 3600;
    let salt = "django.contrib.auth.tokens.PasswordResetTokenGenerator";
    let key = ring::digest::digest(&ring::digest::SHA256, format!("{salt}{SECRET_KEY}").as_bytes());
    let key = ring::hmac::Key::new(ring::hmac::HMAC_SHA256, key.as_ref());
    let value = format!("{}{}{sent}{}", account.id, account.password.expose(), account.email);
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
    let store = &site.context().store;
    let now = site.context().now();
    avain::store::accounts::set_active(store, id, false, now).await.expect("it is switched off");
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
    avain::store::accounts::set_active(store, id, false, now).await.expect("it is switched off");
    let body = json!({ "uid": uid, "token": token });
    assert_eq!(site.ask("POST", "/auth/users/activation/", "", &body).await.status, 400);
    assert!(!site.stored(id).await.is_active);
}
