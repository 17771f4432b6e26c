//! `avain audit`.

use std::net::IpAddr;
use std::process::ExitCode;

use clap::Args;
use serde_json::{Map, Value, json};

use crate::account::account::AccountId;
use crate::base::clock::Timestamp;
use crate::cli::{Failure, Tools, say, say_json};
use crate::flow::administer;
use crate::flow::audit::{self, Cursor, Entry, Event, Search};
use crate::settings::Settings;

/// What is searched for. Everything that is given must hold.
#[derive(Args, Debug)]
#[command(
    after_help = "Newest first. For the next page give the last line's cursor to --after:\n  \
    avain audit --user anna --event sign_in_failed --since 2026-03-01\n  \
    avain audit --json --after 1772531200.4711\n\n\
    Events of an account that was deleted are found by --account ID."
)]
pub(super) struct AuditArgs {
    /// Events of the account with this user name.
    #[arg(long, value_name = "NAME", conflicts_with = "account")]
    user: Option<String>,
    /// Events of the account with this id, even if there is none any more.
    #[arg(long, value_name = "ID")]
    account: Option<i32>,
    /// Only this event, such as `sign_in`, `refresh_reuse`, `password_change`; `list` lists them all.
    #[arg(long)]
    event: Option<String>,
    /// Only from this client address.
    #[arg(long)]
    address: Option<IpAddr>,
    /// No earlier than this: `2026-03-01`, `2026-03-01T12:00:00Z`, or `2h` or `7d` ago.
    #[arg(long, value_name = "TIME")]
    since: Option<String>,
    /// Before this.
    #[arg(long, value_name = "TIME")]
    until: Option<String>,
    /// At most so many.
    #[arg(long, default_value_t = 100)]
    limit: i64,
    /// Only those after this one of the page before.
    #[arg(long, value_name = "CURSOR")]
    after: Option<String>,
    /// Print JSON, one object a line.
    #[arg(long)]
    json: bool,
}

pub(super) async fn audit(settings: Settings, args: AuditArgs) -> Result<ExitCode, Failure> {
    if args.event.as_deref() == Some("list") {
        for event in Event::ALL {
            say(event.as_str())?;
        }
        return Ok(ExitCode::SUCCESS);
    }
    let event = args.event.as_deref().map(parse_event).transpose()?;
    let after = args.after.as_deref().map(parse_cursor).transpose()?;
    let tools = Tools::open(settings).await?;
    let now = tools.clock.now();
    let moment = |name, text: &Option<String>| {
        text.as_deref().map(|text| parse_time(name, text, now)).transpose()
    };
    let (since, until) = (moment("--since", &args.since)?, moment("--until", &args.until)?);
    let account = match &args.user {
        Some(name) => Some(administer::find(&tools.store, name).await.map_err(Failure::fault)?.id),
        None => args.account.map(AccountId::new),
    };
    let search = Search { account, event, address: args.address, since, until };
    let page = audit::search(&tools.store, &search, after, args.limit.clamp(1, 100_000)).await;
    for entry in page.map_err(Failure::fault)? {
        print(&entry, args.json)?;
    }
    tools.store.close().await;
    Ok(ExitCode::SUCCESS)
}

fn parse_event(name: &str) -> Result<Event, Failure> {
    Event::parse(name).ok_or_else(|| {
        Failure::usage(format!(
            "--event {name}: no such event; `avain audit --event list` lists them"
        ))
    })
}

fn parse_cursor(text: &str) -> Result<Cursor, Failure> {
    Cursor::parse(text)
        .ok_or_else(|| Failure::usage(format!("--after {text}: no cursor of a line of ours")))
}

/// A date, a moment, or how long ago.
fn parse_time(name: &str, text: &str, now: Timestamp) -> Result<Timestamp, Failure> {
    Timestamp::parse_rfc3339(text)
        .or_else(|| Timestamp::parse_rfc3339(&format!("{text}T00:00:00Z")))
        .or_else(|| crate::settings::parse_duration(text).ok().map(|ago| now.minus(ago)))
        .ok_or_else(|| {
            Failure::usage(format!(
                "{name} {text}: want a date, a moment such as 2026-03-01T12:00:00Z, or `2h`, `7d` ago"
            ))
        })
}

fn print(entry: &Entry, as_json: bool) -> Result<(), Failure> {
    let cursor = entry.cursor().to_string();
    let details: Map<String, Value> = serde_json::from_str(&entry.details).unwrap_or_default();
    if as_json {
        return say_json(&json!({
            "cursor": cursor,
            "happened_at": entry.happened_at.rfc3339(),
            "event": entry.event,
            "account": entry.account.map(AccountId::get),
            "username": entry.username,
            "actor": entry.actor.map(AccountId::get),
            "address": entry.address,
            "user_agent": entry.user_agent,
            "request_id": entry.request_id,
            "layout": entry.layout,
            "details": details,
        }));
    }
    let mut about = vec![entry.username.clone().unwrap_or_else(|| "-".to_owned())];
    match entry.actor {
        Some(actor) if Some(actor) != entry.account => about.push(format!("by account {actor}")),
        _ => {}
    }
    about.extend(entry.address.as_ref().map(|address| format!("from {address}")));
    about.extend(entry.layout.as_ref().map(|layout| format!("({layout})")));
    about.extend(details.iter().map(|(name, value)| {
        format!("{name}={}", value.as_str().map_or_else(|| value.to_string(), str::to_owned))
    }));
    say(&format!(
        "{cursor}  {}  {:<20} {}",
        entry.happened_at.rfc3339(),
        entry.event,
        about.join(" ")
    ))
}
