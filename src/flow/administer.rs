//! What operators do to accounts, each recorded with who did it. Every change that takes something away
//! reaches running services.

use std::net::IpAddr;

use crate::account::account::{Account, AccountId};
use crate::account::email::EmailAddress;
use crate::account::password::StoredPassword;
use crate::account::throttle::Subjects;
use crate::account::username::Username;
use crate::base::clock::Timestamp;
use crate::base::random::Random;
use crate::flow::audit::{self, Event};
use crate::flow::{Caller, activate, profile};
use crate::store::accounts::Owner;
use crate::store::accounts::{self, Edit, NewAccount};
use crate::store::deactivations::{self, Cause};
use crate::store::refresh_families::EndReason;
use crate::store::{Store, StoreError, Tx, api_keys, attempts, email_addresses};
use crate::token::opaque::ClassicKey;

/// Why an operator's wish was refused: a sentence for a person.
#[derive(Debug)]
pub enum AdministrationError {
    /// The store did not answer, or refused.
    Store(StoreError),
    /// It cannot be done.
    Refused(String),
}

impl std::fmt::Display for AdministrationError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Store(error) => error.fmt(f),
            Self::Refused(why) => f.write_str(why),
        }
    }
}

impl From<StoreError> for AdministrationError {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

/// An account to be made.
#[derive(Debug)]
pub struct AccountDraft {
    /// Its user name.
    pub username: String,
    /// Its address, empty for none.
    pub email: String,
    /// Its given name.
    pub first_name: String,
    /// Its family name.
    pub last_name: String,
    /// Its password, hashed.
    pub password: StoredPassword,
    /// Whether it is switched on.
    pub is_active: bool,
    /// Whether it may enter the administration.
    pub is_staff: bool,
    /// Whether it may do everything.
    pub is_superuser: bool,
    /// The classic key that it gets at once, where the site wants every account to have one.
    pub classic_key: Option<ClassicKey>,
    /// Whether it is refused where another account has its address.
    pub unique_email: bool,
}

/// Makes an account. One that is switched off from the start waits for no link: an operator switches it on.
pub async fn create(
    store: &Store,
    caller: &Caller,
    draft: AccountDraft,
    now: Timestamp,
) -> Result<AccountId, AdministrationError> {
    let mut tx = store.begin("create account").await?;
    let id = create_in(&mut tx, caller, draft, now).await?;
    tx.commit().await?;
    Ok(id)
}

/// Part of a transaction: as [`create`].
pub(super) async fn create_in(
    tx: &mut Tx,
    caller: &Caller,
    draft: AccountDraft,
    now: Timestamp,
) -> Result<AccountId, AdministrationError> {
    let username = Username::parse(&draft.username)
        .map_err(|error| AdministrationError::Refused(error.to_string()))?;
    for (what, value, longest) in [
        ("e-mail address", &draft.email, 254),
        ("first name", &draft.first_name, 150),
        ("last name", &draft.last_name, 150),
    ] {
        refuse_odd(what, value, longest)?;
    }
    if draft.unique_email {
        reserve_email_in(tx, &draft.email, None).await?;
    }
    let new = NewAccount {
        username: username.as_str(),
        email: &draft.email,
        first_name: &draft.first_name,
        last_name: &draft.last_name,
        password: &draft.password,
        is_active: draft.is_active,
        is_staff: draft.is_staff,
        is_superuser: draft.is_superuser,
        joined: now,
    };
    let id = match accounts::create_in(tx, &new).await {
        Ok(id) => id,
        Err(StoreError::Unique(_)) => return Err(taken(username.as_str())),
        Err(error) => return Err(error.into()),
    };
    let created = audit::event(Event::AccountCreated, caller, now).about_id(id);
    let rank = rank(draft.is_staff, draft.is_superuser);
    created.detail("rank", rank).record(tx).await?;
    if !draft.is_active {
        deactivations::note_in(tx, id, Cause::Administration, now).await?;
    }
    if let Some(key) = &draft.classic_key
        && api_keys::create_in(tx, key, id, now).await?
    {
        let created = audit::event(Event::ApiKeyCreated, caller, now).about_id(id);
        created.detail("kind", "classic").record(tx).await?;
    }
    Ok(id)
}

/// What an account may do in the administration, in one word.
const fn rank(is_staff: bool, is_superuser: bool) -> &'static str {
    match (is_staff, is_superuser) {
        (_, true) => "superuser",
        (true, false) => "staff",
        (false, false) => "none",
    }
}

