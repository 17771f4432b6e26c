//! API keys of our own, by their owner or by an operator: making, listing, changing, rotating, taking back,
//! upgrading a classic key; and saying what a presented key is.

use std::time::Duration;

use crate::account::account::{Account, AccountId};
use crate::account::principal::Principal;
use crate::base::clock::Timestamp;
use crate::base::random::Random;
use crate::flow::audit::{self, Event};
use crate::flow::authenticate::owner_of_key;
use crate::flow::{Caller, Context, Error, profile};
pub use crate::store::personal_keys::StoredKey;
use crate::store::personal_keys::{self, KeyInForce, NewKey};
use crate::store::{Store, StoreError, Tx, accounts, api_keys};
use crate::token::opaque::ClassicKey;
use crate::token::personal::{self, PersonalKey, PersonalKeyDigest, PersonalKeyId};
use crate::token::terms::Terms;

/// Characters of a name at most.
pub const LONGEST_NAME: usize = 100;

/// A key that was rotated goes on for no longer than this: whoever needs it longer needs a key of its own.
pub const LONGEST_OVERLAP: Duration = Duration::from_hours(30 * 24);

/// So many keys that have ended are listed beside those in force.
const MOST_ENDED: i64 = 100;

/// What the site wants of keys.
#[derive(Clone, Copy, Debug)]
pub struct KeyRules {
    /// How long a key that was rotated goes on where nobody says otherwise.
    pub overlap: Duration,
    /// How long a key may live; `None`: as long as its owner wishes.
    pub longest_life: Option<Duration>,
    /// How many keys in force an account may have.
    pub most: u32,
}

/// Where keys are made and taken back. (Operators have no [`Context`].)
pub struct Cabinet<'a> {
    /// Where they are kept.
    pub store: &'a Store,
    /// For new keys.
    pub random: &'a dyn Random,
    /// What the site wants of them.
    pub rules: KeyRules,
    /// The moment.
    pub now: Timestamp,
    /// Who does it.
    pub caller: &'a Caller,
    /// The owner of the keys, as they were judged; `None` for an operator.
    pub owner: Option<&'a Account>,
}

/// What somebody wishes for.
#[derive(Clone, Debug)]
pub struct Wish {
    /// What its owner calls it.
    pub name: String,
    /// What it may.
    pub terms: Terms,
}

/// A key that was made: shown this once.
#[derive(Debug)]
pub struct IssuedKey {
    /// The key.
    pub key: PersonalKey,
    /// What is kept of it.
    pub stored: StoredKey,
}

/// Why a key was not made, changed or rotated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NotDone {
    /// There is no such key, or it has ended.
    NoSuchKey,
    /// The account has no classic key.
    NoClassicKey,
    /// Another key has taken its place already.
    Replaced,
    /// The name is empty, too long, or holds control characters.
    Name,
    /// The account has as many keys as it may.
    TooMany(u32),
    /// Its end lies in the past.
    Over,
    /// It would live longer than the site wants; `None` was wished where an end is needed.
    TooLong(Duration),
    /// The old key would go on for longer than [`LONGEST_OVERLAP`].
    OverlapTooLong,
}

/// What a presented key is (for RFC 7662).
#[derive(Clone, Debug)]
pub struct KeyFacts {
    /// Its owner, who is switched on.
    pub owner: Principal,
    /// What it may; for a classic key, everything that its owner may.
    pub terms: Terms,
    /// When it was made; `None` for a classic key.
    pub created_at: Option<Timestamp>,
}

impl Context {
    /// Where keys are made and taken back.
    #[must_use]
    pub fn cabinet<'a>(&'a self, caller: &'a Caller) -> Cabinet<'a> {
        Cabinet {
            store: &self.store,
            random: self.random.as_ref(),
            rules: self.key_rules,
            now: self.now(),
            caller,
            owner: None,
        }
    }

    /// As [`Self::cabinet`], for one's own keys.
    #[must_use]
    pub fn own_cabinet<'a>(&'a self, caller: &'a Caller, owner: &'a Account) -> Cabinet<'a> {
        Cabinet { owner: Some(owner), ..self.cabinet(caller) }
    }
}

