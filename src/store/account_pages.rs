//! The list of accounts, page by page, however many there are: the next page begins at a place, and nothing
//! is counted.

use crate::account::account::Account;
use crate::store::accounts::account;
use crate::store::{Store, StoreError};

/// What the list is in the order of, and what a search looks at.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Order {
    /// User names.
    #[default]
    Username,
    /// Mail addresses. Accounts without one are left out: any number of them may have none.
    Email,
}

/// Which accounts are listed; `None` is all.
#[derive(Clone, Debug, Default)]
pub struct Search {
    /// In which order.
    pub order: Order,
    /// What its user name or mail address begins with, whatever the case of letters.
    pub beginning: String,
    /// Whether it is switched on.
    pub active: Option<bool>,
    /// Whether it may enter the administration.
    pub staff: Option<bool>,
    /// Whether it may do everything.
    pub superuser: Option<bool>,
}

/// Between two accounts of the list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// User name or mail address of the account beside it.
    pub text: String,
    /// Its id.
    pub id: i32,
}

/// Which way to read on from a place.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Turn<P> {
    /// From the beginning.
    #[default]
    First,
    /// What comes after.
    After(P),
    /// What comes before.
    Before(P),
}

impl Turn<Place> {
    /// Where to begin among what begins so: beside which text and id, and whether backwards. `None` where
    /// that is no text that a column can hold: PostgreSQL has no NUL in texts.
    pub(super) fn start<'t>(&'t self, beginning: &'t str) -> Option<(&'t str, i32, bool)> {
        let start = match self {
            Self::First => (beginning, i32::MIN, false),
            Self::After(place) => (place.text.as_str(), place.id, false),
            Self::Before(place) => (place.text.as_str(), place.id, true),
        };
        (!beginning.contains('\0') && !start.0.contains('\0')).then_some(start)
    }
}

/// No text but the empty one comes before this one.
const FIRST: &str = "\u{1}";
/// No text that a column can hold comes after this one.
pub(super) const LAST: char = '\u{10ffff}';

/// At most `most` accounts from a place on. Those before a place are given backwards.
pub async fn page(
    store: &Store,
    search: &Search,
    turn: &Turn<Place>,
    most: i64,
) -> Result<Vec<Account>, StoreError> {
    let Search { order, beginning, active, staff, superuser } = search;
    let end = format!("{beginning}{LAST}");
    let beginning = match order {
        Order::Email if beginning.is_empty() => FIRST,
        _ => beginning.as_str(),
    };
    let Some((text, id, is_backwards)) = turn.start(beginning) else { return Ok(Vec::new()) };
    let params = [
        beginning.into(),
        end.into(),
        text.into(),
        id.into(),
        (*active).into(),
        (*staff).into(),
        (*superuser).into(),
        most.into(),
    ];
    let statement = search.statement(is_backwards);
    store.read(statement, &params).await?.iter().map(account).collect()
}

impl Search {
    /// The rarest of what is asked for has the index.
    fn statement(&self, is_backwards: bool) -> &'static str {
        let [forwards, backwards] = match (self.order, self.active, self.staff, self.superuser) {
            (Order::Username, _, Some(true), _) | (Order::Username, _, _, Some(true)) => [
                "account_pages.by_username_of_staff",
                "account_pages.by_username_of_staff_backwards",
            ],
            (Order::Email, _, Some(true), _) | (Order::Email, _, _, Some(true)) => {
                ["account_pages.by_email_of_staff", "account_pages.by_email_of_staff_backwards"]
            }
            (Order::Username, Some(false), _, _) => [
                "account_pages.by_username_of_inactive",
                "account_pages.by_username_of_inactive_backwards",
            ],
            (Order::Email, Some(false), _, _) => [
                "account_pages.by_email_of_inactive",
                "account_pages.by_email_of_inactive_backwards",
            ],
            (Order::Username, _, _, _) => {
                ["account_pages.by_username", "account_pages.by_username_backwards"]
            }
            (Order::Email, _, _, _) => {
                ["account_pages.by_email", "account_pages.by_email_backwards"]
            }
        };
        if is_backwards { backwards } else { forwards }
    }
}
