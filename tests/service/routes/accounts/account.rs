//! `/accounts/` and what is under it for members: profile, mail address, password, devices, language.

use serde_json::json;

use crate::browser::{Browser, set_cookies};
use crate::client::Request;
use crate::harness::{Engine, PASSWORD, Pair, TestService};

on_both_engines! {
    members_change_their_names
    another_address_needs_the_password
    another_password_ends_all_but_this_session
    sessions_are_listed_and_ended
    programs_are_listed_and_ended
    everything_is_said_in_three_languages
    a_language_goes_with_the_account
    pages_are_small_and_safe
    registration_is_off_unless_it_is_on
}

const NEW_PASSWORD: &str = "another-0ne-altogether";

async fn members_change_their_names(engine: Engine) {
    let service = TestService::start(engine).await;
    service.account("aino").await;
    let mut browser = Browser::new(&service);
    let answer = browser.get("/accounts/").await;
    assert_eq!(
        (answer.status, answer.header("location")),
        (302, "/accounts/login/?next=/accounts/")
    );
    browser.sign_in("aino").await;
    let page = browser.get("/accounts").await.text();
    assert!(page.contains("value=\"Aino\"") && page.contains("aino@example.org"), "{page}");
    let answer =
        browser.send("/accounts/", &[("first_name", " Aïno "), ("last_name", "<b>")]).await;
    assert_eq!((answer.status, answer.header("location")), (302, "/accounts/?saved"));
    let page = browser.get("/accounts/?saved").await.text();
    assert!(page.contains("Your profile was saved."));
    assert!(page.contains("value=\"Aïno\"") && page.contains("value=\"&lt;b&gt;\""), "{page}");
    let long = "x".repeat(151);
    let answer = browser.send("/accounts/", &[("first_name", &long), ("last_name", "")]).await;
    assert!(answer.text().contains("longer than 150 characters"));
}

async fn another_address_needs_the_password(engine: Engine) {
    for (mode, leads, now) in
        [("immediate", 302, "aino@new.example"), ("confirm", 200, "aino@example.org")]
    {
        let service = TestService::with(engine, &[("account.email_change", mode)]).await;
        service.account("aino").await;
        let mut browser = Browser::new(&service);
        browser.sign_in("aino").await;
        browser.get("/accounts/email/").await;
        let send = async |browser: &mut Browser<'_>, email: &str, password: &str| {
            let fields = [("email", email), ("current_password", password)];
            browser.send("/accounts/email/", &fields).await
        };
        let answer = send(&mut browser, "aino@new.example", "wrong").await;
        assert!(answer.text().contains("not your current password"));
        let answer = send(&mut browser, "no address", PASSWORD).await;
        assert!(answer.text().contains("not an e-mail address"));
        let answer = send(&mut browser, "aino@new.example", PASSWORD).await;
        assert_eq!(answer.status, leads);
        if mode == "confirm" {
            assert!(answer.text().contains("We have sent a link to aino@new.example."));
        }
        let page = browser.get("/accounts/email/").await.text();
        assert!(page.contains(&format!("Your address is {now}.")), "{mode}: {page}");
    }
}

