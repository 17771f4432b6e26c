//! What somebody of the administration may do to the accounts of others, and doing it. Staff changes members,
//! superusers change everybody; nobody takes from oneself what one would need to take it back. Each of it is judged
//! by how both accounts stand in the transaction that does it: a right that was taken away meanwhile does nothing.

use std::net::IpAddr;

use crate::account::account::{Account, AccountId};
use crate::account::email::EmailAddress;
use crate::account::password::StoredPassword;
use crate::account::rules::{About, RuleBroken};
use crate::account::username::Username;
use crate::base::digest::Digest;
use crate::base::secret::Secret;
use crate::flow::administer::{self, AccountDraft, AdministrationError, Deleted};
use crate::flow::audit::{self, Event};
use crate::flow::change_email::{self, EmailChange};
use crate::flow::clients::{ClientError, ClientRoom};
use crate::flow::keys::KeyRoom;
use crate::flow::personal_keys::{self, Cabinet, StoredKey};
use crate::flow::sessions;
use crate::flow::{
    Caller, Context, Error, acting, change_password, emails, families, links, obtain_key, outbox,
    profile, register,
};
use crate::mail::message::Message;
use crate::store::accounts::{self, Owner};
use crate::store::refresh_families::ListedFamily;
use crate::store::sessions::ListedSession;
use crate::store::{StoreError, Tx, clients};
use crate::token::claims::FamilyId;
use crate::token::client::Client;
use crate::token::opaque::ClassicKey;
use crate::token::personal::PersonalKeyId;

/// Somebody of the administration, at work. Made only by [`Context::steward`].
pub struct Steward<'a> {
    context: &'a Context,
    caller: &'a Caller,
    me: &'a Account,
}

/// Why something was not done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NotDone {
    /// It is for somebody more powerful to do.
    NotAllowed,
    /// It is nothing to do to oneself.
    Oneself,
    /// The name may not be used at all.
    BadUsername,
    /// The name is taken.
    UsernameTaken,
    /// The address is another account's.
    EmailTaken,
    /// The new password breaks rules.
    Password(Vec<RuleBroken>),
    /// The account has a classic key already.
    HasKey,
    /// Other tables refer to the account.
    Referred,
    /// Django owns the accounts, and has not given us the right to it.
    LeftToDjango,
}

/// What is done to an account, as far as it matters who may do it.
#[derive(Clone, Copy, Debug)]
enum Deed {
    /// Its owner goes on being able to use it.
    Change,
    /// Its owner is locked out.
    LockOut,
    /// It is to be this: staff, and superuser.
    Rank(bool, bool),
}

/// A transaction in which nobody else changes who is at work, nor the account: both as they stand in it.
struct Begun {
    tx: Tx,
    me: Account,
    account: Account,
}

/// What was begun; else ends the deed here with why it was not.
macro_rules! granted {
    ($begun:expr) => {
        match $begun.await? {
            Ok(begun) => begun,
            Err(why) => return Ok(Err(why)),
        }
    };
}

/// What an account says about itself.
#[derive(Clone, Debug)]
pub struct Particulars {
    /// Its user name.
    pub username: String,
    /// Its address; `None` for none.
    pub email: Option<EmailAddress>,
    /// The first name.
    pub first_name: String,
    /// The last name.
    pub last_name: String,
}

/// An account to be made.
#[derive(Debug)]
pub struct Newcomer {
    /// What it says about itself.
    pub particulars: Particulars,
    /// Its password; without one its owner asks for a link.
    pub password: Option<Secret<String>>,
    /// Staff and superuser.
    pub rank: (bool, bool),
}

/// What hangs on an account, and goes with it.
#[derive(Debug)]
pub struct Belongings {
    /// The beginning of its classic key.
    pub classic_key: Option<String>,
    /// Its other keys that are in force.
    pub keys: Vec<StoredKey>,
    /// Its sign-ins.
    pub families: Vec<ListedFamily>,
    /// Its browser sessions.
    pub sessions: Vec<ListedSession>,
    /// Its mail addresses.
    pub addresses: usize,
    /// The clients that act as it.
    pub clients: Vec<String>,
}

impl Context {
    /// Whether somebody may enter the administration: staff. Where Django owns the accounts, that flag opens
    /// Django's own, in which everything takes a permission besides (`django.contrib.admin.ModelAdmin`); we know
    /// none of these, so that only superusers, who need none, enter ours.
    #[must_use]
    pub fn may_administer(&self, account: &Account) -> bool {
        let suffices = account.is_superuser || self.owner == Owner::Avain;
        account.is_staff && suffices && account.may_hold_tokens()
    }

