//! `/accounts/keys/`: one's API keys.

use crate::browser::Browser;
use crate::harness::{Engine, TestService};

on_both_engines! {
    a_key_is_made_shown_once_and_taken_back
    what_a_key_may_is_narrowed_and_changed
    a_key_is_replaced_and_goes_on_for_a_while
    the_site_says_how_long_and_how_many
    the_classic_key_is_made_and_taken_back
    keys_of_others_are_not_there
    who_acts_as_somebody_makes_nothing_that_lasts
}

const MONTH: &str = "2592000";

/// What stands between a code element's tags: the key that was made.
fn shown_key(page: &str) -> String {
    let found = page.split_once("<code class=\"code\">").and_then(|(_, rest)| rest.split_once('<'));
    found.unwrap_or_else(|| panic!("a key is shown: {page}")).0.to_owned()
}

async fn signed_in<'s>(service: &'s TestService, name: &str) -> Browser<'s> {
    let mut browser = Browser::new(service);
    browser.sign_in(name).await;
    browser.get("/accounts/keys/").await;
    browser
}

async fn make(browser: &mut Browser<'_>, name: &str, more: &[(&str, &str)]) -> String {
    let mut fields = vec![("name", name), ("life", MONTH), ("do", "make")];
    fields.extend(more);
    let answer = browser.send("/accounts/keys/", &fields).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    answer.text()
}

/// The path of the page of the only key that is listed under this name.
fn page_of(page: &str, name: &str) -> String {
    let label = format!("\" aria-label=\"Change the key {name}\"");
    let (before, _) = page.split_once(&label).unwrap_or_else(|| panic!("{name} is listed: {page}"));
    before.rsplit('"').next().unwrap_or_default().to_owned()
}

async fn a_key_is_made_shown_once_and_taken_back(engine: Engine) {
    let service = TestService::start(engine).await;
    service.account("aino").await;
    let mut browser = signed_in(&service, "aino").await;
    let page = browser.get("/accounts/keys/").await.text();
    assert!(page.contains("You have no keys.") && page.contains("until I take it back"), "{page}");
    assert!(page.contains("<option value=\"7776000\" selected>90 days</option>"), "{page}");
    let page = make(&mut browser, "Nightly <b>", &[]).await;
    let key = shown_key(&page);
    assert!(key.starts_with("avn_") && page.contains("Nightly &lt;b&gt;"), "{page}");
    for scheme in ["Token", "Bearer"] {
        assert!(service.admits(&format!("{scheme} {key}")).await, "{scheme}");
    }
    let page = make(&mut browser, "Nightly <b>", &[]).await;
    assert!(page.contains("You have a key of this name already."), "loaded once more: {page}");
    let page = browser.get("/accounts/keys/").await.text();
    assert!(!page.contains(&key) && page.contains(&key[..10]), "it is shown once");
    assert!(page.contains("everything that you may") && page.contains("not used yet"), "{page}");
    assert!(page.contains("2026-12-18 13:06"), "it ends in thirty days: {page}");
    let one = page_of(&page, "Nightly &lt;b&gt;");
    assert_eq!(browser.get(&one).await.status, 200);
    let answer = browser.send(&one, &[("do", "revoke")]).await;
    assert_eq!((answer.status, answer.header("location")), (302, "/accounts/keys/?revoked"));
    service.refuses_soon(&format!("Token {key}")).await;
    let page = browser.get("/accounts/keys/?revoked").await.text();
    assert!(page.contains("The key was taken back.") && page.contains("You have no keys."));
    assert!(page.contains("Keys that have ended"), "{page}");
    assert_eq!(browser.get(&one).await.status, 404);
    assert_eq!(browser.send(&one, &[("do", "revoke")]).await.status, 404);
}

