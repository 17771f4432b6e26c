//! `/accounts/login/`, `/accounts/logout/`, and what a browser session is good for.

use std::time::Duration;

use avain::base::digest::Digest;
use avain::flow::{Caller, administer};
use avain::store::accounts::Owner;
use serde_json::json;

use crate::browser::{Browser, set_cookies};
use crate::client::Request;
use crate::harness::{Engine, PASSWORD, Pair, TestService};
use crate::jwt::claims;

on_both_engines! {
    a_session_gives_tokens_until_it_is_signed_out
    tabs_share_what_a_session_is_given
    where_tokens_are_replaced_each_tab_has_its_own
    wrong_passwords_and_odd_forms_stay_on_the_page
    a_form_without_its_secret_is_offered_again
    forms_of_other_sites_are_refused
    whatever_ends_a_session_ends_it
    the_secret_is_new_at_every_sign_in
    a_cookie_lives_as_long_as_its_session
    cookies_are_secure_behind_https
    sign_in_leads_on_only_within_the_site
    sessions_go_idle_and_end
    staff_enter_by_a_door_of_their_own
    guessing_is_told_when_to_try_again
    who_signs_in_with_an_address_is_told_of_addresses
    every_form_is_offered_again_when_it_is_stale
    what_was_typed_outlives_the_session
}

async fn a_session_gives_tokens_until_it_is_signed_out(engine: Engine) {
    let service = TestService::start(engine).await;
    let aino = service.account("aino").await;
    let mut browser = Browser::new(&service);
    let answer = browser.get("/auth/token/").await;
    answer.is(401, json!({ "detail": "Authentication credentials were not provided." }));

    let answer = browser.sign_in("aino").await;
    assert_eq!(answer.header("location"), "/accounts/");
    assert_eq!(answer.header("cache-control"), "no-store");
    let cookies = set_cookies(&answer);
    assert_eq!(cookies.len(), 2, "{cookies:?}");
    let session = cookies.iter().find(|cookie| cookie.starts_with("sessionid=")).expect("is set");
    for part in
        ["HttpOnly", "Max-Age=1209600", "Path=/", "SameSite=Lax", "expires=Wed, 02 Dec 2026"]
    {
        assert!(session.contains(part), "{session}");
    }
    let csrf = cookies.iter().find(|cookie| cookie.starts_with("csrftoken=")).expect("is set");
    assert!(csrf.contains("Max-Age=31449600") && !csrf.contains("HttpOnly"), "{csrf}");

    let answer = browser.get("/auth/token/").await;
    let body = answer.json();
    assert_eq!(answer.status, 200);
    let access = body["access"].as_str().expect("a token");
    let told = claims(access);
    assert_eq!(told["user_id"], json!(aino.get().to_string()));
    assert_eq!(told["first_name"], "Aino");
    assert!(told.get("act").is_none());
    let bearer = format!("Bearer {access}");
    assert!(service.admits(&bearer).await);
    let head = browser.ask(Request::new("HEAD", "/auth/token/")).await;
    assert_eq!((head.status, head.body.len()), (200, 0));

    // A cookie comes along by itself, so a POST needs more.
    let credentials = json!({ "username": "aino", "password": PASSWORD });
    let post = || Request::new("POST", "/auth/token/").json(&credentials);
    let answer = browser.ask(post()).await;
    answer.is(403, json!({ "detail": "CSRF Failed: CSRF token missing." }));
    let secret = browser.cookies["csrftoken"].clone();
    assert_eq!(browser.ask(post().header("X-CSRFToken", secret)).await.status, 200);

    let page = browser.get("/accounts/logout/").await;
    assert_eq!(page.status, 200, "GET asks");
    let answer = browser.send("/accounts/logout/", &[]).await;
    assert_eq!(answer.status, 200);
    assert!(!browser.cookies.contains_key("sessionid"));
    service.refuses_soon(&bearer).await;
    assert_eq!(browser.get("/auth/token/").await.status, 401);
}

/// The pair that a page which loads is given.
async fn given(browser: &mut Browser<'_>) -> Pair {
    Pair::of(&browser.get("/auth/token/").await)
}

/// How many families the owner of an access token has.
async fn families(service: &TestService, pair: &Pair) -> usize {
    let list = Request::new("GET", "/auth/sessions/").header("Authorization", pair.bearer());
    service.ask(&list).await.json()["sessions"].as_array().expect("a list").len()
}

