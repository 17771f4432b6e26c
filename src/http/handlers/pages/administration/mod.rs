//! The administration: read the form, run the flow, show what came of it.

mod accounts;
mod list;

use serde_json::json;

use crate::flow::Error;
use crate::http::pages::{Reply, Visit};
use crate::page::section::Section;

/// Answers a request for a page of the administration.
pub(super) async fn answer(visit: &mut Visit<'_>, section: Section) -> Result<Reply, Error> {
    match section {
        Section::Front => {
            Ok(Reply::page("administration/front.html", json!({ "current": "front" })))
        }
        Section::Accounts => accounts::list(visit).await,
    }
}
