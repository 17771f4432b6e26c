//! Where one is signed in, and ending that.

use serde_json::json;

use super::parts;
use crate::base::digest::Digest;
use crate::base::encode::{hex, unhex};
use crate::flow::{Error, sessions};
use crate::http::pages::{Reply, Visit};
use crate::page::program;

/// The list of sessions; a button ends one, or all others.
pub(super) async fn devices(visit: &mut Visit<'_>) -> Result<Reply, Error> {
    let (session, context) = (visit.session()?, visit.context());
    if visit.is_post() {
        let end = visit.form.text("end");
        if end == "others" {
            sessions::end_others(context, &visit.caller, session).await?;
        } else {
            let digest = unhex::<32>(&end).and_then(|bytes| Digest::from_stored(&bytes));
            let ended = match digest {
                Some(digest) => {
                    sessions::end_of(context, &visit.caller, session.account(), &digest).await?
                }
                None => false,
            };
            if !ended {
                return Ok(visit.not_found());
            }
        }
        return Ok(Reply::redirect(visit.at("/devices/?ended")));
    }
    let listed = sessions::list(context, session.account()).await?;
    let unknown = visit.say("devices.unknown");
    let shown: Vec<_> = listed
        .iter()
        .map(|listed| {
            let kept = &listed.session;
            json!({
                "id": hex(kept.digest.as_bytes()),
                "program": program::named(&listed.program).unwrap_or_else(|| unknown.clone()),
                "address": listed.address,
                "begun_at": kept.begun_at.seconds(),
                "used_at": kept.used_at.seconds(),
                "is_this": kept.digest == *session.digest(),
                "is_acting": kept.actor.is_some(),
            })
        })
        .collect();
    let view = json!({ "parts": parts(), "sessions": shown, "ended": visit.has_asked("ended") });
    Ok(Reply::page("devices.html", view))
}