    /// Somebody at work in the administration; `None` for who may not enter it.
    #[must_use]
    pub fn steward<'a>(&'a self, caller: &'a Caller, me: &'a Account) -> Option<Steward<'a>> {
        self.may_administer(me).then_some(Steward { context: self, caller, me })
    }
}

impl Steward<'_> {
    /// Whether they may change this account: it is less powerful, or they are superusers. Of equals, one
    /// could take on what the other alone was given, such as the right to act as somebody else.
    #[must_use]
    pub fn may_change(&self, account: &Account) -> bool {
        profile::may_change(self.me, account)
    }

    /// Whether they may change what the whole service goes by, and who may enter the administration.
    #[must_use]
    pub const fn is_superuser(&self) -> bool {
        self.me.is_superuser
    }

    /// Whether that is their own account.
    #[must_use]
    pub fn is_oneself(&self, account: &Account) -> bool {
        account.id == self.me.id
    }

    /// The account with this id.
    pub async fn find(&self, id: AccountId) -> Result<Option<Account>, Error> {
        Ok(accounts::find_by_id(&self.context.store, id).await?)
    }

    /// The account with this user name.
    pub async fn find_by_username(&self, username: &str) -> Result<Option<Account>, Error> {
        Ok(accounts::find_by_username(&self.context.store, username).await?)
    }

    /// Makes an account.
    pub async fn create(&self, new: Newcomer) -> Result<Result<AccountId, NotDone>, Error> {
        let (context, Particulars { username, email, first_name, last_name }) =
            (self.context, new.particulars);
        let (is_staff, is_superuser) = new.rank;
        let gives_rank = is_staff || is_superuser;
        if gives_rank && !self.is_superuser() {
            return Ok(Err(NotDone::NotAllowed));
        }
        if Username::parse(&username).is_err() {
            return Ok(Err(NotDone::BadUsername));
        }
        let is_reserved = acting::is_reserved(context, &username);
        if (is_reserved && !self.is_superuser())
            || register::is_taken(context, &username, true).await?
        {
            return Ok(Err(NotDone::UsernameTaken));
        }
        let address = email;
        let email = address.as_ref().map_or("", EmailAddress::as_str).to_owned();
        let password = match new.password {
            Some(password) => {
                let about = About {
                    username: &username,
                    first_name: &first_name,
                    last_name: &last_name,
                    email: &email,
                };
                let broken = register::judge_password(context, &password, &about).await?;
                if !broken.is_empty() {
                    return Ok(Err(NotDone::Password(broken)));
                }
                context.hashing.hash(password).await?
            }
            None => StoredPassword::unusable(context.random.as_ref()),
        };
        let key = || ClassicKey::generate(context.random.as_ref());
        let draft = AccountDraft {
            username,
            email,
            first_name,
            last_name,
            password,
            is_active: true,
            is_staff,
            is_superuser,
            classic_key: context.accounts.classic_keys.then(key),
            // Judged below, to be told apart from a name that is taken.
            unique_email: false,
        };
        let is_for_superusers = gives_rank || is_reserved;
        let Some(mut tx) = self.begin("create account", is_for_superusers).await? else {
            return Ok(Err(NotDone::NotAllowed));
        };
        if let Some(address) = address.filter(|_| context.accounts.unique_email)
            && emails::is_of_another_in(context, &mut tx, &address, None).await?
        {
            return Ok(Err(NotDone::EmailTaken));
        }
        let id = match administer::create_in(&mut tx, self.caller, draft, context.now()).await {
            Ok(id) => id,
            // Names are judged above: somebody else was faster with this one.
            Err(AdministrationError::Refused(_)) => return Ok(Err(NotDone::UsernameTaken)),
            Err(AdministrationError::Store(error)) => return Err(error.into()),
        };
        tx.commit().await?;
        Ok(Ok(id))
    }

    /// Changes what an account says about itself, all of it or nothing.
    pub async fn edit(
        &self,
        account: &Account,
        new: Particulars,
    ) -> Result<Result<(), NotDone>, Error> {
        let (context, now) = (self.context, self.context.now());
        let Begun { mut tx, me, account } =
            granted!(self.begin_on("administer account", account, Deed::Change));
        let account = &account;
        if new.username != account.username {
            let Ok(name) = Username::parse(&new.username) else {
                return Ok(Err(NotDone::BadUsername));
            };
            if acting::is_reserved(context, name.as_str()) && !me.is_superuser {
                return Ok(Err(NotDone::UsernameTaken));
            }
            match accounts::set_username_in(&mut tx, account.id, name.as_str(), now).await {
                Ok(()) => {}
                Err(StoreError::Unique(_)) => return Ok(Err(NotDone::UsernameTaken)),
                Err(error) => return Err(error.into()),
            }
            let renamed = audit::event(Event::UsernameChange, self.caller, now).about(account);
            renamed.detail("to", name.as_str()).record(&mut tx).await?;
            if context.accounts.confirm_username
                && let Some(address) = links::address_of(account)
            {
                let told = Message::UsernameChanged;
                links::send_notice(context, &mut tx, account, &address, told, now).await?;
            }
        }
        let mut changed = account.clone();
        (changed.first_name, changed.last_name) = (new.first_name, new.last_name);
        if changed != *account {
            let (first_name, last_name) = (&changed.first_name, &changed.last_name);
            accounts::set_names_in(&mut tx, account.id, first_name, last_name, now).await?;
            let edited = audit::event(Event::AccountChanged, self.caller, now).about(account);
            edited.record(&mut tx).await?;
        }
        let email = new.email.as_ref();
        if email.map_or("", EmailAddress::as_str) != account.email {
            let (caller, how) = (self.caller, EmailChange::AtOnce);
            let moved =
                change_email::change_in(context, caller, &mut tx, &mut changed, email, &how, now);
            if moved.await?.is_err() {
                return Ok(Err(NotDone::EmailTaken));
            }
        }
        tx.commit().await?;
        Ok(Ok(()))
    }

    /// Says whether an account may enter the administration, and do everything.
    pub async fn set_rank(
        &self,
        account: &Account,
        is_staff: bool,
        is_superuser: bool,
    ) -> Result<Result<(), NotDone>, Error> {
        let Begun { mut tx, account, .. } =
            granted!(self.begin_on("set rank", account, Deed::Rank(is_staff, is_superuser)));
        let (caller, id, now) = (self.caller, account.id, self.context.now());
        let set = administer::set_rank_in(&mut tx, caller, id, is_staff, is_superuser, now).await;
        match set {
            Ok(_) => {
                tx.commit().await?;
                Ok(Ok(()))
            }
            Err(StoreError::Other(why)) if self.context.owner == Owner::Django => {
                tracing::warn!(why, "staff flags are left to Django");
                Ok(Err(NotDone::LeftToDjango))
            }
            Err(error) => Err(error.into()),
        }
    }

    /// Switches an account on or off.
    pub async fn set_active(
        &self,
        account: &Account,
        active: bool,
    ) -> Result<Result<(), NotDone>, Error> {
        let deed = if active { Deed::Change } else { Deed::LockOut };
        let Begun { mut tx, account, .. } = granted!(self.begin_on("set active", account, deed));
        let (caller, now) = (self.caller, self.context.now());
        administer::set_active_in(&mut tx, caller, account.id, active, now).await?;
        tx.commit().await?;
        Ok(Ok(()))
    }

    /// Gives an account another password, which ends whatever it is signed in with.
    pub async fn set_password(
        &self,
        account: &Account,
        new: Secret<String>,
    ) -> Result<Result<(), NotDone>, Error> {
        if let Err(why) = judge(self.me, account, Deed::LockOut) {
            return Ok(Err(why));
        }
        let context = self.context;
        let broken = change_password::judge(context, account, &new).await?;
        if !broken.is_empty() {
            return Ok(Err(NotDone::Password(broken)));
        }
        let password = context.hashing.hash(new).await?;
        // Either's rank may have become another while the password was hashed.
        let Begun { mut tx, account, .. } =
            granted!(self.begin_on("administer password", account, Deed::LockOut));
        let (caller, notice) = (self.caller, context.accounts.confirm_password);
        let event = Event::PasswordChange;
        change_password::store_in(context, caller, &mut tx, &account, &password, notice, event)
            .await?;
        tx.commit().await?;
        Ok(Ok(()))
    }

    /// Deletes an account with all that hangs on it.
    pub async fn delete(&self, account: &Account) -> Result<Result<Deleted, NotDone>, Error> {
        let Begun { tx, account, .. } =
            granted!(self.begin_on("delete account", account, Deed::LockOut));
        let Context { owner, random, .. } = self.context;
        let (caller, now, random) = (self.caller, self.context.now(), random.as_ref());
        match administer::finish_deletion(tx, caller, *owner, account.id, now, random).await {
            Ok(deleted) => Ok(Ok(deleted)),
            Err(AdministrationError::Refused(_)) => Ok(Err(NotDone::Referred)),
            Err(AdministrationError::Store(error)) => Err(error.into()),
        }
    }

    /// Ends all sign-ins and sessions of an account.
    pub async fn sign_out_everywhere(
        &self,
        account: &Account,
    ) -> Result<Result<(), NotDone>, Error> {
        let Begun { mut tx, account, .. } =
            granted!(self.begin_on("sign out everywhere", account, Deed::Change));
        let now = self.context.now();
        administer::sign_out_everywhere_in(&mut tx, self.caller, account.id, now).await?;
        tx.commit().await?;
        Ok(Ok(()))
    }

    /// Forgets what was counted against an account's sign-ins. Gives whether there was anything.
    pub async fn unlock(&self, account: &Account) -> Result<Result<bool, NotDone>, Error> {
        let Begun { mut tx, account, .. } =
            granted!(self.begin_on("unlock account", account, Deed::Change));
        let Some(throttle) = &self.context.throttle else { return Ok(Ok(false)) };
        let (subjects, now) = (&throttle.subjects, self.context.now());
        let unlocked = administer::unlock_in(&mut tx, self.caller, subjects, &account, now).await?;
        tx.commit().await?;
        Ok(Ok(unlocked))
    }

    /// Forgets the failures that were counted against a client's address. Gives whether there were any.
    pub async fn unlock_address(&self, address: IpAddr) -> Result<Result<bool, NotDone>, Error> {
        let Some(mut tx) = self.begin("unlock address", false).await? else {
            return Ok(Err(NotDone::NotAllowed));
        };
        let Some(throttle) = &self.context.throttle else { return Ok(Ok(false)) };
        let (subjects, now) = (&throttle.subjects, self.context.now());
        let unlocked =
            administer::unlock_address_in(&mut tx, self.caller, subjects, address, now).await?;
        tx.commit().await?;
        Ok(Ok(unlocked))
    }

    /// Drops a mail that waits or was given up: somebody waits for it, so this is for superusers. `false` where
    /// there is none, or it is being sent.
    pub async fn drop_mail(&self, id: &str) -> Result<Result<bool, NotDone>, Error> {
        let Some(mut tx) = self.begin("drop mail", true).await? else {
            return Ok(Err(NotDone::NotAllowed));
        };
        let dropped = outbox::drop_in(&mut tx, self.caller, id, self.context.now()).await?;
        tx.commit().await?;
        Ok(Ok(dropped))
    }

    /// Registered clients, for superusers to change: what acts as an account is as powerful as that.
    #[must_use]
    pub fn clients(&self) -> Option<ClientRoom<'_>> {
        let superuser = Some(self.me);
        self.is_superuser().then(|| ClientRoom { superuser, ..self.all_clients() })
    }

    /// Registered clients, to look at.
    pub async fn list_clients(&self) -> Result<Vec<Client>, ClientError> {
        self.all_clients().list().await
    }

    fn all_clients(&self) -> ClientRoom<'_> {
        let Context { store, random, .. } = self.context;
        let (random, now) = (random.as_ref(), self.context.now());
        ClientRoom { store, random, now, caller: self.caller, superuser: None }
    }

    /// Signing keys, for superusers to change.
    #[must_use]
    pub fn signing_keys(&self) -> Option<KeyRoom<'_>> {
        self.is_superuser().then(|| KeyRoom { caller: self.caller, ..self.context.key_room() })
    }

    /// What hangs on an account.
    pub async fn belongings(&self, account: &Account) -> Result<Belongings, Error> {
        let (context, now) = (self.context, self.context.now());
        let mut keys = self.cabinet().list(account.id).await?;
        keys.retain(|key| !key.terms.have_ended(now));
        let clients = clients::list(&context.store, now).await?;
        let clients = clients.into_iter().filter(|client| client.account == Some(account.id));
        Ok(Belongings {
            classic_key: personal_keys::classic_beginning(context, account).await?,
            keys,
            families: families::list(&context.store, account.id, now).await?,
            sessions: sessions::list(context, account).await?,
            addresses: emails::list(context, account).await?.len(),
            clients: clients.map(|client| client.id.to_string()).collect(),
        })
    }

    /// Makes the classic key of an account. One that it has already is shown to nobody.
    pub async fn make_classic_key(
        &self,
        account: &Account,
    ) -> Result<Result<ClassicKey, NotDone>, Error> {
        let Begun { mut tx, account, .. } =
            granted!(self.begin_on("create API key", account, Deed::Change));
        let (random, now) = (self.context.random.as_ref(), self.context.now());
        let made = obtain_key::make_in(&mut tx, self.caller, account.id, random, now).await?;
        tx.commit().await?;
        Ok(made.ok_or(NotDone::HasKey))
    }

    /// Takes back the classic key of an account; `false` where it has none.
    pub async fn revoke_classic_key(
        &self,
        account: &Account,
    ) -> Result<Result<bool, NotDone>, Error> {
        let Begun { mut tx, account, .. } =
            granted!(self.begin_on("revoke API key", account, Deed::Change));
        let ended = self.cabinet().revoke_classic_in(&mut tx, account.id).await?;
        tx.commit().await?;
        Ok(Ok(ended))
    }

    /// Takes back a key of an account; `false` where it has no such key in force.
    pub async fn revoke_key(
        &self,
        account: &Account,
        id: PersonalKeyId,
    ) -> Result<Result<bool, NotDone>, Error> {
        let Begun { mut tx, account, .. } =
            granted!(self.begin_on("revoke API key", account, Deed::Change));
        let ended = self.cabinet().revoke_in(&mut tx, account.id, id).await?;
        tx.commit().await?;
        Ok(Ok(ended))
    }

    /// Ends a sign-in of an account; `false` where it has no such one.
    pub async fn end_family(
        &self,
        account: &Account,
        family: FamilyId,
    ) -> Result<Result<bool, NotDone>, Error> {
        let Begun { mut tx, account, .. } =
            granted!(self.begin_on("end refresh family", account, Deed::Change));
        let now = self.context.now();
        let ended = families::end_in(&mut tx, self.caller, account.id, family, now).await?;
        tx.commit().await?;
        Ok(Ok(ended))
    }

    /// Ends a browser session of an account; `false` where it has no such one.
    pub async fn end_session(
        &self,
        account: &Account,
        digest: &Digest,
    ) -> Result<Result<bool, NotDone>, Error> {
        let Begun { mut tx, account, .. } =
            granted!(self.begin_on("end session", account, Deed::Change));
        let now = self.context.now();
        let ended = sessions::end_of_in(&mut tx, self.caller, &account, digest, now).await?;
        tx.commit().await?;
        Ok(Ok(ended))
    }

    /// Begins a transaction that does something to an account, if it is still theirs to do.
    async fn begin_on(
        &self,
        name: &'static str,
        account: &Account,
        deed: Deed,
    ) -> Result<Result<Begun, NotDone>, Error> {
        let mut tx = self.context.store.begin(name).await?;
        let held = accounts::hold_both_in(&mut tx, self.me, account.id).await?;
        let may_enter = |(me, _): &(Account, Account)| self.context.may_administer(me);
        let Some((me, account)) = held.filter(may_enter) else {
            return Ok(Err(NotDone::NotAllowed));
        };
        Ok(judge(&me, &account, deed).map(|()| Begun { tx, me, account }))
    }

    /// Begins a transaction that does something else; `None` where it is no longer theirs to do.
    async fn begin(
        &self,
        name: &'static str,
        is_for_superusers: bool,
    ) -> Result<Option<Tx>, Error> {
        let mut tx = self.context.store.begin(name).await?;
        let held = accounts::hold_both_in(&mut tx, self.me, self.me.id).await?;
        let may = held.is_some_and(|(me, _)| {
            self.context.may_administer(&me) && (me.is_superuser || !is_for_superusers)
        });
        Ok(may.then_some(tx))
    }

    fn cabinet(&self) -> Cabinet<'_> {
        self.context.cabinet(self.caller)
    }
}

/// Whether somebody may do that to an account.
fn judge(me: &Account, account: &Account, deed: Deed) -> Result<(), NotDone> {
    let (takes, is_allowed) = match deed {
        Deed::Change => (false, profile::may_change(me, account)),
        Deed::LockOut => (true, profile::may_change(me, account)),
        Deed::Rank(is_staff, is_superuser) => (!(is_staff && is_superuser), me.is_superuser),
    };
    match deed {
        Deed::Rank(..) if !is_allowed => Err(NotDone::NotAllowed),
        _ if takes && account.id == me.id => Err(NotDone::Oneself),
        _ if !is_allowed => Err(NotDone::NotAllowed),
        _ => Ok(()),
    }
}
