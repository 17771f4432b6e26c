//! Accounts: Django's `auth_user`, and "signed out everywhere at" beside it.

use crate::account::account::{Account, AccountId};
use crate::account::password::StoredPassword;
use crate::account::principal::Principal;
use crate::base::clock::Timestamp;
use crate::base::digest::Digest;
use crate::store::changes::{self, Change};
use crate::store::refresh_families::EndReason;
use crate::store::{Row, Store, StoreError, Tx, sessions};
use crate::token::claims::FamilyId;
use crate::token::django_session::Ended;
use crate::token::session::password_state;
use crate::token::standing::Standing;

/// Who owns the table of accounts, and so decides what we may write there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Owner {
    /// We do.
    Avain,
    /// A Django backend that shares it.
    Django,
}

/// An account to be made.
#[derive(Debug)]
pub struct NewAccount<'a> {
    /// The name to sign in with.
    pub username: &'a str,
    /// The mail address, empty for none.
    pub email: &'a str,
    /// The first name.
    pub first_name: &'a str,
    /// The last name.
    pub last_name: &'a str,
    /// The stored form of the password.
    pub password: &'a StoredPassword,
    /// Whether it may be used.
    pub is_active: bool,
    /// Whether it may enter the administration.
    pub is_staff: bool,
    /// Whether it has every permission.
    pub is_superuser: bool,
    /// Now.
    pub joined: Timestamp,
}

/// What can be changed about an account without taking anything away.
#[derive(Clone, Debug)]
pub struct Edit {
    /// The mail address.
    pub email: String,
    /// The first name.
    pub first_name: String,
    /// The last name.
    pub last_name: String,
    /// Staff and superuser flags; `None` leaves them, and needs no right to write them.
    pub flags: Option<(bool, bool)>,
}

/// The account with exactly this user name.
pub async fn find_by_username(
    store: &Store,
    username: &str,
) -> Result<Option<Account>, StoreError> {
    // PostgreSQL has no NUL in texts: such a name belongs to nobody.
    if username.contains('\0') {
        return Ok(None);
    }
    one(&store.read("accounts.find_by_username", &[username.into()]).await?)
}

/// The account with this id.
pub async fn find_by_id(store: &Store, id: AccountId) -> Result<Option<Account>, StoreError> {
    one(&store.read("accounts.find_by_id", &[id.get().into()]).await?)
}

/// The accounts with this address, whatever the case of its ASCII letters. Addresses are not unique.
pub async fn find_by_email(store: &Store, email: &str) -> Result<Vec<Account>, StoreError> {
    if email.is_empty() || email.contains('\0') {
        return Ok(Vec::new());
    }
    having_email(&store.read("accounts.find_by_email", &[email.into()]).await?, email)
}

/// Part of a transaction: as [`find_by_email`].
pub async fn find_by_email_in(tx: &mut Tx, email: &str) -> Result<Vec<Account>, StoreError> {
    having_email(&tx.run("accounts.find_by_email", &[email.into()]).await?, email)
}

fn having_email(rows: &[Row], email: &str) -> Result<Vec<Account>, StoreError> {
    let accounts: Vec<Account> = rows.iter().map(account).collect::<Result<_, _>>()?;
    // The database may fold more than ASCII: what merely looks alike is another address (CVE-2019-19844).
    Ok(accounts.into_iter().filter(|account| account.email.eq_ignore_ascii_case(email)).collect())
}

/// Part of a transaction: until it ends, no other that reserves this address goes on.
pub async fn reserve_email(tx: &mut Tx, email: &str) -> Result<(), StoreError> {
    tx.run("accounts.reserve_email", &[email.into()]).await.map(drop)
}

/// How many addresses several accounts have, and how many accounts with a password have none.
pub async fn odd_emails(store: &Store) -> Result<(i64, i64), StoreError> {
    let rows = store.read("accounts.odd_emails", &[]).await?;
    let count = |column| rows.first().map_or(Ok(0), |row: &Row| row.int(column));
    Ok((count("shared")?, count("absent")?))
}

