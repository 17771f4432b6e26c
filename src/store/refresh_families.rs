//! Refresh families: one row for each sign-in, with digests of token ids and never a token.

use std::net::IpAddr;

use crate::account::account::AccountId;
use crate::account::password::StoredPassword;
use crate::base::clock::Timestamp;
use crate::base::digest::Digest;
use crate::store::changes::{self, Change};
use crate::store::{Row, Store, StoreError, Tx, Value, accounts, sessions};
use crate::token::authenticated::Authenticated;
use crate::token::claims::{FamilyId, Kind, Stamp};
use crate::token::refresh::{BegunWith, Family};
use crate::token::session::password_state;

/// Why a family was ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EndReason {
    /// Its holder signed out.
    SignOut,
    /// A token of it was used twice.
    Reuse,
    /// The password was changed.
    Password,
    /// The account was switched off.
    Deactivation,
    /// An operator signed the account out everywhere.
    Administration,
}

impl EndReason {
    /// As it is stored.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::SignOut => "sign_out",
            Self::Reuse => "reuse",
            Self::Password => "password",
            Self::Deactivation => "deactivation",
            Self::Administration => "administration",
        }
    }
}

/// From where a family is begun: what its owner is shown.
#[derive(Clone, Debug, Default)]
pub struct Origin {
    /// The client's address.
    pub address: Option<IpAddr>,
    /// What the client's program says it is.
    pub user_agent: Option<String>,
}

/// A family that begins with a sign-in, or in a browser session.
#[derive(Debug)]
pub struct NewFamily<'a> {
    /// Whose it is, and its id.
    pub who: &'a Authenticated,
    /// Under which layout it begins.
    pub layout: &'static str,
    /// The password that its account has.
    pub password: &'a StoredPassword,
    /// When it begins.
    pub begun_at: Timestamp,
    /// Its first refresh token.
    pub stamp: &'a Stamp,
    /// From where.
    pub origin: Origin,
    /// The session of Django's in which it begins.
    pub django_session: Option<Digest>,
}

/// Part of a transaction: begins a family with its first refresh token.
pub async fn begin_in(tx: &mut Tx, new: &NewFamily<'_>) -> Result<(), StoreError> {
    let NewFamily { who, stamp, origin, .. } = new;
    let params = [
        who.family().as_bytes().as_slice().into(),
        who.account().get().into(),
        new.layout.into(),
        new.begun_at.seconds().into(),
        who.ends_at().seconds().into(),
        stamp.digest().into(),
        stamp.token_id.as_str().into(),
        stamp.issued_at.into(),
        stamp.expires_at.into(),
        origin.address.map(|address| address.to_string()).into(),
        origin.user_agent.as_deref().into(),
        new.begun_at.seconds().into(),
        password_state(new.password).into(),
        new.django_session.into(),
    ];
    tx.run("refresh_families.begin", &params).await.map(drop)
}

/// A family that begins with a token from before the change-over.
#[derive(Debug)]
pub struct Adopted {
    /// Its id, derived from the token.
    pub family: FamilyId,
    /// Whose it is.
    pub account: AccountId,
    /// The layout that met it first.
    pub layout: &'static str,
    /// When the token was issued.
    pub begun_at: Timestamp,
    /// When it ends at the latest.
    pub ends_at: Timestamp,
    /// Digest of the token's `jti`.
    pub digest: Digest,
    /// The token's `jti`.
    pub token_id: String,
    /// The token's `iat`, or the earliest it can have been.
    pub issued_at: Timestamp,
    /// The token's `exp`.
    pub expires_at: Timestamp,
    /// From where it is used.
    pub origin: Origin,
    /// When it is used.
    pub used_at: Timestamp,
}

/// Part of a transaction: begins the family of a token from before the change-over, unless it is there already.
pub async fn adopt_in(tx: &mut Tx, adopted: &Adopted) -> Result<(), StoreError> {
    let params = [
        adopted.family.as_bytes().as_slice().into(),
        adopted.account.get().into(),
        adopted.layout.into(),
        adopted.begun_at.seconds().into(),
        adopted.ends_at.seconds().into(),
        adopted.digest.into(),
        adopted.token_id.as_str().into(),
        adopted.issued_at.seconds().into(),
        adopted.expires_at.seconds().into(),
        adopted.origin.address.map(|address| address.to_string()).into(),
        adopted.origin.user_agent.as_deref().into(),
        adopted.used_at.seconds().into(),
        // With which password it began is not known.
        Value::Null,
        Value::Null,
    ];
    tx.run("refresh_families.begin", &params).await.map(drop)
}

/// The family with this id.
pub async fn find(store: &Store, id: FamilyId) -> Result<Option<Family>, StoreError> {
    let rows = store.read("refresh_families.find", &[id.as_bytes().as_slice().into()]).await?;
    rows.first().map(family).transpose()
}

/// The session in which families begin.
#[derive(Clone, Copy, Debug)]
pub enum InSession<'a> {
    /// One of ours.
    Ours(&'a Digest),
    /// One of Django's.
    Djangos(&'a Digest),
}

impl InSession<'_> {
    const fn digest(self) -> Digest {
        match self {
            Self::Ours(digest) | Self::Djangos(digest) => *digest,
        }
    }
}

