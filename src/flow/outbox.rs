//! The queue of mails, by operators: looking at it, having mails tried at once, dropping them. Each is recorded.

use crate::base::clock::Timestamp;
use crate::flow::Caller;
use crate::flow::audit::{self, Event};
use crate::flow::directory::{Leaf, Turn};
use crate::store::outbox;
use crate::store::{Store, StoreError, Tx};

pub use crate::store::outbox::{Depth, Entry, MailState};

/// How full the queue is.
pub async fn depth(store: &Store) -> Result<Depth, StoreError> {
    outbox::depth(store).await
}

/// A page of mails, oldest first, from a place on: when it was made, and its id.
pub async fn page(
    store: &Store,
    state: Option<MailState>,
    turn: &Turn<(i64, String)>,
    most: usize,
) -> Result<Leaf<Entry>, StoreError> {
    let one_more = i64::try_from(most).unwrap_or(i64::MAX).saturating_add(1);
    let found = outbox::page(store, state, turn, one_more).await?;
    Ok(Leaf::of(found, turn, most))
}

/// Has a mail that waits or was given up tried at once. `false` where there is none, or none that could be
/// sent.
pub async fn retry(
    store: &Store,
    caller: &Caller,
    id: &str,
    now: Timestamp,
) -> Result<bool, StoreError> {
    let mut tx = store.begin("retry mail").await?;
    let retried = outbox::retry_in(&mut tx, id, now).await?;
    if retried {
        let event = audit::event(Event::OutboxChanged, caller, now).detail("what", "retried");
        event.detail("mail", id).record(&mut tx).await?;
    }
    tx.commit().await?;
    Ok(retried)
}

/// Has all mails tried at once that wait or were given up. Gives how many.
pub async fn retry_all(
    store: &Store,
    caller: &Caller,
    now: Timestamp,
) -> Result<usize, StoreError> {
    let mut tx = store.begin("retry mails").await?;
    let retried = outbox::retry_all_in(&mut tx, now).await?;
    if retried > 0 {
        let event = audit::event(Event::OutboxChanged, caller, now).detail("what", "retried");
        event.detail("mails", retried.to_string()).record(&mut tx).await?;
    }
    tx.commit().await?;
    Ok(retried)
}

/// Deletes a mail that waits or was given up. `false` where there is none, or it is being sent.
pub async fn drop(
    store: &Store,
    caller: &Caller,
    id: &str,
    now: Timestamp,
) -> Result<bool, StoreError> {
    let mut tx = store.begin("drop mail").await?;
    let dropped = drop_in(&mut tx, caller, id, now).await?;
    tx.commit().await?;
    Ok(dropped)
}

/// Part of a transaction: as [`drop`].
pub(super) async fn drop_in(
    tx: &mut Tx,
    caller: &Caller,
    id: &str,
    now: Timestamp,
) -> Result<bool, StoreError> {
    let dropped = outbox::drop_in(tx, id).await?;
    if dropped {
        let event = audit::event(Event::OutboxChanged, caller, now).detail("what", "dropped");
        event.detail("mail", id).record(tx).await?;
    }
    Ok(dropped)
}