/// The account with this user name, whatever the case of its letters; the exact one first.
pub async fn find_by_username_in_any_case(
    store: &Store,
    username: &str,
) -> Result<Option<Account>, StoreError> {
    if let Some(account) = find_by_username(store, username).await? {
        return Ok(Some(account));
    }
    if username.contains('\0') {
        return Ok(None);
    }
    one(&store.read("accounts.find_by_username_in_any_case", &[username.into()]).await?)
}

/// Notes that somebody signed in, as Django's forms do. Ends reset links that Django has sent.
pub async fn touch_last_login(
    store: &Store,
    id: AccountId,
    now: Timestamp,
) -> Result<(), StoreError> {
    store.write("accounts.touch_last_login", &[id.get().into(), now.into()]).await.map(drop)
}

/// At most `most` accounts with larger ids than `after`, in the order of their ids.
pub async fn page_after(store: &Store, after: i32, most: i64) -> Result<Vec<Account>, StoreError> {
    let rows = store.read("accounts.page_after", &[after.into(), most.into()]).await?;
    rows.iter().map(account).collect()
}

/// The stored passwords of the newest accounts: a sample that tells what most rows have.
pub async fn newest_passwords(store: &Store, most: i64) -> Result<Vec<StoredPassword>, StoreError> {
    let rows = store.read("accounts.newest_passwords", &[most.into()]).await?;
    rows.iter().map(|row| row.text("password").map(StoredPassword::new)).collect()
}

/// Part of a transaction: the account as it is now. Until the transaction ends nobody else changes it, or
/// does what hangs on its password.
pub async fn lock_in(tx: &mut Tx, id: AccountId) -> Result<Option<Account>, StoreError> {
    one(&tx.run("accounts.lock", &[id.get().into()]).await?)
}

/// Part of a transaction: whether an account's password is still the one that was judged, and it is as
/// active as then; it stays so until the transaction ends.
pub async fn hold_in(tx: &mut Tx, judged: &Account) -> Result<bool, StoreError> {
    Ok(lock_in(tx, judged.id).await?.is_some_and(|now| is_as_judged(&now, judged)))
}

/// Part of a transaction: somebody, as [`hold_in`], and the account that they change, both as they are now and
/// stay until the transaction ends; `None` where that somebody is not as they were judged, or one is gone. Rows
/// are always locked in the order of their ids, so that no two transactions wait for each other.
pub async fn hold_both_in(
    tx: &mut Tx,
    actor: &Account,
    subject: AccountId,
) -> Result<Option<(Account, Account)>, StoreError> {
    let mut ids = [actor.id, subject];
    ids.sort_unstable();
    let mut found = Vec::new();
    for id in ids {
        found.extend(lock_in(tx, id).await?);
    }
    let of = |id: AccountId| found.iter().find(|account| account.id == id).cloned();
    let actor = of(actor.id).filter(|now| is_as_judged(now, actor));
    Ok(actor.zip(of(subject)))
}

fn is_as_judged(now: &Account, judged: &Account) -> bool {
    now.password == judged.password && now.is_active == judged.is_active
}

/// Part of a transaction: makes an account. [`StoreError::Unique`] where the name is taken.
pub async fn create_in(tx: &mut Tx, new: &NewAccount<'_>) -> Result<AccountId, StoreError> {
    let rows = tx
        .run(
            "accounts.create",
            &[
                new.password.expose().into(),
                new.is_superuser.into(),
                new.username.into(),
                new.first_name.into(),
                new.last_name.into(),
                new.email.into(),
                new.is_staff.into(),
                new.is_active.into(),
                new.joined.into(),
            ],
        )
        .await?;
    let row = rows.first().ok_or_else(|| StoreError::Other("no id came back".to_owned()))?;
    let id = AccountId::new(row.int32("id")?);
    changes::note(tx, Change::Account(id.get()), new.joined).await?;
    Ok(id)
}

