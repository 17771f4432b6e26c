//! Where one is signed in, and ending that: browsers that have a session here, and programs that hold a refresh
//! token.

use serde_json::{Value, json};

use super::parts;
use crate::base::digest::Digest;
use crate::base::encode::{hex, unhex};
use crate::flow::{Error, families, sessions};
use crate::http::pages::{Reply, Visit};
use crate::page::program;
use crate::token::claims::FamilyId;

/// Both lists; a button ends one of either, or all others.
pub(super) async fn devices(visit: &mut Visit<'_>) -> Result<Reply, Error> {
    if visit.is_post() {
        let ended = end(visit).await?;
        let done = Reply::redirect(visit.at("/devices/?ended"));
        return Ok(if ended { done } else { visit.not_found() });
    }
    let (session, context) = (visit.session()?, visit.context());
    let listed = sessions::list(context, session.account()).await?;
    let unknown = visit.say("devices.unknown");
    let named = |said: &str| program::named(said).unwrap_or_else(|| unknown.clone());
    let browsers: Vec<Value> = listed
        .iter()
        .map(|listed| {
            let kept = &listed.session;
            json!({
                "id": hex(kept.digest.as_bytes()),
                "program": named(&listed.program),
                "address": listed.address,
                "begun_at": kept.begun_at.seconds(),
                "used_at": kept.used_at.seconds(),
                "is_this": kept.digest == *session.digest(),
                "is_acting": kept.actor.is_some(),
            })
        })
        .collect();
    let account = session.account().id;
    let families = families::list_outside_sessions(&context.store, account, context.now()).await?;
    let programs: Vec<Value> = families
        .iter()
        .map(|family| {
            json!({
                "id": family.id.to_string(),
                "program": named(family.user_agent.as_deref().unwrap_or_default()),
                "address": family.address,
                "begun_at": family.begun_at.seconds(),
                "used_at": family.used_at.seconds(),
            })
        })
        .collect();
    let view = json!({
        "parts": parts(),
        "sessions": browsers,
        "programs": programs,
        "ended": visit.has_asked("ended"),
    });
    Ok(Reply::page("devices.html", view))
}

/// Ends what a button names. `false` where the account has nothing of that name.
async fn end(visit: &Visit<'_>) -> Result<bool, Error> {
    let (session, context, caller) = (visit.session()?, visit.context(), &visit.caller);
    let account = session.account();
    let (browser, program) = (visit.form.text("end"), visit.form.text("end_program"));
    if browser == "others" {
        sessions::end_others(context, caller, session).await?;
        return Ok(true);
    }
    if let Some(family) = FamilyId::parse(&program) {
        let now = context.now();
        return Ok(families::end(&context.store, caller, account.id, family, now).await?);
    }
    match unhex::<32>(&browser).and_then(|bytes| Digest::from_stored(&bytes)) {
        Some(digest) => sessions::end_of(context, caller, account, &digest).await,
        None => Ok(false),
    }
}