impl Cabinet<'_> {
    /// Makes a key. `until`: the end of the key that it is made with; nothing that comes of a key outlives it.
    pub async fn make(
        &self,
        account: AccountId,
        wish: Wish,
        until: Option<Timestamp>,
    ) -> Result<Result<IssuedKey, NotDone>, Error> {
        let wish = match self.judge(wish, until) {
            Ok(wish) => wish,
            Err(why) => return Ok(Err(why)),
        };
        let mut tx = self.store.begin("make API key").await?;
        self.hold_in(&mut tx, account).await?;
        let key = match self.make_in(&mut tx, account, &wish).await? {
            Ok(key) => key,
            Err(why) => return Ok(Err(why)),
        };
        self.created(account, &wish, &key).record(&mut tx).await?;
        tx.commit().await?;
        self.issued(key).await
    }

    /// Replaces the classic key of an account by one of our own, at once: who needs both for a while makes
    /// the new one and takes the old one back later.
    pub async fn upgrade(
        &self,
        account: AccountId,
        wish: Wish,
        until: Option<Timestamp>,
    ) -> Result<Result<IssuedKey, NotDone>, Error> {
        let wish = match self.judge(wish, until) {
            Ok(wish) => wish,
            Err(why) => return Ok(Err(why)),
        };
        let mut tx = self.store.begin("upgrade API key").await?;
        self.hold_in(&mut tx, account).await?;
        if !api_keys::delete_of_account_in(&mut tx, account, self.now).await? {
            return Ok(Err(NotDone::NoClassicKey));
        }
        let key = match self.make_in(&mut tx, account, &wish).await? {
            Ok(key) => key,
            Err(why) => return Ok(Err(why)),
        };
        let created = self.created(account, &wish, &key);
        created.detail("instead_of", "classic").record(&mut tx).await?;
        tx.commit().await?;
        self.issued(key).await
    }

    /// Makes a key that takes the place of another, on the same terms and for as long as that was made for.
    /// The old one goes on for `overlap`, so that whoever uses it has time to learn of the new one. It does not
    /// stand in the way of that: with those that were replaced an account may have twice as many keys.
    pub async fn rotate(
        &self,
        account: AccountId,
        id: PersonalKeyId,
        overlap: Option<Duration>,
        until: Option<Timestamp>,
    ) -> Result<Result<IssuedKey, NotDone>, Error> {
        let Some(old) = self.find(account, id).await? else { return Ok(Err(NotDone::NoSuchKey)) };
        if old.replaced_by.is_some() {
            return Ok(Err(NotDone::Replaced));
        }
        let life = |end: Timestamp| end.micros().saturating_sub(old.created_at.micros());
        let expires_at = old
            .terms
            .expires_at
            .map(|end| Timestamp::from_micros(self.now.micros().saturating_add(life(end))));
        let terms = Terms { expires_at, ..old.terms.clone() };
        let wish = match self.judge(Wish { name: old.name, terms }, until) {
            Ok(wish) => wish,
            Err(why) => return Ok(Err(why)),
        };
        let overlap = overlap.unwrap_or(self.rules.overlap);
        if overlap > LONGEST_OVERLAP {
            return Ok(Err(NotDone::OverlapTooLong));
        }
        let ends_at = self.now.plus(overlap);
        let mut tx = self.store.begin("rotate API key").await?;
        self.hold_in(&mut tx, account).await?;
        let key = PersonalKey::generate(self.random);
        let successor = self.keep(&mut tx, account, &wish, &key).await?;
        let replaced =
            personal_keys::replace(&mut tx, account, id, successor, ends_at, self.now).await?;
        if !replaced {
            return Ok(Err(NotDone::Replaced));
        }
        let most = self.rules.most;
        if personal_keys::count_live(&mut tx, account, self.now).await? > 2 * i64::from(most) {
            return Ok(Err(NotDone::TooMany(most)));
        }
        let rotated = self.event(Event::ApiKeyRotated, account).detail("id", id.to_string());
        rotated.detail("begins", key.beginning()).record(&mut tx).await?;
        tx.commit().await?;
        self.issued(key).await
    }

    /// Gives a key another name and other terms. When it ends stays as it is.
    pub async fn edit(
        &self,
        account: AccountId,
        id: PersonalKeyId,
        wish: Wish,
    ) -> Result<Result<StoredKey, NotDone>, Error> {
        let Some(name) = judged_name(&wish.name) else { return Ok(Err(NotDone::Name)) };
        let mut tx = self.store.begin("change API key").await?;
        self.hold_in(&mut tx, account).await?;
        if !personal_keys::edit(&mut tx, account, id, name, &wish.terms, self.now).await? {
            return Ok(Err(NotDone::NoSuchKey));
        }
        let changed = self.event(Event::ApiKeyChanged, account).detail("id", id.to_string());
        changed.detail("scope", wish.terms.scopes.to_string()).record(&mut tx).await?;
        tx.commit().await?;
        Ok(self.find(account, id).await?.ok_or(NotDone::NoSuchKey))
    }

    /// Takes a key back. `false` where the account has no such key in force.
    pub async fn revoke(&self, account: AccountId, id: PersonalKeyId) -> Result<bool, Error> {
        let mut tx = self.store.begin("revoke API key").await?;
        let revoked = self.revoke_in(&mut tx, account, id).await?;
        tx.commit().await?;
        Ok(revoked)
    }

    /// Part of a transaction: as [`Self::revoke`].
    pub(super) async fn revoke_in(
        &self,
        tx: &mut Tx,
        account: AccountId,
        id: PersonalKeyId,
    ) -> Result<bool, StoreError> {
        let revoked = personal_keys::revoke(tx, account, id, self.now).await?;
        if revoked {
            let event = self.event(Event::ApiKeyRevoked, account).detail("id", id.to_string());
            event.record(tx).await?;
        }
        Ok(revoked)
    }

    /// Takes back a key by itself, on behalf of its owner. `false` where there is no such key in force.
    pub async fn revoke_presented(&self, presented: &PersonalKeyDigest) -> Result<bool, Error> {
        let Some(key) = personal_keys::find_by_digest(self.store, presented).await? else {
            return Ok(false);
        };
        let caller = self.caller.as_owner(key.account);
        Cabinet { caller: &caller, ..*self }.revoke(key.account, key.id).await
    }

    /// Takes back the classic key of an account. `false` where it has none.
    pub async fn revoke_classic(&self, account: AccountId) -> Result<bool, Error> {
        let mut tx = self.store.begin("revoke API key").await?;
        let revoked = self.revoke_classic_in(&mut tx, account).await?;
        tx.commit().await?;
        Ok(revoked)
    }

    /// Part of a transaction: as [`Self::revoke_classic`].
    pub(super) async fn revoke_classic_in(
        &self,
        tx: &mut Tx,
        account: AccountId,
    ) -> Result<bool, StoreError> {
        let revoked = api_keys::delete_of_account_in(tx, account, self.now).await?;
        if revoked {
            let event = self.event(Event::ApiKeyRevoked, account).detail("kind", "classic");
            event.record(tx).await?;
        }
        Ok(revoked)
    }

    /// Takes back all keys of an account, the classic one too. Gives how many there were.
    pub async fn revoke_all(&self, account: AccountId) -> Result<usize, Error> {
        let mut tx = self.store.begin("revoke API keys").await?;
        let revoked = revoke_all_in(&mut tx, account, self.now).await?;
        if revoked > 0 {
            let event = self.event(Event::ApiKeyRevoked, account).detail("kind", "all");
            event.detail("keys", revoked.to_string()).record(&mut tx).await?;
        }
        tx.commit().await?;
        Ok(revoked)
    }

    /// A key of an account, as long as it is in force.
    pub async fn find(
        &self,
        account: AccountId,
        id: PersonalKeyId,
    ) -> Result<Option<StoredKey>, Error> {
        let found = personal_keys::find(self.store, id).await?;
        Ok(found.filter(|key| key.account == account && !key.terms.have_ended(self.now)))
    }

    /// All keys of an account in force, and the newest of those that have ended, in the order in which they
    /// were made.
    pub async fn list(&self, account: AccountId) -> Result<Vec<StoredKey>, Error> {
        let most = 2 * i64::from(self.rules.most) + MOST_ENDED;
        Ok(personal_keys::of_account(self.store, account, self.now, most).await?)
    }

    /// The wish as it can be granted.
    fn judge(&self, wish: Wish, until: Option<Timestamp>) -> Result<Wish, NotDone> {
        let Some(name) = judged_name(&wish.name) else { return Err(NotDone::Name) };
        let mut terms = wish.terms;
        terms.expires_at = match (terms.expires_at, until) {
            (Some(end), Some(until)) => Some(end.min(until)),
            (end, until) => end.or(until),
        };
        if terms.have_ended(self.now) {
            return Err(NotDone::Over);
        }
        if let Some(longest) = self.rules.longest_life
            && terms.expires_at.is_none_or(|end| end > self.now.plus(longest))
        {
            return Err(NotDone::TooLong(longest));
        }
        Ok(Wish { name: name.to_owned(), terms })
    }

    /// Part of a transaction: holds the account, so that its keys are counted one after the other, and what takes
    /// back all of them misses none. Refuses an owner who is no longer signed in as they were judged.
    async fn hold_in(&self, tx: &mut Tx, account: AccountId) -> Result<(), Error> {
        match self.owner {
            Some(owner) => profile::hold_own_in(tx, owner).await,
            None => Ok(accounts::lock_in(tx, account).await.map(drop)?),
        }
    }

    /// Part of a transaction that holds the account.
    async fn make_in(
        &self,
        tx: &mut Tx,
        account: AccountId,
        wish: &Wish,
    ) -> Result<Result<PersonalKey, NotDone>, Error> {
        let live = personal_keys::count_live(tx, account, self.now).await?;
        if live >= i64::from(self.rules.most) {
            return Ok(Err(NotDone::TooMany(self.rules.most)));
        }
        let key = PersonalKey::generate(self.random);
        self.keep(tx, account, wish, &key).await?;
        Ok(Ok(key))
    }

    async fn keep(
        &self,
        tx: &mut Tx,
        account: AccountId,
        wish: &Wish,
        key: &PersonalKey,
    ) -> Result<PersonalKeyId, Error> {
        let new = NewKey {
            digest: key.digest(),
            account,
            name: &wish.name,
            beginning: key.beginning(),
            terms: &wish.terms,
        };
        Ok(personal_keys::create(tx, &new, self.now).await?)
    }

    fn event(&self, event: Event, account: AccountId) -> audit::Draft {
        audit::event(event, self.caller, self.now).about_id(account)
    }

    fn created(&self, account: AccountId, wish: &Wish, key: &PersonalKey) -> audit::Draft {
        self.event(Event::ApiKeyCreated, account)
            .detail("begins", key.beginning())
            .detail("name", &wish.name)
            .detail("scope", wish.terms.scopes.to_string())
    }

    async fn issued(&self, key: PersonalKey) -> Result<Result<IssuedKey, NotDone>, Error> {
        let stored = personal_keys::find_by_digest(self.store, &key.digest()).await?;
        // Somebody who was faster has revoked it, with the account.
        Ok(stored.map(|stored| IssuedKey { key, stored }).ok_or(NotDone::NoSuchKey))
    }
}

