//! Accounts: the list, and making one.

use serde_json::{Value, json};

use super::super::{new_password, with_form};
use super::account::particulars;
use super::list::{self, List, ROWS};
use super::{at, refuse, steward};
use crate::account::account::Account;
use crate::flow::Error;
use crate::flow::directory::{self, Order, Place, Search};
use crate::flow::steward::Newcomer;
use crate::http::pages::{Reply, Visit};
use crate::page::form::Form;

/// All accounts, by the beginning of user name or mail address, and by state.
pub(super) async fn list(visit: &Visit<'_>) -> Result<Reply, Error> {
    let columns = ["username", "email", "name", "state", "joined", "last_login"];
    let mut shown = List::new(visit, "administration.accounts.title", &columns);
    let beginning = shown.search(visit, "q", "administration.accounts.beginning");
    let order =
        match shown.choice(visit, "by", "administration.accounts.by", &["username", "email"]) {
            "email" => Order::Email,
            _ => Order::Username,
        };
    let active = shown.choice(visit, "active", "administration.accounts.active", &["", "1", "0"]);
    let ranks = ["", "member", "staff", "superuser"];
    let rank = shown.choice(visit, "rank", "administration.accounts.rank", &ranks);
    let search = Search {
        order,
        beginning,
        active: match active {
            "" => None,
            chosen => Some(chosen == "1"),
        },
        staff: match rank {
            "member" => Some(false),
            "staff" => Some(true),
            _ => None,
        },
        superuser: match rank {
            "member" => Some(false),
            "superuser" => Some(true),
            _ => None,
        },
    };
    shown.action(visit, "administration.accounts.new", &visit.administered("/auth/user/add/"));
    let turn = list::turn(visit, place);
    let leaf = directory::page(&visit.context().store, &search, &turn, ROWS).await?;
    for account in &leaf.items {
        shown.table.row(row(visit, account));
    }
    shown.pages(visit, &leaf, |account| match order {
        Order::Username => format!("{}:{}", account.id, account.username),
        Order::Email => format!("{}:{}", account.id, account.email),
    });
    Ok(shown.reply(visit, "accounts"))
}

fn row(visit: &Visit<'_>, account: &Account) -> Vec<Value> {
    let name = format!("{} {}", account.first_name, account.last_name);
    vec![
        list::link(&account.username, &at(visit, account.id, "change")),
        list::text(&account.email),
        list::text(name.trim()),
        list::tags(visit, &state(account)),
        list::moment(Some(account.date_joined)),
        list::moment(account.last_login),
    ]
}

/// What is to be seen of an account at once.
fn state(account: &Account) -> Vec<&'static str> {
    let told = [
        (account.is_superuser, "superuser"),
        (account.is_staff, "staff"),
        (!account.is_active, "inactive"),
    ];
    told.into_iter().filter(|(is_so, _)| *is_so).map(|(_, name)| name).collect()
}

/// Makes an account; without a password its owner asks for a link.
pub(super) async fn new(visit: &mut Visit<'_>) -> Result<Reply, Error> {
    if !visit.is_post() {
        return shown(visit, &Form::default());
    }
    let mut form = visit.take_form();
    let particulars = particulars(visit, &mut form);
    let typed = ["new_password", "repeated_password"].map(|name| form.secret(name));
    let is_without = typed.iter().all(|typed| typed.expose().is_empty());
    let password = (!is_without).then(|| new_password(visit, &mut form, "new_password"));
    let Some(particulars) = particulars.filter(|_| form.is_fine()) else {
        return shown(visit, &form);
    };
    let rank = (form.has("is_staff"), form.has("is_superuser"));
    match steward(visit)?.create(Newcomer { particulars, password, rank }).await? {
        Ok(id) => Ok(Reply::redirect(format!("{}?done=created", at(visit, id, "change")))),
        Err(why) => match refuse(visit, &mut form, &why) {
            Some(reply) => Ok(reply),
            None => shown(visit, &form),
        },
    }
}

fn shown(visit: &Visit<'_>, form: &Form) -> Result<Reply, Error> {
    let accounts = &visit.context().accounts;
    let view = json!({
        "current": "accounts",
        "may_rank": steward(visit)?.is_superuser(),
        "needs_email": accounts.email_login,
        "minimum": accounts.passwords.minimum,
    });
    Ok(Reply::page("administration/account_new.html", with_form(form, view)))
}

/// `12:aino`: the account beside a place.
pub(super) fn place(text: &str) -> Option<Place> {
    let (id, text) = text.split_once(':')?;
    Some(Place { id: id.parse().ok()?, text: text.to_owned() })
}
