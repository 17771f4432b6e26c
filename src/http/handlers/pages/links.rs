//! Links of mails: asking for them, and following them. Opening one changes nothing: programs that look at
//! mails before people do open them too.

use http::StatusCode;
use serde_json::json;

use super::register::activation;
use super::{address, new_password, refuse_rules, required, with_form};
use crate::account::account::AccountId;
use crate::flow::activate::{self, NotActivated};
use crate::flow::change_email::{self, NotMoved};
use crate::flow::change_username::{self, NotRenamed};
use crate::flow::links::{LinkKind, UidForm};
use crate::flow::reset_password::{self, Matching, NotReset, Order};
use crate::flow::{Error, emails, register};
use crate::http::pages::{Reply, Visit};
use crate::mail::message::Message;
use crate::page::Page;
use crate::page::form::Form;
use crate::token::link::{self, Purpose};

/// Asks for a link for a forgotten password. The answer is the same whether there is such an account.
pub(super) async fn request_reset(visit: &mut Visit<'_>) -> Result<Reply, Error> {
    let (form, email) = match asked_address(visit, "reset_request") {
        Ok(read) => read,
        Err(reply) => return Ok(*reply),
    };
    let context = visit.context();
    let kind = LinkKind {
        purpose: Purpose::PasswordReset,
        message: Message::PasswordReset,
        pattern: &context.accounts.password_reset_url,
        uid: UidForm::Base64,
    };
    let (caller, matching) = (&visit.caller, Matching::AnyCase);
    reset_password::request(context, caller, &email, matching, &kind).await?;
    Ok(sent(visit, &form))
}

/// Asks for another activation mail, in the same way.
pub(super) async fn resend_activation(visit: &mut Visit<'_>) -> Result<Reply, Error> {
    let (form, email) = match asked_address(visit, "resend_activation") {
        Ok(read) => read,
        Err(reply) => return Ok(*reply),
    };
    let context = visit.context();
    if context.accounts.activation {
        let (caller, kind) = (&visit.caller, activation(context));
        activate::resend(context, caller, &email, Matching::AnyCase, &kind).await?;
    }
    Ok(sent(visit, &form))
}

/// The address that was typed, or the form that asks for it.
fn asked_address(visit: &mut Visit<'_>, what: &str) -> Result<(Form, String), Box<Reply>> {
    let shown = |form: &Form| {
        Box::new(Reply::page("address.html", with_form(form, json!({ "what": what }))))
    };
    if !visit.is_post() {
        return Err(shown(&Form::default()));
    }
    let mut form = visit.take_form();
    required(visit, &mut form, "email");
    match address(visit, &mut form) {
        Some(email) if form.is_fine() => Ok((form, email.as_str().to_owned())),
        _ => Err(shown(&form)),
    }
}

fn sent(visit: &Visit<'_>, form: &Form) -> Reply {
    let text = visit.say_with("link.sent", &[("email", &form.text("email"))]);
    visit.message("link.sent_title", &text, None)
}

/// The page of a link that cannot be followed, with a way to another one.
fn bad(visit: &Visit<'_>, another: Option<&str>) -> Reply {
    let action = another.map(|path| ("link.another", visit.at(path)));
    visit.message("link.bad_title", &visit.say("link.bad"), action).status(StatusCode::NOT_FOUND)
}

/// A button that follows the link.
fn follow(what: &str) -> Reply {
    Reply::page("follow.html", json!({ "what": what }))
}

/// Done, and on to signing in.
fn done(visit: &Visit<'_>, what: &str) -> Reply {
    let text = visit.say(&format!("{what}.done"));
    let action = Some(("sign_in.button", visit.at("/login/")));
    visit.message(&format!("{what}.done_title"), &text, action)
}

fn account_of(visit: &Visit<'_>) -> Option<AccountId> {
    link::account_of_uid(visit.place("uid"))
}

/// Switches an account on.
pub(super) async fn activate(visit: &mut Visit<'_>) -> Result<Reply, Error> {
    if !visit.is_post() {
        return Ok(follow("activate"));
    }
    let context = visit.context();
    let notice = context.accounts.confirm_activation.then_some(Message::ActivationDone);
    let (account, token) = (account_of(visit), visit.place("token"));
    Ok(match activate::activate(context, &visit.caller, account, token, notice, false).await? {
        Ok(_) => done(visit, "activate"),
        Err(NotActivated::Stale) => {
            let action = Some(("sign_in.button", visit.at("/login/")));
            visit.message("link.stale_title", &visit.say("link.stale"), action)
        }
        Err(NotActivated::NoAccount | NotActivated::BadToken) => bad(visit, Some("/activate/")),
    })
}