/// Replaces a stored password by the same one hashed anew, if it still stands there; gives whether it did.
pub async fn rehash_password(
    store: &Store,
    id: AccountId,
    old: &StoredPassword,
    new: &StoredPassword,
) -> Result<bool, StoreError> {
    let mut tx = store.begin("rehash password").await?;
    let params = [id.get().into(), old.expose().into(), new.expose().into()];
    let stored = !tx.run("accounts.rehash_password", &params).await?.is_empty();
    if stored {
        // It is the same password: browser sessions go on, and refresh families.
        let params = [id.get().into(), password_state(old).into(), password_state(new).into()];
        tx.run("sessions.follow_rehash", &params).await?;
        tx.run("refresh_families.follow_rehash", &params).await?;
    }
    tx.commit().await?;
    Ok(stored)
}

/// Part of a transaction: gives an account another password and ends all its families.
pub async fn set_password_in(
    tx: &mut Tx,
    id: AccountId,
    password: &StoredPassword,
    reason: EndReason,
    now: Timestamp,
) -> Result<(), StoreError> {
    tx.run("accounts.set_password", &[id.get().into(), password.expose().into()]).await?;
    end_all(tx, id, reason, now).await
}

/// Part of a transaction: gives an account another name. [`StoreError::Unique`] where it is taken.
pub async fn set_username_in(
    tx: &mut Tx,
    id: AccountId,
    username: &str,
    now: Timestamp,
) -> Result<(), StoreError> {
    tx.run("accounts.set_username", &[id.get().into(), username.into()]).await?;
    changes::note(tx, Change::Account(id.get()), now).await
}

/// Part of a transaction: switches an account off and ends all its families.
pub async fn deactivate_in(tx: &mut Tx, id: AccountId, now: Timestamp) -> Result<(), StoreError> {
    tx.run("accounts.set_active", &[id.get().into(), false.into()]).await?;
    end_all(tx, id, EndReason::Deactivation, now).await
}

/// Part of a transaction: switches an account on or off; off ends all its families. Gives whether it was
/// the other way before.
pub async fn set_active_in(
    tx: &mut Tx,
    id: AccountId,
    active: bool,
    now: Timestamp,
) -> Result<bool, StoreError> {
    let changed =
        !tx.run("accounts.set_active", &[id.get().into(), active.into()]).await?.is_empty();
    if changed {
        if active {
            changes::note(tx, Change::Account(id.get()), now).await?;
        } else {
            end_all(tx, id, EndReason::Deactivation, now).await?;
        }
    }
    Ok(changed)
}

/// Part of a transaction: changes an account's address, names and flags, whatever they were.
pub async fn edit_in(
    tx: &mut Tx,
    id: AccountId,
    edit: &Edit,
    now: Timestamp,
) -> Result<(), StoreError> {
    let params = [
        id.get().into(),
        edit.email.as_str().into(),
        edit.first_name.as_str().into(),
        edit.last_name.as_str().into(),
    ];
    tx.run("accounts.edit", &params).await?;
    if let Some((is_staff, is_superuser)) = edit.flags {
        set_rank_in(tx, id, is_staff, is_superuser, now).await?;
    }
    changes::note(tx, Change::Account(id.get()), now).await
}

/// Part of a transaction: changes an account's names.
pub async fn set_names_in(
    tx: &mut Tx,
    id: AccountId,
    first_name: &str,
    last_name: &str,
    now: Timestamp,
) -> Result<(), StoreError> {
    let params = [id.get().into(), first_name.into(), last_name.into()];
    tx.run("accounts.set_names", &params).await?;
    changes::note(tx, Change::Account(id.get()), now).await
}

