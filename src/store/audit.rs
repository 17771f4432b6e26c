//! Audit events: what happened, to whom, by whom, from where. Rows are inserted, read and swept, never
//! changed; they outlive the account that they are about.

use std::fmt;
use std::net::IpAddr;

use crate::account::account::AccountId;
use crate::base::clock::Timestamp;
use crate::base::encode::json_object;
use crate::store::{Row, Store, StoreError, Tx, Value};

/// Declares the events: variant, name, and what it means.
macro_rules! events {
    ($( $(#[doc = $doc:literal])+ $variant:ident = $name:literal; )+) => {
        /// What can happen. The names are stored: one that was released keeps its meaning.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum Event {
            $( $(#[doc = $doc])+ $variant, )+
        }

        impl Event {
            /// All of them.
            pub const ALL: &'static [Self] = &[$( Self::$variant, )+];

            /// As it is stored, logged and counted.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self {
                    $( Self::$variant => $name, )+
                }
            }
        }
    };
}

events! {
    /// Somebody signed in, by whatever layout.
    SignIn = "sign_in";
    /// A password was wrong, or its account unknown or switched off.
    SignInFailed = "sign_in_failed";
    /// Refused because there was too much of it.
    Throttled = "throttled";
    /// A refresh token was answered.
    Refresh = "refresh";
    /// A refresh token was used again by somebody else: its family is ended.
    RefreshReuse = "refresh_reuse";
    /// One sign-in was ended.
    SignOut = "sign_out";
    /// Every sign-in of the account, or all but one, was ended.
    SignOutEverywhere = "sign_out_everywhere";
    /// Somebody made an account for themselves.
    Registration = "registration";
    /// An account was made for somebody.
    AccountCreated = "account_created";
    /// What an account says or may do was changed.
    AccountChanged = "account_changed";
    /// An account was switched on.
    Activation = "activation";
    /// An account was switched off.
    Deactivation = "deactivation";
    /// An account was deleted, or where Django owns it, lost every credential.
    Deletion = "deletion";
    /// The password was changed.
    PasswordChange = "password_change";
    /// The password was changed by others, in Django's tables: what began with the one before is ended.
    PasswordChangedElsewhere = "password_changed_elsewhere";
    /// A link to another password (or user name) was asked for.
    ResetRequest = "reset_request";
    /// The password was replaced by way of such a link.
    PasswordReset = "password_reset";
    /// The mail address was changed.
    EmailChange = "email_change";
    /// Mail to an address was shown to arrive.
    EmailVerification = "email_verification";
    /// A further mail address was added or removed.
    EmailAddresses = "email_addresses";
    /// The user name was changed.
    UsernameChange = "username_change";
    /// An API key was made.
    ApiKeyCreated = "api_key_created";
    /// An API key was replaced by another one.
    ApiKeyRotated = "api_key_rotated";
    /// What an API key may do was changed.
    ApiKeyChanged = "api_key_changed";
    /// An API key was taken back.
    ApiKeyRevoked = "api_key_revoked";
    /// An OAuth client was registered.
    ClientCreated = "client_created";
    /// An OAuth client was changed, or given another secret.
    ClientChanged = "client_changed";
    /// An OAuth client was deleted.
    ClientDeleted = "client_deleted";
    /// A signing key was made or imported.
    SigningKeyCreated = "signing_key_created";
    /// Another signing key signs.
    SigningKeyRotated = "signing_key_rotated";
    /// A signing key was taken out of use: nothing that it signed lives on, or somebody said so.
    SigningKeyRetired = "signing_key_retired";
    /// A signing key was taken out of use in an emergency, with all that it signed.
    SigningKeyKilled = "signing_key_killed";
    /// Somebody began to act as somebody else.
    ImpersonationBegun = "impersonation_begun";
    /// Somebody ceased to act as somebody else.
    ImpersonationEnded = "impersonation_ended";
    /// A mail in the outbox was retried or dropped by hand.
    OutboxChanged = "outbox_changed";
    /// What was counted against guessing was forgotten by hand.
    ThrottleCleared = "throttle_cleared";
}

impl Event {
    /// The event of that name.
    #[must_use]
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|event| event.as_str() == name)
    }
}

/// One thing that happened, to be written.
#[derive(Clone, Debug)]
pub struct Record {
    /// What.
    pub event: Event,
    /// When.
    pub happened_at: Timestamp,
    /// To whose account.
    pub account: Option<AccountId>,
    /// Its user name; `None`: as it is kept now.
    pub username: Option<String>,
    /// Who did it, where that is known.
    pub actor: Option<AccountId>,
    /// From where.
    pub address: Option<IpAddr>,
    /// With which program, as far as that can be believed.
    pub user_agent: Option<String>,
    /// In which request.
    pub request_id: Option<String>,
    /// Under which layout, or `command-line`.
    pub layout: Option<&'static str>,
    /// What else there is to say. No secrets.
    pub details: Vec<(&'static str, String)>,
}

/// Part of a transaction: keeps an event. The auditors are told once it is committed.
pub async fn insert(tx: &mut Tx, record: Record) -> Result<(), StoreError> {
    tx.run("audit.insert", &params(&record)).await?;
    tx.recorded(record);
    Ok(())
}

/// Keeps an event that no transaction has caused.
pub async fn insert_alone(store: &Store, record: &Record) -> Result<(), StoreError> {
    store.write("audit.insert", &params(record)).await?;
    store.tell_auditors(record);
    Ok(())
}

/// Tells the auditors of an event that is not kept.
pub fn tell(store: &Store, record: &Record) {
    store.tell_auditors(record);
}

fn params(record: &Record) -> [Value; 10] {
    let id = |account: Option<AccountId>| account.map(AccountId::get).into();
    [
        record.happened_at.seconds().into(),
        record.event.as_str().into(),
        id(record.account),
        record.username.as_deref().into(),
        id(record.actor),
        record.address.map(|address| address.to_string()).into(),
        record.user_agent.as_deref().into(),
        record.request_id.as_deref().into(),
        record.layout.into(),
        json_object(&record.details).into(),
    ]
}

/// What is searched for; `None` is everything.
#[derive(Clone, Debug, Default)]
pub struct Search {
    /// Events of this account.
    pub account: Option<AccountId>,
    /// This event.
    pub event: Option<Event>,
    /// Events from this address.
    pub address: Option<IpAddr>,
    /// No earlier than this.
    pub since: Option<Timestamp>,
    /// Before this.
    pub until: Option<Timestamp>,
}

/// A row of a page: the next page begins after it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cursor {
    /// When the event happened, in seconds.
    pub happened_at: i64,
    /// Its id.
    pub id: i64,
}