async fn tabs_share_what_a_session_is_given(engine: Engine) {
    let service = TestService::start(engine).await;
    service.account("aino").await;
    let (mut browser, mut other) = (Browser::new(&service), Browser::new(&service));
    browser.sign_in("aino").await;
    other.sign_in("aino").await;
    let first = given(&mut browser).await;
    service.pass(5);
    for _ in 0..60 {
        let next = given(&mut browser).await;
        assert_eq!(claims(&next.refresh)["jti"], claims(&first.refresh)["jti"]);
        assert_ne!(claims(&next.access)["jti"], claims(&first.access)["jti"]);
        assert_eq!(claims(&next.access)["iat"], service.now().seconds());
    }
    assert_eq!(families(&service, &first).await, 1);
    let elsewhere = given(&mut other).await;
    assert_ne!(claims(&elsewhere.refresh)["jti"], claims(&first.refresh)["jti"]);
    let refresh = async |pair: &Pair| {
        service.post("/auth/token/refresh/", &json!({ "refresh": pair.refresh })).await.status
    };
    // What is given lives for half a day or more.
    service.pass(43_200);
    let second = given(&mut browser).await;
    assert_ne!(claims(&second.refresh)["jti"], claims(&first.refresh)["jti"]);
    assert_eq!(given(&mut browser).await.refresh, second.refresh);
    assert_eq!((refresh(&first).await, refresh(&second).await), (200, 200));
    // Somebody ends what a tab goes on with: the next page has tokens again.
    let end = json!({ "refresh": second.refresh });
    assert_eq!(service.post("/api/token/blacklist/", &end).await.status, 200);
    let third = given(&mut browser).await;
    assert_eq!((refresh(&second).await, refresh(&third).await), (401, 200));
    browser.get("/accounts/logout/").await;
    browser.send("/accounts/logout/", &[]).await;
    assert_eq!((refresh(&first).await, refresh(&third).await), (401, 401));
    assert_eq!(refresh(&elsewhere).await, 200);
}

async fn where_tokens_are_replaced_each_tab_has_its_own(engine: Engine) {
    let rotating = [("layouts.harrastuspassi.rotation", "on")];
    let service = TestService::with(engine, &rotating).await;
    service.account("aino").await;
    let mut browser = Browser::new(&service);
    browser.sign_in("aino").await;
    let mut tabs = Vec::new();
    for _ in 0..40 {
        service.pass(1);
        tabs.push(given(&mut browser).await);
    }
    service.pass(60);
    let refresh = async |pair: &Pair| {
        service.post("/auth/token/refresh/", &json!({ "refresh": pair.refresh })).await
    };
    let used = Pair::of(&refresh(&tabs[0]).await);
    for _ in 0..20 {
        service.pass(1);
        tabs.push(given(&mut browser).await);
    }
    let newest = tabs.last().expect("is one");
    assert_eq!(families(&service, newest).await, 50, "and no more");
    for (at, goes_on) in [(1, false), (10, false), (11, true), (39, true), (40, true), (59, true)] {
        assert_eq!(service.admits(&tabs[at].bearer()).await, goes_on, "{at}");
        assert_eq!(refresh(&tabs[at]).await.status == 200, goes_on, "{at}");
    }
    assert_eq!(refresh(&used).await.status, 200, "what is used goes on");
}

