//! Browser sessions: one row for each, under the digest of its secret; and those of Django's.

use std::net::IpAddr;

use crate::account::account::AccountId;
use crate::base::clock::Timestamp;
use crate::base::digest::Digest;
use crate::store::changes::{self, Change};
use crate::store::refresh_families::EndReason;
use crate::store::{Row, Store, StoreError, Tx, accounts};
use crate::token::claims::FamilyId;
use crate::token::session::{SessionSecret, StoredSession};

/// A session that begins.
#[derive(Debug)]
pub struct NewSession<'a> {
    /// Digest of its secret.
    pub digest: Digest,
    /// Whose it is.
    pub account: AccountId,
    /// State of the password.
    pub password: Digest,
    /// Now.
    pub begun_at: Timestamp,
    /// When it ends at the latest.
    pub ends_at: Timestamp,
    /// Where from.
    pub address: Option<IpAddr>,
    /// With which program, as that says.
    pub program: &'a str,
    /// The session of somebody who acts as the account.
    pub actor: Option<Digest>,
}

/// A session as its owner sees it listed.
#[derive(Clone, Debug)]
pub struct ListedSession {
    /// The session itself.
    pub session: StoredSession,
    /// From where it was last used; empty where that is not known.
    pub address: String,
    /// With which program.
    pub program: String,
}

/// A row of Django's.
#[derive(Debug)]
pub struct DjangoRow {
    /// `session_data`.
    pub data: String,
    /// `expire_date`.
    pub ends_at: Timestamp,
}

/// Part of a transaction: begins a session.
pub async fn begin_in(tx: &mut Tx, new: &NewSession<'_>) -> Result<(), StoreError> {
    let params = [
        new.digest.into(),
        new.account.get().into(),
        new.password.into(),
        new.begun_at.millis().into(),
        new.begun_at.seconds().into(),
        new.ends_at.seconds().into(),
        new.address.map_or_else(String::new, |address| address.to_string()).into(),
        new.program.into(),
        new.actor.map(|actor| actor.as_bytes().to_vec()).into(),
    ];
    tx.run("sessions.begin", &params).await.map(drop)
}

/// The session of that digest, alive or not.
pub async fn find(store: &Store, digest: &Digest) -> Result<Option<ListedSession>, StoreError> {
    let rows = store.read("sessions.find", &[(*digest).into()]).await?;
    rows.first().map(listed).transpose()
}

/// At most `most` sessions of an account that have not reached their end, the last used first.
pub async fn of_account(
    store: &Store,
    account: AccountId,
    now: Timestamp,
    most: i64,
) -> Result<Vec<ListedSession>, StoreError> {
    let params = [account.get().into(), now.seconds().into(), most.into()];
    store.read("sessions.of_account", &params).await?.iter().map(listed).collect()
}

/// Notes that a session was used, from where and with what; where that was not done after `since`.
pub async fn touch(
    store: &Store,
    digest: &Digest,
    address: Option<IpAddr>,
    program: &str,
    now: Timestamp,
    since: Timestamp,
) -> Result<(), StoreError> {
    let params = [
        (*digest).into(),
        now.seconds().into(),
        address.map_or_else(String::new, |address| address.to_string()).into(),
        program.into(),
        since.seconds().into(),
    ];
    store.write("sessions.touch", &params).await.map(drop)
}

/// Part of a transaction: whether a session is still there; it stays until the transaction ends.
pub async fn hold_in(tx: &mut Tx, digest: &Digest) -> Result<bool, StoreError> {
    Ok(!tx.run("sessions.lock", &[(*digest).into()]).await?.is_empty())
}

/// Part of a transaction: lets a refresh family end when the session, which [`hold_in`] has found, is signed
/// out.
pub async fn bind_family_in(
    tx: &mut Tx,
    digest: &Digest,
    family: FamilyId,
) -> Result<(), StoreError> {
    let params = [family.as_bytes().as_slice().into(), (*digest).into()];
    tx.run("sessions.bind_family", &params).await.map(drop)
}

/// Part of a transaction: ends all sessions of an account but one, and all its refresh families but those
/// of that one.
pub async fn end_others_in(
    tx: &mut Tx,
    account: AccountId,
    but: &Digest,
    reason: EndReason,
    now: Timestamp,
) -> Result<(), StoreError> {
    let others = tx.run("sessions.others", &[account.get().into(), (*but).into()]).await?;
    for other in &others {
        end_in(tx, &other.digest("digest")?, account, reason, now).await?;
    }
    let params =
        [account.get().into(), (*but).into(), now.seconds().into(), reason.as_str().into()];
    tx.run("sessions.end_other_families", &params).await?;
    changes::note(tx, Change::Account(account.get()), now).await
}

