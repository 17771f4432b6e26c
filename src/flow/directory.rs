//! The accounts as the administration lists them: page by page, never counted.

use crate::account::account::Account;
use crate::store::api_keys::{self, ListedKey};
use crate::store::{Store, StoreError, account_pages};

pub use crate::store::account_pages::{Order, Place, Search, Turn};

/// A page of a list.
#[derive(Clone, Debug)]
pub struct Leaf<T> {
    /// What stands on it.
    pub items: Vec<T>,
    /// Whether there is a page before it.
    pub has_previous: bool,
    /// Whether there is one after it.
    pub has_next: bool,
}

impl<T> Leaf<T> {
    /// The page of what was `found` that way: one more than a page holds, where there is more, and backwards
    /// where it was read so.
    #[must_use]
    pub fn of<P>(mut found: Vec<T>, turn: &Turn<P>, most: usize) -> Self {
        let more = found.len() > most;
        found.truncate(most);
        let (has_previous, has_next) = match turn {
            Turn::First => (false, more),
            Turn::After(_) => (true, more),
            Turn::Before(_) => {
                found.reverse();
                (more, true)
            }
        };
        Self { items: found, has_previous, has_next }
    }
}

/// A page of accounts.
pub async fn page(
    store: &Store,
    search: &Search,
    turn: &Turn<Place>,
    most: usize,
) -> Result<Leaf<Account>, StoreError> {
    let one_more = i64::try_from(most).unwrap_or(i64::MAX).saturating_add(1);
    let found = account_pages::page(store, search, turn, one_more).await?;
    Ok(Leaf::of(found, turn, most))
}

/// A page of classic API keys: of accounts whose user names begin so, or of all.
pub async fn keys(
    store: &Store,
    beginning: &str,
    turn: &Turn<Place>,
    most: usize,
) -> Result<Leaf<ListedKey>, StoreError> {
    let one_more = i64::try_from(most).unwrap_or(i64::MAX).saturating_add(1);
    let found = api_keys::page(store, beginning, turn, one_more).await?;
    Ok(Leaf::of(found, turn, most))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_know_their_neighbours() {
        let leaf = |found: &[i32], turn| {
            let leaf = Leaf::of(found.to_vec(), &turn, 2);
            (leaf.items, leaf.has_previous, leaf.has_next)
        };
        assert_eq!(leaf(&[1, 2, 3], Turn::First), (vec![1, 2], false, true));
        assert_eq!(leaf(&[1, 2], Turn::First), (vec![1, 2], false, false));
        assert_eq!(leaf(&[3, 4, 5], Turn::After(())), (vec![3, 4], true, true));
        assert_eq!(leaf(&[5], Turn::After(())), (vec![5], true, false));
        assert_eq!(leaf(&[4, 3, 2], Turn::Before(())), (vec![3, 4], true, true));
        assert_eq!(leaf(&[2, 1], Turn::Before(())), (vec![1, 2], false, true));
    }
}
