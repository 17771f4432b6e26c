//! Acting as somebody else, and ceasing to.

use http::StatusCode;
use serde_json::json;

use super::sign_in::keep;
use super::{required, with_form};
use crate::flow::Error;
use crate::flow::acting::{self, NotActing};
use crate::http::pages::{Reply, Visit};
use crate::page::form::Form;

/// Asks whom to act as, and begins. Who has no right to that finds nothing here.
pub(super) async fn begin(visit: &mut Visit<'_>) -> Result<Reply, Error> {
    let session = visit.session()?;
    let actor = session.actor().unwrap_or(session).account();
    if !acting::has_right(visit.context(), actor) {
        return Ok(visit.not_found());
    }
    let shown = |form: &Form| Reply::page("acting.html", with_form(form, json!({})));
    if !visit.is_post() {
        return Ok(shown(&Form::default().with("username", visit.asked("username"))));
    }
    let mut form = visit.take_form();
    let username = required(visit, &mut form, "username");
    if !form.is_fine() {
        return Ok(shown(&form));
    }
    let (context, caller) = (visit.context(), &visit.caller);
    match acting::begin(context, caller, visit.session()?, &username).await? {
        Ok((_, begun)) => Ok(keep(visit, Reply::redirect(visit.at("/")), &begun)),
        Err(NotActing::Refused) => {
            form.refuse("username", visit.say("acting.refused"));
            Ok(shown(&form).status(StatusCode::FORBIDDEN))
        }
        Err(NotActing::NotOneself) => {
            form.refuse_all(visit.say("acting.not_oneself"));
            Ok(shown(&form).status(StatusCode::CONFLICT))
        }
    }
}

/// Back to being oneself.
pub(super) async fn end(visit: &mut Visit<'_>) -> Result<Reply, Error> {
    let home = Reply::redirect(visit.at("/"));
    if !visit.is_post() {
        return Ok(home);
    }
    let ended = acting::end(visit.context(), &visit.caller, visit.session()?).await?;
    Ok(match ended {
        Some(begun) => keep(visit, home, &begun),
        None => home,
    })
}
