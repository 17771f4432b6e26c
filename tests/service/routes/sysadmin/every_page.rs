//! What holds for every page of the administration: whom it is for, and forms that cannot be ours.

use avain::http::routes::{Audience, PAGES, PageMount};
use avain::page::Page;

use super::account::{named, people};
use crate::browser::Browser;
use crate::harness::{Engine, TestService};

on_both_engines! {
    pages_are_for_staff_and_forms_for_those_who_saw_them
    every_page_is_small_and_complete
}

/// The paths of all pages of the administration, with an account and a client of that id in them.
async fn paths(service: &TestService) -> Vec<String> {
    let aino = named(service, "aino").await.id.to_string();
    let rows = PAGES.iter().filter(|row| row.audience == Audience::Staff);
    let path = |row: &avain::http::routes::PageRow| {
        assert!(matches!(row.page, Page::Administration(_)), "{row:?}");
        let mount =
            if row.mount == PageMount::ApiKeys { "/sysadmin/authtoken" } else { "/sysadmin" };
        let id = if row.path.contains("client") { "shop" } else { &aino };
        format!("{mount}{}/", row.path.replace("{id}", id))
    };
    let paths: Vec<_> = rows.map(path).collect();
    assert!(paths.len() > 12, "{paths:?}");
    paths
}

/// A client beside the people.
async fn site(engine: Engine) -> TestService {
    let service = people(engine).await;
    let mut root = Browser::new(&service);
    root.sign_in("root").await;
    root.get("/sysadmin/clients/add/").await;
    let answer = root.send("/sysadmin/clients/add/", &[("client_id", "shop")]).await;
    assert!(answer.status == 200 && answer.text().contains("avcs_"), "{}", answer.text());
    service
}

async fn pages_are_for_staff_and_forms_for_those_who_saw_them(engine: Engine) {
    let service = site(engine).await;
    let [mut nobody, mut member, mut staff, mut superuser] =
        [(); 4].map(|()| Browser::new(&service));
    member.sign_in("aino").await;
    staff.sign_in("boss").await;
    superuser.sign_in("root").await;
    for path in paths(&service).await {
        let answer = nobody.get(&path).await;
        assert_eq!(answer.status, 302, "{path}");
        assert_eq!(answer.header("location"), format!("/sysadmin/login/?next={path}"));
        assert_eq!(nobody.send_bare(&path, &[]).await.status, 302, "{path}");
        assert_eq!(member.get(&path).await.status, 403, "{path}");
        assert_eq!(member.send_bare(&path, &[]).await.status, 403, "{path}");
        let for_superusers = path == "/sysadmin/clients/add/";
        let expected = if for_superusers { 403 } else { 200 };
        assert_eq!(staff.get(&path).await.status, expected, "{path}");
        assert_eq!(superuser.get(&path).await.status, 200, "{path}");
        for fields in
            [vec![("username", "typed")], vec![("csrfmiddlewaretoken", "x"), ("username", "typed")]]
        {
            let answer = superuser.send_bare(&path, &fields).await;
            assert_eq!(answer.status, 403, "{path}");
            let text = answer.text();
            assert!(text.contains("Please send the form once more"), "{path}: {text}");
            assert!(text.contains("value=\"typed\""), "{path}: {text}");
        }
    }
}

async fn every_page_is_small_and_complete(engine: Engine) {
    let service = site(engine).await;
    for language in ["en", "fi", "sv"] {
        let mut browser = Browser::new(&service).header("Accept-Language", language);
        browser.sign_in("root").await;
        for path in paths(&service).await {
            let answer = browser.get(&path).await;
            let text = answer.text();
            assert!(text.len() <= 30_000, "{path}: {} bytes", text.len());
            assert!(text.contains(&format!("<html lang=\"{language}\">")), "{path}");
            for odd in
                ["<script", " style=\"", " src=", "<th role=\"columnheader\" scope=\"col\"></th>"]
            {
                assert!(!text.contains(odd), "{path}: {odd}");
            }
            assert_eq!(answer.header("cache-control"), "no-store");
        }
    }
}