/// Sets another password for somebody who has forgotten it.
pub(super) async fn reset(visit: &mut Visit<'_>) -> Result<Reply, Error> {
    let account = match visit.page {
        Page::AllauthReset => link::account_of_uid36(visit.place("uid")),
        _ => account_of(visit),
    };
    let token = visit.place("token").to_owned();
    let minimum = visit.context().accounts.passwords.minimum;
    let shown =
        |form: &Form| Reply::page("reset.html", with_form(form, json!({ "minimum": minimum })));
    let another = Some("/password_reset/");
    if !visit.is_post() {
        let fault = reset_password::look_at(visit.context(), account, &token).await?;
        return Ok(if fault.is_some() { bad(visit, another) } else { shown(&Form::default()) });
    }
    let mut form = visit.take_form();
    let new = new_password(visit, &mut form, "new_password");
    if !form.is_fine() {
        return Ok(shown(&form));
    }
    let (context, caller) = (visit.context(), &visit.caller);
    let notice = context.accounts.confirm_password;
    let order = Order::LinkFirst;
    let done_with =
        reset_password::confirm(context, caller, account, &token, new, order, notice).await?;
    Ok(match done_with {
        Ok(_) => done(visit, "reset"),
        Err(NotReset::Rules(broken)) => {
            refuse_rules(visit, &mut form, "new_password", &broken);
            shown(&form)
        }
        Err(NotReset::NoAccount | NotReset::BadToken) => bad(visit, another),
    })
}

/// Sets another user name for somebody who has forgotten it.
pub(super) async fn reset_username(visit: &mut Visit<'_>) -> Result<Reply, Error> {
    let shown = |form: &Form| Reply::page("username_reset.html", with_form(form, json!({})));
    if !visit.is_post() {
        return Ok(shown(&Form::default()));
    }
    let mut form = visit.take_form();
    let new = required(visit, &mut form, "username");
    let context = visit.context();
    if form.is_fine() && register::is_taken(context, &new, true).await? {
        form.refuse("username", visit.say("wrong.username_taken"));
    }
    if !form.is_fine() {
        return Ok(shown(&form));
    }
    let (account, token) = (account_of(visit), visit.place("token"));
    let notice = context.accounts.confirm_username;
    Ok(
        match change_username::confirm(context, &visit.caller, account, token, &new, notice).await?
        {
            Ok(()) => done(visit, "username_reset"),
            Err(NotRenamed::BadUsername) => {
                form.refuse("username", visit.say("wrong.username"));
                shown(&form)
            }
            Err(NotRenamed::Taken) => {
                form.refuse("username", visit.say("wrong.username_taken"));
                shown(&form)
            }
            Err(NotRenamed::WrongPassword | NotRenamed::NoAccount | NotRenamed::BadToken) => {
                bad(visit, None)
            }
        },
    )
}

/// Shows that mail to an address arrives.
pub(super) async fn verify_email(visit: &mut Visit<'_>) -> Result<Reply, Error> {
    if !visit.is_post() {
        return Ok(follow("verify_email"));
    }
    let key = visit.place("key").replace("%3A", ":").replace("%3a", ":");
    let verified = emails::verify(visit.context(), &visit.caller, &key).await?;
    Ok(if verified { done(visit, "verify_email") } else { bad(visit, None) })
}

/// Makes the address that a link was sent to the account's.
pub(super) async fn confirm_email(visit: &mut Visit<'_>) -> Result<Reply, Error> {
    if !visit.is_post() {
        return Ok(follow("confirm_email"));
    }
    let (account, token) = (account_of(visit), visit.place("token"));
    Ok(match change_email::confirm(visit.context(), &visit.caller, account, token).await? {
        Ok(_) => {
            let text = visit.say("confirm_email.done");
            let action = Some(("error.home", visit.at("/")));
            visit.message("confirm_email.done_title", &text, action)
        }
        Err(NotMoved::Taken) => visit
            .message("link.bad_title", &visit.say("wrong.email_taken"), None)
            .status(StatusCode::CONFLICT),
        Err(NotMoved::NoAccount | NotMoved::BadToken) => bad(visit, None),
    })
}
