//! Mail addresses that an account has, and showing that mail to them arrives (allauth).

use std::time::Duration;

use crate::account::account::{Account, AccountId};
use crate::account::email::EmailAddress;
use crate::base::clock::Timestamp;
use crate::flow::audit::{self, Event};
use crate::flow::links::{self, LinkKind, Presented};
use crate::flow::quota::{self, Quota};
use crate::flow::{Caller, Context, Error, profile};
use crate::mail::message::Message;
use crate::store::accounts;
use crate::store::email_addresses::{self, StoredAddress};
use crate::store::one_time_links;
use crate::store::{StoreError, Tx};
use crate::token::allauth_key;
use crate::token::link::{self, Purpose};

/// Whether an account has an address to which mail was shown to arrive.
pub async fn has_verified(context: &Context, account: AccountId) -> Result<bool, Error> {
    let addresses = email_addresses::of_account(&context.store, account).await?;
    Ok(addresses.iter().any(|address| address.verified))
}

/// An address of one's own account.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OwnAddress {
    /// Its id.
    pub id: i64,
    /// The address, as it was given.
    pub email: String,
    /// Whether mail to it was shown to arrive.
    pub verified: bool,
    /// Whether it is the one in `auth_user`.
    pub primary: bool,
}

impl From<StoredAddress> for OwnAddress {
    fn from(stored: StoredAddress) -> Self {
        let StoredAddress { id, address: email, verified, primary, .. } = stored;
        Self { id, email, verified, primary }
    }
}

/// The addresses of an account, oldest first.
pub async fn list(context: &Context, account: &Account) -> Result<Vec<OwnAddress>, Error> {
    Ok(kept(context, account).await?.into_iter().map(OwnAddress::from).collect())
}

/// What is kept of an account's addresses. The one in `auth_user` is among them and is the primary one,
/// whoever has written it there: where nothing was kept of it, it is kept now.
async fn kept(context: &Context, account: &Account) -> Result<Vec<StoredAddress>, Error> {
    let kept = email_addresses::of_account(&context.store, account.id).await?;
    let Some(own) = links::address_of(account) else { return Ok(kept) };
    let folded = own.folded();
    let found = kept.iter().find(|kept| kept.folded == folded);
    if found.is_some_and(|found| found.primary) {
        return Ok(kept);
    }
    let mut tx = context.store.begin("keep own address").await?;
    keep_primary(&mut tx, account.id, &own, found, context.now()).await?;
    tx.commit().await?;
    Ok(email_addresses::of_account(&context.store, account.id).await?)
}

/// Part of a transaction: keeps an address, unless `found` is it, and marks it as the primary one.
async fn keep_primary(
    tx: &mut Tx,
    account: AccountId,
    address: &EmailAddress,
    found: Option<&StoredAddress>,
    now: Timestamp,
) -> Result<Option<i64>, Error> {
    let id = match found {
        Some(found) => Some(found.id),
        None => {
            let folded = address.folded();
            let forms = (address.as_str(), folded.as_str());
            email_addresses::add(tx, account, forms, false, false, now).await?
        }
    };
    if let Some(id) = id {
        email_addresses::make_primary(tx, account, id).await?;
    }
    Ok(id)
}

/// Part of a transaction: makes an address, to which mail was shown to arrive, the account's own.
/// [`StoreError::Unique`](crate::store::StoreError) where another account has verified it meanwhile.
pub(super) async fn adopt(
    context: &Context,
    tx: &mut Tx,
    account: &Account,
    address: &EmailAddress,
    now: Timestamp,
) -> Result<(), Error> {
    let folded = address.folded();
    let kept = email_addresses::of_account(&context.store, account.id).await?;
    let found = kept.iter().find(|kept| kept.folded == folded);
    let id = keep_primary(tx, account.id, address, found, now).await?;
    if let Some(id) = id {
        // What looks alike may be somebody else's: mail was shown to arrive at this spelling alone.
        email_addresses::respell(tx, account.id, id, address.as_str()).await?;
        if !found.is_some_and(|found| found.verified) {
            email_addresses::verify(tx, id, now).await?;
        }
    }
    Ok(write_own(tx, account, address.as_str(), now).await?)
}