fn refuse_odd(what: &str, value: &str, longest: usize) -> Result<(), AdministrationError> {
    if value.chars().count() > longest {
        return Err(AdministrationError::Refused(format!(
            "the {what} has more than {longest} characters"
        )));
    }
    if value.contains('\0') {
        return Err(AdministrationError::Refused(format!("the {what} holds a NUL character")));
    }
    Ok(())
}

/// Whether an account of that name could be made; else why not.
pub async fn ensure_free(store: &Store, username: &str) -> Result<(), AdministrationError> {
    let name = Username::parse(username)
        .map_err(|error| AdministrationError::Refused(error.to_string()))?;
    match accounts::find_by_username(store, name.as_str()).await? {
        Some(_) => Err(taken(name.as_str())),
        None => Ok(()),
    }
}

fn taken(name: &str) -> AdministrationError {
    AdministrationError::Refused(format!("there is an account {name} already"))
}

/// Whether no account has this address; else whose it is.
pub async fn ensure_free_email(store: &Store, email: &str) -> Result<(), AdministrationError> {
    refuse_taken(&accounts::find_by_email(store, email).await?, email, None)
}

/// Part of a transaction: refuses an address that another account than this one has; nobody else gets it until
/// the transaction ends.
async fn reserve_email_in(
    tx: &mut Tx,
    email: &str,
    account: Option<AccountId>,
) -> Result<(), AdministrationError> {
    if email.is_empty() {
        return Ok(());
    }
    // As everywhere, the account's row before the address.
    if let Some(account) = account {
        accounts::lock_in(tx, account).await?;
    }
    accounts::reserve_email(tx, email).await?;
    refuse_taken(&accounts::find_by_email_in(tx, email).await?, email, account)
}

fn refuse_taken(
    having: &[Account],
    email: &str,
    but: Option<AccountId>,
) -> Result<(), AdministrationError> {
    match having.iter().find(|having| Some(having.id) != but) {
        Some(other) => Err(AdministrationError::Refused(format!(
            "account {} has the address {email} already",
            other.username
        ))),
        None => Ok(()),
    }
}

/// The account of that name or, where none is called so, with that address.
pub async fn find(store: &Store, name: &str) -> Result<Account, AdministrationError> {
    if let Some(account) = accounts::find_by_username(store, name).await? {
        return Ok(account);
    }
    let mut having = accounts::find_by_email(store, name).await?;
    match (having.pop(), having.is_empty()) {
        (Some(account), true) => Ok(account),
        (Some(_), false) => Err(AdministrationError::Refused(format!(
            "several accounts have the address {name}: give the user name"
        ))),
        (None, _) => Err(AdministrationError::Refused(format!("there is no account {name}"))),
    }
}

/// Forgets what was counted against an account: failed sign-ins from wherever, and mails that were asked for
/// at its address. Gives whether there was anything. Failures of client addresses stay.
pub async fn unlock(
    store: &Store,
    caller: &Caller,
    subjects: &Subjects,
    account: &Account,
    now: Timestamp,
) -> Result<bool, AdministrationError> {
    let mut tx = store.begin("unlock account").await?;
    let forgiven = unlock_in(&mut tx, caller, subjects, account, now).await?;
    tx.commit().await?;
    Ok(forgiven)
}

/// Part of a transaction: as [`unlock`].
pub(super) async fn unlock_in(
    tx: &mut Tx,
    caller: &Caller,
    subjects: &Subjects,
    account: &Account,
    now: Timestamp,
) -> Result<bool, StoreError> {
    let own = [
        subjects.account(&account.username),
        subjects.request("reset", &account.email, None),
        subjects.request("resend", &account.email, None),
    ];
    let forgiven = attempts::forgive_in(tx, own).await?;
    if forgiven {
        let cleared = audit::event(Event::ThrottleCleared, caller, now).about(account);
        cleared.record(tx).await?;
    }
    Ok(forgiven)
}

