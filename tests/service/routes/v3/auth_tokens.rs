//! `/v3/auth/tokens`: bearer tokens for scripts, as Metax has them.

use crate::browser::Browser;
use crate::harness::{Engine, TestService};

on_both_engines! {
    a_token_is_made_used_and_revoked
    the_page_is_where_the_layout_is
}

const TARGET: &str = "/v3/auth/tokens/";

async fn a_token_is_made_used_and_revoked(engine: Engine) {
    let service = TestService::start(engine).await;
    service.account("aino").await;
    let mut browser = Browser::new(&service);
    let answer = browser.get(TARGET).await;
    let leads = "/accounts/login/?next=/v3/auth/tokens/";
    assert_eq!((answer.status, answer.header("location")), (302, leads));
    browser.sign_in("aino").await;
    assert!(browser.get(TARGET).await.text().contains("You have no tokens."));
    let page = browser.send(TARGET, &[("name", ""), ("life", "604800")]).await.text();
    assert!(page.contains("Name: fill this in."), "{page}");
    let page = browser.send(TARGET, &[("name", "etl"), ("life", "604800")]).await.text();
    assert!(page.contains("Authorization: Bearer"), "{page}");
    let token = page.split_once("class=\"code\">").and_then(|(_, rest)| rest.split_once('<'));
    let token = token.expect("it is shown").0.to_owned();
    let bearer = format!("Bearer {token}");
    assert!(service.admits(&bearer).await);
    let page = browser.get(TARGET).await.text();
    assert!(page.contains("etl") && !page.contains(&token), "{page}");
    // It is a key like any other.
    assert!(browser.get("/accounts/keys/").await.text().contains("etl"));
    let (_, rest) = page.split_once("name=\"revoke\" value=\"").expect("there is a button");
    let id = rest.split('"').next().unwrap_or_default();
    service.account("eino").await;
    let mut other = Browser::new(&service);
    other.sign_in("eino").await;
    other.get(TARGET).await;
    assert_eq!(other.send(TARGET, &[("revoke", id)]).await.status, 404);
    assert!(service.admits(&bearer).await);
    let answer = browser.send(TARGET, &[("revoke", id)]).await;
    assert_eq!((answer.status, answer.header("location")), (302, "/v3/auth/tokens/?revoked"));
    service.refuses_soon(&bearer).await;
    assert!(
        browser.get("/v3/auth/tokens/?revoked").await.text().contains("The token was revoked.")
    );
}

async fn the_page_is_where_the_layout_is(engine: Engine) {
    for (setting, value, path, status) in [
        ("layouts.metax.mount", "/metax/v3", "/metax/v3/auth/tokens", 302),
        ("layouts.metax.enabled", "off", TARGET, 404),
        ("pages.enabled", "off", TARGET, 404),
    ] {
        let service = TestService::with(engine, &[(setting, value)]).await;
        assert_eq!(Browser::new(&service).get(path).await.status, status, "{setting}={value}");
    }
}
