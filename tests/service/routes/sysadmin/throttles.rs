//! `/sysadmin/throttles/`: who is slowed down.

use serde_json::json;

use super::account::{named, people, send};
use crate::browser::Browser;
use crate::harness::{Engine, PASSWORD, TestService};

on_both_engines! {
    accounts_and_addresses_are_let_go
}

const THROTTLES: &str = "/sysadmin/throttles/";

async fn sign_in(service: &TestService, username: &str, password: &str) -> u16 {
    let credentials = json!({ "username": username, "password": password });
    service.post("/api/token/", &credentials).await.status
}

async fn accounts_and_addresses_are_let_go(engine: Engine) {
    let database = people(engine).await.stop().await;
    let settings = [
        ("throttle.enabled", "on"),
        ("throttle.account_failures", "3"),
        ("throttle.address_failures", "8"),
    ];
    let service = TestService::on(database, &settings, crate::harness::START).await;
    let mut browser = Browser::new(&service);
    browser.sign_in("boss").await;
    assert!(browser.get(THROTTLES).await.text().contains("nothing of that kind"));
    for _ in 0..4 {
        sign_in(&service, "aino", "mistaken").await;
    }
    assert_eq!(sign_in(&service, "aino", PASSWORD).await, 429);
    let text = browser.get(THROTTLES).await.text();
    let aino = named(&service, "aino").await.id.to_string();
    assert!(text.contains(&format!("name=\"account\" value=\"{aino}\"")), "{text}");
    let released = (302, format!("{THROTTLES}?done=released"));
    assert_eq!(send(&mut browser, THROTTLES, &[("account", &aino)]).await, released);
    assert_eq!(sign_in(&service, "aino", PASSWORD).await, 200);
    let nothing = (302, format!("{THROTTLES}?done=nothing"));
    assert_eq!(
        send(&mut browser, THROTTLES, &[("do", "release"), ("whom", "aino")]).await,
        nothing
    );

    for number in 0..8 {
        sign_in(&service, &format!("guess{number}"), "mistaken").await;
    }
    assert_eq!(
        sign_in(&service, "clerk", PASSWORD).await,
        429,
        "the address has used up its budget"
    );
    let whom = [("do", "release"), ("whom", "127.0.0.1")];
    assert_eq!(send(&mut browser, THROTTLES, &whom).await, released);
    assert_eq!(sign_in(&service, "clerk", PASSWORD).await, 200);
    for odd in ["", "nobody", "999.1.1.1"] {
        let (status, text) = send(&mut browser, THROTTLES, &[("whom", odd)]).await;
        assert!(status == 200 && text.contains("There is no such account"), "{odd}: {text}");
    }
    let root = named(&service, "root").await.id.to_string();
    assert_eq!(send(&mut browser, THROTTLES, &[("account", &root)]).await.0, 403);
}
