//! The keys that sign tokens: listed to staff; superusers let another one sign, and kill one.

use std::sync::Arc;

use super::list::{self, List};
use super::{forbidden, steward};
use crate::flow::keys::KeysError;
use crate::flow::{Error, Fault};
use crate::http::pages::{Reply, Visit};
use crate::page::form::Form;
use crate::store::signing_keys::KeyState;
use crate::token::key::KeyId;

/// The list, with forms to sign with another key, and to kill one in an emergency.
pub(super) async fn keys(visit: &mut Visit<'_>) -> Result<Reply, Error> {
    if !visit.is_post() {
        return shown(visit, Form::default()).await;
    }
    let mut form = visit.take_form();
    let steward = steward(visit)?;
    let Some(room) = steward.signing_keys() else { return Ok(forbidden(visit)) };
    let context = visit.context();
    let algorithm = context.ring.load().signing().algorithm();
    let (outcome, done) = if form.text("do") == "rotate" {
        let random = Arc::clone(&context.random);
        (room.rotate(&random, algorithm).await.map(drop), "rotated")
    } else {
        // One click too many must not sign everybody out: the id is typed.
        let Some(id) = KeyId::parse(&form.text("key_id")) else {
            form.refuse("key_id", visit.say("administration.signing.which"));
            return shown(visit, form).await;
        };
        (room.kill(&id, algorithm).await.map(drop), "killed")
    };
    match outcome {
        Ok(()) => Ok(Reply::redirect(format!("{}?done={done}", visit.path))),
        Err(KeysError::Refused(_)) => {
            form.refuse_all(visit.say("administration.signing.refused"));
            Ok(shown(visit, form).await?.status(http::StatusCode::CONFLICT))
        }
        Err(error) => Err(fault(error)),
    }
}

async fn shown(visit: &Visit<'_>, form: Form) -> Result<Reply, Error> {
    let columns = ["id", "purpose", "algorithm", "state", "made", "plan"];
    let mut shown = List::new(visit, "administration.signing.title", &columns);
    shown.form(form);
    let is_superuser = steward(visit)?.is_superuser();
    if is_superuser {
        shown.ask(visit, "rotate", None);
        shown.ask(visit, "kill", Some("key_id"));
    }
    for key in visit.context().key_room().list().await.map_err(fault)? {
        let mut tags = vec![key.state.as_str()];
        tags.extend(key.imported_at.map(|_| "imported"));
        shown.table.row(vec![
            list::code(&key.id),
            list::text(key.purpose.as_str()),
            list::text(&key.algorithm),
            list::tags(visit, &tags),
            list::moment(Some(key.created_at)),
            list::moment(match key.state {
                KeyState::Published => key.signs_at,
                KeyState::Verifying => key.retires_at,
                KeyState::Signing | KeyState::Retired => None,
            }),
        ]);
    }
    Ok(shown.reply(visit, "keys"))
}

fn fault(error: KeysError) -> Error {
    match error {
        KeysError::Store(error) => error.into(),
        other => {
            tracing::error!(error = %other, "signing keys");
            Error::Fault(Fault::Broken("signing keys could not be read or changed"))
        }
    }
}
