//! The queue of mails: what they are about and how they stand, not who gets them; trying and dropping them.

use super::list::{self, List, ROWS};
use super::{forbidden, steward};
use crate::flow::Error;
use crate::flow::outbox::{self, Entry, MailState};
use crate::http::pages::{Reply, Visit};

/// The queue; a button has a mail tried at once, or drops it.
pub(super) async fn mail(visit: &mut Visit<'_>) -> Result<Reply, Error> {
    if visit.is_post() {
        return change(visit).await;
    }
    let columns = ["message", "state", "made", "next", "attempts", "error", "do"];
    let mut shown = List::new(visit, "administration.mail.title", &columns);
    shown.ask(visit, "retry_all", None);
    let states = ["", "queued", "sending", "failed", "sent"];
    let state = shown.choice(visit, "state", "administration.mail.state", &states);
    let turn = list::turn(visit, place);
    let store = &visit.context().store;
    let leaf = outbox::page(store, MailState::parse(state), &turn, ROWS).await?;
    let may_drop = steward(visit)?.is_superuser();
    for entry in &leaf.items {
        shown.table.row(row(visit, entry, may_drop));
    }
    shown.pages(visit, &leaf, |entry| format!("{}:{}", entry.created_at.seconds(), entry.id));
    Ok(shown.reply(visit, "mail"))
}

fn row(visit: &Visit<'_>, entry: &Entry, may_drop: bool) -> Vec<serde_json::Value> {
    let waits = matches!(entry.state, MailState::Queued | MailState::Failed);
    let about = format!("{} ({})", entry.message, entry.language);
    let mut buttons = vec![list::button(visit, "retry", &entry.id, "retry", &about)];
    if may_drop {
        buttons.push(list::button(visit, "drop", &entry.id, "drop", &about));
    }
    vec![
        list::text(&about),
        list::tags(visit, &[entry.state.as_str()]),
        list::moment(Some(entry.created_at)),
        list::moment((entry.state == MailState::Queued).then_some(entry.next_try_at)),
        list::text(&entry.attempts.to_string()),
        list::text(entry.last_error.as_deref().unwrap_or_default()),
        if waits { list::buttons(&buttons) } else { list::text("") },
    ]
}

async fn change(visit: &mut Visit<'_>) -> Result<Reply, Error> {
    let form = visit.take_form();
    let (context, caller, now) = (visit.context(), &visit.caller, visit.context().now());
    let steward = steward(visit)?;
    let (retry, drop) = (form.text("retry"), form.text("drop"));
    let (is_done, done) = if form.text("do") == "retry_all" {
        outbox::retry_all(&context.store, caller, now).await?;
        (true, "retried")
    } else if retry.is_empty() {
        match steward.drop_mail(&drop).await? {
            Ok(is_done) => (is_done, "dropped"),
            Err(_) => return Ok(forbidden(visit)),
        }
    } else {
        (outbox::retry(&context.store, caller, &retry, now).await?, "retried")
    };
    let back = format!("{}?done={done}", visit.path);
    Ok(if is_done { Reply::redirect(back) } else { visit.not_found() })
}

/// `1795000000:9f86…`: when the mail beside a place was made, and its id.
fn place(text: &str) -> Option<(i64, String)> {
    let (created_at, id) = text.split_once(':')?;
    Some((created_at.parse().ok()?, id.to_owned()))
}
