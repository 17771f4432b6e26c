//! Asking for a mail: nobody can tell whether somebody gets one.

use std::time::Duration;

use avain::base::secret::Secret;
use avain::flow::links::{self, Presented};
use avain::flow::{Caller, administer};
use avain::store::{accounts, outbox};
use avain::token::link::Purpose;
use serde_json::json;

use crate::site::{Engine, Site, after};

on_both_engines! {
    who_asks_for_nobodys_mail_leaves_nothing_behind
    all_accounts_of_an_address_get_a_mail_or_none
    a_link_that_was_judged_is_held_against_the_account_again
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

async fn a_link_that_was_judged_is_held_against_the_account_again(engine: Engine) {
    let site = Site::with(engine, &[]).await;
    let (context, caller) = (site.context(), Caller::default());
    let (store, now) = (&context.store, context.now());
    for (name, measure) in [("aino", "password"), ("eino", "address"), ("oiva", "nothing")] {
        let email = format!("{name}@example.org");
        let (id, _) = site.account(name, &email).await;
        let body = json!({ "email": email });
        for count in 1..=2 {
            let answer = site.ask("POST", "/auth/users/reset_password/", "", &body).await;
            assert_eq!(answer.status, 204, "{}", answer.text());
            site.mail(&email, count).await;
        }
        let mut links = Vec::new();
        for mail in site.mails(&email) {
            let uid = after(&mail, "reset/confirm/").to_owned();
            let token = after(&mail, &format!("reset/confirm/{uid}/")).to_owned();
            let purpose = Purpose::PasswordReset;
            let looked = links::look_at(context, Some(id), &token, purpose, now).await;
            let Ok(Presented::Good(_, link)) = looked else { panic!("{looked:?}") };
            links.push(link);
        }
        let hash = context.hashing.hash(Secret::new("an0ther-one".to_owned())).await;
        match measure {
            "password" => {
                let hash = hash.expect("there is room");
                let set = administer::set_password(store, &caller, id, &hash, now);
                set.await.expect("it is set");
            }
            "address" => {
                let mut tx = store.begin("test").await.expect("it begins");
                let set = accounts::set_email_in(&mut tx, id, &email, "new@example.org", now);
                assert!(set.await.expect("it runs"));
                tx.commit().await.expect("it commits");
            }
            _ => {}
        }
        for link in links {
            let mut tx = store.begin("test").await.expect("it begins");
            let used = link.use_up(context, &mut tx, now).await.expect("it runs");
            assert_eq!(used, measure == "nothing", "{measure}");
        }
    }
}