/// Part of a transaction: takes back all keys of an account, the classic one too. Gives how many there were.
pub async fn revoke_all_in(
    tx: &mut Tx,
    account: AccountId,
    now: Timestamp,
) -> Result<usize, StoreError> {
    let own = personal_keys::revoke_of_account(tx, account, now).await?;
    let classic = api_keys::delete_of_account_in(tx, account, now).await?;
    Ok(own + usize::from(classic))
}

/// A name without white space around it; `None` where it cannot be one.
fn judged_name(name: &str) -> Option<&str> {
    let name = name.trim();
    let fits = (1..=LONGEST_NAME).contains(&name.chars().count());
    (fits && !name.contains(char::is_control)).then_some(name)
}

/// The key with this digest, on which terms it is used, and how its owner stands; `None` where there is
/// none or it has ended.
pub async fn in_force(
    context: &Context,
    digest: &PersonalKeyDigest,
) -> Result<Option<KeyInForce>, Error> {
    let now = context.now();
    let ended_after = now.minus(context.longest_access);
    Ok(personal_keys::in_force(&context.store, digest, ended_after, now).await?)
}

/// What a presented key is, of either kind; `None` where it opens nothing: unknown, ended, or its owner is
/// switched off. Where it is presented from does not matter to who asks.
pub async fn identify(context: &Context, presented: &str) -> Result<Option<KeyFacts>, Error> {
    let facts = if personal::is_claimed(presented.as_bytes()) {
        let Some(digest) = PersonalKeyDigest::of_presented(presented.as_bytes()) else {
            return Ok(None);
        };
        let Some(key) = in_force(context, &digest).await? else { return Ok(None) };
        let (owner, created_at) = (key.owner.principal, Some(key.created_at));
        KeyFacts { owner, terms: key.terms, created_at }
    } else {
        let Some(key) = ClassicKey::parse(presented) else { return Ok(None) };
        let Some(owner) = owner_of_key(context, &key).await? else { return Ok(None) };
        KeyFacts { owner: owner.principal, terms: Terms::default(), created_at: None }
    };
    Ok(Some(facts).filter(|facts| facts.owner.is_active))
}

/// What is shown of the classic key of an account: its first characters, too few to use it.
pub async fn classic_beginning(
    context: &Context,
    account: &Account,
) -> Result<Option<String>, Error> {
    let key = api_keys::find_of_account(&context.store, account.id).await?;
    Ok(key.map(|key| key.beginning()))
}