async fn wrong_passwords_and_odd_forms_stay_on_the_page(engine: Engine) {
    let service = TestService::start(engine).await;
    service.account("aino").await;
    service.account_with("off", |draft| draft.is_active = false).await;
    let mut browser = Browser::new(&service);
    browser.get("/accounts/login/").await;
    let mut told = Vec::new();
    for (username, password) in
        [("aino", "mistaken-1"), ("nobody", PASSWORD), ("off", PASSWORD), ("AINO", PASSWORD)]
    {
        let fields = [("username", username), ("password", password)];
        let answer = browser.send("/accounts/login/", &fields).await;
        assert_eq!(answer.status, 200, "{username}");
        assert!(!browser.cookies.contains_key("sessionid"));
        let text = answer.text();
        assert!(!text.contains(password), "a password is not shown again");
        assert!(text.contains(&format!("value=\"{username}\"")), "what was typed is");
        let error =
            text.split_once("role=\"alert\"").and_then(|(_, rest)| rest.split_once("</div>"));
        told.push(error.expect("it is told").0.to_owned());
    }
    assert!(told.windows(2).all(|pair| pair[0] == pair[1]), "who exists is not told: {told:?}");
    let answer = browser.send("/accounts/login/", &[("username", "")]).await;
    assert!(answer.text().contains("User name: fill this in."), "{}", answer.text());
    let answer = browser.send("/accounts/login/", &[("username", "a\0b")]).await;
    assert_eq!(answer.status, 400);
    let json = Request::new("POST", "/accounts/login/").json(&json!({ "username": "aino" }));
    assert_eq!(browser.ask(json).await.status, 400);
    let answer = browser.ask(Request::new("PUT", "/accounts/login/")).await;
    assert_eq!((answer.status, answer.header("allow")), (405, "GET, HEAD, POST"));
    let answer = browser.get("/accounts/no/such/page/").await;
    assert_eq!(answer.status, 404);
    assert!(answer.text().contains("There is nothing here"));
}

async fn a_form_without_its_secret_is_offered_again(engine: Engine) {
    let service = TestService::start(engine).await;
    service.account("aino").await;
    let mut browser = Browser::new(&service);
    browser.get("/accounts/login/").await;
    let fields = [("username", "ai<no"), ("password", PASSWORD), ("next", "/x/")];
    for hidden in ["", "wrong", &"a".repeat(64)] {
        let mut all = fields.to_vec();
        all.push(("csrfmiddlewaretoken", hidden));
        let answer = browser.send_bare("/accounts/login/", &all).await;
        assert_eq!(answer.status, 403);
        let text = answer.text();
        assert!(text.contains("send the form once more"), "{text}");
        assert!(
            text.contains("value=\"ai&lt;no\"") && text.contains("type=\"password\""),
            "{text}"
        );
        assert!(!text.contains(PASSWORD));
    }
    // What nobody has typed goes along unseen.
    let fields = [("username", "aino"), ("next", "/x/"), ("csrfmiddlewaretoken", "old")];
    let text = browser.send_bare("/accounts/login/", &fields).await.text();
    assert!(text.contains("<input type=\"hidden\" name=\"next\" value=\"/x/\">"), "{text}");
    // The form that is offered works.
    let fields = [("username", "aino"), ("password", PASSWORD), ("next", "/x/")];
    let answer = browser.send("/accounts/login/", &fields).await;
    assert_eq!((answer.status, answer.header("location")), (302, "/x/"));
}

async fn forms_of_other_sites_are_refused(engine: Engine) {
    let service = TestService::start(engine).await;
    service.account("aino").await;
    for (name, value) in [("Origin", "https://evil.example"), ("Sec-Fetch-Site", "cross-site")] {
        let mut browser = Browser::new(&service);
        browser.sign_in("aino").await;
        browser.get("/accounts/").await;
        let mut browser = browser.header(name, value);
        let answer = browser.send("/accounts/", &[("first_name", "Evil")]).await;
        assert_eq!(answer.status, 403, "{name}");
        assert!(!answer.text().contains("Evil"), "what another site has typed is not offered");
    }
    let mut browser = Browser::new(&service).header("Origin", "http://test");
    browser.sign_in("aino").await;
    assert!(browser.get("/accounts/").await.text().contains("value=\"Aino\""));
}

