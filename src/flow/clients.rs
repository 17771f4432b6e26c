//! Registered clients: made, listed, given another secret, switched off, deleted; by operators.

use std::time::Duration;

use crate::account::account::{Account, AccountId};
use crate::base::clock::Timestamp;
use crate::base::random::Random;
use crate::flow::Caller;
use crate::flow::audit::{self, Draft, Event};
use crate::store::{Store, StoreError, Tx, accounts, clients};
use crate::token::client::{Client, ClientId, ClientScopes, ClientSecret, Grant, KnownSecret};

/// Why a client could not be changed. Every sentence says what to do.
#[derive(Debug)]
pub enum ClientError {
    /// The store did not answer.
    Store(StoreError),
    /// What was asked for cannot be.
    Refused(String),
    /// Whoever asks is no superuser any more.
    NotAllowed,
}

impl std::fmt::Display for ClientError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Store(error) => error.fmt(f),
            Self::Refused(why) => f.write_str(why),
            Self::NotAllowed => f.write_str("that is for a superuser to do"),
        }
    }
}

impl From<StoreError> for ClientError {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

/// A client that is to be registered.
#[derive(Clone, Debug)]
pub struct ClientDraft {
    /// The name that it authenticates with.
    pub id: ClientId,
    /// The name that people know it by.
    pub name: String,
    /// What it may ask for.
    pub scopes: ClientScopes,
    /// How it may ask.
    pub grants: Vec<Grant>,
    /// The account that it acts as, if it acts as one.
    pub account: Option<AccountId>,
}

/// What clients are kept with.
pub struct ClientRoom<'a> {
    /// Where they are kept.
    pub store: &'a Store,
    /// For secrets.
    pub random: &'a dyn Random,
    /// The moment.
    pub now: Timestamp,
    /// Who changes something.
    pub caller: &'a Caller,
    /// The superuser who does, as they were judged; `None` for whoever may run the command line.
    pub superuser: Option<&'a Account>,
}

