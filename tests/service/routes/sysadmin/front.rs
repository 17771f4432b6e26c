//! `/sysadmin/`: how the service is.

use avain::flow::Caller;
use serde_json::json;

use super::account::{named, people};
use crate::browser::Browser;
use crate::harness::{Engine, PASSWORD, START, TestService};

on_both_engines! {
    the_front_page_tells_how_the_service_is
    where_django_owns_the_accounts_superusers_alone_enter
}

async fn the_front_page_tells_how_the_service_is(engine: Engine) {
    let service = people(engine).await;
    let mut browser = Browser::new(&service);
    browser.sign_in("boss").await;
    let key = service.service.context.ring.load().signing().id().to_string();
    let pair = service.sign_in("aino").await;
    for _ in 0..3 {
        assert_eq!(service.gate("GET", "/api/v1/hobbies/", &pair.bearer()).await.status, 204);
    }
    service.admits("").await;
    let wrong = json!({ "username": "aino", "password": "mistaken" });
    service.post("/api/token/", &wrong).await;
    let answer = browser.get("/sysadmin/").await;
    let text = answer.text();
    let database = if engine == Engine::Sqlite { "SQLite" } else { "PostgreSQL" };
    for said in [
        "Let pass: 3",
        "Denied: 1",
        "Signed in: 2",
        "Failed or slowed down: 1",
        "schema up to date",
        database,
        &key,
        env!("CARGO_PKG_VERSION"),
        "0 waiting, 0 given up",
        "href=\"/sysadmin/?live\"",
    ] {
        assert!(text.contains(said), "{said}: {text}");
    }
    assert!(text.contains("<path class=\"allowed\" d=\"M590 100v-75h8v75z\"/>"), "{text}");
    assert!(answer.headers.get("refresh").is_none(), "nobody has asked for it");
    let live = browser.get("/sysadmin/?live").await;
    assert_eq!(live.header("refresh"), "10");
    assert!(live.text().contains("Stop refreshing"));
    service.pass(60);
    let later = browser.get("/sysadmin/").await.text();
    assert!(later.contains("d=\"M580 100v-75h8v75z\"") && later.contains("Let pass: 3"), "{later}");
}

/// Django's flag opens Django's admin, where somebody of staff without permissions sees and changes nothing.
async fn where_django_owns_the_accounts_superusers_alone_enter(engine: Engine) {
    let settings = [("accounts.owner", "django")];
    let service = TestService::on(people(engine).await.stop().await, &settings, START).await;
    let mut boss = Browser::new(&service);
    boss.sign_in("boss").await;
    for target in ["/sysadmin/", "/sysadmin/auth/user/", "/sysadmin/authtoken/token/"] {
        let answer = boss.get(target).await;
        assert_eq!(answer.status, 403, "{target}");
        assert!(answer.text().contains("may not enter the administration"), "{}", answer.text());
    }
    assert!(!boss.get("/accounts/").await.text().contains("href=\"/sysadmin/\""));
    let mut boss = Browser::new(&service);
    boss.get("/sysadmin/login/").await;
    let answer = boss.send("/sysadmin/login/", &[("username", "boss"), ("password", PASSWORD)]);
    assert!(answer.await.text().contains("may not enter the administration"));
    assert!(!boss.cookies.contains_key("sessionid"), "nor is anybody signed in");
    let mut root = Browser::new(&service);
    root.sign_in("root").await;
    assert_eq!(root.get("/sysadmin/auth/user/").await.status, 200);
    assert!(root.get("/accounts/").await.text().contains("href=\"/sysadmin/\""));
    let caller = Caller::default();
    let boss = named(&service, "boss").await;
    assert!(service.service.context.steward(&caller, &boss).is_none());
}