async fn whatever_ends_a_session_ends_it(engine: Engine) {
    let service = TestService::start(engine).await;
    let aino = service.account("aino").await;
    let (store, now, caller) = (service.store(), || service.now(), Caller::default());
    let mut browser = Browser::new(&service);
    let ended = async |browser: &mut Browser<'_>, why: &str| {
        let answer = browser.get("/auth/token/").await;
        assert_eq!(answer.status, 401, "{why}");
        assert!(set_cookies(&answer).iter().any(|cookie| cookie.contains("Max-Age=0")), "{why}");
        let answer = browser.get("/accounts/").await;
        assert_eq!(answer.header("location"), "/accounts/login/?next=/accounts/", "{why}");
        service.pass(1);
    };
    browser.sign_in("aino").await;
    administer::set_active(store, &caller, aino, false, now()).await.expect("is done");
    ended(&mut browser, "switched off").await;
    administer::set_active(store, &caller, aino, true, now()).await.expect("is done");

    browser.sign_in("aino").await;
    let hash = service.hash(PASSWORD).await;
    administer::set_password(store, &caller, aino, &hash, now()).await.expect("is done");
    ended(&mut browser, "another password").await;

    // Behind our back, as Django does: no word about it but the column.
    browser.sign_in("aino").await;
    let hash = service.hash(PASSWORD).await;
    let params = [aino.get().into(), hash.expose().into()];
    store.write("accounts.set_password", &params).await.expect("is done");
    ended(&mut browser, "another password in Django").await;

    browser.sign_in("aino").await;
    administer::sign_out_everywhere(store, &caller, aino, now()).await.expect("is done");
    ended(&mut browser, "signed out everywhere").await;

    browser.sign_in("aino").await;
    let random = service.service.context.random.as_ref();
    let deleted = administer::delete(store, &caller, Owner::Avain, aino, now(), random).await;
    deleted.expect("is done");
    ended(&mut browser, "deleted").await;
}

async fn the_secret_is_new_at_every_sign_in(engine: Engine) {
    let service = TestService::start(engine).await;
    service.account("aino").await;
    service.account("eino").await;
    let mut browser = Browser::new(&service);
    browser.sign_in("aino").await;
    let first = browser.cookies["sessionid"].clone();
    // A form that was opened before, sent by somebody who is signed in already.
    browser.get("/accounts/").await;
    let fields = [("username", "eino"), ("password", PASSWORD)];
    assert_eq!(browser.send("/accounts/login/", &fields).await.status, 302);
    let second = browser.cookies["sessionid"].clone();
    assert_ne!(first, second);
    browser.cookies.insert("sessionid".to_owned(), first);
    assert_eq!(browser.get("/auth/token/").await.status, 401, "the one before has ended");
    // The store holds digests.
    let digest = Digest::of_parts(&[b"session ", second.as_bytes()]);
    let found = avain::store::sessions::find(service.store(), &digest).await.expect("answers");
    assert_eq!(found.expect("is there").session.account.username, "eino");
}

async fn a_cookie_lives_as_long_as_its_session(engine: Engine) {
    let service = TestService::start(engine).await;
    service.account("aino").await;
    service.clock.tick(Duration::from_secs(1));
    let answer = Browser::new(&service).sign_in("aino").await;
    let cookies = set_cookies(&answer);
    let session = cookies.iter().find(|cookie| cookie.starts_with("sessionid=")).expect("is set");
    assert!(session.contains("Max-Age=1209600;"), "counted from another moment: {session}");
}

async fn cookies_are_secure_behind_https(engine: Engine) {
    let service = TestService::start(engine).await;
    service.account("aino").await;
    let mut browser = Browser::new(&service).header("X-Forwarded-Proto", "https");
    let answer = browser.sign_in("aino").await;
    assert!(set_cookies(&answer).iter().all(|cookie| cookie.ends_with("; Secure")));
    let database = service.stop().await;
    let settings = [("server.trusted_proxies", "10.0.0.1")];
    let service = TestService::on(database, &settings, crate::harness::START).await;
    let mut browser = Browser::new(&service).header("X-Forwarded-Proto", "https");
    let answer = browser.sign_in("aino").await;
    let unsecured = set_cookies(&answer).iter().all(|cookie| !cookie.contains("Secure"));
    assert!(unsecured, "only a proxy that is trusted is believed");
}

async fn sign_in_leads_on_only_within_the_site(engine: Engine) {
    let front_end = "https://ui.example.org/start";
    let settings = [("pages.after_sign_in", front_end)];
    let service = TestService::with(engine, &settings).await;
    service.account("aino").await;
    for (next, leads) in [
        ("/accounts/devices/?a=b", "/accounts/devices/?a=b"),
        ("//evil.example/", front_end),
        ("/\\evil.example", front_end),
        ("https://evil.example/", front_end),
        ("javascript:alert(1)", front_end),
        ("", front_end),
    ] {
        let mut browser = Browser::new(&service);
        let page = browser.get("/accounts/login/").await;
        let policy = page.header("content-security-policy");
        assert!(policy.contains("form-action 'self' https://ui.example.org;"), "{policy}");
        let fields = [("username", "aino"), ("password", PASSWORD), ("next", next)];
        let answer = browser.send("/accounts/login/", &fields).await;
        assert_eq!((answer.status, answer.header("location")), (302, leads));
    }
}

