//! `/accounts/activity/`: what happened lately to one's account.

use avain::flow::{Caller, administer};
use serde_json::json;

use crate::browser::Browser;
use crate::harness::{Engine, TestService};

on_both_engines! {
    what_happened_is_told_in_words
    earlier_events_are_a_page_further
}

/// The texts of the events, newest first.
fn events(page: &str) -> Vec<&str> {
    let items = page.split("<li><div><p>").skip(1);
    items.filter_map(|item| item.split(['<', '\n']).next()).map(str::trim).collect()
}

async fn what_happened_is_told_in_words(engine: Engine) {
    let service = TestService::start(engine).await;
    let aino = service.account("aino").await;
    service.account("eino").await;
    let wrong = json!({ "username": "aino", "password": "mistaken" });
    service.post("/api/token/", &wrong).await;
    let (store, caller) = (service.store(), Caller::command_line());
    administer::set_active(store, &caller, aino, false, service.now()).await.expect("is done");
    administer::set_active(store, &caller, aino, true, service.now()).await.expect("is done");
    let linux = "Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0";
    let mut browser =
        Browser::new(&service).header("User-Agent", linux).header("X-Real-IP", "192.0.2.7");
    browser.sign_in("aino").await;
    browser.get("/accounts/keys/").await;
    browser.send("/accounts/keys/", &[("do", "make"), ("name", "<i>"), ("life", "604800")]).await;
    let page = browser.get("/accounts/activity/").await.text();
    let told = events(&page);
    let want = [
        "API key made",
        "Signed in",
        "Account switched on",
        "Account switched off",
        "A sign-in that failed",
        "Account made",
    ];
    assert_eq!(told, want, "{page}");
    assert!(page.contains("by an operator") && page.contains("192.0.2.7"), "{page}");
    assert!(page.contains("Firefox, Linux") && page.contains("&lt;i&gt;"), "{page}");
    assert!(page.contains("It is kept for 400 days."), "{page}");
    assert!(!page.contains("Earlier"), "{page}");
    let mut other = Browser::new(&service).header("Accept-Language", "fi");
    other.sign_in("eino").await;
    let page = other.get("/accounts/activity/").await.text();
    assert_eq!(events(&page), ["Kirjautuminen", "Tili luotiin"], "one's own alone: {page}");
}

async fn earlier_events_are_a_page_further(engine: Engine) {
    let service = TestService::start(engine).await;
    let aino = service.account("aino").await;
    let (store, caller) = (service.store(), Caller::default());
    for at in 0..40 {
        service.pass(u64::from(at % 3 == 0));
        let on = at % 2 == 1;
        administer::set_active(store, &caller, aino, on, service.now()).await.expect("is done");
    }
    let mut browser = Browser::new(&service);
    browser.sign_in("aino").await;
    let first = browser.get("/accounts/activity/").await.text();
    assert_eq!(events(&first).len(), 30);
    assert!(!first.contains("To the latest"));
    let (_, rest) = first.split_once("href=\"/accounts/activity/?before=").expect("goes on");
    let next = rest.split('"').next().unwrap_or_default();
    let second = browser.get(&format!("/accounts/activity/?before={next}")).await.text();
    assert_eq!(events(&second).len(), 12, "{second}");
    assert!(second.contains("To the latest") && !second.contains("?before="), "{second}");
    let odd = browser.get("/accounts/activity/?before=nonsense").await.text();
    assert_eq!(events(&odd), events(&first));
}
