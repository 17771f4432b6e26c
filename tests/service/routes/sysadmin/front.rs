//! `/sysadmin/`: how the service is.

use serde_json::json;

use super::account::people;
use crate::browser::Browser;
use crate::harness::Engine;

on_both_engines! {
    the_front_page_tells_how_the_service_is
}

async fn the_front_page_tells_how_the_service_is(engine: Engine) {
    let service = people(engine).await;
    let mut browser = Browser::new(&service);
    browser.sign_in("boss").await;
    let key = service.service.context.ring.load().signing().id().to_string();
    let pair = service.sign_in("aino").await;
    for _ in 0..3 {
        assert!(service.admits(&pair.bearer()).await);
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
