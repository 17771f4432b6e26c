//! The outbox: mails that wait to be sent. The store sees them sealed.

use crate::base::clock::Timestamp;
use crate::store::account_pages::Turn;
use crate::store::changes::Change;
use crate::store::{Row, Store, StoreError, Tx, Value};

/// How a mail stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MailState {
    /// Waits.
    Queued,
    /// Is being sent, or whoever did so is gone; then its lease ends soon.
    Sending,
    /// Was taken by the server.
    Sent,
    /// Will not be sent: refused for good, or too old.
    Failed,
}

impl MailState {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Queued, Self::Sending, Self::Sent, Self::Failed];

    /// As it is stored.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Queued => "queued",
            Self::Sending => "sending",
            Self::Sent => "sent",
            Self::Failed => "failed",
        }
    }

    /// The state of that name.
    #[must_use]
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|state| state.as_str() == name)
    }
}

/// A mail to be put into the outbox.
#[derive(Debug)]
pub struct NewMail<'a> {
    /// 32 hexadecimal digits.
    pub id: &'a str,
    /// What it is about.
    pub message: &'a str,
    /// Its language's tag.
    pub language: &'a str,
    /// The letter, sealed, or why it can never be sent.
    pub content: Result<&'a [u8], &'a str>,
}

/// Part of a transaction: puts a mail into the outbox. The listeners of this instance hear of it after
/// the COMMIT; others look into the outbox themselves.
pub async fn add(tx: &mut Tx, mail: &NewMail<'_>, now: Timestamp) -> Result<(), StoreError> {
    let state = if mail.content.is_ok() { MailState::Queued } else { MailState::Failed };
    let params = [
        mail.id.into(),
        mail.message.into(),
        mail.language.into(),
        state.as_str().into(),
        mail.content.ok().map(<[u8]>::to_vec).into(),
        now.seconds().into(),
        mail.content.err().into(),
    ];
    tx.run("outbox.add", &params).await?;
    tx.changed(Change::Outbox);
    Ok(())
}

/// A mail that is ours to send until its lease ends.
#[derive(Debug)]
pub struct Claimed {
    /// Its id.
    pub id: String,
    /// What it is about.
    pub message: String,
    /// The letter, sealed.
    pub sealed: Vec<u8>,
    /// Since when it waits.
    pub created_at: Timestamp,
    /// The how manieth attempt this is. It also tells this lease from a later one.
    pub attempts: i64,
}

/// When the next mail is due; `None` where none waits.
pub async fn next_due(store: &Store) -> Result<Option<Timestamp>, StoreError> {
    let rows = store.read("outbox.next_due", &[]).await?;
    rows.first().map_or(Ok(None), |row| row.opt_seconds("next_try_at"))
}

/// Leases at most `most` mails that are due, until `until`. None of them is given to two callers.
pub async fn claim(
    store: &Store,
    now: Timestamp,
    until: Timestamp,
    most: usize,
) -> Result<Vec<Claimed>, StoreError> {
    let most = i64::try_from(most).unwrap_or(i64::MAX);
    let params = [now.seconds().into(), until.seconds().into(), most.into()];
    let rows = store.write("outbox.claim", &params).await?;
    rows.iter().map(claimed).collect()
}

fn claimed(row: &Row) -> Result<Claimed, StoreError> {
    Ok(Claimed {
        id: row.text("id")?,
        message: row.text("message")?,
        sealed: row.blob("sealed")?,
        created_at: row.seconds("created_at")?,
        attempts: row.int("attempts")?,
    })
}

/// Prolongs a lease. `false` where it is no longer ours.
pub async fn prolong(
    store: &Store,
    id: &str,
    attempt: i64,
    until: Timestamp,
) -> Result<bool, StoreError> {
    let params = [id.into(), attempt.into(), until.seconds().into()];
    Ok(!store.write("outbox.prolong", &params).await?.is_empty())
}

/// Notes that a mail was sent, and forgets what it said. `false` where that was known.
pub async fn sent(store: &Store, id: &str, now: Timestamp) -> Result<bool, StoreError> {
    Ok(!store.write("outbox.sent", &[id.into(), now.seconds().into()]).await?.is_empty())
}

/// Gives a mail back, to be tried again at `next`. `false` where it was no longer ours.
pub async fn defer(
    store: &Store,
    id: &str,
    attempt: i64,
    next: Timestamp,
    why: &str,
) -> Result<bool, StoreError> {
    let params = [id.into(), attempt.into(), next.seconds().into(), why.into()];
    Ok(!store.write("outbox.defer", &params).await?.is_empty())
}

/// Gives a mail up. `false` where it was no longer ours.
pub async fn fail(store: &Store, id: &str, attempt: i64, why: &str) -> Result<bool, StoreError> {
    let params = [id.into(), attempt.into(), why.into()];
    Ok(!store.write("outbox.fail", &params).await?.is_empty())
}

/// Deletes a row that is no mail. `false` where it was no longer ours.
pub async fn discard(store: &Store, id: &str, attempt: i64) -> Result<bool, StoreError> {
    Ok(!store.write("outbox.discard", &[id.into(), attempt.into()]).await?.is_empty())
}