/// Part of a transaction: the newest active family of this layout that began in a session, if no token of it
/// was replaced.
pub async fn in_session_in(
    tx: &mut Tx,
    session: InSession<'_>,
    layout: &str,
) -> Result<Option<Family>, StoreError> {
    let statement = match session {
        InSession::Ours(_) => "refresh_families.in_session",
        InSession::Djangos(_) => "refresh_families.in_django_session",
    };
    let rows = tx.run(statement, &[session.digest().into(), layout.into()]).await?;
    rows.first().map(family).transpose()
}

/// Part of a transaction: ends the active families that began in a session but for the `most` that were used
/// last.
pub async fn end_beyond_in(
    tx: &mut Tx,
    session: InSession<'_>,
    most: i64,
    now: Timestamp,
) -> Result<(), StoreError> {
    let params = [
        session.digest().into(),
        now.seconds().into(),
        EndReason::SignOut.as_str().into(),
        most.into(),
    ];
    let ended = tx.run("refresh_families.end_beyond", &params).await?;
    match ended.first() {
        Some(row) => changes::note(tx, Change::Account(row.int32("account_id")?), now).await,
        None => Ok(()),
    }
}

/// Part of a transaction: ends the families that began in a session of Django's.
pub async fn end_of_django_session_in(
    tx: &mut Tx,
    session: &Digest,
    now: Timestamp,
) -> Result<(), StoreError> {
    let params = [(*session).into(), now.seconds().into(), EndReason::SignOut.as_str().into()];
    let ended = tx.run("refresh_families.end_of_django_session", &params).await?;
    match ended.first() {
        Some(row) => changes::note(tx, Change::Account(row.int32("account_id")?), now).await,
        None => Ok(()),
    }
}

/// Part of a transaction: lets a family of which that is not known have begun with this password.
pub async fn take_on_password_in(
    tx: &mut Tx,
    id: FamilyId,
    password: &StoredPassword,
) -> Result<(), StoreError> {
    let params = [id.as_bytes().as_slice().into(), password_state(password).into()];
    tx.run("refresh_families.take_on_password", &params).await.map(drop)
}

/// Part of a transaction: ends the active families of an account that began with another password than this
/// one. Gives how many there were.
pub async fn end_outdated_in(
    tx: &mut Tx,
    account: AccountId,
    password: &StoredPassword,
    now: Timestamp,
) -> Result<usize, StoreError> {
    let params = [
        account.get().into(),
        password_state(password).into(),
        now.seconds().into(),
        EndReason::Password.as_str().into(),
    ];
    let ended = tx.run("refresh_families.end_outdated", &params).await?.len();
    if ended > 0 {
        changes::note(tx, Change::Account(account.get()), now).await?;
    }
    Ok(ended)
}

/// Replaces the token in force by the one of `successor`, if `presented` still is the token in force, the
/// family is alive and its account active. Of several at once exactly one succeeds.
pub async fn rotate(
    store: &Store,
    id: FamilyId,
    presented: &Digest,
    successor: &Stamp,
    now: Timestamp,
) -> Result<Option<Family>, StoreError> {
    let params = [
        id.as_bytes().as_slice().into(),
        (*presented).into(),
        now.seconds().into(),
        successor.digest().into(),
        successor.token_id.as_str().into(),
        successor.issued_at.into(),
        successor.expires_at.into(),
    ];
    let rows = store.write("refresh_families.rotate", &params).await?;
    rows.first().map(family).transpose()
}

/// Part of a transaction: ends a family. `false` where it was ended before, other than by switching its
/// account off: that is not what its holder meant.
pub async fn end_in(
    tx: &mut Tx,
    id: FamilyId,
    reason: EndReason,
    now: Timestamp,
) -> Result<bool, StoreError> {
    let params = [id.as_bytes().as_slice().into(), now.seconds().into(), reason.as_str().into()];
    let rows = tx.run("refresh_families.end", &params).await?;
    let owner = rows.first().map(|row| row.int32("account_id")).transpose()?;
    if let Some(owner) = owner {
        changes::note(tx, Change::Account(owner), now).await?;
    }
    Ok(owner.is_some())
}

/// Notes that a token of a family was used, unless that was noted after `unless_after`.
pub async fn touch(
    store: &Store,
    id: FamilyId,
    now: Timestamp,
    unless_after: Timestamp,
) -> Result<(), StoreError> {
    let params =
        [id.as_bytes().as_slice().into(), now.seconds().into(), unless_after.seconds().into()];
    store.write("refresh_families.touch", &params).await.map(drop)
}

/// A family as its owner is shown it.
#[derive(Clone, Debug)]
pub struct ListedFamily {
    /// Its id.
    pub id: FamilyId,
    /// Under which layout it was begun.
    pub layout: String,
    /// When it was begun.
    pub begun_at: Timestamp,
    /// Until when it can be refreshed if nobody does before.
    pub expires_at: Timestamp,
    /// When a token of it was used the last time.
    pub used_at: Timestamp,
    /// From which address it was begun.
    pub address: Option<String>,
    /// With which program.
    pub user_agent: Option<String>,
}

