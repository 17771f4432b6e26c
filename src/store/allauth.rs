//! The mail addresses that allauth keeps in its own table, where there is one.

use std::sync::Arc;

use crate::account::account::AccountId;
use crate::store::options::Options;
use crate::store::statements::Catalog;
use crate::store::{Row, Store, StoreError};

/// A row of allauth's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AllauthAddress {
    /// Its id there.
    pub id: i64,
    /// Whose it is; `None` where that is no id that an account could have.
    pub account: Option<AccountId>,
    /// The address.
    pub email: String,
    /// Whether mail to it was shown to arrive.
    pub verified: bool,
}

/// allauth's table.
#[derive(Debug)]
pub struct AllauthTable(Store);

impl AllauthTable {
    /// The table in that database; `None` where it has none. Beside the store, whose statements are all
    /// about tables that are there.
    pub async fn open(options: &Options) -> Result<Option<Self>, StoreError> {
        let catalog = Catalog::parse(&[("allauth", include_str!("../../sql/allauth.sql"))])?;
        let store = Store::open_with(options, Arc::new(catalog))?;
        let exists = !store.read("allauth.exists", &[]).await?.is_empty();
        Ok(exists.then_some(Self(store)))
    }

    /// At most `most` rows with larger ids than `after`.
    pub async fn page(&self, after: i64, most: i64) -> Result<Vec<AllauthAddress>, StoreError> {
        let rows = self.0.read("allauth.page", &[after.into(), most.into()]).await?;
        rows.iter().map(address).collect()
    }

    /// Ends its connections.
    pub async fn close(&self) {
        self.0.close().await;
    }
}

fn address(row: &Row) -> Result<AllauthAddress, StoreError> {
    Ok(AllauthAddress {
        id: row.int("id")?,
        account: i32::try_from(row.int("account_id")?).ok().map(AccountId::new),
        email: row.text("email")?,
        verified: row.bool("verified")?,
    })
}
