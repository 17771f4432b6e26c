//! Registering, and the links of mails, on pages.

use std::path::Path;
use std::time::Duration;

use serde_json::json;
use tempfile::TempDir;
use tokio::time::Instant;

use crate::browser::Browser;
use crate::harness::{Engine, PASSWORD, TestService};

on_both_engines! {
    people_register_and_follow_the_link
    a_forgotten_password_is_set_anew
    links_that_do_not_work_say_so
    what_is_wrong_with_a_registration_is_told
    mails_speak_the_language_of_the_account
}

/// With pages in place of a front end, and mails in a folder.
pub(super) async fn site(engine: Engine, folder: &Path) -> TestService {
    let transport = format!("folder:{}", folder.display());
    let settings = [
        ("pages.links", "on"),
        ("pages.registration", "on"),
        ("account.activation", "on"),
        ("mail.transport", transport.as_str()),
        ("site.domain", "id.example.org"),
    ];
    TestService::with(engine, &settings).await
}

/// The text of the mail that comes next.
pub(super) async fn mail(folder: &Path) -> String {
    let started = Instant::now();
    let mail = loop {
        let mut mails = std::fs::read_dir(folder).expect("the folder is there");
        let arrived = mails.find_map(|entry| {
            let path = entry.expect("can be read").path();
            path.extension().is_some_and(|ending| ending == "eml").then_some(path)
        });
        match arrived {
            Some(path) => break path,
            None => assert!(started.elapsed() < Duration::from_secs(30), "no mail comes"),
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    };
    let text = std::fs::read_to_string(&mail).expect("can be read");
    std::fs::remove_file(mail).expect("can be removed");
    text.replace("=\r\n", "").replace("=3D", "=")
}

/// The path of the link in the mail that comes next.
pub(super) async fn link(folder: &Path) -> String {
    let text = mail(folder).await;
    let (_, rest) = text.split_once("https://id.example.org").expect("it holds a link");
    rest.split(['\r', '\n', ' ', '"', '<']).next().expect("it ends").to_owned()
}

async fn people_register_and_follow_the_link(engine: Engine) {
    let folder = TempDir::new().expect("a folder");
    let service = site(engine, folder.path()).await;
    let mut browser = Browser::new(&service);
    assert!(browser.get("/accounts/login/").await.text().contains("/accounts/register/"));
    browser.get("/accounts/register/").await;
    let fields = [
        ("username", "uusi"),
        ("email", "uusi@example.org"),
        ("first_name", "Uusi"),
        ("password", PASSWORD),
        ("repeated_password", PASSWORD),
    ];
    let answer = browser.send("/accounts/register/", &fields).await;
    assert!(
        answer.text().contains("We have sent a link to uusi@example.org."),
        "{}",
        answer.text()
    );
    let credentials = json!({ "username": "uusi", "password": PASSWORD });
    assert_eq!(service.post("/auth/token/", &credentials).await.status, 401);
    let path = link(folder.path()).await;
    assert!(path.starts_with("/accounts/activate/"), "{path}");
    // Who only looks at the link switches nothing on.
    assert_eq!(browser.get(&path).await.status, 200);
    assert_eq!(service.post("/auth/token/", &credentials).await.status, 401);
    assert!(browser.send(&path, &[]).await.text().contains("Your account is switched on"));
    assert_eq!(service.post("/auth/token/", &credentials).await.status, 200);
    let again = browser.send(&path, &[]).await;
    assert!(again.text().contains("The account is on already"), "{}", again.text());
}

async fn a_forgotten_password_is_set_anew(engine: Engine) {
    let folder = TempDir::new().expect("a folder");
    let service = site(engine, folder.path()).await;
    service.account("aino").await;
    let mut signed_in = Browser::new(&service);
    signed_in.sign_in("aino").await;
    let mut browser = Browser::new(&service);
    browser.get("/accounts/password_reset/").await;
    let mut told = Vec::new();
    for email in ["nobody@example.org", "AINO@example.org"] {
        let answer = browser.send("/accounts/password_reset/", &[("email", email)]).await;
        told.push(answer.text().replace(email, "…").len());
        browser.get("/accounts/password_reset/").await;
    }
    assert_eq!(told[0], told[1], "who has an account is not told");
    let path = link(folder.path()).await;
    assert!(path.starts_with("/accounts/reset/"), "{path}");
    assert!(browser.get(&path).await.text().contains("autocomplete=\"new-password\""));
    let new = "another-0ne-altogether";
    let answer = browser.send(&path, &[("new_password", "short"), ("repeated_password", "short")]);
    assert!(answer.await.text().contains("too short"));
    let answer = browser.send(&path, &[("new_password", new), ("repeated_password", new)]).await;
    assert!(answer.text().contains("Your password is changed"), "{}", answer.text());
    assert_eq!(signed_in.get("/accounts/").await.status, 302, "all sessions end");
    let credentials = json!({ "username": "aino", "password": new });
    assert_eq!(service.post("/auth/token/", &credentials).await.status, 200);
    assert_eq!(browser.get(&path).await.status, 404, "it was used");
}

async fn links_that_do_not_work_say_so(engine: Engine) {
    let folder = TempDir::new().expect("a folder");
    let service = site(engine, folder.path()).await;
    service.account("aino").await;
    let mut browser = Browser::new(&service);
    for path in ["/accounts/reset/MQ/x-0/", "/accounts/reset/!/x/", "/accounts/reset/key/1/x/"] {
        let answer = browser.get(path).await;
        assert_eq!(answer.status, 404, "{path}");
        assert!(answer.text().contains("This link does not work"), "{path}");
        assert!(answer.text().contains("href=\"/accounts/password_reset/\""), "{path}");
    }
    for path in [
        "/accounts/activate/MQ/x-0/",
        "/accounts/email/verify/1:x/",
        "/accounts/email/confirm/MQ/x/",
    ] {
        browser.get(path).await;
        let answer = browser.send(path, &[]).await;
        assert_eq!(answer.status, 404, "{path}");
        assert!(answer.text().contains("This link does not work"), "{path}");
    }
    browser.get("/accounts/username_reset/MQ/x/").await;
    let answer = browser.send("/accounts/username_reset/MQ/x/", &[("username", "new")]).await;
    assert_eq!(answer.status, 404);
}

async fn what_is_wrong_with_a_registration_is_told(engine: Engine) {
    let folder = TempDir::new().expect("a folder");
    let service = site(engine, folder.path()).await;
    service.account("aino").await;
    let mut browser = Browser::new(&service);
    browser.get("/accounts/register/").await;
    for (username, email, password, again, told) in [
        ("", "a@b.fi", PASSWORD, PASSWORD, "User name: fill this in."),
        ("new", "", PASSWORD, PASSWORD, "E-mail address: fill this in."),
        ("new", "b.fi", PASSWORD, PASSWORD, "not an e-mail address"),
        ("AINO", "a@b.fi", PASSWORD, PASSWORD, "This user name is taken."),
        ("a b", "a@b.fi", PASSWORD, PASSWORD, "at most 150 letters"),
        ("new", "a@b.fi", PASSWORD, "other", "The two passwords differ."),
        ("new", "a@b.fi", "password", "password", "most common ones"),
        ("new", "a@b.fi", "", "", "Password: fill this in."),
    ] {
        let fields = [
            ("username", username),
            ("email", email),
            ("password", password),
            ("repeated_password", again),
        ];
        let answer = browser.send("/accounts/register/", &fields).await;
        assert_eq!(answer.status, 200, "{told}");
        assert!(answer.text().contains(told), "{told}: {}", answer.text());
    }
}

async fn mails_speak_the_language_of_the_account(engine: Engine) {
    let folder = TempDir::new().expect("a folder");
    let service = site(engine, folder.path()).await;
    let mut browser = Browser::new(&service).header("Accept-Language", "fi");
    browser.get("/accounts/register/").await;
    let fields = [
        ("username", "uusi"),
        ("email", "uusi@example.org"),
        ("password", PASSWORD),
        ("repeated_password", PASSWORD),
    ];
    browser.send("/accounts/register/", &fields).await;
    let text = mail(folder.path()).await;
    assert!(text.contains("Subject: Aktivoi tilisi palvelussa"), "{text}");
    // Whoever asks, and whatever they read: it is the account's owner who is written to.
    service.account("aino").await;
    let mut aino = Browser::new(&service);
    aino.sign_in("aino").await;
    aino.get("/accounts/").await;
    aino.send("/accounts/language/", &[("language", "sv"), ("next", "/accounts/")]).await;
    let ask = json!({ "email": "aino@example.org" });
    assert_eq!(service.post("/auth/users/reset_password/", &ask).await.status, 204);
    let text = mail(folder.path()).await;
    assert!(text.contains("=C3=B6senord") && text.contains("Nytt"), "{text}");
    // Who has chosen none reads the site's.
    service.account("eino").await;
    let ask = json!({ "email": "eino@example.org" });
    service.post("/auth/users/reset_password/", &ask).await;
    let text = mail(folder.path()).await;
    assert!(text.contains("Subject: ") && !text.contains("=C3=B6senord"), "{text}");
}