async fn what_a_key_may_is_narrowed_and_changed(engine: Engine) {
    let service = TestService::start(engine).await;
    service.account("aino").await;
    let mut browser = signed_in(&service, "aino").await;
    let wrong = [
        ("name", "x\u{7}", "A name has between 1 and 100 characters"),
        ("name", "", "Name: fill this in."),
        ("life", "5", "Choose one of these."),
        ("scope", "say\"so", "Write words between spaces"),
        ("networks", "example.org", "Write networks between spaces"),
        ("rate", "0", "Write a whole number between 1 and 1000000."),
        ("rate", "many", "Write a whole number between 1 and 1000000."),
    ];
    for (field, value, told) in wrong {
        let page = make(&mut browser, "typed", &[(field, value)]).await;
        assert!(page.contains(told), "{field}={value}: {page}");
        let kept = value.is_empty()
            || field == "life"
            || page.contains(&format!("value=\"{}\"", value.replace('"', "&quot;")));
        assert!(kept, "what was typed stays: {page}");
        assert!(page.contains("You have no keys."), "{field}={value}");
    }
    let page =
        make(&mut browser, "Reader", &[("scope", "GET:/api/v1/**"), ("networks", "192.0.2.0/24")])
            .await;
    let token = format!("Token {}", shown_key(&page));
    assert_eq!(service.gate("GET", "/api/v1/", &token).await.status, 403, "from elsewhere");
    let page = browser.get("/accounts/keys/").await.text();
    assert!(page.contains("GET:/api/v1/**") && page.contains("192.0.2.0/24"), "{page}");
    let one = page_of(&page, "Reader");
    let page = browser.get(&one).await.text();
    assert!(
        page.contains("value=\"Reader\"") && page.contains("value=\"GET:/api/v1/**\""),
        "{page}"
    );
    let change =
        [("name", "Writer"), ("scope", ""), ("networks", ""), ("rate", "5"), ("do", "edit")];
    let answer = browser.send(&one, &[("name", ""), ("scope", "x"), ("do", "edit")]).await;
    assert!(answer.text().contains("Name: fill this in."), "{}", answer.text());
    let answer = browser.send(&one, &change).await;
    assert_eq!(answer.header("location"), format!("{one}?saved"));
    let page = browser.get(&format!("{one}?saved")).await.text();
    assert!(
        page.contains("The key was changed.") && page.contains("5 requests a minute"),
        "{page}"
    );
    service.settled().await;
    assert!(service.admits(&token).await);
}

async fn a_key_is_replaced_and_goes_on_for_a_while(engine: Engine) {
    let service = TestService::start(engine).await;
    service.account("aino").await;
    let mut browser = signed_in(&service, "aino").await;
    let old = shown_key(&make(&mut browser, "Nightly", &[]).await);
    let one = page_of(&browser.get("/accounts/keys/").await.text(), "Nightly");
    let page = browser.get(&one).await.text();
    assert!(page.contains("<option value=\"3600\" selected>1 hour</option>"), "{page}");
    let page = browser.send(&one, &[("do", "rotate"), ("overlap", "12")]).await.text();
    assert!(page.contains("Choose one of these.") && page.contains("value=\"Nightly\""), "{page}");
    let page = browser.send(&one, &[("do", "rotate"), ("overlap", "86400")]).await.text();
    let new = shown_key(&page);
    assert!(page.contains("replaced by another key"), "{page}");
    let admits = async |key: &str| service.admits(&format!("Token {key}")).await;
    assert!(admits(&old).await && admits(&new).await);
    let page = browser.send(&one, &[("do", "rotate"), ("overlap", "0")]).await.text();
    assert!(page.contains("Another key has taken its place already."), "{page}");
    assert!(browser.get(&one).await.text().contains("this one goes on until 2026-11-19 13:06."));
    service.pass(86_400);
    browser.sign_in("aino").await;
    assert!(!admits(&old).await && admits(&new).await);
}