/// Part of a transaction: ends all sessions of an account, and what is done from them as somebody else. Their
/// refresh families are for the caller to end.
pub(super) async fn end_of_account_in(
    tx: &mut Tx,
    account: AccountId,
    now: Timestamp,
) -> Result<(), StoreError> {
    end_acting_in(tx, account, now).await?;
    tx.run("sessions.end_of_account", &[account.get().into()]).await.map(drop)
}

/// Part of a transaction: ends the sessions in which somebody acts as this account, or this account as
/// somebody, with their refresh families.
pub async fn end_acting_in(
    tx: &mut Tx,
    account: AccountId,
    now: Timestamp,
) -> Result<(), StoreError> {
    for acting in &tx.run("sessions.acting", &[account.get().into()]).await? {
        let owner = AccountId::new(acting.int32("account_id")?);
        end_in(tx, &acting.digest("digest")?, owner, EndReason::SignOut, now).await?;
    }
    Ok(())
}

/// Part of a transaction: ends all sessions of an account but the one in which that refresh family began, if
/// it began in one.
pub(super) async fn end_without_family_in(
    tx: &mut Tx,
    account: AccountId,
    family: FamilyId,
    reason: EndReason,
    now: Timestamp,
) -> Result<(), StoreError> {
    let params = [account.get().into(), family.as_bytes().as_slice().into()];
    for session in &tx.run("sessions.without_family", &params).await? {
        end_in(tx, &session.digest("digest")?, account, reason, now).await?;
    }
    Ok(())
}

/// Part of a transaction: ends a session of that account, what was done from it as somebody else, and their
/// refresh families. `false` where there is none.
pub async fn end_in(
    tx: &mut Tx,
    digest: &Digest,
    account: AccountId,
    reason: EndReason,
    now: Timestamp,
) -> Result<bool, StoreError> {
    hold_in(tx, digest).await?;
    let params = [(*digest).into(), now.seconds().into(), reason.as_str().into()];
    for row in tx.run("sessions.end_families", &params).await? {
        changes::note(tx, Change::Account(row.int32("account_id")?), now).await?;
    }
    let ended = tx.run("sessions.end", &[(*digest).into(), account.get().into()]).await?;
    Ok(!ended.is_empty())
}

/// Part of a transaction: gives a session another secret. `None` where it has ended meanwhile, else when it
/// ends.
pub async fn renew_in(
    tx: &mut Tx,
    digest: &Digest,
    secret: &SessionSecret,
) -> Result<Option<Timestamp>, StoreError> {
    let params = [(*digest).into(), secret.digest().into()];
    let rows = tx.run("sessions.renew", &params).await?;
    rows.first().map(|row| row.seconds("ends_at")).transpose()
}

/// Deletes at most `most` sessions that ended before `before`. Gives how many.
pub async fn sweep(store: &Store, before: Timestamp, most: i64) -> Result<usize, StoreError> {
    let params = [before.seconds().into(), most.into()];
    Ok(store.write("sessions.sweep", &params).await?.len())
}

/// The row of Django's under that key, where it has not reached its end.
pub async fn find_djangos(
    store: &Store,
    key: &str,
    now: Timestamp,
) -> Result<Option<DjangoRow>, StoreError> {
    let rows = store.read("sessions.find_djangos", &[key.into(), now.into()]).await?;
    let row = |row: &Row| {
        Ok(DjangoRow { data: row.text("session_data")?, ends_at: row.time("expire_date")? })
    };
    rows.first().map(row).transpose()
}

/// Part of a transaction: ends a session of Django's. Its refresh families are for the caller to end.
pub async fn end_djangos_in(tx: &mut Tx, key: &str) -> Result<(), StoreError> {
    tx.run("sessions.end_djangos", &[key.into()]).await.map(drop)
}

fn listed(row: &Row) -> Result<ListedSession, StoreError> {
    Ok(ListedSession {
        session: StoredSession {
            digest: row.digest("digest")?,
            account: accounts::account(row)?,
            password: row.digest("password_digest")?,
            begun_at: Timestamp::from_millis(row.int("begun_at_ms")?),
            used_at: row.seconds("used_at")?,
            ends_at: row.seconds("ends_at")?,
            actor: row.opt_digest("actor_session")?,
            revoked_before: row.opt_int("revoked_before_ms")?.map(Timestamp::from_millis),
        },
        address: row.text("address")?,
        program: row.text("program")?,
    })
}
