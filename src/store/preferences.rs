//! What people have chosen for themselves: the language that they are addressed in.

use crate::account::account::AccountId;
use crate::store::{Row, Store, StoreError, Tx};

/// The tag of the language that somebody has chosen; `None` where nobody has.
pub async fn language(store: &Store, account: AccountId) -> Result<Option<String>, StoreError> {
    chosen(&store.read("preferences.language", &[account.get().into()]).await?)
}

/// Part of a transaction: as [`language`].
pub async fn language_in(tx: &mut Tx, account: AccountId) -> Result<Option<String>, StoreError> {
    chosen(&tx.run("preferences.language", &[account.get().into()]).await?)
}

fn chosen(rows: &[Row]) -> Result<Option<String>, StoreError> {
    rows.first().map(|row| row.text("language")).transpose()
}

/// Part of a transaction: keeps the tag of a language that somebody has chosen.
pub async fn choose_language_in(
    tx: &mut Tx,
    account: AccountId,
    tag: &str,
) -> Result<(), StoreError> {
    tx.run("preferences.choose_language", &[account.get().into(), tag.into()]).await.map(drop)
}