/// Forgets the failures that were counted against a client's address. Gives whether there were any.
pub async fn unlock_address(
    store: &Store,
    caller: &Caller,
    subjects: &Subjects,
    address: IpAddr,
    now: Timestamp,
) -> Result<bool, AdministrationError> {
    let mut tx = store.begin("unlock address").await?;
    let forgiven = unlock_address_in(&mut tx, caller, subjects, address, now).await?;
    tx.commit().await?;
    Ok(forgiven)
}

/// Part of a transaction: as [`unlock_address`].
pub(super) async fn unlock_address_in(
    tx: &mut Tx,
    caller: &Caller,
    subjects: &Subjects,
    address: IpAddr,
    now: Timestamp,
) -> Result<bool, StoreError> {
    let forgiven = attempts::forgive_in(tx, [subjects.address(address); 3]).await?;
    if forgiven {
        let cleared = audit::event(Event::ThrottleCleared, caller, now);
        cleared.detail("address", address.to_string()).record(tx).await?;
    }
    Ok(forgiven)
}

/// Notes that an operator vouches for an account's address: mail to it arrives.
pub async fn mark_verified(
    store: &Store,
    caller: &Caller,
    account: AccountId,
    email: &str,
    now: Timestamp,
) -> Result<(), AdministrationError> {
    let address = EmailAddress::parse(email)
        .map_err(|error| AdministrationError::Refused(error.to_string()))?;
    let mut tx = store.begin("vouch for address").await?;
    let folded = address.folded();
    let forms = (address.as_str(), folded.as_str());
    email_addresses::add(&mut tx, account, forms, true, true, now).await?;
    let verified = audit::event(Event::EmailVerification, caller, now).about_id(account);
    verified.detail("address", address.as_str()).record(&mut tx).await?;
    Ok(tx.commit().await?)
}

/// Gives an account another password, or an unusable one, and ends all its families.
pub async fn set_password(
    store: &Store,
    caller: &Caller,
    account: AccountId,
    password: &StoredPassword,
    now: Timestamp,
) -> Result<(), AdministrationError> {
    let mut tx = store.begin("set password").await?;
    accounts::set_password_in(&mut tx, account, password, EndReason::Password, now).await?;
    audit::event(Event::PasswordChange, caller, now).about_id(account).record(&mut tx).await?;
    Ok(tx.commit().await?)
}

/// Switches an account on, or off; off ends all its families, and no link of its owner's switches it on. Gives
/// whether that changed anything.
pub async fn set_active(
    store: &Store,
    caller: &Caller,
    account: AccountId,
    active: bool,
    now: Timestamp,
) -> Result<bool, AdministrationError> {
    let mut tx = store.begin("set active").await?;
    let changed = set_active_in(&mut tx, caller, account, active, now).await?;
    tx.commit().await?;
    Ok(changed)
}

/// Part of a transaction: as [`set_active`].
pub(super) async fn set_active_in(
    tx: &mut Tx,
    caller: &Caller,
    account: AccountId,
    active: bool,
    now: Timestamp,
) -> Result<bool, StoreError> {
    let changed = if active {
        activate::switch_on_in(tx, account, now).await?
    } else {
        activate::switch_off_in(tx, account, now).await?
    };
    if changed {
        let event = if active { Event::Activation } else { Event::Deactivation };
        audit::event(event, caller, now).about_id(account).record(tx).await?;
    }
    Ok(changed)
}

/// Changes what an account says about itself. `unique_email`: it is refused where another account has the address.
pub async fn edit(
    store: &Store,
    caller: &Caller,
    account: AccountId,
    edit: &Edit,
    unique_email: bool,
    now: Timestamp,
) -> Result<(), AdministrationError> {
    refuse_odd("e-mail address", &edit.email, 254)?;
    refuse_odd("first name", &edit.first_name, 150)?;
    refuse_odd("last name", &edit.last_name, 150)?;
    let mut tx = store.begin("edit account").await?;
    if unique_email {
        reserve_email_in(&mut tx, &edit.email, Some(account)).await?;
    }
    accounts::edit_in(&mut tx, account, edit, now).await?;
    let mut changed = audit::event(Event::AccountChanged, caller, now).about_id(account);
    if let Some((is_staff, is_superuser)) = edit.flags {
        changed = changed.detail("rank", rank(is_staff, is_superuser));
    }
    changed.record(&mut tx).await?;
    Ok(tx.commit().await?)
}

