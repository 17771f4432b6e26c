//! One account: what it says about itself and what it may, another password for it, deleting it.

use http::StatusCode;
use serde_json::{Value, json};

use super::super::{address, name, new_password, required, with_form};
use super::{about, at, refuse, steward, subject};
use crate::account::account::Account;
use crate::flow::Error;
use crate::flow::administer::Deleted;
use crate::flow::steward::{Belongings, NotDone, Particulars};
use crate::http::pages::{Reply, Visit};
use crate::page::form::Form;

/// What an account says about itself and what it may, with buttons for what is done at once.
pub(super) async fn account(visit: &mut Visit<'_>) -> Result<Reply, Error> {
    let Some(account) = subject(visit).await? else { return Ok(visit.not_found()) };
    if !visit.is_post() {
        return shown(visit, &account, Form::default());
    }
    let mut form = visit.take_form();
    let what = form.text("do");
    let steward = steward(visit)?;
    let outcome = match what.as_str() {
        "activate" => steward.set_active(&account, true).await?,
        "deactivate" => steward.set_active(&account, false).await?,
        "sign_out" => steward.sign_out_everywhere(&account).await?,
        "unlock" => steward.unlock(&account).await?.map(drop),
        "rank" => {
            let (is_staff, is_superuser) = (form.has("is_staff"), form.has("is_superuser"));
            steward.set_rank(&account, is_staff, is_superuser).await?
        }
        _ => match particulars(visit, &mut form) {
            Some(new) => steward.edit(&account, new).await?,
            None => return shown(visit, &account, form),
        },
    };
    let known = ["activate", "deactivate", "sign_out", "unlock", "rank"];
    let what = if known.contains(&what.as_str()) { what.as_str() } else { "saved" };
    match outcome {
        Ok(()) => {
            let page = at(visit, account.id, "change");
            Ok(Reply::redirect(format!("{page}?done={what}")))
        }
        Err(why) => refused(visit, &account, form, &why),
    }
}

/// What was typed about an account; `None`, and noted, where that cannot be.
pub(super) fn particulars(visit: &Visit<'_>, form: &mut Form) -> Option<Particulars> {
    let username = required(visit, form, "username");
    if visit.context().accounts.email_login {
        required(visit, form, "email");
    }
    let email = address(visit, form);
    let (first_name, last_name) = (name(visit, form, "first_name"), name(visit, form, "last_name"));
    form.is_fine().then_some(Particulars { username, email, first_name, last_name })
}

fn refused(
    visit: &Visit<'_>,
    account: &Account,
    mut form: Form,
    why: &NotDone,
) -> Result<Reply, Error> {
    match refuse(visit, &mut form, why) {
        Some(reply) => Ok(reply),
        None => Ok(shown(visit, account, form)?.status(StatusCode::CONFLICT)),
    }
}

fn shown(visit: &Visit<'_>, account: &Account, form: Form) -> Result<Reply, Error> {
    let form = form
        .or("username", &account.username)
        .or("email", &account.email)
        .or("first_name", &account.first_name)
        .or("last_name", &account.last_name);
    let view = about(visit, account, "change")?;
    Ok(Reply::page("administration/account.html", with_form(&form, view)))
}

/// Another password for an account.
pub(super) async fn password(visit: &mut Visit<'_>) -> Result<Reply, Error> {
    let Some(account) = subject(visit).await? else { return Ok(visit.not_found()) };
    let (mut form, mut status) = (Form::default(), StatusCode::OK);
    if visit.is_post() {
        form = visit.take_form();
        let new = new_password(visit, &mut form, "new_password");
        if form.is_fine() {
            match steward(visit)?.set_password(&account, new).await? {
                Ok(()) => {
                    let page = at(visit, account.id, "change");
                    return Ok(Reply::redirect(format!("{page}?done=password")));
                }
                Err(why) => match refuse(visit, &mut form, &why) {
                    Some(reply) => return Ok(reply),
                    None if matches!(why, NotDone::Password(_)) => {}
                    None => status = StatusCode::CONFLICT,
                },
            }
        }
    }
    let mut view = about(visit, &account, "password")?;
    view["minimum"] = visit.context().accounts.passwords.minimum.into();
    let reply = Reply::page("administration/account_password.html", with_form(&form, view));
    Ok(reply.status(status))
}

/// Asks whether to delete an account, with what goes with it, and does.
pub(super) async fn delete(visit: &mut Visit<'_>) -> Result<Reply, Error> {
    let Some(account) = subject(visit).await? else { return Ok(visit.not_found()) };
    let (mut form, mut status) = (Form::default(), StatusCode::OK);
    if visit.is_post() {
        form = visit.take_form();
        match steward(visit)?.delete(&account).await? {
            Ok(Deleted::Removed) => {
                return Ok(Reply::redirect(visit.administered("/auth/user/?done=deleted")));
            }
            Ok(Deleted::Deactivated) => {
                let page = at(visit, account.id, "change");
                return Ok(Reply::redirect(format!("{page}?done=emptied")));
            }
            Err(why) => match refuse(visit, &mut form, &why) {
                Some(reply) => return Ok(reply),
                None => status = StatusCode::CONFLICT,
            },
        }
    }
    let belongings = steward(visit)?.belongings(&account).await?;
    let mut view = about(visit, &account, "delete")?;
    view["belongings"] = counted(&belongings);
    let reply = Reply::page("administration/account_delete.html", with_form(&form, view));
    Ok(reply.status(status))
}

fn counted(belongings: &Belongings) -> Value {
    json!({
        "classic_key": belongings.classic_key,
        "keys": belongings.keys.iter().map(|key| &key.name).collect::<Vec<_>>(),
        "families": belongings.families.len(),
        "sessions": belongings.sessions.len(),
        "addresses": belongings.addresses,
        "clients": belongings.clients,
    })
}