/// Part of a transaction: writes the address into `auth_user`, in place of the one that the account had when
/// it was judged. What hangs on the old one ends with it.
pub(super) async fn write_own(
    tx: &mut Tx,
    account: &Account,
    address: &str,
    now: Timestamp,
) -> Result<(), StoreError> {
    if accounts::set_email_in(tx, account.id, &account.email, address, now).await? {
        Ok(())
    } else {
        Err(StoreError::Retry("somebody else has changed the address meanwhile".to_owned()))
    }
}

/// Whether an account other than `account` has verified an address, or has it at all where no two may share
/// one.
pub async fn is_of_another(
    context: &Context,
    address: &EmailAddress,
    account: Option<AccountId>,
) -> Result<bool, Error> {
    let kept = email_addresses::by_folded(&context.store, &address.folded()).await?;
    if is_verified_by_another(&kept, account) || !context.accounts.unique_email {
        return Ok(is_verified_by_another(&kept, account));
    }
    let having = accounts::find_by_email(&context.store, address.as_str()).await?;
    Ok(having.iter().any(|having| Some(having.id) != account))
}

/// Part of a transaction: as [`is_of_another`]. Where no two accounts may share an address, nobody else gets
/// this one until the transaction ends. The account's row is locked before the address, as it is wherever a
/// transaction begins with it, so that no two wait for each other.
pub(super) async fn is_of_another_in(
    context: &Context,
    tx: &mut Tx,
    address: &EmailAddress,
    account: Option<AccountId>,
) -> Result<bool, Error> {
    if context.accounts.unique_email {
        if let Some(account) = account {
            accounts::lock_in(tx, account).await?;
        }
        accounts::reserve_email(tx, address.as_str()).await?;
    }
    let kept = email_addresses::by_folded_in(tx, &address.folded()).await?;
    if is_verified_by_another(&kept, account) || !context.accounts.unique_email {
        return Ok(is_verified_by_another(&kept, account));
    }
    let having = accounts::find_by_email_in(tx, address.as_str()).await?;
    Ok(having.iter().any(|having| Some(having.id) != account))
}

fn is_verified_by_another(kept: &[StoredAddress], account: Option<AccountId>) -> bool {
    kept.iter().any(|kept| kept.verified && Some(kept.account) != account)
}

/// Uses a verification key up, ours or one that allauth has mailed. `false` where it is unknown, used, or where
/// another account has verified the same address meanwhile.
pub async fn verify(context: &Context, caller: &Caller, key: &str) -> Result<bool, Error> {
    let now = context.now();
    let presented = if allauth_key::is_claimed(key) {
        links::look_at_allauth(context, key, now).await?
    } else {
        let Some((uid, token)) = key.split_once(':') else { return Ok(false) };
        let account = link::account_of_uid36(uid);
        links::look_at(context, account, token, Purpose::EmailVerification, now).await?
    };
    let Presented::Good(account, good) = presented else { return Ok(false) };
    let Ok(address) = EmailAddress::parse(&good.address) else { return Ok(false) };
    let folded = address.folded();
    let kept = email_addresses::of_account(&context.store, account.id).await?;
    let mut tx = context.store.begin("verify address").await?;
    if !good.use_up(context, &mut tx, now).await? {
        return Ok(false);
    }
    let id = match kept.iter().find(|kept| kept.folded == folded) {
        // What looks alike may be somebody else's: this link was sent to another address.
        Some(kept) if kept.address != address.as_str() => None,
        Some(kept) => Some(kept.id),
        None => {
            let primary = kept.is_empty();
            let forms = (address.as_str(), folded.as_str());
            email_addresses::add(&mut tx, account.id, forms, false, primary, now).await?
        }
    };
    let Some(id) = id else { return Ok(false) };
    if !email_addresses::verify(&mut tx, id, now).await? {
        return Ok(false);
    }
    let verified = audit::event(Event::EmailVerification, caller, now).about(&account);
    verified.detail("address", address.as_str()).record(&mut tx).await?;
    tx.commit().await?;
    Ok(true)
}

