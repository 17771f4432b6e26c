//! What staff may do with the accounts of others.

use avain::account::email::EmailAddress;
use avain::account::password::StoredPassword;
use avain::flow::Caller;
use avain::flow::administer::{self, AccountDraft, AdministrationError};
use avain::flow::steward::{Newcomer, NotDone, Particulars};
use avain::store::accounts::Edit;
use serde_json::{Value, json};

use crate::site::{Engine, PASSWORD, Site};

on_both_engines! {
    staff_changes_members_alone
    accounts_that_staff_makes_at_once_share_no_address
    accounts_that_operators_make_at_once_share_no_address
}

/// Whoever could move somebody's mail address could then reset the password: djoser lets all of staff.
async fn staff_changes_members_alone(engine: Engine) {
    let site = Site::with(engine, &[]).await;
    let (plain, key) = site.account("aino", "aino@example.org").await;
    let (root, chief) = site.account_with("root", "root@example.org", true, true).await;
    let (_, staff) = site.account_with("eero", "eero@example.org", true, false).await;
    let (peer, _) = site.account_with("ilta", "ilta@example.org", true, false).await;
    let of = |id| format!("/auth/users/{id}/");
    let moved = json!({ "email": "moved@example.org" });
    let deletion = json!({ "current_password": PASSWORD });

    for (id, email) in [(root, "root@example.org"), (peer, "ilta@example.org")] {
        assert_eq!(site.ask("GET", &of(id), &staff, &Value::Null).await.status, 200);
        for (method, body) in [("PATCH", &moved), ("PUT", &moved), ("DELETE", &deletion)] {
            let answer = site.ask(method, &of(id), &staff, body).await;
            let why = "You do not have permission to perform this action.";
            answer.is(403, json!({ "detail": why }));
        }
        assert_eq!(site.stored(id).await.email, email);
    }
    assert_eq!(site.ask("PATCH", &of(peer), &chief, &moved).await.status, 200);

    assert_eq!(site.ask("PATCH", &of(root), &key, &moved).await.status, 404);
    assert_eq!(site.ask("PATCH", &of(plain), &staff, &moved).await.status, 200);
    assert_eq!(site.ask("DELETE", &of(plain), &chief, &deletion).await.status, 204);
}

async fn accounts_that_staff_makes_at_once_share_no_address(engine: Engine) {
    let site = Site::with(engine, &[("account.unique_email", "on")]).await;
    let (boss, _) = site.account_with("boss", "boss@example.org", true, false).await;
    let (boss, caller) = (site.stored(boss).await, Caller::default());
    let make = async |username: &str| {
        let steward = site.context().steward(&caller, &boss).expect("boss is of staff");
        let particulars = Particulars {
            username: username.to_owned(),
            email: EmailAddress::parse("one@example.org").ok(),
            first_name: String::new(),
            last_name: String::new(),
        };
        let new = Newcomer { particulars, password: None, rank: (false, false) };
        steward.create(new).await.expect("the store answers")
    };
    let made = tokio::join!(make("a"), make("b"), make("c"), make("d"));
    let made = [made.0, made.1, made.2, made.3];
    assert_eq!(made.iter().filter(|made| made.is_ok()).count(), 1, "{made:?}");
    let refused = made.iter().filter(|made| **made == Err(NotDone::EmailTaken));
    assert_eq!(refused.count(), 3, "{made:?}");
}

/// As several runs of `avain user create` at once do.
async fn accounts_that_operators_make_at_once_share_no_address(engine: Engine) {
    let site = Site::with(engine, &[]).await;
    let (context, caller) = (site.context(), Caller::command_line());
    let (aino, _) = site.account("aino", "aino@example.org").await;
    let make = async |username: &str| {
        let draft = AccountDraft {
            username: username.to_owned(),
            email: "One@example.org".to_owned(),
            first_name: String::new(),
            last_name: String::new(),
            password: StoredPassword::unusable(context.random.as_ref()),
            is_active: true,
            is_staff: false,
            is_superuser: false,
            classic_key: None,
            unique_email: true,
        };
        administer::create(&context.store, &caller, draft, context.now()).await
    };
    let moves = async || {
        let edit = Edit {
            email: "one@example.org".to_owned(),
            first_name: String::new(),
            last_name: String::new(),
            flags: None,
        };
        let (store, now) = (&context.store, context.now());
        administer::edit(store, &caller, aino, &edit, true, now).await.map(|()| aino)
    };
    let made = tokio::join!(make("a"), make("b"), moves(), make("c"));
    let made = [made.0, made.1, made.2, made.3];
    assert_eq!(made.iter().filter(|made| made.is_ok()).count(), 1, "{made:?}");
    let has = |why: &AdministrationError| why.to_string().contains("has the address");
    let refused = made.iter().filter(|made| made.as_ref().is_err_and(has));
    assert_eq!(refused.count(), 3, "{made:?}");
}
