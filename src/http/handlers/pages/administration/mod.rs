//! The administration: read the form, run the flow, show what came of it.

mod access;
mod account;
mod accounts;
mod audit;
mod clients;
mod front;
mod keys;
mod list;
mod mail;
mod throttles;
mod tokens;

use http::StatusCode;
use serde_json::{Value, json};

use super::refuse_rules;
use crate::account::account::{Account, AccountId};
use crate::flow::steward::{NotDone, Steward};
use crate::flow::{Error, Fault, acting};
use crate::http::pages::{Reply, Visit, quoted};
use crate::page::form::Form;
use crate::page::section::Section;

/// Answers a request for a page of the administration.
pub(super) async fn answer(visit: &mut Visit<'_>, section: Section) -> Result<Reply, Error> {
    match section {
        Section::Front => front::front(visit).await,
        Section::Accounts => accounts::list(visit).await,
        Section::NewAccount => accounts::new(visit).await,
        Section::ApiKeys => tokens::tokens(visit).await,
        Section::Clients => clients::list(visit).await,
        Section::NewClient => clients::new(visit).await,
        Section::Client => clients::client(visit).await,
        Section::SigningKeys => keys::keys(visit).await,
        Section::Mail => mail::mail(visit).await,
        Section::Audit => audit::audit(visit).await,
        Section::Throttles => throttles::throttles(visit).await,
        Section::Account => account::account(visit).await,
        Section::AccountAccess => access::access(visit).await,
        Section::AccountPassword => account::password(visit).await,
        Section::AccountDeletion => account::delete(visit).await,
    }
}

/// Who is at work; the page's audience makes sure of it.
fn steward<'v>(visit: &'v Visit<'_>) -> Result<Steward<'v>, Error> {
    let nobody = Error::Fault(Fault::Broken("a page of the administration was shown to others"));
    visit.context().steward(&visit.caller, visit.account()?).ok_or(nobody)
}

/// The account that the path names.
async fn subject(visit: &Visit<'_>) -> Result<Option<Account>, Error> {
    match visit.place("id").parse() {
        Ok(id) => steward(visit)?.find(AccountId::new(id)).await,
        Err(_) => Ok(None),
    }
}

/// The page for what somebody may not do.
fn forbidden(visit: &Visit<'_>) -> Reply {
    let action = Some(("administration.home", visit.administered("/")));
    let text = visit.say("administration.not_allowed");
    visit.message("error.forbidden_title", &text, action).status(StatusCode::FORBIDDEN)
}

/// Notes in a form why something was not done; the page for it where no form can say it.
fn refuse(visit: &Visit<'_>, form: &mut Form, why: &NotDone) -> Option<Reply> {
    match why {
        NotDone::NotAllowed => return Some(forbidden(visit)),
        NotDone::Oneself => form.refuse_all(visit.say("administration.oneself")),
        NotDone::BadUsername => form.refuse("username", visit.say("wrong.username")),
        NotDone::UsernameTaken => form.refuse("username", visit.say("wrong.username_taken")),
        NotDone::EmailTaken => form.refuse("email", visit.say("wrong.email_taken")),
        NotDone::Password(broken) => refuse_rules(visit, form, "new_password", broken),
        NotDone::HasKey => form.refuse("username", visit.say("administration.tokens.has_one")),
        NotDone::Referred => form.refuse_all(visit.say("administration.referred")),
        NotDone::LeftToDjango => form.refuse_all(visit.say("administration.left_to_django")),
    }
    None
}

/// What came of the last form, in words; `?done=` names it.
fn done(visit: &Visit<'_>) -> String {
    visit.say(&format!("administration.done.{}", visit.asked("done")))
}

/// The path of a page of an account.
fn at(visit: &Visit<'_>, account: AccountId, page: &str) -> String {
    visit.administered(&format!("/auth/user/{account}/{page}/"))
}

/// What all pages of an account show of it.
fn about(visit: &Visit<'_>, account: &Account, page: &str) -> Result<Value, Error> {
    let steward = steward(visit)?;
    let may_act = acting::may_act(visit.context(), visit.account()?, account);
    let act = format!("{}?username={}", visit.at("/acting/"), quoted(&account.username));
    Ok(json!({
        "current": "accounts",
        "page": page,
        "done": done(visit),
        "subject": {
            "id": account.id.get(),
            "username": account.username,
            "is_active": account.is_active,
            "is_staff": account.is_staff,
            "is_superuser": account.is_superuser,
            "joined": account.date_joined.seconds(),
            "last_login": account.last_login.map(crate::base::clock::Timestamp::seconds),
        },
        "may_change": steward.may_change(account),
        "may_rank": steward.is_superuser(),
        "act": may_act.then_some(act),
        "is_oneself": steward.is_oneself(account),
    }))
}