/// Says whether an account may enter the administration, and do everything. Gives whether that changed
/// anything. Where Django owns the accounts, our role may lack the right to it.
pub async fn set_rank(
    store: &Store,
    caller: &Caller,
    account: AccountId,
    is_staff: bool,
    is_superuser: bool,
    now: Timestamp,
) -> Result<bool, StoreError> {
    let mut tx = store.begin("set rank").await?;
    let changed = set_rank_in(&mut tx, caller, account, is_staff, is_superuser, now).await?;
    tx.commit().await?;
    Ok(changed)
}

/// Part of a transaction: as [`set_rank`].
pub(super) async fn set_rank_in(
    tx: &mut Tx,
    caller: &Caller,
    account: AccountId,
    is_staff: bool,
    is_superuser: bool,
    now: Timestamp,
) -> Result<bool, StoreError> {
    let changed = accounts::set_rank_in(tx, account, is_staff, is_superuser, now).await?;
    if changed {
        let event = audit::event(Event::AccountChanged, caller, now).about_id(account);
        event.detail("rank", rank(is_staff, is_superuser)).record(tx).await?;
    }
    Ok(changed)
}

/// How an account was deleted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Deleted {
    /// The row is gone.
    Removed,
    /// The row stays, switched off, without any credential: Django's tables refer to it.
    Deactivated,
}

/// Deletes an account and everything of ours that hangs on it. Where Django owns the accounts, its own
/// tables refer to the row, so the account is switched off and loses every credential instead.
pub async fn delete(
    store: &Store,
    caller: &Caller,
    owner: Owner,
    account: AccountId,
    now: Timestamp,
    random: &dyn Random,
) -> Result<Deleted, AdministrationError> {
    let tx = store.begin("delete account").await?;
    finish_deletion(tx, caller, owner, account, now, random).await
}

/// The end of a transaction: as [`delete`].
pub(super) async fn finish_deletion(
    mut tx: Tx,
    caller: &Caller,
    owner: Owner,
    account: AccountId,
    now: Timestamp,
    random: &dyn Random,
) -> Result<Deleted, AdministrationError> {
    audit::event(Event::Deletion, caller, now).about_id(account).record(&mut tx).await?;
    // What refers to the account may be found out at the COMMIT alone.
    let deleted = match profile::delete_in(&mut tx, owner, account, now, random).await {
        Ok(()) => tx.commit().await,
        Err(error) => Err(error),
    };
    match (deleted, owner) {
        (Ok(()), Owner::Avain) => Ok(Deleted::Removed),
        (Ok(()), Owner::Django) => Ok(Deleted::Deactivated),
        (Err(StoreError::ForeignKey(_)), _) => Err(AdministrationError::Refused(
            "other tables refer to this account: deactivate it instead, or delete it in Django's admin"
                .to_owned(),
        )),
        (Err(error), _) => Err(error.into()),
    }
}

/// Takes a classic key back. `false` where there is no such key.
pub async fn revoke_key(
    store: &Store,
    caller: &Caller,
    key: &ClassicKey,
    now: Timestamp,
) -> Result<bool, AdministrationError> {
    let mut tx = store.begin("revoke API key").await?;
    let Some(owner) = api_keys::delete_in(&mut tx, key, now).await? else { return Ok(false) };
    let revoked = audit::event(Event::ApiKeyRevoked, caller, now).about_id(owner);
    revoked.detail("kind", "classic").record(&mut tx).await?;
    tx.commit().await?;
    Ok(true)
}

/// Ends all families of an account: signed out everywhere. API keys stay.
pub async fn sign_out_everywhere(
    store: &Store,
    caller: &Caller,
    account: AccountId,
    now: Timestamp,
) -> Result<(), AdministrationError> {
    let mut tx = store.begin("sign out everywhere").await?;
    sign_out_everywhere_in(&mut tx, caller, account, now).await?;
    Ok(tx.commit().await?)
}

/// Part of a transaction: as [`sign_out_everywhere`].
pub(super) async fn sign_out_everywhere_in(
    tx: &mut Tx,
    caller: &Caller,
    account: AccountId,
    now: Timestamp,
) -> Result<(), StoreError> {
    accounts::revoke_all_in(tx, account, EndReason::Administration, now).await?;
    audit::event(Event::SignOutEverywhere, caller, now).about_id(account).record(tx).await
}