impl fmt::Display for Cursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.happened_at, self.id)
    }
}

impl Cursor {
    /// Reads what [`fmt::Display`] writes, as it stands in the addresses of pages; and with a hyphen, as the
    /// command line wrote it before.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let (happened_at, id) = text.split_once(['.', '-'])?;
        Some(Self { happened_at: happened_at.parse().ok()?, id: id.parse().ok()? })
    }
}

/// One thing that happened, as it was kept.
#[derive(Clone, Debug)]
pub struct Entry {
    /// Its id.
    pub id: i64,
    /// What: the name of an [`Event`], or of one that a newer program knows.
    pub event: String,
    /// When.
    pub happened_at: Timestamp,
    /// To whose account; there may be no such account any more.
    pub account: Option<AccountId>,
    /// Its user name then.
    pub username: Option<String>,
    /// Who did it.
    pub actor: Option<AccountId>,
    /// From where.
    pub address: Option<String>,
    /// With which program.
    pub user_agent: Option<String>,
    /// In which request.
    pub request_id: Option<String>,
    /// Under which layout, or `command-line`.
    pub layout: Option<String>,
    /// What else there is to say: a flat JSON object.
    pub details: String,
}

impl Entry {
    /// Where the next page begins.
    #[must_use]
    pub const fn cursor(&self) -> Cursor {
        Cursor { happened_at: self.happened_at.seconds(), id: self.id }
    }
}

/// At most `most` events, newest first, after the one that `after` names.
pub async fn page(
    store: &Store,
    search: &Search,
    after: Option<Cursor>,
    most: i64,
) -> Result<Vec<Entry>, StoreError> {
    let since = search.since.map_or(0, Timestamp::seconds);
    let until = search.until.map_or(i64::MAX, Timestamp::seconds);
    let before = after.unwrap_or(Cursor { happened_at: i64::MAX, id: 0 });
    let before =
        if until < before.happened_at { Cursor { happened_at: until, id: 0 } } else { before };
    let params = vec![since.into(), before.happened_at.into(), before.id.into(), most.into()];
    let statements =
        ["audit.page_of_account", "audit.page_of_address", "audit.page_of_event", "audit.page"];
    found(store, search, statements, params).await
}

/// At most `most` events, oldest first, that are newer than `before`.
pub async fn page_backwards(
    store: &Store,
    search: &Search,
    before: Cursor,
    most: i64,
) -> Result<Vec<Entry>, StoreError> {
    let until = search.until.map_or(i64::MAX, Timestamp::seconds);
    let since = search.since.map_or(i64::MIN, Timestamp::seconds);
    let after = if since > before.happened_at {
        Cursor { happened_at: since, id: i64::MIN }
    } else {
        before
    };
    let params = vec![until.into(), after.happened_at.into(), after.id.into(), most.into()];
    let statements = [
        "audit.backwards_of_account",
        "audit.backwards_of_address",
        "audit.backwards_of_event",
        "audit.backwards",
    ];
    found(store, search, statements, params).await
}

/// What the right one of the statements finds.
async fn found(
    store: &Store,
    search: &Search,
    [of_account, of_address, of_event, of_all]: [&str; 4],
    mut params: Vec<Value>,
) -> Result<Vec<Entry>, StoreError> {
    let event = || search.event.map(Event::as_str).into();
    let address = || search.address.map(|address| address.to_string()).into();
    let statement = if let Some(account) = search.account {
        params.extend([account.get().into(), event(), address()]);
        of_account
    } else if search.address.is_some() {
        params.extend([address(), event()]);
        of_address
    } else if search.event.is_some() {
        params.push(event());
        of_event
    } else {
        of_all
    };
    store.read(statement, &params).await?.iter().map(entry).collect()
}

/// Deletes at most `most` events from before `before`, oldest first. Gives how many.
pub async fn sweep(store: &Store, before: Timestamp, most: i64) -> Result<usize, StoreError> {
    Ok(store.write("audit.sweep", &[before.seconds().into(), most.into()]).await?.len())
}

fn entry(row: &Row) -> Result<Entry, StoreError> {
    let account = |column| Ok::<_, StoreError>(row.opt_int32(column)?.map(AccountId::new));
    Ok(Entry {
        id: row.int("id")?,
        event: row.text("event")?,
        happened_at: row.seconds("happened_at")?,
        account: account("account_id")?,
        username: row.opt_text("username")?,
        actor: account("actor_id")?,
        address: row.opt_text("address")?,
        user_agent: row.opt_text("user_agent")?,
        request_id: row.opt_text("request_id")?,
        layout: row.opt_text("layout")?,
        details: row.text("details")?,
    })
}
