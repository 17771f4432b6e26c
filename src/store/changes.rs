//! What a transaction changed that caches must hear of.

use std::collections::BTreeSet;
use std::sync::Arc;

use crate::base::clock::Timestamp;
use crate::store::{Store, StoreError, Tx};

/// One thing that caches keep and that a committed transaction has changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Change {
    /// The account with this id, or any of its credentials.
    Account(i32),
    /// The key ring.
    Keys,
    /// The outbox. Not part of the feed: every instance looks into the outbox itself.
    Outbox,
}

/// Is told what changed, after the COMMIT. It runs on the task that committed, so it must be quick.
pub type Listener = Arc<dyn Fn(&[Change]) + Send + Sync>;

/// Part of a transaction: notes a change in the feed that every instance reads, and for the listeners of
/// this one.
pub async fn note(tx: &mut Tx, change: Change, now: Timestamp) -> Result<(), StoreError> {
    let (kind, account) = match change {
        Change::Account(account) => ("account", Some(account)),
        Change::Keys => ("keys", None),
        Change::Outbox => {
            tx.changed(change);
            return Ok(());
        }
    };
    tx.run("changes.note", &[kind.into(), account.into(), now.seconds().into()]).await?;
    tx.changed(change);
    Ok(())
}

/// Reads the feed of changes from where it stood when it was opened.
///
/// Ids are given out before a transaction commits, so a smaller one may appear after a larger one. The
/// last `OVERLAP` ids are therefore read again each time, and those already seen are left out.
#[derive(Debug)]
pub struct Feed {
    newest: i64,
    seen: BTreeSet<i64>,
}

/// How many ids back a late transaction may come.
const OVERLAP: i64 = 256;
/// Changes read at once; there may be more.
const MOST: i64 = 1024;

impl Feed {
    /// A feed that begins now.
    pub async fn open(store: &Store) -> Result<Self, StoreError> {
        let rows = store.read("changes.newest", &[]).await?;
        let newest = rows.first().map(|row| row.opt_int("id")).transpose()?.flatten().unwrap_or(0);
        let mut feed = Self { newest, seen: BTreeSet::new() };
        // What is in the overlap already was there before us.
        feed.read(store).await?;
        Ok(feed)
    }

    /// The changes that were not read yet.
    pub async fn read(&mut self, store: &Store) -> Result<Vec<Change>, StoreError> {
        let mut changes = Vec::new();
        loop {
            let from = self.newest - OVERLAP;
            let rows = store.read("changes.since", &[from.into(), MOST.into()]).await?;
            let count = rows.len();
            for row in rows {
                let id = row.int("id")?;
                if !self.seen.insert(id) {
                    continue;
                }
                self.newest = self.newest.max(id);
                match (row.text("kind")?.as_str(), row.opt_int32("account_id")?) {
                    ("account", Some(account)) => changes.push(Change::Account(account)),
                    ("keys", _) => changes.push(Change::Keys),
                    (kind, _) => {
                        return Err(StoreError::Other(format!("unknown kind of change {kind}")));
                    }
                }
            }
            self.seen = self.seen.split_off(&(self.newest - OVERLAP));
            if count < usize::try_from(MOST).unwrap_or(usize::MAX) {
                return Ok(changes);
            }
        }
    }
}

/// Deletes what every instance has read long ago.
pub async fn sweep(store: &Store, before: Timestamp) -> Result<(), StoreError> {
    store.write("changes.sweep", &[before.seconds().into()]).await.map(drop)
}
