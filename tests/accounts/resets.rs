//! Asking for a mail: nobody can tell whether somebody gets one.

use std::time::Duration;

use avain::store::outbox;
use serde_json::json;

use crate::site::{Engine, Site};

on_both_engines! {
    who_asks_for_nobodys_mail_leaves_nothing_behind
    all_accounts_of_an_address_get_a_mail_or_none
}

impl Site {
    /// Waits until nothing waits in the outbox, and gives how many rows are left there.
    async fn settled(&self) -> usize {
        let store = &self.context().store;
        for _ in 0..500 {
            if outbox::depth(store).await.expect("the store answers").waiting == 0 {
                return outbox::list(store, None, None, 100).await.expect("it lists").len();
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        panic!("the outbox is never empty");
    }
}

async fn who_asks_for_nobodys_mail_leaves_nothing_behind(engine: Engine) {
    let site = Site::with(engine, &[("account.activation", "on")]).await;
    let (id, _) = site.account("off", "off@example.org").await;
    site.switch_off_elsewhere(id).await;
    site.account("aino", "aino@example.org").await;
    for (path, somebodys) in [
        ("/auth/users/reset_password/", "aino@example.org"),
        ("/auth/users/reset_username/", "aino@example.org"),
        ("/auth/users/resend_activation/", "off@example.org"),
        ("/auth/password/reset/", "aino@example.org"),
        ("/users/password/reset/", "aino@example.org"),
        ("/users/register/resend-email/", "aino@example.org"),
    ] {
        let nobodys = ["nobody@example.org", "aino@example.org", "off@example.org"];
        let nobodys = nobodys.into_iter().filter(|email| *email != somebodys);
        let rows = site.settled().await;
        let mut answers = Vec::new();
        for email in nobodys {
            answers.push(site.ask("POST", path, "", &json!({ "email": email })).await);
            if email == "nobody@example.org" {
                assert_eq!(site.settled().await, rows, "{path}: {email}");
            }
        }
        answers.push(site.ask("POST", path, "", &json!({ "email": somebodys })).await);
        assert!(site.settled().await > rows, "{path}: somebody gets one");
        let seen: Vec<_> = answers.iter().map(|answer| (answer.status, answer.text())).collect();
        assert!(seen.iter().all(|one| *one == seen[0]), "{path}: {seen:?}");
        assert!(
            site.mails("nobody@localhost").is_empty()
                && site.mails("nobody@example.org").is_empty()
        );
        site.pass(Duration::from_hours(1));
    }
}

async fn all_accounts_of_an_address_get_a_mail_or_none(engine: Engine) {
    let site = Site::with(engine, &[]).await;
    for name in ["aino", "eero"] {
        site.account(name, "both@example.org").await;
    }
    let body = json!({ "email": "both@example.org" });
    let answer = site.ask("POST", "/auth/users/reset_password/", "", &body).await;
    assert_eq!(answer.status, 204, "{}", answer.text());
    site.mail("both@example.org", 2).await;
}