/// Part of a transaction: changes an account's address, if it still is `old`; gives whether it was.
pub async fn set_email_in(
    tx: &mut Tx,
    id: AccountId,
    old: &str,
    new: &str,
    now: Timestamp,
) -> Result<bool, StoreError> {
    let params = [id.get().into(), old.into(), new.into()];
    let changed = !tx.run("accounts.set_email", &params).await?.is_empty();
    if changed {
        changes::note(tx, Change::Account(id.get()), now).await?;
    }
    Ok(changed)
}

/// Part of a transaction: changes the flags of an account; who may act as whom depends on them, so that ends
/// what somebody does as another. Gives whether they were others before.
pub async fn set_rank_in(
    tx: &mut Tx,
    id: AccountId,
    is_staff: bool,
    is_superuser: bool,
    now: Timestamp,
) -> Result<bool, StoreError> {
    let params = [id.get().into(), is_staff.into(), is_superuser.into()];
    let changed = !tx.run("accounts.set_rank", &params).await?.is_empty();
    if changed {
        sessions::end_acting_in(tx, id, now).await?;
        changes::note(tx, Change::Account(id.get()), now).await?;
    }
    Ok(changed)
}

/// Part of a transaction: deletes an account, its API keys and all of ours that hangs on it.
/// [`StoreError::ForeignKey`] where other tables refer to it, at once or at the COMMIT.
pub async fn delete_in(tx: &mut Tx, id: AccountId, now: Timestamp) -> Result<(), StoreError> {
    sessions::end_acting_in(tx, id, now).await?;
    tx.run("api_keys.delete_of_account", &[id.get().into()]).await?;
    tx.run("accounts.delete", &[id.get().into()]).await?;
    changes::note(tx, Change::Account(id.get()), now).await
}

/// Part of a transaction: ends all sessions and families of an account.
pub async fn revoke_all_in(
    tx: &mut Tx,
    id: AccountId,
    reason: EndReason,
    now: Timestamp,
) -> Result<(), StoreError> {
    end_all(tx, id, reason, now).await
}

/// Part of a transaction: ends what was begun before a moment, known to us or not, but for what is kept of it
/// as active; and the sessions of Django's that began up to now, but for the one of this digest. Nobody hears of
/// it by this alone.
///
/// It holds the account: what is about to begin something of it goes first, and is ended, or comes after, and sees
/// the moment.
pub async fn revoke_before_in(
    tx: &mut Tx,
    id: AccountId,
    before: Timestamp,
    but: Option<&Digest>,
    now: Timestamp,
) -> Result<(), StoreError> {
    lock_in(tx, id).await?;
    let params = [
        id.get().into(),
        before.millis().into(),
        just_after(now).millis().into(),
        but.copied().into(),
    ];
    tx.run("accounts.revoke_before", &params).await.map(drop)
}

/// That all sessions of Django's that an account had were ended, if they were.
pub async fn djangos_ended(store: &Store, id: AccountId) -> Result<Option<Ended>, StoreError> {
    ended(&store.read("accounts.djangos_ended", &[id.get().into()]).await?)
}

/// Part of a transaction: as [`djangos_ended`].
pub async fn djangos_ended_in(tx: &mut Tx, id: AccountId) -> Result<Option<Ended>, StoreError> {
    ended(&tx.run("accounts.djangos_ended", &[id.get().into()]).await?)
}

fn ended(rows: &[Row]) -> Result<Option<Ended>, StoreError> {
    let ended = |row: &Row| {
        let before = Timestamp::from_millis(row.int("django_before_ms")?);
        Ok(Ended { before, but: row.opt_digest("django_kept")? })
    };
    rows.first().map(ended).transpose()
}

/// The next millisecond: what began within this one is ended too.
fn just_after(now: Timestamp) -> Timestamp {
    Timestamp::from_millis(now.millis() + 1)
}

/// How an account was found to stand.
#[derive(Debug)]
pub struct Found {
    /// What it is, and what was taken back from it.
    pub standing: Standing,
    /// Whether active families began with another password than it has, so that somebody else has changed it.
    pub has_outdated: bool,
}