async fn sessions_go_idle_and_end(engine: Engine) {
    let settings = [("sessions.lifetime", "1h"), ("sessions.idle", "10m")];
    let service = TestService::with(engine, &settings).await;
    service.account("aino").await;
    let mut browser = Browser::new(&service);
    browser.sign_in("aino").await;
    for _ in 0..6 {
        service.pass(9 * 60);
        assert_eq!(browser.get("/accounts/").await.status, 200, "it is used");
    }
    service.pass(9 * 60);
    assert_eq!(browser.get("/accounts/").await.status, 302, "an hour is over");
    browser.sign_in("aino").await;
    service.pass(11 * 60);
    assert_eq!(browser.get("/accounts/").await.status, 302, "it was idle");
}

async fn staff_enter_by_a_door_of_their_own(engine: Engine) {
    let service = TestService::start(engine).await;
    service.account("aino").await;
    service.account_with("boss", |draft| draft.is_staff = true).await;
    let mut browser = Browser::new(&service);
    let answer = browser.get("/sysadmin/").await;
    assert_eq!(answer.header("location"), "/sysadmin/login/?next=/sysadmin/");
    browser.get("/sysadmin/login/?next=/sysadmin/").await;
    let fields = [("username", "aino"), ("password", PASSWORD), ("next", "/sysadmin/")];
    let answer = browser.send("/sysadmin/login/", &fields).await;
    assert_eq!(answer.status, 200);
    assert!(answer.text().contains("may not enter"), "{}", answer.text());
    assert!(!browser.cookies.contains_key("sessionid"));
    browser.sign_in("aino").await;
    assert_eq!(browser.get("/sysadmin/").await.status, 403, "members are no staff");
    assert_eq!(browser.get("/sysadmin/login/?next=/sysadmin/").await.status, 200);
    let fields = [("username", "boss"), ("password", PASSWORD), ("next", "/sysadmin/")];
    let answer = browser.send("/sysadmin/login/", &fields).await;
    assert_eq!((answer.status, answer.header("location")), (302, "/sysadmin/"));
    assert_eq!(browser.get("/sysadmin/").await.status, 200);
    assert_eq!(browser.get("/auth/token/").await.status, 200);
}

async fn guessing_is_told_when_to_try_again(engine: Engine) {
    let settings =
        [("throttle.enabled", "on"), ("throttle.account_failures", "3"), ("throttle.window", "5m")];
    let service = TestService::with(engine, &settings).await;
    service.account("aino").await;
    let mut browser = Browser::new(&service);
    browser.get("/accounts/login/").await;
    for _ in 0..3 {
        let fields = [("username", "aino"), ("password", "wrong")];
        assert_eq!(browser.send("/accounts/login/", &fields).await.status, 200);
    }
    let fields = [("username", "aino"), ("password", PASSWORD)];
    let answer = browser.send("/accounts/login/", &fields).await;
    assert_eq!((answer.status, answer.header("retry-after")), (429, "300"));
    // 2026-11-18 13:06:40 in Helsinki, and five minutes.
    assert!(answer.text().contains("Try again in 5 minutes, at 13:11."), "{}", answer.text());
    service.pass(300);
    assert_eq!(browser.send("/accounts/login/", &fields).await.status, 302);
}

async fn who_signs_in_with_an_address_is_told_of_addresses(engine: Engine) {
    let settings = [("account.email_login", "on"), ("account.unique_email", "on")];
    let service = TestService::with(engine, &settings).await;
    service.account("aino").await;
    let mut browser = Browser::new(&service);
    browser.get("/accounts/login/").await;
    let page = browser.send("/accounts/login/", &[("username", ""), ("password", "")]).await.text();
    assert!(page.contains("E-mail address: fill this in."), "{page}");
    assert!(!page.contains("User name"), "{page}");
    let fields = [("username", "aino@example.org"), ("password", "mistaken")];
    let page = browser.send("/accounts/login/", &fields).await.text();
    assert!(page.contains("The address and the password do not belong together."), "{page}");
    let fields = [("username", "aino@example.org"), ("password", PASSWORD)];
    assert_eq!(browser.send("/accounts/login/", &fields).await.status, 302);
}

