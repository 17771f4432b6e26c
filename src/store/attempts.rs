//! Sign-in attempts and limited requests, counted by subject, for all instances together.

use crate::account::throttle::{Limit, Subject, Tally};
use crate::base::clock::Timestamp;
use crate::store::{Row, Store, StoreError, Tx};

/// What is counted, and up to what.
#[derive(Clone, Copy, Debug)]
pub struct Charge<'a> {
    /// On which subject.
    pub subject: Subject,
    /// Of which account it is, where it is that at an address.
    pub of: Option<Subject>,
    /// Its limit.
    pub limit: &'a Limit,
    /// Whether nothing at all is counted where this limit is reached; else only this is not.
    pub decides: bool,
}

/// What was counted of each of three subjects (which may be the same).
pub async fn find(store: &Store, subjects: [Subject; 3]) -> Result<[Tally; 3], StoreError> {
    let params = subjects.map(|subject| subject.digest().into());
    let mut tallies = [Tally::NONE; 3];
    for row in &store.read("attempts.find", &params).await? {
        let digest = row.digest("subject")?;
        for (subject, tally) in subjects.iter().zip(&mut tallies) {
            if *subject.digest() == digest {
                *tally = read_tally(row)?;
            }
        }
    }
    Ok(tallies)
}

/// Counts one more on each subject, if all limits that decide have room: `false` where one has not, and
/// then nothing is counted. Of many at once exactly as many succeed as there is room for.
pub async fn count(
    store: &Store,
    charges: &[Charge<'_>],
    now: Timestamp,
) -> Result<bool, StoreError> {
    let mut tx = store.begin("count attempt").await?;
    for charge in charges {
        if !count_one(&mut tx, charge, now).await? && charge.decides {
            return Ok(false);
        }
    }
    tx.commit().await?;
    Ok(true)
}

async fn count_one(tx: &mut Tx, charge: &Charge<'_>, now: Timestamp) -> Result<bool, StoreError> {
    let Charge { subject, limit, .. } = charge;
    let unless_zero = |most: u32| if most == 0 { i64::MAX } else { i64::from(most) };
    let params = [
        subject.digest().into(),
        now.seconds().into(),
        seconds(limit.window).into(),
        unless_zero(limit.most).into(),
        seconds(limit.rest).into(),
        unless_zero(limit.ceiling).into(),
        now.plus(limit.window.max(limit.rest)).seconds().into(),
        charge.of.map(|account| *account.digest()).into(),
    ];
    Ok(!tx.run("attempts.count", &params).await?.is_empty())
}

/// Notes a success on an account: its row of failures ends, and where it came from is known until then.
/// `clear` forgets the failures of strangers, too.
pub async fn succeed(
    store: &Store,
    account: Subject,
    pair: Option<(Subject, Timestamp)>,
    clear: bool,
) -> Result<(), StoreError> {
    let mut tx = store.begin("note sign-in").await?;
    // In the order in which failures are counted, so that the two never wait for each other.
    let end = if clear { "attempts.clear" } else { "attempts.end_streak" };
    tx.run(end, &[account.digest().into()]).await?;
    if let Some((pair, until)) = pair {
        let params = [pair.digest().into(), until.seconds().into(), account.digest().into()];
        tx.run("attempts.know", &params).await?;
    }
    tx.commit().await
}

/// Part of a transaction: forgets the failures of these subjects, and of these accounts at whatever address.
/// Gives whether there were any.
pub async fn forgive_in(tx: &mut Tx, subjects: [Subject; 3]) -> Result<bool, StoreError> {
    let params = subjects.map(|subject| subject.digest().into());
    Ok(!tx.run("attempts.forgive", &params).await?.is_empty())
}

/// Deletes at most `most` subjects of which nothing matters any more. Gives how many.
pub async fn sweep(store: &Store, now: Timestamp, most: i64) -> Result<usize, StoreError> {
    let params = [now.seconds().into(), most.into()];
    Ok(store.write("attempts.sweep", &params).await?.len())
}

fn read_tally(row: &Row) -> Result<Tally, StoreError> {
    let number = |column| row.int(column).map(|count| u32::try_from(count).unwrap_or(u32::MAX));
    Ok(Tally {
        failures: number("failures")?,
        began_at: row.seconds("began_at")?,
        streak: number("streak")?,
        failed_at: row.seconds("failed_at")?,
        known_until: row.seconds("known_until_at")?,
    })
}

fn seconds(duration: std::time::Duration) -> i64 {
    i64::try_from(duration.as_secs()).unwrap_or(i64::MAX)
}
