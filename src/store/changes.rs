//! What a transaction changed that caches must hear of.

use std::collections::BTreeSet;
use std::sync::Arc;

use crate::base::clock::Timestamp;
use crate::store::link::Link;
use crate::store::{Row, Store, StoreError, Tx, Value};

/// One thing that caches keep and that a committed transaction has changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Change {
    /// The account with this id, or any of its credentials.
    Account(i32),
    /// The key ring.
    Keys,
    /// Anything: more than can be told, or what is not known in detail.
    Everything,
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
        Change::Everything => ("everything", None),
        Change::Outbox => {
            tx.changed(change);
            return Ok(());
        }
    };
    let params = [kind.into(), account.into(), now.seconds().into()];
    let rows = tx.run("changes.note", &params).await?;
    if let Some(row) = rows.first() {
        tx.noted(row.int("id")?);
    }
    tx.changed(change);
    Ok(())
}

/// The ids of changes that listeners of this process were told of, so that its feed need not tell them
/// again. Bounded: one that is forgotten is told twice, which harms nobody.
#[derive(Debug, Default)]
pub(super) struct Told(BTreeSet<i64>);

/// How many ids are kept at most.
const KEPT: usize = 4096;

impl Told {
    pub(super) fn add(&mut self, ids: &[i64]) {
        self.0.extend(ids);
        while self.0.len() > KEPT {
            self.0.pop_first();
        }
    }

    /// Whether it was told; is asked once.
    fn take(&mut self, id: i64) -> bool {
        self.0.remove(&id)
    }
}

/// Reads the feed of changes from where it stood when it was opened: each change once, however late the
/// transaction commits that made it.
///
/// Ids are given out before a transaction commits, so "greater than the last one" would miss what commits
/// late. PostgreSQL tells exactly which transactions a read has seen (a snapshot: manual 9.27.10); the
/// next read asks for the changes of all others. SQLite's transactions follow one another: there the last
/// id is enough.
#[derive(Debug)]
pub struct Feed {
    position: String,
    /// Which run of which server the position is of.
    era: String,
}

/// Changes that are told one by one at most; where there are more, everything may have changed.
const MOST: i64 = 10_000;

impl Feed {
    /// A feed that begins now.
    pub async fn open(store: &Store) -> Result<Self, StoreError> {
        let rows = store.read("changes.now", &[]).await?;
        let row = rows.first().ok_or_else(no_row)?;
        Ok(Self { position: row.text("position")?, era: row.text("era")? })
    }

    /// The changes that were not read yet.
    ///
    /// [`Change::Everything`] where that cannot be told: the server was started anew or is another one
    /// (a new primary may lack what the old one had, and give its numbers to others), or there are too
    /// many.
    pub async fn read(&mut self, store: &Store) -> Result<Vec<Change>, StoreError> {
        let rows = store.read("changes.since", &self.params()).await?;
        self.digest(store, &rows)
    }

    /// As [`Feed::read`], over the link: however many wait for the pool.
    pub async fn read_over(
        &mut self,
        link: &Link,
        store: &Store,
    ) -> Result<Vec<Change>, StoreError> {
        let rows = store.read_over(link, "changes.since", &self.params()).await?;
        self.digest(store, &rows)
    }

    fn params(&self) -> [Value; 2] {
        [self.position.as_str().into(), (MOST + 1).into()]
    }

    fn digest(&mut self, store: &Store, rows: &[Row]) -> Result<Vec<Change>, StoreError> {
        let first = rows.first().ok_or_else(no_row)?;
        let era = first.text("era")?;
        let is_new_era = era != self.era;
        let mut changes = Vec::new();
        if is_new_era || i64::try_from(rows.len()).is_ok_and(|count| count > MOST) {
            changes.push(Change::Everything);
        } else {
            for row in rows {
                changes.extend(change(store, row)?);
            }
        }
        self.position = first.text("position")?;
        self.era = era;
        Ok(changes)
    }
}

/// The change in a row; none in the one row of a feed without news, and where this process was told.
fn change(store: &Store, row: &Row) -> Result<Option<Change>, StoreError> {
    let Some(id) = row.opt_int("id")? else { return Ok(None) };
    if store.told().take(id) {
        return Ok(None);
    }
    Ok(Some(match (row.text("kind")?.as_str(), row.opt_int32("account_id")?) {
        ("account", Some(account)) => Change::Account(account),
        ("keys", _) => Change::Keys,
        // Also what a newer version has and we do not know.
        _ => Change::Everything,
    }))
}

fn no_row() -> StoreError {
    StoreError::Other("the feed of changes gave no row".to_owned())
}

/// Whether a link leads to the database that the pool leads to; elsewhere nothing would be heard.
pub async fn check_link(store: &Store, link: &Link) -> Result<(), StoreError> {
    let here = store.read("changes.now", &[]).await?;
    let there = store.read_over(link, "changes.now", &[]).await?;
    let era = |rows: &[Row]| rows.first().ok_or_else(no_row)?.text("era");
    if era(&here)? == era(&there)? {
        return Ok(());
    }
    let sentence = "database.listen_url leads to another database than database.url";
    Err(StoreError::Other(sentence.to_owned()))
}

/// Deletes at most `most` of what every instance has read long ago. Gives how many there were.
pub async fn sweep(store: &Store, before: Timestamp, most: i64) -> Result<usize, StoreError> {
    let params = [before.seconds().into(), most.into()];
    store.write("changes.sweep", &params).await.map(|rows| rows.len())
}
