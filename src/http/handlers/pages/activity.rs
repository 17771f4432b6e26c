//! What happened lately to one's account, from the audit trail, in words.

use serde_json::{Value, json};

use super::parts;
use crate::account::account::AccountId;
use crate::base::clock::Timestamp;
use crate::flow::audit::{self, Cursor, Entry, Event, Search};
use crate::flow::{Caller, Error};
use crate::http::pages::{Reply, Visit};
use crate::page::program;

/// Events on a page.
const MOST: usize = 30;
/// Details that say something to the account's owner.
const DETAILS: [&str; 6] = ["name", "begins", "from", "address", "added", "removed"];

/// The events, newest first; a link leads to earlier ones.
pub(super) async fn activity(visit: &mut Visit<'_>) -> Result<Reply, Error> {
    let account = visit.account()?.id;
    let search = Search { account: Some(account), ..Search::default() };
    let after = Cursor::parse(visit.asked("before"));
    let one_more = i64::try_from(MOST + 1).unwrap_or(i64::MAX);
    let mut found = audit::search(&visit.context().store, &search, after, one_more).await?;
    let more = found.len() > MOST;
    found.truncate(MOST);
    let earlier = found
        .last()
        .filter(|_| more)
        .map(|last| format!("{}?before={}", visit.at("/activity/"), last.cursor()));
    let shown: Vec<Value> = found.iter().map(|entry| shown(visit, account, entry)).collect();
    let view = json!({
        "parts": parts(),
        "events": shown,
        "earlier": earlier,
        "later": after.is_some(),
        "kept_days": visit.context().audit.retention.map(|kept| kept.as_secs() / 86_400),
    });
    Ok(Reply::page("activity.html", view))
}

fn shown(visit: &Visit<'_>, account: AccountId, entry: &Entry) -> Value {
    // A newer program may know more events, and write them beside this one.
    let known = Event::parse(&entry.event).map_or("other", Event::as_str);
    let details: Value = serde_json::from_str(&entry.details).unwrap_or_default();
    let told = DETAILS.iter().filter_map(|name| details.get(*name).and_then(Value::as_str));
    let by = match entry.actor {
        Some(actor) if actor != account => Some("activity.by_other"),
        None if entry.layout == Caller::command_line().layout.map(str::to_owned) => {
            Some("activity.by_operator")
        }
        _ => None,
    };
    json!({
        "text": visit.say(&format!("event.{known}")),
        "at": Timestamp::seconds(entry.happened_at),
        "details": told.collect::<Vec<_>>(),
        "address": entry.address,
        "program": entry.user_agent.as_deref().and_then(program::named),
        "by": by.map(|by| visit.say(by)),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::locale::{Language, texts};

    #[test]
    fn every_event_is_told_in_words() {
        let names = Event::ALL.iter().map(|event| event.as_str()).chain(["other"]);
        for name in names {
            for language in Language::ALL {
                let text = texts::all(language).get(&format!("event.{name}"));
                assert!(text.is_some(), "{language}: {name}");
            }
        }
    }

    #[test]
    fn odd_places_begin_with_the_latest() {
        for odd in ["", "1", "1.", ".1", "a.b", "1.2.3", "1-2-3", "1-"] {
            assert_eq!(Cursor::parse(odd), None, "{odd}");
        }
        for place in ["12.7", "12-7"] {
            assert_eq!(Cursor::parse(place), Some(Cursor { happened_at: 12, id: 7 }));
        }
    }
}