async fn another_password_ends_all_but_this_session(engine: Engine) {
    let service = TestService::start(engine).await;
    service.account("aino").await;
    let (mut here, mut there) = (Browser::new(&service), Browser::new(&service));
    here.sign_in("aino").await;
    there.sign_in("aino").await;
    let before = here.get("/auth/token/").await.json()["refresh"].clone();
    here.get("/accounts/password_change/").await;
    let send = async |browser: &mut Browser<'_>, current: &str, new: &str, again: &str| {
        let fields =
            [("current_password", current), ("new_password", new), ("repeated_password", again)];
        browser.send("/accounts/password_change/", &fields).await
    };
    let answer = send(&mut here, "wrong", NEW_PASSWORD, NEW_PASSWORD).await;
    assert!(answer.text().contains("not your current password"));
    let answer = send(&mut here, PASSWORD, NEW_PASSWORD, "different").await;
    assert!(answer.text().contains("The two passwords differ."));
    let answer = send(&mut here, PASSWORD, "12345678", "12345678").await;
    let text = answer.text();
    assert!(text.contains("most common ones") && text.contains("digits alone"), "{text}");
    assert!(!text.contains("12345678"), "passwords are not shown again");
    let answer = send(&mut here, PASSWORD, "mäkelä-aino", "mäkelä-aino").await;
    assert!(answer.text().contains("too similar"), "{}", answer.text());
    let answer = send(&mut here, PASSWORD, NEW_PASSWORD, NEW_PASSWORD).await;
    assert_eq!(answer.header("location"), "/accounts/password_change/?saved");
    assert_eq!(set_cookies(&answer).len(), 2, "the session begins anew");
    assert_eq!(here.get("/accounts/").await.status, 200);
    assert_eq!(there.get("/accounts/").await.status, 302);
    let after = here.get("/auth/token/").await.json()["refresh"].clone();
    for (refresh, status) in [(before, 401), (after, 200)] {
        let answer = service.post("/auth/token/refresh/", &json!({ "refresh": refresh })).await;
        assert_eq!(answer.status, status, "{}", answer.text());
    }
    let credentials = json!({ "username": "aino", "password": NEW_PASSWORD });
    assert_eq!(service.post("/auth/token/", &credentials).await.status, 200);
}

async fn sessions_are_listed_and_ended(engine: Engine) {
    let service = TestService::start(engine).await;
    service.account("aino").await;
    service.account("eino").await;
    let firefox = "Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0";
    let mut here =
        Browser::new(&service).header("User-Agent", firefox).header("X-Real-IP", "192.0.2.7");
    let (mut there, mut third) = (Browser::new(&service), Browser::new(&service));
    let mut stranger = Browser::new(&service);
    here.sign_in("aino").await;
    there.sign_in("aino").await;
    third.sign_in("aino").await;
    stranger.sign_in("eino").await;
    let page = here.get("/accounts/devices/").await.text();
    assert!(page.contains("Firefox, Linux") && page.contains("192.0.2.7"), "{page}");
    assert!(page.contains("2026-11-18 13:06"), "{page}");
    let ids: Vec<&str> = page
        .split("name=\"end\" value=\"")
        .skip(1)
        .filter_map(|rest| rest.split('"').next())
        .filter(|id| *id != "others")
        .collect();
    assert_eq!(ids.len(), 2, "one's own has no button");
    stranger.get("/accounts/devices/").await;
    let answer = stranger.send("/accounts/devices/", &[("end", ids[0])]).await;
    assert_eq!(answer.status, 404, "of somebody else");
    for odd in ["", "x", &"0".repeat(64)] {
        assert_eq!(here.send("/accounts/devices/", &[("end", odd)]).await.status, 404);
    }
    here.get("/accounts/devices/").await;
    let answer = here.send("/accounts/devices/", &[("end", ids[0])]).await;
    assert_eq!(answer.header("location"), "/accounts/devices/?ended");
    let alive =
        async |browser: &mut Browser<'_>| u8::from(browser.get("/accounts/").await.status == 200);
    assert_eq!(alive(&mut there).await + alive(&mut third).await, 1);
    here.get("/accounts/devices/?ended").await;
    here.send("/accounts/devices/", &[("end", "others")]).await;
    assert_eq!(alive(&mut there).await + alive(&mut third).await, 0);
    assert_eq!(alive(&mut here).await + alive(&mut stranger).await, 2);
}

