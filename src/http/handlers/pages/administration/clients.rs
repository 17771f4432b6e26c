//! Registered clients: listed to staff, changed by superusers.

use std::time::Duration;

use serde_json::json;

use super::super::{required, with_form};
use super::list::{self, List};
use super::{done, forbidden, steward};
use crate::base::clock::Timestamp;
use crate::flow::clients::{ClientDraft, ClientError};
use crate::flow::{Error, Fault, Refusal};
use crate::http::pages::{Reply, Visit};
use crate::page::form::Form;
use crate::token::client::{Client, ClientId, ClientScopes, ClientSecret, Grant};
use crate::token::credential::Denial;

/// Overlaps of secrets that are offered, in seconds.
const OVERLAPS: [u64; 3] = [86_400, 604_800, 0];

/// All clients.
pub(super) async fn list(visit: &mut Visit<'_>) -> Result<Reply, Error> {
    let columns = ["id", "name", "state", "scope", "grants", "used"];
    let mut shown = List::new(visit, "administration.clients.title", &columns);
    let steward = steward(visit)?;
    if steward.is_superuser() {
        shown.action(visit, "administration.clients.new", &visit.administered("/clients/add/"));
    }
    for client in steward.list_clients().await.map_err(fault)? {
        let off: &[&str] = if client.disabled_at.is_some() { &["inactive"] } else { &[] };
        shown.table.row(vec![
            list::link(client.id.as_str(), &at(visit, &client.id)),
            list::text(&client.name),
            list::tags(visit, off),
            list::text(&client.scopes.to_string()),
            list::text(&grants(&client.grants)),
            list::moment(client.last_used_at),
        ]);
    }
    Ok(shown.reply(visit, "clients"))
}

/// Registers a client, and shows its secret this once.
pub(super) async fn new(visit: &mut Visit<'_>) -> Result<Reply, Error> {
    if !steward(visit)?.is_superuser() {
        return Ok(forbidden(visit));
    }
    if !visit.is_post() {
        return shown(visit, None, Form::default(), None).await;
    }
    let mut form = visit.take_form();
    let id = ClientId::parse(&required(visit, &mut form, "client_id"));
    if id.is_none() && form.is_fine() {
        form.refuse("client_id", visit.say("administration.clients.bad_id"));
    }
    let Some(draft) = draft(visit, &mut form, id).await? else {
        return shown(visit, None, form, None).await;
    };
    let steward = steward(visit)?;
    let Some(room) = steward.clients() else { return Ok(forbidden(visit)) };
    let id = draft.id.clone();
    match room.create(draft).await {
        Ok(secret) => {
            let client = room.find(&id).await.map_err(fault)?;
            shown(visit, Some(&client), Form::default(), Some(&secret)).await
        }
        Err(ClientError::Refused(_)) => {
            form.refuse("client_id", visit.say("administration.clients.taken"));
            shown(visit, None, form, None).await
        }
        Err(error) => Err(fault(error)),
    }
}

/// One client: what it may, another secret, off and on, deleting it.
pub(super) async fn client(visit: &mut Visit<'_>) -> Result<Reply, Error> {
    let Some(id) = ClientId::parse(visit.place("id")) else { return Ok(visit.not_found()) };
    let clients = steward(visit)?.list_clients().await.map_err(fault)?;
    let Some(client) = clients.into_iter().find(|client| client.id == id) else {
        return Ok(visit.not_found());
    };
    if !visit.is_post() {
        return shown(visit, Some(&client), Form::default(), None).await;
    }
    let mut form = visit.take_form();
    let steward = steward(visit)?;
    let Some(room) = steward.clients() else { return Ok(forbidden(visit)) };
    let what = form.text("do");
    let outcome = match what.as_str() {
        "disable" => room.disable(&id).await,
        "enable" => room.enable(&id).await,
        "delete" if form.has("sure") => {
            room.delete(&id).await.map_err(fault)?;
            return Ok(Reply::redirect(visit.administered("/clients/?done=client_deleted")));
        }
        "delete" => Ok(()),
        "rotate" => {
            let overlap = form.text("overlap").parse().ok();
            let overlap = overlap.filter(|overlap| OVERLAPS.contains(overlap)).unwrap_or(0);
            let longest = visit.context().longest_access;
            match room.rotate(&id, Duration::from_secs(overlap), longest).await {
                Ok(secret) => {
                    let client = room.find(&id).await.map_err(fault)?;
                    return shown(visit, Some(&client), Form::default(), Some(&secret)).await;
                }
                Err(ClientError::Refused(_)) => {
                    form.refuse("overlap", visit.say("administration.clients.too_short"));
                    return shown(visit, Some(&client), form, None).await;
                }
                Err(error) => Err(error),
            }
        }
        _ => match draft(visit, &mut form, Some(id.clone())).await? {
            Some(draft) => room.edit(draft).await,
            None => return shown(visit, Some(&client), form, None).await,
        },
    };
    match outcome {
        // Where it is off or on already, that is what was wished for.
        Ok(()) | Err(ClientError::Refused(_)) => {
            Ok(Reply::redirect(format!("{}?done=saved", at(visit, &id))))
        }
        Err(error) => Err(fault(error)),
    }
}

