//! What opens something for an account: its keys, its sign-ins, its browser sessions; and ending each.

use serde_json::Value;

use super::list::{self, Table};
use super::{about, at, forbidden, steward, subject};
use crate::account::account::Account;
use crate::base::clock::Timestamp;
use crate::base::digest::Digest;
use crate::base::encode::{hex, unhex};
use crate::flow::Error;
use crate::flow::steward::Belongings;
use crate::http::pages::{Reply, Visit};
use crate::page::form::Form;
use crate::page::program;
use crate::token::claims::FamilyId;
use crate::token::personal::PersonalKeyId;

/// The lists; a button ends one of what they hold.
pub(super) async fn access(visit: &mut Visit<'_>) -> Result<Reply, Error> {
    let Some(account) = subject(visit).await? else { return Ok(visit.not_found()) };
    if visit.is_post() {
        let form = visit.take_form();
        return end(visit, &account, &form).await;
    }
    let belongings = steward(visit)?.belongings(&account).await?;
    let mut view = about(visit, &account, "access")?;
    view["keys"] = keys(visit, &belongings);
    view["families"] = families(visit, &belongings);
    view["sessions"] = sessions(visit, &belongings);
    Ok(Reply::page("administration/account_access.html", view))
}

async fn end(visit: &Visit<'_>, account: &Account, form: &Form) -> Result<Reply, Error> {
    let steward = steward(visit)?;
    let (key, family, session) = (form.text("key"), form.text("family"), form.text("session"));
    let ended = if key == "classic" {
        steward.revoke_classic_key(account).await?
    } else if let Ok(id) = key.parse() {
        steward.revoke_key(account, PersonalKeyId::new(id)).await?
    } else if let Some(family) = FamilyId::parse(&family) {
        steward.end_family(account, family).await?
    } else if let Some(digest) = unhex::<32>(&session).and_then(|bytes| Digest::from_stored(&bytes))
    {
        steward.end_session(account, &digest).await?
    } else {
        return Ok(visit.not_found());
    };
    Ok(match ended {
        Ok(true) => Reply::redirect(format!("{}?done=ended", at(visit, account.id, "access"))),
        Ok(false) => visit.not_found(),
        Err(_) => forbidden(visit),
    })
}

fn keys(visit: &Visit<'_>, belongings: &Belongings) -> Value {
    let columns = ["key", "name", "scope", "networks", "expires", "used", "do"];
    let mut table = Table::new(visit, &columns);
    if let Some(beginning) = &belongings.classic_key {
        table.row(vec![
            list::code(&format!("{beginning}…")),
            list::text(&visit.say("keys.classic")),
            list::text(""),
            list::text(""),
            list::moment(None),
            list::moment(None),
            list::button(visit, "key", "classic", "revoke", beginning),
        ]);
    }
    for key in &belongings.keys {
        table.row(vec![
            list::code(&format!("{}…", key.beginning)),
            list::text(&key.name),
            list::text(&key.terms.scopes.to_string()),
            list::text(&key.terms.networks.to_string()),
            list::moment(key.terms.expires_at),
            list::moment(key.last_used_at),
            list::button(visit, "key", &key.id.to_string(), "revoke", &key.name),
        ]);
    }
    table.view()
}

fn families(visit: &Visit<'_>, belongings: &Belongings) -> Value {
    let columns = ["program", "address", "layout", "since", "used", "do"];
    let mut table = Table::new(visit, &columns);
    for family in &belongings.families {
        let program = program(visit, family.user_agent.as_deref().unwrap_or_default());
        table.row(vec![
            list::text(&program),
            list::text(family.address.as_deref().unwrap_or_default()),
            list::text(&family.layout),
            list::moment(Some(family.begun_at)),
            list::moment(Some(family.used_at)),
            list::button(visit, "family", &family.id.to_string(), "end", &program),
        ]);
    }
    table.view()
}

fn sessions(visit: &Visit<'_>, belongings: &Belongings) -> Value {
    let mut table = Table::new(visit, &["program", "address", "since", "used", "do"]);
    for listed in &belongings.sessions {
        let program = program(visit, &listed.program);
        let kept = &listed.session;
        let since = Timestamp::from_seconds(kept.begun_at.seconds());
        table.row(vec![
            list::text(&program),
            list::text(&listed.address),
            list::moment(Some(since)),
            list::moment(Some(kept.used_at)),
            list::button(visit, "session", &hex(kept.digest.as_bytes()), "end", &program),
        ]);
    }
    table.view()
}

fn program(visit: &Visit<'_>, said: &str) -> String {
    program::named(said).unwrap_or_else(|| visit.say("devices.unknown"))
}
