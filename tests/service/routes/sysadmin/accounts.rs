//! `/sysadmin/auth/user/`: accounts.

use crate::browser::Browser;
use crate::harness::{Engine, TestService};

on_both_engines! {
    the_list_is_for_staff
    accounts_are_found_by_how_they_begin_and_by_state
    pages_go_on_where_they_ended
}

async fn staff(service: &TestService) {
    service.account_with("boss", |draft| draft.is_staff = true).await;
}

/// The first cells of a list.
pub(super) fn rows(page: &str) -> Vec<String> {
    page.split("<tr role=\"row\"><td")
        .skip(1)
        .map(|row| {
            let cell = row.split("</td>").next().unwrap_or_default();
            let text = cell.split_once('>').map_or("", |(_, text)| text).trim();
            let text = text.strip_suffix("</a>").unwrap_or(text);
            text.rsplit('>').next().unwrap_or_default().to_owned()
        })
        .collect()
}

/// Where a link of a page leads.
pub(super) fn href(page: &str, rel: &str) -> Option<String> {
    let (_, rest) = page.split_once(&format!("rel=\"{rel}\" href=\""))?;
    rest.split('"').next().map(|href| href.replace("&amp;", "&"))
}

async fn the_list_is_for_staff(engine: Engine) {
    let service = TestService::start(engine).await;
    service.account("aino").await;
    let mut browser = Browser::new(&service);
    let answer = browser.get("/sysadmin/auth/user/").await;
    assert_eq!(answer.status, 302);
    assert_eq!(answer.header("location"), "/sysadmin/login/?next=/sysadmin/auth/user/");
    browser.sign_in("aino").await;
    let answer = browser.get("/sysadmin/auth/user/").await;
    assert_eq!(answer.status, 403);
    assert!(answer.text().contains("who may not enter the administration"), "{}", answer.text());
    assert!(answer.text().contains("href=\"/sysadmin/login/?next=/sysadmin/auth/user/\""));
}

async fn accounts_are_found_by_how_they_begin_and_by_state(engine: Engine) {
    let service = TestService::start(engine).await;
    staff(&service).await;
    for name in ["aino", "Aila", "bertta", "väinö", "a_b", "a+b"] {
        let made = service.account_with(name, |draft| {
            draft.email = format!("{}@x.example.org", name.to_uppercase());
        });
        made.await;
    }
    service.account_with("zoe", |draft| draft.email = String::new()).await;
    let off = |draft: &mut avain::flow::administer::AccountDraft| draft.is_active = false;
    service.account_with("off", off).await;
    service.account_with("root", |draft| draft.is_superuser = true).await;
    let mut browser = Browser::new(&service);
    browser.sign_in("boss").await;
    for (query, expected) in [
        ("q=ai", vec!["Aila", "aino"]),
        ("q=AI", vec!["Aila", "aino"]),
        ("q=a_", vec!["a_b"]),
        ("q=a%25", vec![]),
        ("q=v%C3%A4", vec!["väinö"]),
        ("q=%00", vec![]),
        ("q=ino", vec![]),
        ("q=ai&by=email", vec!["Aila", "aino"]),
        ("q=b&by=email", vec!["bertta", "boss"]),
        ("q=z", vec!["zoe"]),
        ("q=z&by=email", vec![]),
        ("active=0&by=email", vec!["off"]),
        ("active=0", vec!["off"]),
        ("active=1&q=o", vec![]),
        ("rank=staff", vec!["boss"]),
        ("rank=superuser", vec!["root"]),
        ("rank=member&q=o", vec!["off"]),
        ("rank=nonsense&active=x&by=&q=r", vec!["root"]),
        ("active=0&rank=staff", vec![]),
    ] {
        let page = browser.get(&format!("/sysadmin/auth/user/?{query}")).await;
        assert_eq!(page.status, 200, "{query}");
        assert_eq!(rows(&page.text()), expected, "{query}");
    }
}

async fn pages_go_on_where_they_ended(engine: Engine) {
    let service = TestService::start(engine).await;
    staff(&service).await;
    let mut browser = Browser::new(&service);
    browser.sign_in("boss").await;
    for at in 0..60 {
        service.account(&format!("member{at:02}")).await;
    }
    let mut page = browser.get("/sysadmin/auth/user/?q=member").await.text();
    assert!(page.len() <= 30_000, "{} bytes", page.len());
    assert_eq!(href(&page, "prev"), None);
    let (mut seen, mut pages) = (rows(&page), 1);
    // Who comes in on an earlier page moves nothing on the later ones.
    service.account("member00a").await;
    while let Some(next) = href(&page, "next") {
        page = browser.get(&next).await.text();
        seen.extend(rows(&page));
        pages += 1;
    }
    let expected: Vec<_> = (0..60).map(|at| format!("member{at:02}")).collect();
    assert_eq!((seen, pages), (expected, 3));
    let mut back = rows(&page);
    while let Some(previous) = href(&page, "prev") {
        page = browser.get(&previous).await.text();
        back = [rows(&page), back].concat();
    }
    assert_eq!(back.len(), 61);
    assert!(back.is_sorted(), "{back:?}");
    // A place outside of what is asked for leads nowhere else.
    let page = browser.get("/sysadmin/auth/user/?q=member5&after=1:a").await.text();
    assert_eq!(rows(&page).len(), 10);
}
