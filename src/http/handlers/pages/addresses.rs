//! One's mail addresses: adding one, showing that mail to it arrives, making it one's own, removing it.

use serde_json::{Value, json};

use super::account::proves;
use super::sign_in::wait;
use super::{acts, address, parts, required, required_secret, with_form};
use crate::flow::emails::{self, NotAdded, NotDone, OwnAddress};
use crate::flow::{Error, Refusal};
use crate::http::handlers::dj_rest_auth::verification;
use crate::http::pages::{Reply, Visit};
use crate::page::form::Form;

/// All of them, and a form for another one.
pub(super) async fn addresses(visit: &mut Visit<'_>) -> Result<Reply, Error> {
    if !visit.is_post() {
        return all(visit, &Form::default()).await;
    }
    let mut form = visit.take_form();
    required(visit, &mut form, "email");
    let new = address(visit, &mut form);
    if acts(visit, &mut form)? || !form.is_fine() {
        return all(visit, &form).await;
    }
    let Some(new) = new else { return all(visit, &form).await };
    let (context, account) = (visit.context(), visit.account()?);
    let kind = verification(context);
    let added = emails::add(context, &visit.caller, account, &new, &kind).await;
    match unless_too_many(visit, &mut form, added)? {
        Some(Ok(added)) => {
            return Ok(Reply::redirect(format!("{}?sent", path_of(visit, added.id))));
        }
        Some(Err(NotAdded::Known)) => form.refuse("email", visit.say("addresses.known")),
        Some(Err(NotAdded::TooMany)) => form.refuse_all(visit.say("addresses.too_many")),
        None => {}
    }
    all(visit, &form).await
}

/// One of them.
pub(super) async fn address_by_id(visit: &mut Visit<'_>) -> Result<Reply, Error> {
    let Ok(id) = visit.place("id").parse::<i64>() else { return Ok(visit.not_found()) };
    let listed = emails::list(visit.context(), visit.account()?).await?;
    let Some(found) = listed.into_iter().find(|address| address.id == id) else {
        return Ok(visit.not_found());
    };
    if !visit.is_post() {
        return Ok(one(visit, &found, &Form::default()));
    }
    let mut form = visit.take_form();
    if acts(visit, &mut form)? {
        return Ok(one(visit, &found, &form));
    }
    match form.text("do").as_str() {
        "send" => send(visit, &found, form).await,
        "remove" => {
            let (context, account) = (visit.context(), visit.account()?);
            let done = emails::remove(context, &visit.caller, account, id).await?;
            Ok(or_say(visit, &found, form, done, "/addresses/?removed"))
        }
        _ => {
            let current = required_secret(visit, &mut form, "current_password");
            // Links for a forgotten password go there from then on.
            if !form.is_fine() || !proves(visit, &mut form, current).await? {
                return Ok(one(visit, &found, &form));
            }
            let (context, account) = (visit.context(), visit.account()?);
            let done = emails::make_primary(context, &visit.caller, account, id).await?;
            Ok(or_say(visit, &found, form, done.map(drop), "/addresses/?primary"))
        }
    }
}

/// Sends the link that shows that mail arrives once more.
async fn send(visit: &Visit<'_>, found: &OwnAddress, mut form: Form) -> Result<Reply, Error> {
    let (context, account) = (visit.context(), visit.account()?);
    let kind = verification(context);
    let sent = emails::verify_again(context, &visit.caller, account, found.id, &kind).await;
    Ok(match unless_too_many(visit, &mut form, sent)? {
        Some(Some(true)) => Reply::redirect(format!("{}?sent", path_of(visit, found.id))),
        // Somebody has followed it meanwhile.
        Some(Some(false)) => Reply::redirect(path_of(visit, found.id)),
        Some(None) => visit.not_found(),
        None => one(visit, found, &form),
    })
}

/// What was done; `None`, and noted, where there was too much of it.
fn unless_too_many<T>(
    visit: &Visit<'_>,
    form: &mut Form,
    done: Result<T, Error>,
) -> Result<Option<T>, Error> {
    match done {
        Ok(done) => Ok(Some(done)),
        Err(Error::Refused(Refusal::TooMany { retry_after })) => {
            form.refuse_all(wait(visit, retry_after));
            Ok(None)
        }
        Err(error) => Err(error),
    }
}

/// On to another page when it is done, or why it is not.
fn or_say(
    visit: &Visit<'_>,
    found: &OwnAddress,
    mut form: Form,
    done: Result<(), NotDone>,
    next: &str,
) -> Reply {
    let why = match done {
        Ok(()) => return Reply::redirect(visit.at(next)),
        Err(NotDone::Unknown) => return visit.not_found(),
        Err(NotDone::Unverified) => "addresses.unverified_first",
        Err(NotDone::Primary) => "addresses.primary_stays",
        Err(NotDone::Taken) => "wrong.email_taken",
    };
    form.refuse_all(visit.say(why));
    one(visit, found, &form)
}

fn path_of(visit: &Visit<'_>, id: i64) -> String {
    visit.at(&format!("/addresses/{id}/"))
}

fn shown(address: &OwnAddress) -> Value {
    let OwnAddress { id, email, verified, primary } = address;
    json!({ "id": id, "email": email, "is_verified": verified, "is_primary": primary })
}

async fn all(visit: &Visit<'_>, form: &Form) -> Result<Reply, Error> {
    let listed = emails::list(visit.context(), visit.account()?).await?;
    let view = json!({
        "parts": parts(),
        "addresses": listed.iter().map(shown).collect::<Vec<_>>(),
        "removed": visit.has_asked("removed"),
        "primary": visit.has_asked("primary"),
    });
    Ok(Reply::page("addresses.html", with_form(form, view)))
}

fn one(visit: &Visit<'_>, address: &OwnAddress, form: &Form) -> Reply {
    let view = json!({
        "parts": parts(),
        "address": shown(address),
        "sent": visit.has_asked("sent"),
    });
    Reply::page("own_address.html", with_form(form, view))
}