async fn the_site_says_how_long_and_how_many(engine: Engine) {
    let settings = [
        ("api_keys.longest_life", "45d"),
        ("api_keys.per_account", "2"),
        ("api_keys.overlap", "90m"),
    ];
    let service = TestService::with(engine, &settings).await;
    service.account("aino").await;
    let mut browser = signed_in(&service, "aino").await;
    let page = browser.get("/accounts/keys/").await.text();
    assert!(page.contains("selected>45 days</option>") && !page.contains("90 days"), "{page}");
    assert!(!page.contains("until I take it back"), "{page}");
    let page = make(&mut browser, "forever", &[("life", "never")]).await;
    assert!(page.contains("A key may live for 45 days at the most."), "{page}");
    make(&mut browser, "one", &[]).await;
    let page = make(&mut browser, "two", &[]).await;
    shown_key(&page);
    let page = make(&mut browser, "three", &[]).await;
    assert!(page.contains("You have 2 keys, and may not have more."), "{page}");
    let one = page_of(&page, "one");
    assert!(browser.get(&one).await.text().contains("selected>90 minutes</option>"));
}

async fn the_classic_key_is_made_and_taken_back(engine: Engine) {
    let service = TestService::start(engine).await;
    service.account("aino").await;
    let mut browser = signed_in(&service, "aino").await;
    let page = browser.send("/accounts/keys/", &[("do", "make_classic")]).await.text();
    let key = shown_key(&page);
    assert!(key.len() == 40 && page.contains("Authorization: Token"), "{page}");
    let token = format!("Token {key}");
    assert!(service.admits(&token).await);
    let again = browser.send("/accounts/keys/", &[("do", "make_classic")]).await.text();
    assert!(!again.contains(&key), "it is shown once, loaded once more or not: {again}");
    let page = browser.get("/accounts/keys/").await.text();
    assert!(!page.contains(&key) && page.contains(&key[..8]), "{page}");
    let answer = browser.send("/accounts/keys/", &[("do", "revoke_classic")]).await;
    assert_eq!(answer.header("location"), "/accounts/keys/?revoked");
    service.refuses_soon(&token).await;
    assert!(browser.get("/accounts/keys/").await.text().contains("You have none."));
}

async fn keys_of_others_are_not_there(engine: Engine) {
    let service = TestService::start(engine).await;
    service.account("aino").await;
    service.account("eino").await;
    let mut aino = signed_in(&service, "aino").await;
    let key = shown_key(&make(&mut aino, "Mine", &[]).await);
    let one = page_of(&aino.get("/accounts/keys/").await.text(), "Mine");
    let mut eino = signed_in(&service, "eino").await;
    for does in ["edit", "rotate", "revoke"] {
        assert_eq!(eino.send(&one, &[("do", does), ("name", "x")]).await.status, 404);
    }
    for odd in [&*one, "/accounts/keys/0/", "/accounts/keys/x/", "/accounts/keys/-1/"] {
        assert_eq!(eino.get(odd).await.status, 404, "{odd}");
    }
    assert!(service.admits(&format!("Token {key}")).await);
}

async fn who_acts_as_somebody_makes_nothing_that_lasts(engine: Engine) {
    let service = TestService::with(engine, &[("sessions.acting", "on")]).await;
    service.account("aino").await;
    service.account_with("root", |draft| (draft.is_staff, draft.is_superuser) = (true, true)).await;
    let mut aino = signed_in(&service, "aino").await;
    make(&mut aino, "Hers", &[]).await;
    let mut root = signed_in(&service, "root").await;
    root.get("/accounts/acting/").await;
    root.send("/accounts/acting/", &[("username", "aino")]).await;
    let page = root.get("/accounts/keys/").await.text();
    let one = page_of(&page, "Hers");
    for (target, does) in [
        ("/accounts/keys/", "make"),
        ("/accounts/keys/", "make_classic"),
        (&*one, "edit"),
        (&one, "rotate"),
        ("/v3/auth/tokens/", ""),
    ] {
        let fields = [("do", does), ("name", "x"), ("life", MONTH), ("overlap", "0")];
        let page = root.send(target, &fields).await.text();
        assert!(page.contains("for them alone to change"), "{target} {does}: {page}");
        assert!(!page.contains("class=\"code\""), "{target} {does}");
    }
    // Taking away is what somebody who helps may have to do.
    assert_eq!(root.send(&one, &[("do", "revoke")]).await.status, 302);
}