/// What was typed about a client; `None`, and noted, where that cannot be.
async fn draft(
    visit: &Visit<'_>,
    form: &mut Form,
    id: Option<ClientId>,
) -> Result<Option<ClientDraft>, Error> {
    let name = super::super::name(visit, form, "name");
    let scopes = ClientScopes::parse(&form.text("scope"));
    if scopes.is_none() {
        form.refuse("scope", visit.say("administration.clients.bad_scope"));
    }
    let grants = Grant::ALL.into_iter().filter(|grant| form.has(&field(*grant))).collect();
    let username = form.text("username");
    let account = if username.is_empty() {
        None
    } else {
        let found = steward(visit)?.find_by_username(&username).await?;
        if found.is_none() {
            form.refuse("username", visit.say("administration.clients.no_account"));
        }
        found.map(|account| account.id)
    };
    let (Some(id), Some(scopes), true) = (id, scopes, form.is_fine()) else { return Ok(None) };
    let name = if name.is_empty() { id.to_string() } else { name };
    Ok(Some(ClientDraft { id, name, scopes, grants, account }))
}

async fn shown(
    visit: &Visit<'_>,
    client: Option<&Client>,
    mut form: Form,
    secret: Option<&ClientSecret>,
) -> Result<Reply, Error> {
    let steward = steward(visit)?;
    let was_sent = form.has("scope");
    if let Some(client) = client {
        let account = match client.account {
            Some(account) => steward.find(account).await?,
            None => None,
        };
        let username = account.map(|account| account.username).unwrap_or_default();
        form = form
            .or("name", &client.name)
            .or("scope", &client.scopes.to_string())
            .or("username", &username);
    }
    let is_ticked = |grant: Grant| match client {
        Some(client) if !was_sent => client.may(grant),
        _ => form.has(&field(grant)),
    };
    let grants = Grant::ALL.map(
        |grant| json!({ "name": field(grant), "text": grant.as_str(), "is_ticked": is_ticked(grant) }),
    );
    let overlaps = OVERLAPS.map(|seconds| {
        let text = visit.say(&format!("administration.clients.overlap_options.{seconds}"));
        json!({ "value": seconds.to_string(), "text": text })
    });
    let title = match client {
        Some(client) => client.id.to_string(),
        None => visit.say("administration.clients.new"),
    };
    let described = client.map(|client| {
        json!({
            "id": client.id.as_str(),
            "is_on": client.disabled_at.is_none(),
            "created": client.created_at.seconds(),
            "used": client.last_used_at.map(Timestamp::seconds),
        })
    });
    let view = json!({
        "current": "clients",
        "done": done(visit),
        "title": title,
        "client": described,
        "grants": grants,
        "overlaps": overlaps,
        "secret": secret.map(ClientSecret::expose),
        "may_change": steward.is_superuser(),
    });
    Ok(Reply::page("administration/client.html", with_form(&form, view)))
}

/// The box of a grant.
fn field(grant: Grant) -> String {
    format!("grant_{}", grant.as_str())
}

fn grants(grants: &[Grant]) -> String {
    let names: Vec<_> = grants.iter().map(|grant| grant.as_str()).collect();
    names.join(" ")
}

fn at(visit: &Visit<'_>, id: &ClientId) -> String {
    visit.administered(&format!("/clients/{id}/change/"))
}

/// What is refused is looked at where it can be.
fn fault(error: ClientError) -> Error {
    match error {
        ClientError::Store(error) => error.into(),
        ClientError::Refused(_) => Error::Fault(Fault::Broken("a client vanished meanwhile")),
        ClientError::NotAllowed => Error::Refused(Refusal::Denied(Denial::Forbidden)),
    }
}