/// Sends a verification mail to an address that somebody has registered and not verified. Never tells
/// whether there was one.
pub async fn resend(
    context: &Context,
    caller: &Caller,
    email: &EmailAddress,
    kind: &LinkKind<'_>,
) -> Result<(), Error> {
    quota::spend(context, caller, Quota::Resend(email.as_str())).await?;
    let folded = email.folded();
    let kept = email_addresses::by_folded(&context.store, &folded).await?;
    let mut found = accounts::find_by_email(&context.store, email.as_str()).await?;
    if kept.iter().any(|address| address.verified) {
        found.clear();
    } else {
        for kept in &kept {
            if !found.iter().any(|account| account.id == kept.account) {
                found.extend(accounts::find_by_id(&context.store, kept.account).await?);
            }
        }
    }
    let addressed = found.into_iter().filter(|account| account.is_active).filter_map(|account| {
        // To the address as the account has it, not as somebody has typed it.
        let stored = kept.iter().find(|address| address.account == account.id);
        let address = stored.map_or(account.email.as_str(), |address| address.address.as_str());
        EmailAddress::parse(address).ok().map(|address| (account, address))
    });
    let addressed: Vec<_> = addressed.collect();
    links::send_to_all(context, "send verification", &addressed, kind, None).await?;
    Ok(())
}

/// Sends a verification mail to one address of an account.
pub async fn send(
    context: &Context,
    account: &Account,
    address: &EmailAddress,
    kind: &LinkKind<'_>,
) -> Result<(), Error> {
    let now = context.now();
    let mut tx = context.store.begin("send verification").await?;
    links::send_link(context, &mut tx, account, address, kind, now).await?;
    Ok(tx.commit().await?)
}

/// Sends a verification mail once more, unless one was sent a moment ago.
pub async fn send_again(
    context: &Context,
    account: &Account,
    address: &EmailAddress,
    kind: &LinkKind<'_>,
) -> Result<(), Error> {
    let now = context.now();
    let since = now.minus(BETWEEN_MAILS);
    if one_time_links::was_sent_since(&context.store, account.id, kind.purpose, since).await? {
        return Ok(());
    }
    send(context, account, address, kind).await
}

/// One verification mail in so much time (allauth's limit).
const BETWEEN_MAILS: Duration = Duration::from_mins(3);

/// So many addresses an account may have.
const MOST_ADDRESSES: usize = 10;

/// Why an address was not added.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NotAdded {
    /// The account has it.
    Known,
    /// The account has as many as it may have.
    TooMany,
}

/// Adds an address and sends its verification mail. Whether another account has verified it is not told:
/// then nobody can verify it here.
pub async fn add(
    context: &Context,
    caller: &Caller,
    account: &Account,
    address: &EmailAddress,
    kind: &LinkKind<'_>,
) -> Result<Result<OwnAddress, NotAdded>, Error> {
    let folded = address.folded();
    let kept = kept(context, account).await?;
    if kept.iter().any(|kept| kept.folded == folded) {
        return Ok(Err(NotAdded::Known));
    }
    if kept.len() >= MOST_ADDRESSES {
        return Ok(Err(NotAdded::TooMany));
    }
    quota::spend(context, caller, Quota::Resend(address.as_str())).await?;
    let now = context.now();
    let mut tx = context.store.begin("add address").await?;
    let forms = (address.as_str(), folded.as_str());
    let added = email_addresses::add(&mut tx, account.id, forms, false, false, now).await?;
    let Some(id) = added else { return Ok(Err(NotAdded::Known)) };
    links::send_link(context, &mut tx, account, address, kind, now).await?;
    let changed = audit::event(Event::EmailAddresses, caller, now).about(account);
    changed.detail("added", address.as_str()).record(&mut tx).await?;
    tx.commit().await?;
    let email = address.as_str().to_owned();
    Ok(Ok(OwnAddress { id, email, verified: false, primary: false }))
}

