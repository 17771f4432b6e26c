//! What a database is, noted once (`sql/queries/facts.sql`).

use crate::store::engine::Store;
use crate::store::error::StoreError;

impl Store {
    /// The fact `name`, such as `accounts.owner`; `None` where it was never noted.
    pub async fn fact(&self, name: &str) -> Result<Option<String>, StoreError> {
        let rows = self.read("facts.find", &[name.into()]).await?;
        rows.first().map(|row| row.text("value")).transpose()
    }
}