async fn every_form_is_offered_again_when_it_is_stale(engine: Engine) {
    let settings = [("pages.registration", "on"), ("sessions.acting", "on")];
    let service = TestService::with(engine, &settings).await;
    service.account_with("root", |draft| (draft.is_staff, draft.is_superuser) = (true, true)).await;
    let mut browser = Browser::new(&service);
    browser.sign_in("root").await;
    browser.get("/accounts/keys/").await;
    browser.send("/accounts/keys/", &[("do", "make"), ("name", "x"), ("life", "604800")]).await;
    for target in [
        "/accounts/",
        "/accounts/login/",
        "/accounts/logout/",
        "/accounts/email/",
        "/accounts/password_change/",
        "/accounts/devices/",
        "/accounts/keys/",
        "/accounts/keys/1/",
        "/v3/auth/tokens/",
        "/accounts/acting/",
        "/accounts/language/",
        "/accounts/register/",
        "/accounts/activate/",
        "/accounts/activate/MQ/token/",
        "/accounts/password_reset/",
        "/accounts/reset/MQ/token/",
        "/accounts/username_reset/MQ/token/",
        "/accounts/email/verify/1:token/",
        "/accounts/email/confirm/MQ/token/",
        "/sysadmin/login/",
    ] {
        for hidden in [None, Some("a".repeat(64))] {
            let mut fields = vec![
                ("name", "what I <typed>"),
                ("scope", "GET:/api/**"),
                ("do", "make"),
                ("current_password", "never-shown-1"),
                ("repeated_password", "never-shown-2"),
            ];
            fields.extend(hidden.as_deref().map(|hidden| ("csrfmiddlewaretoken", hidden)));
            let answer = browser.send_bare(target, &fields).await;
            assert_eq!(answer.status, 403, "{target}");
            let text = answer.text();
            for kept in
                ["value=\"what I &lt;typed&gt;\"", "value=\"GET:/api/**\"", "value=\"make\""]
            {
                assert!(text.contains(kept), "{target}: {text}");
            }
            assert!(text.contains(&format!("action=\"{target}\"")), "{target}: {text}");
            assert!(!text.contains("never-shown"), "{target}: {text}");
        }
    }
    // Offered again, it does what it would have done.
    let fields = [("first_name", "Väinö"), ("last_name", "x"), ("csrfmiddlewaretoken", "stale")];
    browser.send_bare("/accounts/", &fields).await;
    let answer = browser.send("/accounts/", &fields[..2]).await;
    assert_eq!(answer.header("location"), "/accounts/?saved");
}

async fn what_was_typed_outlives_the_session(engine: Engine) {
    let service = TestService::with(engine, &[("sessions.idle", "10m")]).await;
    service.account("aino").await;
    let mut browser = Browser::new(&service);
    browser.sign_in("aino").await;
    browser.get("/accounts/").await;
    service.pass(601);
    let fields = [("first_name", "Väinö"), ("last_name", "x"), ("current_password", "secret-1")];
    let answer = browser.send("/accounts/", &fields).await;
    assert_eq!(answer.status, 403);
    let text = answer.text();
    assert!(text.contains("You were signed out meanwhile"), "{text}");
    assert!(
        text.contains("href=\"/accounts/login/\"") && text.contains("value=\"Väinö\""),
        "{text}"
    );
    assert!(!text.contains("secret-1"), "{text}");
    // In another tab; then what is still open is sent twice: its secret is of the session before.
    let old = fields[..2].iter().copied().chain([("csrfmiddlewaretoken", "of before")]);
    let old: Vec<_> = old.collect();
    browser.sign_in("aino").await;
    assert_eq!(browser.send_bare("/accounts/", &old).await.status, 403);
    let answer = browser.send("/accounts/", &fields[..2]).await;
    assert_eq!(answer.header("location"), "/accounts/?saved");
    // Of a button alone, or of what another site sends, nothing is offered.
    service.pass(601);
    let answer = browser.send("/accounts/devices/", &[("end", "others")]).await;
    assert_eq!(
        (answer.status, answer.header("location")),
        (302, "/accounts/login/?next=/accounts/devices/")
    );
    let mut foreign = Browser::new(&service).header("Sec-Fetch-Site", "cross-site");
    let answer = foreign.send("/accounts/", &[("first_name", "Evil")]).await;
    assert_eq!(answer.status, 302);
}
