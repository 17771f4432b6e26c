//! `/sysadmin/clients/`: registered clients.

use super::account::{people, send};
use crate::browser::Browser;
use crate::client::Request;
use crate::harness::{Engine, TestService};

on_both_engines! {
    clients_are_registered_changed_and_deleted
    clients_are_for_superusers_to_change
}

const ADD: &str = "/sysadmin/clients/add/";
const SHOP: &str = "/sysadmin/clients/shop/change/";

/// The secret that a page shows.
fn secret(text: &str) -> String {
    let (_, rest) = text.split_once("avcs_").unwrap_or_else(|| panic!("no secret: {text}"));
    format!("avcs_{}", rest.split('<').next().unwrap_or_default())
}

/// Whether a client gets a token with a scope.
async fn gets(service: &TestService, secret: &str, scope: &str) -> bool {
    let body = format!(
        "grant_type=client_credentials&client_id=shop&client_secret={secret}&scope={scope}"
    );
    let form = "application/x-www-form-urlencoded";
    service.ask(&Request::new("POST", "/oauth/token").body(form, body)).await.status == 200
}

async fn clients_are_registered_changed_and_deleted(engine: Engine) {
    let service = people(engine).await;
    let database = service.stop().await;
    let service =
        TestService::on(database, &[("layouts.oauth.enabled", "on")], crate::harness::START).await;
    let mut browser = Browser::new(&service);
    browser.sign_in("root").await;
    let new = [
        ("client_id", "shop"),
        ("name", "The shop"),
        ("scope", "read"),
        ("grant_client_credentials", "on"),
        ("username", "aino"),
    ];
    let (status, text) = send(&mut browser, ADD, &new).await;
    assert_eq!(status, 200);
    let first = secret(&text);
    assert!(gets(&service, &first, "read").await && !gets(&service, &first, "write").await);
    assert!(!browser.get(SHOP).await.text().contains("avcs_"), "it is shown once");
    for (fields, why) in [
        (vec![("client_id", "shop")], "There is a client with this id."),
        (vec![("client_id", "a b")], "An id has 1 to 64 letters"),
        (vec![("client_id", "")], "fill this in"),
        (vec![("client_id", "x"), ("scope", "ä")], "Scopes are words"),
        (vec![("client_id", "x"), ("username", "nobody")], "There is no such account."),
    ] {
        let (status, text) = send(&mut browser, ADD, &fields).await;
        assert!(status == 200 && text.contains(why), "{fields:?}: {text}");
    }
    let edited = [
        ("do", "save"),
        ("name", "Shop"),
        ("scope", "read write"),
        ("grant_client_credentials", "on"),
    ];
    assert_eq!(send(&mut browser, SHOP, &edited).await, (302, format!("{SHOP}?done=saved")));
    assert!(gets(&service, &first, "write").await);
    let (_, text) = send(&mut browser, SHOP, &[("do", "rotate"), ("overlap", "0")]).await;
    let second = secret(&text);
    assert!(!gets(&service, &first, "read").await && gets(&service, &second, "read").await);
    send(&mut browser, SHOP, &[("do", "disable")]).await;
    assert!(!gets(&service, &second, "read").await);
    send(&mut browser, SHOP, &[("do", "enable")]).await;
    assert!(gets(&service, &second, "read").await);
    send(&mut browser, SHOP, &[("do", "delete")]).await;
    assert!(gets(&service, &second, "read").await, "one must be sure");
    let (_, to) = send(&mut browser, SHOP, &[("do", "delete"), ("sure", "on")]).await;
    assert_eq!(to, "/sysadmin/clients/?done=client_deleted");
    assert!(!gets(&service, &second, "read").await);
    for gone in [SHOP, "/sysadmin/clients/a%20b/change/"] {
        assert_eq!(browser.get(gone).await.status, 404, "{gone}");
    }
}

async fn clients_are_for_superusers_to_change(engine: Engine) {
    let service = people(engine).await;
    let mut root = Browser::new(&service);
    root.sign_in("root").await;
    send(&mut root, ADD, &[("client_id", "shop")]).await;
    let mut staff = Browser::new(&service);
    staff.sign_in("boss").await;
    let text = staff.get("/sysadmin/clients/").await.text();
    assert!(text.contains("shop") && !text.contains("clients/add/"), "{text}");
    assert_eq!(send(&mut staff, ADD, &[("client_id", "x")]).await.0, 403);
    for what in ["save", "rotate", "disable", "enable", "delete"] {
        let fields = [("do", what), ("sure", "on"), ("scope", "introspect")];
        assert_eq!(send(&mut staff, SHOP, &fields).await.0, 403, "{what}");
    }
    assert!(!root.get(SHOP).await.text().contains("introspect\""), "nothing has changed");
}
