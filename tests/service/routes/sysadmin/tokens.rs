//! `/sysadmin/authtoken/token/`: classic API keys of all accounts.

use super::account::{events, named, people, send};
use super::accounts::href;
use crate::browser::Browser;
use crate::harness::{Engine, START, TestService};

on_both_engines! {
    keys_are_found_made_once_shown_and_taken_back
    keys_of_the_powerful_are_for_superusers
    the_list_goes_on_where_it_ended
    the_page_takes_over_a_part_of_anothers_administration
}

const LIST: &str = "/sysadmin/authtoken/token/";

async fn keys_are_found_made_once_shown_and_taken_back(engine: Engine) {
    let service = people(engine).await;
    let aino = named(&service, "aino").await.id;
    let mut browser = Browser::new(&service);
    browser.sign_in("boss").await;
    let (status, text) = send(&mut browser, LIST, &[("do", "make"), ("username", "aino")]).await;
    assert_eq!(status, 200, "{text}");
    let key = service.api_key(aino).await;
    assert!(text.contains(&key) && text.contains("The key of aino:"), "{text}");
    assert!(service.admits(&format!("Token {key}")).await);
    let boss = named(&service, "boss").await.id.get();
    let made = events(&service, aino).await;
    assert_eq!((made[0].0.as_str(), made[0].1), ("api_key_created", Some(boss)));
    let again = send(&mut browser, LIST, &[("do", "make"), ("username", "aino")]).await;
    assert!(again.0 == 200 && again.1.contains("The account has a key already."), "{}", again.1);
    assert!(!again.1.contains(&key), "nobody is shown a key that is there: {}", again.1);
    assert_eq!(events(&service, aino).await.len(), made.len());
    for (query, found) in [("", true), ("?q=AI", true), ("?q=b", false), ("?q=%00", false)] {
        let text = browser.get(&format!("{LIST}{query}")).await.text();
        assert_eq!(text.contains(&key[..8]), found, "{query}: {text}");
        assert!(!text.contains(&key), "it is shown once");
    }
    for (name, why) in [("", "User name: fill this in."), ("nobody", "There is no such account.")] {
        let (status, text) = send(&mut browser, LIST, &[("do", "make"), ("username", name)]).await;
        assert!(status == 200 && text.contains(why), "{text}");
    }
    let id = aino.to_string();
    let taken = [("key", id.as_str())];
    assert_eq!(send(&mut browser, LIST, &taken).await, (302, format!("{LIST}?done=ended")));
    service.refuses_soon(&format!("Token {key}")).await;
    for odd in [&taken[..], &[("key", "x")], &[]] {
        assert_eq!(send(&mut browser, LIST, odd).await.0, 404, "{odd:?}");
    }
}

async fn keys_of_the_powerful_are_for_superusers(engine: Engine) {
    let service = people(engine).await;
    let root = named(&service, "root").await.id;
    let key = service.api_key(root).await;
    let mut browser = Browser::new(&service);
    browser.sign_in("boss").await;
    let (status, text) = send(&mut browser, LIST, &[("do", "make"), ("username", "root")]).await;
    assert!(status == 403 && !text.contains(&key), "{text}");
    // Nor do peers make keys that act as each other.
    let (status, _) = send(&mut browser, LIST, &[("do", "make"), ("username", "clerk")]).await;
    assert_eq!(status, 403);
    let mut chief = Browser::new(&service);
    chief.sign_in("root").await;
    let (status, _) = send(&mut chief, LIST, &[("do", "make"), ("username", "clerk")]).await;
    assert_eq!(status, 200);
    let (status, _) = send(&mut browser, LIST, &[("key", &root.to_string())]).await;
    assert_eq!(status, 403);
    assert!(service.admits(&format!("Token {key}")).await);
}

async fn the_list_goes_on_where_it_ended(engine: Engine) {
    let service = people(engine).await;
    for at in 0..30 {
        let id = service.account(&format!("m{at:02}")).await;
        service.api_key(id).await;
    }
    let mut browser = Browser::new(&service);
    browser.sign_in("boss").await;
    let count = |page: &str| page.matches("name=\"key\" value=").count();
    for query in ["", "?q=m"] {
        let first = browser.get(&format!("{LIST}{query}")).await.text();
        let next = href(&first, "next").expect("there is more");
        let second = browser.get(&next).await.text();
        assert_eq!((count(&first), count(&second)), (25, 5), "{query}");
        assert_eq!(href(&second, "next"), None);
        let back = browser.get(&href(&second, "prev").expect("there is more before")).await.text();
        assert_eq!(count(&back), 25, "{query}");
        assert!(back.contains("m00") && back.contains("m24") && !back.contains("m25"), "{back}");
    }
}

async fn the_page_takes_over_a_part_of_anothers_administration(engine: Engine) {
    let settings = [("pages.administration", "/avain"), ("pages.authtoken", "/sysadmin/authtoken")];
    let database = people(engine).await.stop().await;
    let service = TestService::on(database, &settings, START).await;
    let mut browser = Browser::new(&service);
    assert_eq!(browser.get("/sysadmin/").await.status, 404);
    let answer = browser.get(LIST).await;
    assert_eq!(answer.header("location"), format!("/avain/login/?next={LIST}"));
    browser.sign_in("boss").await;
    let text = browser.get(LIST).await.text();
    assert!(
        text.contains("href=\"/avain/auth/user/\"") && text.contains(&format!("href=\"{LIST}\""))
    );
    assert_eq!(send(&mut browser, LIST, &[("do", "make"), ("username", "aino")]).await.0, 200);
    assert_eq!(browser.get("/avain/authtoken/token/").await.status, 404);
}