impl ClientRoom<'_> {
    /// Registers a client. Gives its secret, which nobody can be told again.
    pub async fn create(&self, draft: ClientDraft) -> Result<ClientSecret, ClientError> {
        let (secret, known) = self.secret();
        let client = Client {
            id: draft.id,
            name: draft.name,
            scopes: draft.scopes,
            grants: draft.grants,
            account: draft.account,
            created_at: self.now,
            disabled_at: None,
            last_used_at: None,
            secrets: vec![known],
        };
        let mut tx = self.begin("create client").await?;
        if !clients::create_in(&mut tx, &client).await? {
            let why = format!("there is a client {} already", client.id);
            return Err(ClientError::Refused(why));
        }
        self.event(Event::ClientCreated, &client.id, "registered").record(&mut tx).await?;
        tx.commit().await?;
        Ok(secret)
    }

    /// All clients, by their ids.
    pub async fn list(&self) -> Result<Vec<Client>, ClientError> {
        Ok(clients::list(self.store, self.now).await?)
    }

    /// The client with this id.
    pub async fn find(&self, id: &ClientId) -> Result<Client, ClientError> {
        clients::find(self.store, id, self.now).await?.ok_or_else(|| no_client(id))
    }

    /// Gives a client another secret. The ones that it has go on for `overlap`; nothing that was obtained with
    /// them outlives them. `longest` is the longest life of a client's token: a shorter overlap than that
    /// would let tokens outlive their secret, and is refused; none at all ends them at once.
    pub async fn rotate(
        &self,
        id: &ClientId,
        overlap: Duration,
        longest: Duration,
    ) -> Result<ClientSecret, ClientError> {
        if !overlap.is_zero() && overlap < longest {
            return Err(ClientError::Refused(format!(
                "tokens of clients live for {} s: let the old secret overlap at least as long, or end it at \
                 once, and its tokens, with 0",
                longest.as_secs()
            )));
        }
        let (secret, known) = self.secret();
        let old_end_at = self.now.plus(overlap);
        let mut tx = self.begin("rotate client secret").await?;
        if !clients::rotate_in(&mut tx, id, &known, old_end_at, self.now).await? {
            return Err(no_client(id));
        }
        self.event(Event::ClientChanged, id, "another secret").record(&mut tx).await?;
        tx.commit().await?;
        Ok(secret)
    }

    /// Gives a client another name, other scopes and grants, and another account to act as. Where it may no
    /// longer ask for the same, or acts as somebody else, the tokens that it has end: they would say otherwise.
    pub async fn edit(&self, draft: ClientDraft) -> Result<(), ClientError> {
        let old = self.find(&draft.id).await?;
        let narrows = !draft.scopes.include(&old.scopes)
            || old.grants.iter().any(|grant| !draft.grants.contains(grant))
            || draft.account != old.account;
        let new = Client {
            name: draft.name,
            scopes: draft.scopes,
            grants: draft.grants,
            account: draft.account,
            ..old
        };
        let mut tx = self.begin("edit client").await?;
        if !clients::edit_in(&mut tx, &new, narrows, self.now).await? {
            return Err(no_client(&new.id));
        }
        let grants: Vec<_> = new.grants.iter().map(|grant| grant.as_str()).collect();
        self.event(Event::ClientChanged, &new.id, "edited")
            .detail("scope", new.scopes.to_string())
            .detail("grants", grants.join(" "))
            .record(&mut tx)
            .await?;
        Ok(tx.commit().await?)
    }

    /// Switches a client off: its secrets and its tokens are refused at once.
    pub async fn disable(&self, id: &ClientId) -> Result<(), ClientError> {
        let mut tx = self.begin("disable client").await?;
        let changed = clients::disable_in(&mut tx, id, self.now).await?;
        self.changed(tx, changed, id, "off").await
    }

    /// Switches a client on again. The tokens that it had stay refused.
    pub async fn enable(&self, id: &ClientId) -> Result<(), ClientError> {
        let mut tx = self.begin("enable client").await?;
        let changed = clients::enable_in(&mut tx, id).await?;
        self.changed(tx, changed, id, "on").await
    }

    /// Deletes a client: its secrets and its tokens are refused at once.
    pub async fn delete(&self, id: &ClientId) -> Result<(), ClientError> {
        let mut tx = self.begin("delete client").await?;
        if !clients::delete_in(&mut tx, id, self.now).await? {
            return Err(no_client(id));
        }
        self.event(Event::ClientDeleted, id, "deleted").record(&mut tx).await?;
        Ok(tx.commit().await?)
    }

    /// Begins a transaction, in which the superuser stays one.
    async fn begin(&self, name: &'static str) -> Result<Tx, ClientError> {
        let mut tx = self.store.begin(name).await?;
        if let Some(superuser) = self.superuser {
            let held = accounts::hold_both_in(&mut tx, superuser, superuser.id).await?;
            if !held.is_some_and(|(now, _)| now.is_staff && now.is_superuser) {
                return Err(ClientError::NotAllowed);
            }
        }
        Ok(tx)
    }

    async fn changed(
        &self,
        mut tx: Tx,
        changed: bool,
        id: &ClientId,
        to: &str,
    ) -> Result<(), ClientError> {
        if changed {
            self.event(Event::ClientChanged, id, to).record(&mut tx).await?;
            return Ok(tx.commit().await?);
        }
        drop(tx);
        self.find(id).await?;
        Err(ClientError::Refused(format!("client {id} is {to} already")))
    }

    fn event(&self, event: Event, id: &ClientId, what: &str) -> Draft {
        audit::event(event, self.caller, self.now)
            .detail("client", id.as_str())
            .detail("what", what)
    }

    fn secret(&self) -> (ClientSecret, KnownSecret) {
        let secret = ClientSecret::generate(self.random);
        let known = KnownSecret { digest: secret.digest(), created_at: self.now, ends_at: None };
        (secret, known)
    }
}

fn no_client(id: &ClientId) -> ClientError {
    ClientError::Refused(format!("there is no client {id}; `avain client list` lists them"))
}