/// Sends the verification mail of one of the account's addresses again. `None` where it is not the
/// account's, `false` where it is verified.
pub async fn verify_again(
    context: &Context,
    caller: &Caller,
    account: &Account,
    id: i64,
    kind: &LinkKind<'_>,
) -> Result<Option<bool>, Error> {
    let Some(found) = of_account(context, account, id).await? else { return Ok(None) };
    let Ok(address) = EmailAddress::parse(&found.address) else { return Ok(None) };
    if found.verified {
        return Ok(Some(false));
    }
    quota::spend(context, caller, Quota::Resend(address.as_str())).await?;
    send(context, account, &address, kind).await?;
    Ok(Some(true))
}

/// Why an address was not made the primary one, or not removed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NotDone {
    /// The account has no such address.
    Unknown,
    /// Nobody has shown that mail to it arrives.
    Unverified,
    /// It is the primary one.
    Primary,
    /// Another account has it, and no two may share one.
    Taken,
}

/// Makes a verified address the account's own. A notice goes to the old one, and links to a new password
/// that were sent there end.
pub async fn make_primary(
    context: &Context,
    caller: &Caller,
    account: &Account,
    id: i64,
) -> Result<Result<OwnAddress, NotDone>, Error> {
    let Some(found) = of_account(context, account, id).await? else {
        return Ok(Err(NotDone::Unknown));
    };
    if !found.verified {
        return Ok(Err(NotDone::Unverified));
    }
    if found.primary {
        return Ok(Ok(found.into()));
    }
    let Ok(address) = EmailAddress::parse(&found.address) else { return Ok(Err(NotDone::Unknown)) };
    let now = context.now();
    let mut tx = context.store.begin("change primary address").await?;
    profile::hold_own_in(&mut tx, account).await?;
    if is_of_another_in(context, &mut tx, &address, Some(account.id)).await? {
        return Ok(Err(NotDone::Taken));
    }
    if !email_addresses::make_primary(&mut tx, account.id, id).await? {
        return Ok(Err(NotDone::Unknown));
    }
    write_own(&mut tx, account, &found.address, now).await?;
    let changed = audit::event(Event::EmailChange, caller, now).about(account);
    changed.detail("from", &account.email).record(&mut tx).await?;
    if let Some(old) = links::address_of(account) {
        links::send_notice(context, &mut tx, account, &old, Message::EmailChanged, now).await?;
    }
    tx.commit().await?;
    Ok(Ok(StoredAddress { primary: true, ..found }.into()))
}

/// Removes an address that is not the primary one.
pub async fn remove(
    context: &Context,
    caller: &Caller,
    account: &Account,
    id: i64,
) -> Result<Result<(), NotDone>, Error> {
    let Some(found) = of_account(context, account, id).await? else {
        return Ok(Err(NotDone::Unknown));
    };
    let now = context.now();
    let mut tx = context.store.begin("remove address").await?;
    let removed = email_addresses::remove(&mut tx, account.id, id).await?;
    if removed {
        let changed = audit::event(Event::EmailAddresses, caller, now).about(account);
        changed.detail("removed", &found.address).record(&mut tx).await?;
    }
    tx.commit().await?;
    Ok(match removed {
        true => Ok(()),
        false if found.primary => Err(NotDone::Primary),
        false => Err(NotDone::Unknown),
    })
}

/// The account's address with this id.
async fn of_account(
    context: &Context,
    account: &Account,
    id: i64,
) -> Result<Option<StoredAddress>, Error> {
    Ok(kept(context, account).await?.into_iter().find(|kept| kept.id == id))
}
