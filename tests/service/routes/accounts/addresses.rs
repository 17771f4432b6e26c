//! `/accounts/addresses/`: one's mail addresses.

use avain::flow::audit::{self, Search};
use serde_json::json;
use tempfile::TempDir;

use super::links::{link, mail, site};
use crate::browser::Browser;
use crate::harness::{Engine, PASSWORD, TestService};

on_both_engines! {
    an_address_is_added_verified_made_primary_and_the_old_one_removed
    what_cannot_be_is_told
    addresses_of_others_are_not_there
    who_acts_as_somebody_changes_none
    every_page_speaks_three_languages
}

async fn signed_in<'s>(service: &'s TestService, name: &str) -> Browser<'s> {
    let mut browser = Browser::new(service);
    browser.sign_in(name).await;
    browser.get("/accounts/addresses/").await;
    browser
}

/// The path of the page of an address that is listed.
async fn page_of(browser: &mut Browser<'_>, email: &str) -> String {
    let page = browser.get("/accounts/addresses/").await.text();
    let label = format!("\" aria-label=\"Change the address {email}\"");
    let (before, _) = page.split_once(&label).unwrap_or_else(|| panic!("it is listed: {page}"));
    before.rsplit('"').next().unwrap_or_default().to_owned()
}

async fn an_address_is_added_verified_made_primary_and_the_old_one_removed(engine: Engine) {
    let folder = TempDir::new().expect("a folder");
    let service = site(engine, folder.path()).await;
    let aino = service.account("aino").await;
    let mut browser = signed_in(&service, "aino").await;
    let answer = browser.send("/accounts/addresses/", &[("email", "new@example.org")]).await;
    let one = page_of(&mut browser, "new@example.org").await;
    assert_eq!((answer.status, answer.header("location")), (302, &*format!("{one}?sent")));
    let page = browser.get(answer.header("location")).await.text();
    assert!(
        page.contains("We have sent a link to new@example.org.") && page.contains("Not verified"),
        "{page}"
    );
    assert!(!page.contains("current_password"), "only a verified one is made one's own: {page}");
    let first = link(folder.path()).await;

    let primary = [("do", "primary"), ("current_password", PASSWORD)];
    let page = browser.send(&one, &primary).await.text();
    assert!(page.contains("Show first that mail to this address arrives."), "{page}");
    let answer = browser.send(&one, &[("do", "send")]).await;
    assert_eq!(answer.header("location"), format!("{one}?sent"));
    let second = link(folder.path()).await;
    assert!(first != second && second.starts_with("/accounts/email/verify/"), "{second}");
    browser.get(&second).await;
    assert!(browser.send(&second, &[]).await.text().contains("verified"));

    let page = browser.get(&one).await.text();
    assert!(page.contains("Verified") && !page.contains("Not verified"), "{page}");
    for (password, part) in [("", "fill this in"), ("mistaken", "not your current password")] {
        let page = browser.send(&one, &[("do", "primary"), ("current_password", password)]).await;
        assert!(page.text().contains(part), "{}", page.text());
    }
    assert!(
        browser.get("/accounts/email/").await.text().contains("Your address is aino@example.org.")
    );
    browser.get(&one).await;
    let answer = browser.send(&one, &primary).await;
    assert_eq!(answer.header("location"), "/accounts/addresses/?primary", "{}", answer.text());
    assert!(
        browser
            .get("/accounts/addresses/?primary")
            .await
            .text()
            .contains("Your address was changed.")
    );
    assert!(
        browser.get("/accounts/email/").await.text().contains("Your address is new@example.org.")
    );
    let notice = mail(folder.path()).await;
    assert!(notice.contains("To: aino@example.org"), "the old one is told: {notice}");

    browser.get(&one).await;
    let page = browser.send(&one, &[("do", "remove")]).await.text();
    assert!(page.contains("The primary address cannot be removed."), "{page}");
    let old = page_of(&mut browser, "aino@example.org").await;
    browser.get(&old).await;
    let answer = browser.send(&old, &[("do", "remove")]).await;
    assert_eq!(answer.header("location"), "/accounts/addresses/?removed");
    let page = browser.get("/accounts/addresses/?removed").await.text();
    assert!(
        page.contains("The address was removed.") && !page.contains("aino@example.org"),
        "{page}"
    );
    assert_eq!(browser.get(&old).await.status, 404);

    let about = Search { account: Some(aino), ..Search::default() };
    let told = audit::search(service.store(), &about, None, 5).await.expect("it reads");
    let told: Vec<_> = told
        .iter()
        .map(|entry| (entry.event.as_str(), entry.actor, &*entry.details))
        .filter(|(event, ..)| !event.starts_with("sign_in"))
        .collect();
    let detail = |name: &str, value: &str| json!({ name: value }).to_string();
    let [removed, from, verified, added] = [
        detail("removed", "aino@example.org"),
        detail("from", "aino@example.org"),
        detail("address", "new@example.org"),
        detail("added", "new@example.org"),
    ];
    let expected = [
        ("email_addresses", Some(aino), &*removed),
        ("email_change", Some(aino), &from),
        ("email_verification", Some(aino), &verified),
        ("email_addresses", Some(aino), &added),
    ];
    assert_eq!(told, expected);
}