async fn programs_are_listed_and_ended(engine: Engine) {
    let service = TestService::start(engine).await;
    service.account("aino").await;
    let sampo = |credentials: &serde_json::Value| {
        let request = Request::new("POST", "/api/token/").json(credentials);
        request.header("User-Agent", "Sampo/1.0").header("X-Real-IP", "192.0.2.9")
    };
    let credentials = json!({ "username": "aino", "password": PASSWORD });
    let program = Pair::of(&service.ask(&sampo(&credentials)).await);
    let (mut here, mut there) = (Browser::new(&service), Browser::new(&service));
    here.sign_in("aino").await;
    there.sign_in("aino").await;
    let own = Pair::of(&here.get("/auth/token/").await);
    let others = Pair::of(&there.get("/auth/token/").await);
    let page = here.get("/accounts/devices/").await.text();
    assert!(page.contains("Sampo/1.0") && page.contains("192.0.2.9"), "{page}");
    assert_eq!(page.matches("name=\"end_program\"").count(), 1, "those of sessions end with them");
    let (_, rest) = page.split_once("name=\"end_program\" value=\"").expect("has a button");
    let id = rest.split('"').next().unwrap_or_default().to_owned();
    let stranger = service.account("eino").await;
    let mut eino = Browser::new(&service);
    eino.sign_in("eino").await;
    eino.get("/accounts/devices/").await;
    assert_eq!(eino.send("/accounts/devices/", &[("end_program", &id)]).await.status, 404);
    assert!(service.admits(&program.bearer()).await, "{stranger}");
    let answer = here.send("/accounts/devices/", &[("end_program", &id)]).await;
    assert_eq!(answer.header("location"), "/accounts/devices/?ended");
    service.refuses_soon(&program.bearer()).await;
    assert_eq!(service.refresh(&program.refresh).await.status, 401);
    // All others: browsers and programs, but not what this one has.
    let program = Pair::of(&service.ask(&sampo(&credentials)).await);
    here.get("/accounts/devices/").await;
    here.send("/accounts/devices/", &[("end", "others")]).await;
    for ended in [&program, &others] {
        service.refuses_soon(&ended.bearer()).await;
        assert_eq!(service.refresh(&ended.refresh).await.status, 401);
    }
    assert!(service.admits(&own.bearer()).await);
    let refresh = json!({ "refresh": own.refresh });
    assert_eq!(service.post("/auth/token/refresh/", &refresh).await.status, 200);
    let page = here.get("/accounts/devices/").await.text();
    assert!(!page.contains("Sampo/1.0") && !page.contains("End all others"), "{page}");
}

async fn everything_is_said_in_three_languages(engine: Engine) {
    let service = TestService::start(engine).await;
    let mut browser = Browser::new(&service).header("Accept-Language", "de, sv;q=0.8, fi;q=0.9");
    assert!(browser.get("/accounts/login/").await.text().contains("<h1>Kirjaudu sisään</h1>"));
    let fields = [("language", "sv"), ("next", "/accounts/login/")];
    let answer = browser.send("/accounts/language/", &fields).await;
    assert_eq!((answer.status, answer.header("location")), (302, "/accounts/login/"));
    let page = browser.get("/accounts/login/").await.text();
    assert!(page.contains("<html lang=\"sv\">") && page.contains("<h1>Logga in</h1>"), "{page}");
    assert!(browser.get("/accounts/none/").await.text().contains("Här finns ingenting"));
    for (language, next) in [("xx", "/accounts/login/"), ("fi", "//evil.example/")] {
        let fields = [("language", language), ("next", next)];
        let answer = browser.send("/accounts/language/", &fields).await;
        assert!(answer.header("location").starts_with("/accounts/"));
    }
    let database = service.stop().await;
    let settings = [("pages.languages", "fi")];
    let service = TestService::on(database, &settings, crate::harness::START).await;
    let mut browser = Browser::new(&service).header("Accept-Language", "en");
    let page = browser.get("/accounts/login/").await.text();
    assert!(page.contains("<html lang=\"fi\">") && !page.contains("Svenska"), "{page}");
}

