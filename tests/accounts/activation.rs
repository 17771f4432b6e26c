//! Who may be switched on by a link, and who only by an operator.

use avain::account::account::AccountId;
use avain::flow::{Caller, administer};
use serde_json::{Value, json};

use crate::client::Answer;
use crate::site::{Engine, PASSWORD, Site, after};

on_both_engines! {
    what_an_operator_switched_off_no_link_switches_on
    who_was_never_activated_can_be_banned
    who_has_signed_in_was_switched_off_by_somebody
    another_address_is_activated_by_who_has_signed_in
    a_banned_account_with_another_address_stays_banned
    who_was_made_switched_off_stays_so
}

const LINK: &str = "#/activate/";
const AINO: &str = "aino@example.org";

async fn site(engine: Engine) -> Site {
    Site::with(engine, &[("account.activation", "on")]).await
}

/// Registers, and gives the account and the link of its mail.
async fn register(site: &Site) -> (AccountId, Value) {
    let aino = json!({ "username": "aino", "email": AINO, "password": PASSWORD });
    let made = site.ask("POST", "/auth/users/", "", &aino).await;
    assert_eq!(made.status, 201, "{}", made.text());
    let id = made.json()["id"].as_i64().and_then(|id| i32::try_from(id).ok()).expect("an id");
    (AccountId::new(id), link(&site.mail(AINO, 1).await))
}

fn link(mail: &str) -> Value {
    let uid = after(mail, LINK).to_owned();
    let token = after(mail, &format!("{LINK}{uid}/")).to_owned();
    json!({ "uid": uid, "token": token })
}

async fn activate(site: &Site, link: &Value) -> Answer {
    site.ask("POST", "/auth/users/activation/", "", link).await
}

/// Asks for another mail; everybody gets the same answer.
async fn resend(site: &Site) {
    let body = json!({ "email": AINO });
    let answer = site.ask("POST", "/auth/users/resend_activation/", "", &body).await;
    assert_eq!((answer.status, answer.text().as_str()), (204, ""));
}

async fn switch(site: &Site, id: AccountId, active: bool) -> bool {
    let (store, now) = (&site.context().store, site.context().now());
    let switched = administer::set_active(store, &Caller::default(), id, active, now).await;
    switched.expect("it is switched")
}

fn refused(answer: &Answer) {
    answer.is(400, json!({ "token": ["Invalid token for given user."] }));
}

async fn what_an_operator_switched_off_no_link_switches_on(engine: Engine) {
    let site = site(engine).await;
    let (id, first) = register(&site).await;
    resend(&site).await;
    let second = link(&site.mail(AINO, 2).await);
    assert_eq!(activate(&site, &first).await.status, 204);
    assert!(switch(&site, id, false).await);
    refused(&activate(&site, &second).await);
    resend(&site).await;
    // The mail of somebody else comes after what would have been another one of this account's.
    let other = json!({ "username": "eero", "email": "eero@example.org", "password": PASSWORD });
    assert_eq!(site.ask("POST", "/auth/users/", "", &other).await.status, 201);
    site.mail("eero@example.org", 1).await;
    assert_eq!(site.mails(AINO).len(), 2);
    assert!(!site.stored(id).await.is_active);
    assert!(switch(&site, id, true).await);
    assert!(site.stored(id).await.is_active);
    // As if nothing had been: what goes by the account's state goes by that again.
    site.switch_off_elsewhere(id).await;
    resend(&site).await;
    let third = link(&site.mail(AINO, 3).await);
    assert_eq!(activate(&site, &third).await.status, 204);
}

async fn who_was_never_activated_can_be_banned(engine: Engine) {
    let site = site(engine).await;
    let (id, link) = register(&site).await;
    assert!(switch(&site, id, false).await, "it waited, and waits no more");
    assert!(!switch(&site, id, false).await, "that was so");
    refused(&activate(&site, &link).await);
    assert!(!site.stored(id).await.is_active);
}

/// As `avain user create --inactive` makes it.
async fn who_was_made_switched_off_stays_so(engine: Engine) {
    let site = site(engine).await;
    let make = site.account_that("aino", AINO, |draft| draft.is_active = false);
    let (id, _) = make.await;
    resend(&site).await;
    let other = json!({ "username": "eero", "email": "eero@example.org", "password": PASSWORD });
    assert_eq!(site.ask("POST", "/auth/users/", "", &other).await.status, 201);
    site.mail("eero@example.org", 1).await;
    assert!(site.mails(AINO).is_empty(), "no link switches it on");
    assert!(!switch(&site, id, false).await, "it was switched off from the start");
    assert!(switch(&site, id, true).await);
    assert!(site.stored(id).await.is_active);
}

async fn who_has_signed_in_was_switched_off_by_somebody(engine: Engine) {
    let site = site(engine).await;
    let (id, first) = register(&site).await;
    resend(&site).await;
    let second = link(&site.mail(AINO, 2).await);
    assert_eq!(activate(&site, &first).await.status, 204);
    let credentials = json!({ "username": "aino", "password": PASSWORD });
    assert_eq!(site.ask("POST", "/auth/token/login/", "", &credentials).await.status, 200);
    assert!(site.stored(id).await.last_login.is_some());
    site.switch_off_elsewhere(id).await;
    refused(&activate(&site, &second).await);
    resend(&site).await;
    let other = json!({ "username": "eero", "email": "eero@example.org", "password": PASSWORD });
    assert_eq!(site.ask("POST", "/auth/users/", "", &other).await.status, 201);
    site.mail("eero@example.org", 1).await;
    assert_eq!(site.mails(AINO).len(), 2);
}

/// Signs in, and moves to another address, which is to be activated.
async fn moved(site: &Site, id: AccountId) -> Value {
    let credentials = json!({ "username": "aino", "password": PASSWORD });
    let answer = site.ask("POST", "/auth/token/login/", "", &credentials).await;
    let key = answer.json()["auth_token"].as_str().expect("a key").to_owned();
    let change = json!({ "email": "new@example.org" });
    assert_eq!(site.ask("PATCH", "/auth/users/me/", &key, &change).await.status, 200);
    assert!(!site.stored(id).await.is_active);
    link(&site.mail("new@example.org", 1).await)
}

async fn another_address_is_activated_by_who_has_signed_in(engine: Engine) {
    let site = site(engine).await;
    let (id, _) = site.account("aino", AINO).await;
    let link = moved(&site, id).await;
    assert_eq!(activate(&site, &link).await.status, 204);
    assert!(site.stored(id).await.is_active);
}

async fn a_banned_account_with_another_address_stays_banned(engine: Engine) {
    let site = site(engine).await;
    let (id, _) = site.account("aino", AINO).await;
    let link = moved(&site, id).await;
    assert!(switch(&site, id, false).await);
    refused(&activate(&site, &link).await);
    let (_, staff) = site.account_with("boss", "boss@example.org", true, false).await;
    let change = json!({ "email": "newer@example.org" });
    let target = format!("/auth/users/{id}/");
    assert_eq!(site.ask("PATCH", &target, &staff, &change).await.status, 200);
    assert_eq!(site.stored(id).await.email, "newer@example.org");
    // The notice to the old address was put into the outbox with what a link would have been.
    site.mail("new@example.org", 2).await;
    assert_eq!(site.mails("newer@example.org").len(), 0);
}