async fn what_cannot_be_is_told(engine: Engine) {
    let folder = TempDir::new().expect("a folder");
    let service = site(engine, folder.path()).await;
    service.account("aino").await;
    let mut browser = signed_in(&service, "aino").await;
    for (email, part) in [
        ("", "E-mail address: fill this in."),
        ("no <address>", "not an e-mail address"),
        ("AINO@example.org", "You have this address already."),
    ] {
        let page = browser.send("/accounts/addresses/", &[("email", email)]).await.text();
        assert!(page.contains(part) && !page.contains("<address>"), "{part}: {page}");
    }
    for at in 1..10 {
        let email = format!("further{at}@example.org");
        assert_eq!(browser.send("/accounts/addresses/", &[("email", &email)]).await.status, 302);
    }
    let page = browser.send("/accounts/addresses/", &[("email", "x@example.org")]).await.text();
    assert!(page.contains("as many addresses as you may have"), "{page}");
    let answer = browser.send_bare("/accounts/addresses/", &[("email", "y@example.org")]).await;
    assert_eq!(answer.status, 403, "without the form's secret");
    assert!(answer.text().contains("y@example.org"), "{}", answer.text());
    for nowhere in ["0", "x", "99999999999999999999"] {
        let path = format!("/accounts/addresses/{nowhere}/");
        assert_eq!(browser.get(&path).await.status, 404, "{nowhere}");
    }
}

async fn addresses_of_others_are_not_there(engine: Engine) {
    let service = TestService::start(engine).await;
    service.account("aino").await;
    service.account("eino").await;
    let mut aino = signed_in(&service, "aino").await;
    aino.send("/accounts/addresses/", &[("email", "more@example.org")]).await;
    let one = page_of(&mut aino, "more@example.org").await;
    let mut eino = signed_in(&service, "eino").await;
    assert_eq!(eino.get(&one).await.status, 404);
    for does in ["send", "remove", "primary"] {
        let fields = [("do", does), ("current_password", PASSWORD)];
        assert_eq!(eino.send(&one, &fields).await.status, 404, "{does}");
    }
    assert_eq!(aino.get(&one).await.status, 200);
}

async fn who_acts_as_somebody_changes_none(engine: Engine) {
    let service = TestService::with(engine, &[("sessions.acting", "on")]).await;
    service.account("aino").await;
    service.account_with("root", |draft| (draft.is_staff, draft.is_superuser) = (true, true)).await;
    let mut aino = signed_in(&service, "aino").await;
    aino.send("/accounts/addresses/", &[("email", "more@example.org")]).await;
    let mut root = signed_in(&service, "root").await;
    root.get("/accounts/acting/").await;
    root.send("/accounts/acting/", &[("username", "aino")]).await;
    let one = page_of(&mut root, "more@example.org").await;
    for (target, does) in
        [("/accounts/addresses/", ""), (&*one, "send"), (&one, "remove"), (&one, "primary")]
    {
        let fields = [("do", does), ("email", "root@example.org"), ("current_password", PASSWORD)];
        let page = root.send(target, &fields).await.text();
        assert!(page.contains("for them alone to change"), "{target} {does}: {page}");
    }
    let page = aino.get("/accounts/addresses/").await.text();
    assert!(page.contains("more@example.org") && !page.contains("root@example.org"), "{page}");
}

async fn every_page_speaks_three_languages(engine: Engine) {
    let service = TestService::start(engine).await;
    service.account("aino").await;
    let mut browser = signed_in(&service, "aino").await;
    browser.send("/accounts/addresses/", &[("email", "more@example.org")]).await;
    let one = page_of(&mut browser, "more@example.org").await;
    for (language, all, send) in [
        ("fi", "Sähköpostiosoitteet", "Lähetä linkki"),
        ("sv", "E-postadresser", "Skicka en länk"),
        ("en", "E-mail addresses", "Send a link"),
    ] {
        browser.send("/accounts/language/", &[("language", language)]).await;
        let page = browser.get("/accounts/addresses/").await.text();
        assert!(page.contains(all), "{language}: {page}");
        let page = browser.get(&one).await.text();
        assert!(page.contains(send), "{language}: {page}");
    }
}