/// At most `most` families of an account that can be refreshed now, the one used last first.
pub async fn of_account(
    store: &Store,
    account: AccountId,
    now: Timestamp,
    most: i64,
) -> Result<Vec<ListedFamily>, StoreError> {
    listed(store, "refresh_families.of_account", account, now, most).await
}

/// As [`of_account`], without those that end with a browser session.
pub async fn of_account_outside_sessions(
    store: &Store,
    account: AccountId,
    now: Timestamp,
    most: i64,
) -> Result<Vec<ListedFamily>, StoreError> {
    listed(store, "refresh_families.of_account_outside_sessions", account, now, most).await
}

async fn listed(
    store: &Store,
    statement: &str,
    account: AccountId,
    now: Timestamp,
    most: i64,
) -> Result<Vec<ListedFamily>, StoreError> {
    let params = [account.get().into(), now.seconds().into(), most.into()];
    let rows = store.read(statement, &params).await?;
    let listed = rows.iter().map(|row| {
        Ok(ListedFamily {
            id: family_id(row)?,
            layout: row.text("layout")?,
            begun_at: row.seconds("begun_at")?,
            expires_at: row.seconds("ends_at")?.min(row.seconds("current_expires_at")?),
            used_at: row.seconds("last_used_at")?,
            address: row.opt_text("address")?,
            user_agent: row.opt_text("user_agent")?,
        })
    });
    listed.collect()
}

/// Part of a transaction: ends one family of this account. `false` where it has no such family, or that has
/// ended.
pub async fn end_one_in(
    tx: &mut Tx,
    account: AccountId,
    id: FamilyId,
    reason: EndReason,
    now: Timestamp,
) -> Result<bool, StoreError> {
    let ended = end_some(tx, "refresh_families.end_one_of_account", account, id, reason, now);
    Ok(ended.await? > 0)
}

/// Part of a transaction: ends all families of this account but `kept`, also those that nobody has used here
/// yet, as far as they began before it, and all browser sessions but the one in which it began.
pub async fn end_others_in(
    tx: &mut Tx,
    account: AccountId,
    kept: FamilyId,
    reason: EndReason,
    now: Timestamp,
) -> Result<(), StoreError> {
    let params = [kept.as_bytes().as_slice().into()];
    let rows = tx.run("refresh_families.django_session_of", &params).await?;
    let place = rows.first().map(|row| row.opt_digest("django_session")).transpose()?.flatten();
    accounts::revoke_before_in(tx, account, kept.begun_at(), place.as_ref(), now).await?;
    sessions::end_without_family_in(tx, account, kept, reason, now).await?;
    end_some(tx, "refresh_families.end_others_of_account", account, kept, reason, now).await?;
    changes::note(tx, Change::Account(account.get()), now).await
}

async fn end_some(
    tx: &mut Tx,
    statement: &str,
    account: AccountId,
    id: FamilyId,
    reason: EndReason,
    now: Timestamp,
) -> Result<usize, StoreError> {
    let params = [
        account.get().into(),
        id.as_bytes().as_slice().into(),
        now.seconds().into(),
        reason.as_str().into(),
    ];
    let ended = tx.run(statement, &params).await?.len();
    if ended > 0 {
        changes::note(tx, Change::Account(account.get()), now).await?;
    }
    Ok(ended)
}

/// Deletes at most `most` families whose last token expired before `before`. Gives how many.
pub async fn sweep(store: &Store, before: Timestamp, most: i64) -> Result<usize, StoreError> {
    let params = [before.seconds().into(), most.into()];
    Ok(store.write("refresh_families.sweep", &params).await?.len())
}

fn family_id(row: &Row) -> Result<FamilyId, StoreError> {
    FamilyId::from_stored(&row.blob("id")?)
        .ok_or_else(|| StoreError::Other("the id of a refresh family is not 16 bytes".to_owned()))
}

fn family(row: &Row) -> Result<Family, StoreError> {
    Ok(Family {
        id: family_id(row)?,
        account: AccountId::new(row.int32("account_id")?),
        account_is_active: row.bool("is_active")?,
        ended: row.text("state")? != "active",
        ended_with_account: row.opt_text("end_reason")?.as_deref()
            == Some(EndReason::Deactivation.as_str()),
        begun_with: match row.opt_digest("password_digest")? {
            None => BegunWith::Unknown,
            Some(begun) if begun == password_state(&StoredPassword::new(row.text("password")?)) => {
                BegunWith::ThisPassword
            }
            Some(_) => BegunWith::AnotherPassword,
        },
        ends_at: row.seconds("ends_at")?,
        current: row.digest("current_digest")?,
        successor: Stamp {
            kind: Kind::Refresh,
            expires_at: row.int("current_expires_at")?,
            issued_at: row.int("current_issued_at")?,
            token_id: row.text("current_token_id")?,
        },
        previous: row.opt_digest("previous_digest")?,
        rotated_at: row.opt_seconds("rotated_at")?,
        used_at: row.opt_seconds("used_at")?,
    })
}
