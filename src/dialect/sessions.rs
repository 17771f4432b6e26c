//! Where somebody is signed in, in our own words: no peer has this.
//!
//! | Endpoint | Good | Refused |
//! |---|---|---|
//! | list | 200 `{"sessions":[SESSION…]}`, the one used last first | 401 |
//! | end the others | 204 | 401 |
//! | end one | 204 | 404 `{"detail":"Not found."}` |
//!
//! SESSION is `{"id","layout","begun_at","used_at","expires_at","address","user_agent","current"}`: begun under
//! that layout at that time, from that address and program (`null` where unknown), used the last time (to the
//! minute), and until when it can be refreshed. `current` is the one that the request's access token is of.

use http::StatusCode;
use serde_json::{Value, json};

use crate::dialect::Answer;
use crate::flow::families::ListedFamily;
use crate::token::claims::FamilyId;

/// All of them.
#[must_use]
pub fn list(families: &[ListedFamily], current: Option<FamilyId>) -> Answer {
    let sessions: Vec<Value> = families
        .iter()
        .map(|family| {
            json!({
                "id": family.id.to_string(),
                "layout": family.layout,
                "begun_at": family.begun_at.rfc3339(),
                "used_at": family.used_at.rfc3339(),
                "expires_at": family.expires_at.rfc3339(),
                "address": family.address,
                "user_agent": family.user_agent,
                "current": Some(family.id) == current,
            })
        })
        .collect();
    Answer::json(StatusCode::OK, json!({ "sessions": sessions }))
}

/// What was asked for is ended, or there was no such thing.
#[must_use]
pub fn ended(found: bool) -> Answer {
    if found {
        Answer::empty(StatusCode::NO_CONTENT)
    } else {
        Answer::detail(StatusCode::NOT_FOUND, "Not found.")
    }
}