/// How full the outbox is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Depth {
    /// Mails that wait or are being sent.
    pub waiting: i64,
    /// Mails that were given up.
    pub failed: i64,
    /// Since when the oldest of those that wait does.
    pub oldest: Option<Timestamp>,
}

/// How full the outbox is.
pub async fn depth(store: &Store) -> Result<Depth, StoreError> {
    let mut depth = Depth::default();
    for row in store.read("outbox.depth", &[]).await? {
        let count = row.int("count")?;
        if row.text("state")? == MailState::Failed.as_str() {
            depth.failed = count;
        } else {
            depth.waiting += count;
            let oldest = row.seconds("oldest_at")?;
            depth.oldest = Some(depth.oldest.map_or(oldest, |before| before.min(oldest)));
        }
    }
    Ok(depth)
}

/// A mail as operators see it: not who gets it, and not what it says.
#[derive(Debug)]
pub struct Entry {
    /// Its id.
    pub id: String,
    /// What it is about.
    pub message: String,
    /// Its language's tag.
    pub language: String,
    /// How it stands.
    pub state: MailState,
    /// Since when it is there.
    pub created_at: Timestamp,
    /// When it is tried next, or while it is being sent, how long nobody else tries.
    pub next_try_at: Timestamp,
    /// When it was sent.
    pub sent_at: Option<Timestamp>,
    /// How often it was tried.
    pub attempts: i64,
    /// What the mail server said last, without addresses.
    pub last_error: Option<String>,
}

/// At most `most` mails, oldest first, in one state or in any, from behind `after` on.
pub async fn list(
    store: &Store,
    state: Option<MailState>,
    after: Option<&Entry>,
    most: i64,
) -> Result<Vec<Entry>, StoreError> {
    let (created_at, id) =
        after.map_or((i64::MIN, ""), |entry| (entry.created_at.seconds(), entry.id.as_str()));
    let state = state.map(MailState::as_str);
    let params = [state.into(), created_at.into(), id.into(), most.into()];
    store.read("outbox.list", &params).await?.iter().map(entry).collect()
}

fn entry(row: &Row) -> Result<Entry, StoreError> {
    let state = row.text("state")?;
    Ok(Entry {
        id: row.text("id")?,
        message: row.text("message")?,
        language: row.text("language")?,
        state: MailState::parse(&state)
            .ok_or_else(|| StoreError::Other(format!("unknown state of a mail {state}")))?,
        created_at: row.seconds("created_at")?,
        next_try_at: row.seconds("next_try_at")?,
        sent_at: row.opt_seconds("sent_at")?,
        attempts: row.int("attempts")?,
        last_error: row.opt_text("last_error")?,
    })
}

/// At most `most` mails in one state or in any, oldest first, from a place on: when it was made, and its id.
/// Those before a place are given backwards.
pub async fn page(
    store: &Store,
    state: Option<MailState>,
    turn: &Turn<(i64, String)>,
    most: i64,
) -> Result<Vec<Entry>, StoreError> {
    let (created_at, id, is_backwards) = match turn {
        Turn::First => (i64::MIN, "", false),
        Turn::After((created_at, id)) => (*created_at, id.as_str(), false),
        Turn::Before((created_at, id)) => (*created_at, id.as_str(), true),
    };
    if id.contains('\0') {
        return Ok(Vec::new());
    }
    let state = state.map(MailState::as_str);
    let params = [state.into(), created_at.into(), id.into(), most.into()];
    let rows = if is_backwards {
        store.read("outbox.list_backwards", &params).await?
    } else {
        store.read("outbox.list", &params).await?
    };
    rows.iter().map(entry).collect()
}

/// Part of a transaction: has a mail that waits or was given up tried at once. `false` where there is none,
/// or none that could be sent.
pub async fn retry_in(tx: &mut Tx, id: &str, now: Timestamp) -> Result<bool, StoreError> {
    let retried = !tx.run("outbox.retry", &[id.into(), now.seconds().into()]).await?.is_empty();
    tx.changed(Change::Outbox);
    Ok(retried)
}

/// Part of a transaction: has all mails tried at once that wait or were given up. Gives how many.
pub async fn retry_all_in(tx: &mut Tx, now: Timestamp) -> Result<usize, StoreError> {
    let retried = tx.run("outbox.retry_all", &[now.seconds().into()]).await?.len();
    tx.changed(Change::Outbox);
    Ok(retried)
}

/// Part of a transaction: deletes a mail that waits or was given up. `false` where there is none, or it is
/// being sent.
pub async fn drop_in(tx: &mut Tx, id: &str) -> Result<bool, StoreError> {
    let params: [Value; 1] = [id.into()];
    Ok(!tx.run("outbox.drop", &params).await?.is_empty())
}

/// Deletes at most `most` mails that were sent before `sent`, or made before `failed` and given up. Gives
/// how many.
pub async fn sweep(
    store: &Store,
    sent: Timestamp,
    failed: Timestamp,
    most: i64,
) -> Result<usize, StoreError> {
    let params = [sent.seconds().into(), failed.seconds().into(), most.into()];
    Ok(store.write("outbox.sweep", &params).await?.len())
}
