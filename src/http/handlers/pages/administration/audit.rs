//! What happened: by account, event, address and day, newest first.

use std::time::Duration;

use serde_json::Value;

use super::list::{self, List, ROWS};
use super::{at, steward};
use crate::base::clock::Timestamp;
use crate::flow::audit::{self, Cursor, Entry, Event, Search};
use crate::flow::directory::{Leaf, Turn};
use crate::flow::{Caller, Error};
use crate::http::pages::{Reply, Visit};
use crate::page::form::Form;

const A_DAY: Duration = Duration::from_hours(24);

/// The events.
pub(super) async fn audit(visit: &mut Visit<'_>) -> Result<Reply, Error> {
    let columns = ["when", "event", "account", "actor", "address", "details"];
    let mut shown = List::new(visit, "administration.audit.title", &columns);
    let mut wrong = Form::default();
    let search = asked(visit, &mut shown, &mut wrong).await?;
    let turn = list::turn(visit, Cursor::parse);
    let leaf = match &search {
        Some(search) => page(visit, search, &turn).await?,
        None => Leaf::of(Vec::new(), &Turn::<Cursor>::First, ROWS),
    };
    for entry in &leaf.items {
        shown.table.row(row(visit, entry));
    }
    shown.pages(visit, &leaf, |entry| entry.cursor().to_string());
    shown.form(wrong);
    Ok(shown.reply(visit, "audit"))
}

async fn page(
    visit: &Visit<'_>,
    search: &Search,
    turn: &Turn<Cursor>,
) -> Result<Leaf<Entry>, Error> {
    let one_more = i64::try_from(ROWS + 1).unwrap_or(i64::MAX);
    let found = audit::turn(&visit.context().store, search, turn, one_more).await?;
    Ok(Leaf::of(found, turn, ROWS))
}

/// What is asked for; `None`, and noted, where nothing can be that.
async fn asked(
    visit: &Visit<'_>,
    shown: &mut List,
    wrong: &mut Form,
) -> Result<Option<Search>, Error> {
    let mut search = Search::default();
    let username = shown.search(visit, "account", "administration.audit.account");
    if !username.is_empty() {
        match steward(visit)?.find_by_username(&username).await? {
            Some(account) => search.account = Some(account.id),
            None => wrong.refuse_all(visit.say("administration.audit.unknown_account")),
        }
    }
    let names = Event::ALL.iter().map(|event| event.as_str());
    let options = names.map(|name| (name, told(visit, name)));
    let any = ("", visit.say("administration.audit.any"));
    let options: Vec<_> = std::iter::once(any).chain(options).collect();
    let event = shown.chosen(visit, "event", "administration.audit.event", &options);
    search.event = Event::parse(event);
    let address = shown.search(visit, "address", "administration.audit.address");
    if !address.is_empty() {
        match address.parse() {
            Ok(address) => search.address = Some(address),
            Err(_) => wrong.refuse_all(visit.say("administration.audit.bad_address")),
        }
    }
    let mut day = |name, label| {
        let day = shown.day(visit, name, label);
        let read = Timestamp::parse_rfc3339(&format!("{day}T00:00:00Z"));
        if read.is_none() && !day.is_empty() {
            wrong.refuse_all(visit.say("administration.audit.bad_day"));
        }
        read
    };
    search.since = day("since", "administration.audit.since");
    search.until = day("until", "administration.audit.until").map(|day| day.plus(A_DAY));
    Ok(wrong.is_fine().then_some(search))
}

/// An event in words: as its account's owner reads it, where that does not say "you".
fn told(visit: &Visit<'_>, event: &str) -> String {
    let own = visit.say(&format!("administration.event.{event}"));
    if own.is_empty() { visit.say(&format!("event.{event}")) } else { own }
}

fn row(visit: &Visit<'_>, entry: &Entry) -> Vec<Value> {
    // A newer program may know more events, and write them beside this one.
    let event = match Event::parse(&entry.event) {
        Some(known) => told(visit, known.as_str()),
        None => entry.event.clone(),
    };
    let username = entry.username.as_deref().unwrap_or_default();
    let actor = match entry.actor {
        Some(actor) if Some(actor) == entry.account => {
            list::link(username, &at(visit, actor, "change"))
        }
        Some(actor) => list::link(&actor.to_string(), &at(visit, actor, "change")),
        None if entry.layout.as_deref() == Caller::command_line().layout => {
            list::text(&visit.say("administration.audit.operator"))
        }
        None => list::text(""),
    };
    vec![
        list::moment(Some(entry.happened_at)),
        list::text(&event),
        match entry.account {
            Some(account) => list::link(username, &at(visit, account, "change")),
            None => list::text(username),
        },
        actor,
        list::text(entry.address.as_deref().unwrap_or_default()),
        list::text(&details(&entry.details)),
    ]
}

/// `name: value` for each.
pub(super) fn details(json: &str) -> String {
    let details: Value = serde_json::from_str(json).unwrap_or_default();
    let told = details.as_object().into_iter().flatten();
    let told = told.map(|(name, value)| format!("{name}: {}", value.as_str().unwrap_or_default()));
    told.collect::<Vec<_>>().join(", ")
}
