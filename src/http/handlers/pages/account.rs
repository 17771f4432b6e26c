//! One's account: name, mail address, password.

use serde_json::json;

use super::sign_in::{keep, wait};
use super::{address, name, new_password, parts, refuse_rules, required_secret, with_form};
use crate::base::secret::Secret;
use crate::flow::change_email::EmailChange;
use crate::flow::change_password::{self, ChangeRules, NotChanged};
use crate::flow::links::{LinkKind, UidForm};
use crate::flow::profile::{self, Changes};
use crate::flow::{Error, Refusal, sessions};
use crate::http::pages::{Reply, Visit};
use crate::mail::message::Message;
use crate::page::form::Form;
use crate::token::link::Purpose;

/// What one says of oneself.
pub(super) async fn profile(visit: &mut Visit<'_>) -> Result<Reply, Error> {
    let form = if visit.is_post() {
        let mut form = visit.take_form();
        let first_name = name(visit, &mut form, "first_name");
        let last_name = name(visit, &mut form, "last_name");
        if form.is_fine() {
            let changes = Changes {
                first_name: Some(first_name),
                last_name: Some(last_name),
                ..Changes::default()
            };
            let account = visit.account()?;
            let edited = profile::edit(
                visit.context(),
                &visit.caller,
                account,
                account,
                changes,
                &EmailChange::AtOnce,
            );
            return Ok(match edited.await? {
                Ok(_) => Reply::redirect(visit.at("/?saved")),
                // Only another address can be refused, and there is none.
                Err(_) => visit.not_found(),
            });
        }
        form
    } else {
        let account = visit.account()?;
        Form::default()
            .with("first_name", &account.first_name)
            .with("last_name", &account.last_name)
    };
    let account = visit.account()?;
    let view = json!({
        "parts": parts(),
        "saved": visit.has_asked("saved"),
        "joined": account.date_joined.seconds(),
        "last_login": account.last_login.map(crate::base::clock::Timestamp::seconds),
    });
    Ok(Reply::page("account.html", with_form(&form, view)))
}

/// Another mail address, for somebody who knows the password.
pub(super) async fn email(visit: &mut Visit<'_>) -> Result<Reply, Error> {
    let confirms = visit.context().accounts.confirm_email_change;
    let (mut form, mut sent) = (Form::default(), String::new());
    if visit.is_post() {
        form = visit.take_form();
        super::required(visit, &mut form, "email");
        let new = address(visit, &mut form);
        let current = required_secret(visit, &mut form, "current_password");
        if let Some(new) = new.filter(|_| form.is_fine())
            && proves(visit, &mut form, current).await?
        {
            let (account, context) = (visit.account()?, visit.context());
            let shown = new.as_str().to_owned();
            let changes = Changes { email: Some(Some(new)), ..Changes::default() };
            let (caller, how) = (&visit.caller, email_change(visit));
            match profile::edit(context, caller, account, account, changes, &how).await? {
                Ok(_) if confirms => (form, sent) = (Form::default(), shown),
                Ok(_) => return Ok(Reply::redirect(visit.at("/email/?saved"))),
                Err(_) => form.refuse("email", visit.say("wrong.email_taken")),
            }
        }
    }
    let view = json!({
        "parts": parts(),
        "sent": sent,
        "saved": visit.has_asked("saved"),
        "mode": if confirms { "confirm" } else { "immediate" },
    });
    Ok(Reply::page("email.html", with_form(&form, view)))
}

/// What another address entails.
fn email_change<'v>(visit: &'v Visit<'_>) -> EmailChange<'v> {
    let accounts = &visit.context().accounts;
    if !accounts.confirm_email_change {
        return EmailChange::AtOnce;
    }
    EmailChange::Confirm(LinkKind {
        purpose: Purpose::EmailChange,
        message: Message::EmailChange,
        pattern: &accounts.email_change_url,
        uid: UidForm::Base64,
    })
}

/// Another password. It ends all sessions, so this one begins anew.
pub(super) async fn password(visit: &mut Visit<'_>) -> Result<Reply, Error> {
    let mut form = Form::default();
    if visit.is_post() {
        form = visit.take_form();
        let current = required_secret(visit, &mut form, "current_password");
        let new = new_password(visit, &mut form, "new_password");
        if form.is_fine() && proves(visit, &mut form, current).await? {
            let (context, caller, session) = (visit.context(), &visit.caller, visit.session()?);
            let notice = context.accounts.confirm_password;
            let rules = ChangeRules { judges_password: true, notice };
            let account = session.account();
            let changed =
                change_password::change_password(context, caller, account, None, new, rules);
            match changed.await? {
                Ok(password) => {
                    let reply = Reply::redirect(visit.at("/password_change/?saved"));
                    let begun = sessions::begin_anew(context, caller, session, password).await?;
                    return Ok(match begun {
                        Some(begun) => keep(visit, reply, &begun),
                        None => reply,
                    });
                }
                Err(NotChanged::Rules(broken)) => {
                    refuse_rules(visit, &mut form, "new_password", &broken);
                }
                Err(NotChanged::WrongPassword) => {
                    form.refuse("current_password", visit.say("wrong.current_password"));
                }
            }
        }
    }
    let view = json!({
        "parts": parts(),
        "saved": visit.has_asked("saved"),
        "minimum": visit.context().accounts.passwords.minimum,
    });
    Ok(Reply::page("password.html", with_form(&form, view)))
}

/// Whether the visitor knows the account's password; noted where not. Who acts as somebody else is not
/// asked: it is not theirs to know.
pub(super) async fn proves(
    visit: &Visit<'_>,
    form: &mut Form,
    current: Secret<String>,
) -> Result<bool, Error> {
    if visit.session()?.acting().is_some() {
        form.refuse_all(visit.say("wrong.acting"));
        return Ok(false);
    }
    let (context, caller, account) = (visit.context(), &visit.caller, visit.account()?);
    match change_password::is_current(context, caller, account, current).await {
        Ok(true) => return Ok(true),
        Ok(false) => form.refuse("current_password", visit.say("wrong.current_password")),
        Err(Error::Refused(Refusal::TooMany { retry_after })) => {
            form.refuse_all(wait(visit, retry_after));
        }
        Err(error) => return Err(error),
    }
    Ok(false)
}