async fn a_language_goes_with_the_account(engine: Engine) {
    let service = TestService::start(engine).await;
    service.account("aino").await;
    service.account_with("root", |draft| (draft.is_staff, draft.is_superuser) = (true, true)).await;
    let title = async |browser: &mut Browser<'_>| {
        let page = browser.get("/accounts/").await.text();
        let (_, rest) = page.split_once("<h1>").expect("has a title");
        rest.split('<').next().unwrap_or_default().to_owned()
    };
    let mut here = Browser::new(&service).header("Accept-Language", "en");
    here.sign_in("aino").await;
    assert_eq!(title(&mut here).await, "My account");
    here.send("/accounts/language/", &[("language", "fi"), ("next", "/accounts/")]).await;
    assert_eq!(title(&mut here).await, "Oma tili");
    // Elsewhere it comes before the cookie, and that before what the browser asks for.
    let mut there = Browser::new(&service).header("Accept-Language", "en");
    there.get("/accounts/login/").await;
    there.send("/accounts/language/", &[("language", "sv"), ("next", "/accounts/login/")]).await;
    assert!(there.get("/accounts/login/").await.text().contains("<h1>Logga in</h1>"));
    there.sign_in("aino").await;
    assert_eq!(title(&mut there).await, "Oma tili");
    assert_eq!(there.cookies["language"], "fi", "the browser keeps it for when she has signed out");
    there.send("/accounts/logout/", &[]).await;
    assert!(there.get("/accounts/login/").await.text().contains("<h1>Kirjaudu sisään</h1>"));
    let mut root = Browser::new(&service).header("Accept-Language", "en");
    root.sign_in("root").await;
    assert_eq!(title(&mut root).await, "My account", "of others nothing is said");
    // One that is offered no more does not count.
    let database = service.stop().await;
    let settings = [("pages.languages", "sv, en")];
    let service = TestService::on(database, &settings, crate::harness::START).await;
    let mut browser = Browser::new(&service).header("Accept-Language", "en");
    browser.sign_in("aino").await;
    assert_eq!(title(&mut browser).await, "My account");
    let fields = [("language", "fi"), ("next", "/accounts/")];
    browser.send("/accounts/language/", &fields).await;
    assert_eq!(title(&mut browser).await, "My account");
}

async fn pages_are_small_and_safe(engine: Engine) {
    let service = TestService::with(engine, &[("pages.registration", "on")]).await;
    service.account_with("boss", |draft| draft.is_staff = true).await;
    let mut browser = Browser::new(&service);
    browser.sign_in("boss").await;
    for target in [
        "/accounts/",
        "/accounts/email/",
        "/accounts/password_change/",
        "/accounts/devices/",
        "/accounts/keys/",
        "/accounts/activity/",
        "/v3/auth/tokens/",
        "/accounts/logout/",
        "/accounts/register/",
        "/accounts/activate/",
        "/accounts/activate/MQ/token/",
        "/accounts/password_reset/",
        "/accounts/email/verify/1:token/",
        "/accounts/email/confirm/MQ/token/",
        "/accounts/username_reset/MQ/token/",
        "/sysadmin/",
    ] {
        let answer = browser.get(target).await;
        assert_eq!(answer.status, 200, "{target}");
        assert!(answer.body.len() <= 30_000, "{target}: {} bytes", answer.body.len());
        assert_eq!(answer.header("content-type"), "text/html; charset=utf-8");
        assert_eq!(answer.header("cache-control"), "no-store");
        assert_eq!(answer.header("referrer-policy"), "same-origin");
        assert_eq!(answer.header("x-content-type-options"), "nosniff");
        let policy = answer.header("content-security-policy");
        assert!(policy.contains("default-src 'none'") && policy.contains("frame-ancestors 'none'"));
        let text = answer.text();
        assert!(!text.contains("<script") && !text.contains(" src="), "{target} asks for more");
        let head = browser.ask(Request::new("HEAD", target)).await;
        assert_eq!((head.status, head.body.len()), (200, 0), "{target}");
    }
}

async fn registration_is_off_unless_it_is_on(engine: Engine) {
    let service = TestService::start(engine).await;
    let mut browser = Browser::new(&service);
    assert_eq!(browser.get("/accounts/register/").await.status, 404);
    assert!(!browser.get("/accounts/login/").await.text().contains("/register/"));
    let fields = [("username", "new"), ("password", PASSWORD), ("repeated_password", PASSWORD)];
    assert_eq!(browser.send("/accounts/register/", &fields).await.status, 404);
    let database = service.stop().await;
    let settings = [("pages.enabled", "off")];
    let service = TestService::on(database, &settings, crate::harness::START).await;
    let mut browser = Browser::new(&service);
    assert_eq!(browser.get("/accounts/login/").await.status, 404, "there are no pages at all");
}