/// How an account stands. Of families, those that ended after `ended_after`: the access tokens of others have
/// expired by themselves.
pub async fn standing(
    store: &Store,
    id: AccountId,
    ended_after: Timestamp,
) -> Result<Option<Found>, StoreError> {
    let params = [id.get().into(), ended_after.seconds().into()];
    let rows = store.read("accounts.standing", &params).await?;
    let (Some(row), Some(standing)) = (rows.first(), read_standing(&rows)?) else {
        return Ok(None);
    };
    let password = password_state(&StoredPassword::new(row.text("password")?));
    let [least, greatest] = ["least_password", "greatest_password"].map(|end| row.opt_digest(end));
    let has_outdated = [least?, greatest?].into_iter().flatten().any(|begun| begun != password);
    Ok(Some(Found { standing, has_outdated }))
}

/// The standing that the rows of such a statement tell: one row for each ended family, or one in all.
pub(super) fn read_standing(rows: &[Row]) -> Result<Option<Standing>, StoreError> {
    let Some(first) = rows.first() else { return Ok(None) };
    let mut ended_families = Vec::new();
    for row in rows {
        if let Some(family) = row.opt_blob("family")? {
            ended_families.extend(FamilyId::from_stored(&family));
        }
    }
    ended_families.sort_unstable();
    Ok(Some(Standing {
        principal: Principal {
            id: AccountId::new(first.int32("id")?),
            username: first.text("username")?,
            is_active: first.bool("is_active")?,
            is_staff: first.bool("is_staff")?,
            is_superuser: first.bool("is_superuser")?,
        },
        revoked_before: first.opt_int("revoked_before_ms")?.map(Timestamp::from_millis),
        ended_families,
    }))
}

/// The moment before which all families of an account are ended, if there is one.
pub async fn revoked_before(store: &Store, id: AccountId) -> Result<Option<Timestamp>, StoreError> {
    read_moment(&store.read("accounts.revoked_before", &[id.get().into()]).await?)
}

/// Part of a transaction: as [`revoked_before`].
pub async fn revoked_before_in(
    tx: &mut Tx,
    id: AccountId,
) -> Result<Option<Timestamp>, StoreError> {
    read_moment(&tx.run("accounts.revoked_before", &[id.get().into()]).await?)
}

fn read_moment(rows: &[Row]) -> Result<Option<Timestamp>, StoreError> {
    let moment = rows.first().map(|row| row.int("revoked_before_ms")).transpose()?;
    Ok(moment.map(Timestamp::from_millis))
}

/// Part of a transaction: ends all sessions and families of an account that began up to now, and what is done
/// from them as somebody else.
async fn end_all(
    tx: &mut Tx,
    id: AccountId,
    reason: EndReason,
    now: Timestamp,
) -> Result<(), StoreError> {
    revoke_before_in(tx, id, just_after(now), None, now).await?;
    // Sessions first: a family that begins in one is there when families are ended, or never begins.
    sessions::end_of_account_in(tx, id, now).await?;
    let params = [id.get().into(), now.seconds().into(), reason.as_str().into()];
    tx.run("refresh_families.end_of_account", &params).await?;
    changes::note(tx, Change::Account(id.get()), now).await
}

fn one(rows: &[Row]) -> Result<Option<Account>, StoreError> {
    rows.first().map(account).transpose()
}

/// The account in a row that has all columns of `auth_user`.
pub(super) fn account(row: &Row) -> Result<Account, StoreError> {
    Ok(Account {
        id: AccountId::new(row.int32("id")?),
        username: row.text("username")?,
        email: row.text("email")?,
        first_name: row.text("first_name")?,
        last_name: row.text("last_name")?,
        is_active: row.bool("is_active")?,
        is_staff: row.bool("is_staff")?,
        is_superuser: row.bool("is_superuser")?,
        password: StoredPassword::new(row.text("password")?),
        date_joined: row.time("date_joined")?,
        last_login: row.opt_time("last_login")?,
    })
}
