//! Accounts: the list.

use super::list::{self, List, ROWS};
use crate::account::account::Account;
use crate::flow::Error;
use crate::flow::directory::{self, Order, Place, Search};
use crate::http::pages::{Reply, Visit};

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
    let turn = list::turn(visit, place);
    let leaf = directory::page(&visit.context().store, &search, &turn, ROWS).await?;
    for account in &leaf.items {
        shown.row(row(visit, account));
    }
    shown.pages(visit, &leaf, |account| match order {
        Order::Username => format!("{}:{}", account.id, account.username),
        Order::Email => format!("{}:{}", account.id, account.email),
    });
    Ok(shown.reply(visit, "accounts"))
}

fn row(visit: &Visit<'_>, account: &Account) -> Vec<serde_json::Value> {
    let name = format!("{} {}", account.first_name, account.last_name);
    vec![
        list::text(&account.username),
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

/// `12:aino`: the account beside a place.
fn place(text: &str) -> Option<Place> {
    let (id, text) = text.split_once(':')?;
    Some(Place { id: id.parse().ok()?, text: text.to_owned() })
}
