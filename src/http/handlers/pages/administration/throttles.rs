//! Who was slowed down lately, and letting them go. What is counted is kept by digest alone; who it was, the
//! audit trail tells.

use std::net::IpAddr;
use std::time::Duration;

use super::list::{self, List, ROWS};
use super::{at, forbidden, refuse, steward};
use crate::account::account::AccountId;
use crate::flow::Error;
use crate::flow::audit::{self, Event, Search};
use crate::http::pages::{Reply, Visit};
use crate::page::form::Form;

/// How far back is looked.
const LATELY: Duration = Duration::from_hours(24);

/// Those who were refused lately; a button, or a form above, lets an account or an address go.
pub(super) async fn throttles(visit: &mut Visit<'_>) -> Result<Reply, Error> {
    if !visit.is_post() {
        return shown(visit, Form::default()).await;
    }
    let mut form = visit.take_form();
    let steward = steward(visit)?;
    let typed = form.text("whom");
    let (account, address) = match form.text("account").parse() {
        Ok(id) => (steward.find(AccountId::new(id)).await?, None),
        Err(_) => (steward.find_by_username(&typed).await?, typed.parse::<IpAddr>().ok()),
    };
    let released = match (account, address) {
        (Some(account), _) => match steward.unlock(&account).await? {
            Ok(released) => released,
            Err(why) => match refuse(visit, &mut form, &why) {
                Some(reply) => return Ok(reply),
                None => return shown(visit, form).await,
            },
        },
        (None, Some(address)) => match steward.unlock_address(address).await? {
            Ok(released) => released,
            Err(_) => return Ok(forbidden(visit)),
        },
        (None, None) => {
            form.refuse("whom", visit.say("administration.throttles.nobody"));
            return shown(visit, form).await;
        }
    };
    let done = if released { "released" } else { "nothing" };
    Ok(Reply::redirect(format!("{}?done={done}", visit.path)))
}

async fn shown(visit: &Visit<'_>, form: Form) -> Result<Reply, Error> {
    let columns = ["when", "account", "address", "details", "do"];
    let mut shown = List::new(visit, "administration.throttles.title", &columns);
    shown.ask(visit, "release", Some("whom"));
    shown.form(form);
    let since = visit.context().now().minus(LATELY);
    let search = Search { event: Some(Event::Throttled), since: Some(since), ..Search::default() };
    let most = i64::try_from(ROWS).unwrap_or(i64::MAX);
    for entry in audit::search(&visit.context().store, &search, None, most).await? {
        let username = entry.username.as_deref().unwrap_or_default();
        let address = entry.address.as_deref().unwrap_or_default();
        let (account, button) = match entry.account {
            Some(account) => (
                list::link(username, &at(visit, account, "change")),
                list::button(visit, "account", &account.to_string(), "release", username),
            ),
            None => (list::text(""), list::button(visit, "whom", address, "release", address)),
        };
        shown.table.row(vec![
            list::moment(Some(entry.happened_at)),
            account,
            list::text(address),
            list::text(&super::audit::details(&entry.details)),
            button,
        ]);
    }
    Ok(shown.reply(visit, "throttles"))
}
