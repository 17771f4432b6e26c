//! `/sysadmin/mail/`: the queue of mails.

use avain::flow::audit::{self, Event, Search};
use avain::store::outbox::{self, MailState, NewMail};

use super::account::{named, people, send};
use super::accounts::href;
use crate::browser::Browser;
use crate::harness::{Engine, TestService};

on_both_engines! {
    mails_are_listed_retried_and_dropped
    mails_are_dropped_by_superusers_alone
}

const MAIL: &str = "/sysadmin/mail/";

/// Mails that can never be sent: they wait for an operator.
async fn failed(service: &TestService, count: usize) {
    for number in 0..count {
        let mut tx = service.store().begin("add mail").await.expect("begins");
        let id = format!("{number:032x}");
        let content = Err("there is no address");
        let mail = NewMail { id: &id, message: "activation", language: "fi", content };
        outbox::add(&mut tx, &mail, service.now()).await.expect("is added");
        tx.commit().await.expect("commits");
    }
}

async fn mails_are_listed_retried_and_dropped(engine: Engine) {
    let service = people(engine).await;
    failed(&service, 30).await;
    let mut browser = Browser::new(&service);
    browser.sign_in("root").await;
    let first = browser.get(&format!("{MAIL}?state=failed")).await.text();
    assert!(first.contains("activation (fi)") && first.contains("there is no address"), "{first}");
    let next = href(&first, "next").expect("there is more");
    assert!(next.contains("state=failed"), "{next}");
    let second = browser.get(&next).await.text();
    assert_eq!(second.matches("name=\"drop\"").count(), 5);
    let back = href(&second, "prev").expect("there is more before");
    assert_eq!(browser.get(&back).await.text().matches("name=\"drop\"").count(), 25);
    assert!(browser.get(&format!("{MAIL}?state=queued")).await.text().contains("nothing of that"));
    let id = format!("{:032x}", 3);
    assert_eq!(send(&mut browser, MAIL, &[("retry", &id)]).await.0, 404, "it can never be sent");
    let dropped = send(&mut browser, MAIL, &[("drop", &id)]).await;
    assert_eq!(dropped, (302, format!("{MAIL}?done=dropped")));
    assert_eq!(send(&mut browser, MAIL, &[("drop", &id)]).await.0, 404, "once");
    assert_eq!(send(&mut browser, MAIL, &[]).await.0, 404);
    assert_eq!(send(&mut browser, MAIL, &[("do", "retry_all")]).await.0, 302);
    let left = outbox::list(service.store(), Some(MailState::Failed), None, 99).await;
    assert_eq!(left.expect("it answers").len(), 29);
    let search = Search { event: Some(Event::OutboxChanged), ..Search::default() };
    let told = audit::search(service.store(), &search, None, 9).await.expect("it answers");
    let root = named(&service, "root").await.id;
    assert_eq!(told.len(), 1, "{told:?}");
    assert_eq!(told[0].actor, Some(root));
    assert!(told[0].details.contains(&id), "{:?}", told[0].details);
}

/// Whoever could drop a mail could keep a warning from who has to have it.
async fn mails_are_dropped_by_superusers_alone(engine: Engine) {
    let service = people(engine).await;
    failed(&service, 1).await;
    let mut browser = Browser::new(&service);
    browser.sign_in("boss").await;
    let page = browser.get(MAIL).await.text();
    assert!(page.contains("name=\"retry\"") && !page.contains("name=\"drop\""), "{page}");
    let id = format!("{:032x}", 0);
    assert_eq!(send(&mut browser, MAIL, &[("drop", &id)]).await.0, 403);
    let left = outbox::list(service.store(), Some(MailState::Failed), None, 9).await;
    assert_eq!(left.expect("it answers").len(), 1);
}
