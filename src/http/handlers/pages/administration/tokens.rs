//! Classic API keys of all accounts: found by the user names of their owners, made, taken back.

use super::list::{self, List, ROWS};
use super::{accounts, at, forbidden, refuse, steward};
use crate::account::account::AccountId;
use crate::flow::{Error, directory};
use crate::http::pages::{Reply, Visit};
use crate::page::form::Form;

/// The list; a form above it makes a key, which is shown this once.
pub(super) async fn tokens(visit: &mut Visit<'_>) -> Result<Reply, Error> {
    if !visit.is_post() {
        return shown(visit, Form::default(), None).await;
    }
    let mut form = visit.take_form();
    let steward = steward(visit)?;
    if form.text("do") != "make" {
        let account = match form.text("key").parse() {
            Ok(id) => steward.find(AccountId::new(id)).await?,
            Err(_) => None,
        };
        let Some(account) = account else { return Ok(visit.not_found()) };
        return Ok(match steward.revoke_classic_key(&account).await? {
            Ok(true) => Reply::redirect(format!("{}?done=ended", visit.path)),
            Ok(false) => visit.not_found(),
            Err(_) => forbidden(visit),
        });
    }
    let username = super::super::required(visit, &mut form, "username");
    let account = steward.find_by_username(&username).await?;
    match account {
        Some(account) => match steward.make_classic_key(&account).await? {
            Ok(key) => {
                let made =
                    visit.say_with("administration.tokens.made", &[("account", &account.username)]);
                shown(visit, Form::default(), Some((made, key.expose()))).await
            }
            Err(why) => match refuse(visit, &mut form, &why) {
                Some(reply) => Ok(reply),
                None => shown(visit, form, None).await,
            },
        },
        None => {
            if form.is_fine() {
                form.refuse("username", visit.say("administration.clients.no_account"));
            }
            shown(visit, form, None).await
        }
    }
}

async fn shown(
    visit: &Visit<'_>,
    form: Form,
    made: Option<(String, &str)>,
) -> Result<Reply, Error> {
    let columns = ["key", "account", "made", "do"];
    let mut shown = List::new(visit, "administration.tokens.title", &columns);
    shown.ask(visit, "make", Some("username"));
    shown.form(form);
    if let Some((text, key)) = made {
        shown.secret(&text, key);
    }
    let beginning = shown.search(visit, "q", "administration.audit.account");
    let turn = list::turn(visit, accounts::place);
    let leaf = directory::keys(&visit.context().store, &beginning, &turn, ROWS).await?;
    for key in &leaf.items {
        shown.table.row(vec![
            list::code(&format!("{}…", key.key.beginning())),
            list::link(&key.username, &at(visit, key.account, "access")),
            list::moment(Some(key.created)),
            list::button(visit, "key", &key.account.to_string(), "revoke", &key.username),
        ]);
    }
    shown.pages(visit, &leaf, |key| format!("{}:{}", key.account, key.username));
    Ok(shown.reply(visit, "tokens"))
}
