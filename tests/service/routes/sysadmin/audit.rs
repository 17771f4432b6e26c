//! `/sysadmin/audit/`: what happened.

use super::account::people;
use super::accounts::href;
use crate::browser::Browser;
use crate::harness::Engine;

on_both_engines! {
    events_are_found_and_pages_go_both_ways
}

const AUDIT: &str = "/sysadmin/audit/";

async fn events_are_found_and_pages_go_both_ways(engine: Engine) {
    let service = people(engine).await;
    for _ in 0..55 {
        service.sign_in("aino").await;
    }
    let mut browser = Browser::new(&service);
    browser.sign_in("boss").await;
    let count = |page: &str| page.matches("<tr role=\"row\"><td").count();
    // 2026-11-18, 20:26:40 UTC.
    for (query, found) in [
        ("account=aino&event=sign_in", true),
        ("account=aino&event=account_created", true),
        ("account=boss&event=deletion", false),
        ("event=sign_in&since=2026-11-18&until=2026-11-18", true),
        ("event=sign_in&since=2026-11-19", false),
        ("event=sign_in&until=2026-11-17", false),
        ("address=127.0.0.1", true),
        ("address=192.0.2.1", false),
        ("event=nonsense", true),
    ] {
        let answer = browser.get(&format!("{AUDIT}?{query}")).await;
        assert_eq!(answer.status, 200, "{query}");
        assert_eq!(count(&answer.text()) > 0, found, "{query}: {}", answer.text());
    }
    for (query, why) in [
        ("account=nobody", "There is no such account."),
        ("address=nonsense", "This is no address."),
        ("since=yesterday", "Write a day like"),
    ] {
        let text = browser.get(&format!("{AUDIT}?{query}")).await.text();
        assert!(text.contains(why) && count(&text) == 0, "{query}: {text}");
    }
    let mut page = browser.get(&format!("{AUDIT}?account=aino&event=sign_in")).await.text();
    let mut counts = vec![count(&page)];
    while let Some(next) = href(&page, "next") {
        page = browser.get(&next).await.text();
        counts.push(count(&page));
    }
    assert_eq!(counts, [25, 25, 5]);
    let mut counts = Vec::new();
    while let Some(previous) = href(&page, "prev") {
        page = browser.get(&previous).await.text();
        counts.push(count(&page));
    }
    assert_eq!(counts, [25, 25]);
    let text = browser.get(&format!("{AUDIT}?event=account_created")).await.text();
    assert!(text.contains("rank: superuser"), "{text}");
}
