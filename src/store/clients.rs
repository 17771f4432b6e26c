//! Registered clients: digests of their secrets, and the tokens that were issued to them.

use crate::account::account::AccountId;
use crate::base::clock::Timestamp;
use crate::base::digest::Digest;
use crate::store::changes::{self, Change};
use crate::store::{Row, Store, StoreError, Tx, Value};
use crate::token::claims::FamilyId;
use crate::token::client::{Client, ClientId, ClientScopes, Grant, KnownSecret};

/// Part of a transaction: keeps a client with its first secret. `false` where there is one with its id.
pub async fn create_in(tx: &mut Tx, client: &Client) -> Result<bool, StoreError> {
    let [id, name, scopes, grants, account] = described(client);
    let params = [id, name, scopes, grants, account, client.created_at.seconds().into()];
    if tx.run("clients.create", &params).await?.is_empty() {
        return Ok(false);
    }
    for secret in &client.secrets {
        add_secret(tx, &client.id, secret).await?;
    }
    Ok(true)
}

/// What is said about a client, as columns.
fn described(client: &Client) -> [Value; 5] {
    let grants: Vec<&str> = client.grants.iter().map(|grant| grant.as_str()).collect();
    [
        client.id.as_str().into(),
        client.name.as_str().into(),
        client.scopes.to_string().into(),
        grants.join(" ").into(),
        client.account.map(AccountId::get).into(),
    ]
}

async fn add_secret(
    tx: &mut Tx,
    client: &ClientId,
    secret: &KnownSecret,
) -> Result<(), StoreError> {
    let params = [secret.digest.into(), client.as_str().into(), secret.created_at.seconds().into()];
    tx.run("clients.add_secret", &params).await.map(drop)
}

/// The client with this id, and its secrets that have not ended.
pub async fn find(
    store: &Store,
    id: &ClientId,
    now: Timestamp,
) -> Result<Option<Client>, StoreError> {
    let rows = store.read("clients.find", &[id.as_str().into(), now.seconds().into()]).await?;
    Ok(clients(&rows)?.pop())
}

/// All clients, by their ids, and their secrets that have not ended.
pub async fn list(store: &Store, now: Timestamp) -> Result<Vec<Client>, StoreError> {
    clients(&store.read("clients.list", &[now.seconds().into()]).await?)
}

/// A token that is about to be issued.
#[derive(Clone, Copy, Debug)]
pub struct IssuedToken<'a> {
    /// Its `sid`.
    pub id: FamilyId,
    /// To whom.
    pub client: &'a ClientId,
    /// The digest of the secret that was shown.
    pub secret: Digest,
    /// When it expires.
    pub expires_at: Timestamp,
}

/// Keeps that a token is issued. `false` where the client or its secret has ended meanwhile.
pub async fn issue(
    store: &Store,
    token: &IssuedToken<'_>,
    now: Timestamp,
) -> Result<bool, StoreError> {
    let mut tx = store.begin("issue client token").await?;
    let client = token.client.as_str();
    if tx.run("clients.use", &[client.into(), now.seconds().into()]).await?.is_empty() {
        return Ok(false);
    }
    let params = [
        token.id.as_bytes().as_slice().into(),
        client.into(),
        token.secret.into(),
        now.seconds().into(),
        token.expires_at.seconds().into(),
    ];
    if tx.run("clients.issue", &params).await?.is_empty() {
        return Ok(false);
    }
    tx.commit().await?;
    Ok(true)
}

/// To which client a token was issued that has neither expired nor ended.
pub async fn owner_of_token(
    store: &Store,
    token: FamilyId,
    now: Timestamp,
) -> Result<Option<String>, StoreError> {
    let params = [token.as_bytes().as_slice().into(), now.seconds().into()];
    let rows = store.read("clients.owner_of_token", &params).await?;
    rows.first().map(|row| row.text("client_id")).transpose()
}

/// Part of a transaction: gives a client another secret. Those that it has end at `old_end_at`; where that is now, the tokens that
/// were obtained with them end too. `false` where there is no such client.
pub async fn rotate_in(
    tx: &mut Tx,
    id: &ClientId,
    secret: &KnownSecret,
    old_end_at: Timestamp,
    now: Timestamp,
) -> Result<bool, StoreError> {
    let Some(account) = lock(tx, id).await? else { return Ok(false) };
    let params = [id.as_str().into(), old_end_at.seconds().into()];
    tx.run("clients.end_secrets", &params).await?;
    add_secret(tx, id, secret).await?;
    if old_end_at <= now {
        end_tokens(tx, id, account, now).await?;
    }
    Ok(true)
}

/// Part of a transaction: keeps what is said about a client anew; `ends_tokens` ends those that it has.
/// `false` where there is no such client.
pub async fn edit_in(
    tx: &mut Tx,
    client: &Client,
    ends_tokens: bool,
    now: Timestamp,
) -> Result<bool, StoreError> {
    let Some(account) = lock(tx, &client.id).await? else { return Ok(false) };
    if ends_tokens {
        end_tokens(tx, &client.id, account, now).await?;
    }
    tx.run("clients.edit", &described(client)).await?;
    Ok(true)
}

/// Part of a transaction: switches a client off, and ends its tokens. `false` where there is none that is on.
pub async fn disable_in(tx: &mut Tx, id: &ClientId, now: Timestamp) -> Result<bool, StoreError> {
    let Some(account) = lock(tx, id).await? else { return Ok(false) };
    let params = [id.as_str().into(), now.seconds().into()];
    if tx.run("clients.disable", &params).await?.is_empty() {
        return Ok(false);
    }
    end_tokens(tx, id, account, now).await?;
    Ok(true)
}

/// Part of a transaction: switches a client on again; tokens that have ended stay ended. `false` where there is none that is off.
pub async fn enable_in(tx: &mut Tx, id: &ClientId) -> Result<bool, StoreError> {
    Ok(!tx.run("clients.enable", &[id.as_str().into()]).await?.is_empty())
}

/// Part of a transaction: deletes a client, and ends its tokens. `false` where there is none.
pub async fn delete_in(tx: &mut Tx, id: &ClientId, now: Timestamp) -> Result<bool, StoreError> {
    let Some(account) = lock(tx, id).await? else { return Ok(false) };
    end_tokens(tx, id, account, now).await?;
    tx.run("clients.delete", &[id.as_str().into()]).await?;
    Ok(true)
}

/// Ends one token of a client. `false` where it has ended already.
pub async fn end_token(store: &Store, token: FamilyId, now: Timestamp) -> Result<bool, StoreError> {
    let mut tx = store.begin("end client token").await?;
    let id = token.as_bytes().as_slice();
    tx.run("clients.bury_token", &[id.into(), now.seconds().into()]).await?;
    let rows = tx.run("clients.end_token", &[id.into()]).await?;
    let Some(row) = rows.first() else { return Ok(false) };
    if let Some(account) = row.opt_int32("account_id")? {
        changes::note(&mut tx, Change::Account(account), now).await?;
    }
    tx.commit().await?;
    Ok(true)
}

/// Deletes at most `most` tokens that have expired, and the secrets that have ended. Gives how many tokens.
pub async fn sweep(store: &Store, now: Timestamp, most: i64) -> Result<usize, StoreError> {
    store.write("clients.sweep_secrets", &[now.seconds().into()]).await?;
    Ok(store.write("clients.sweep", &[now.seconds().into(), most.into()]).await?.len())
}

/// Part of a transaction: nobody else changes the client, or issues a token to it, until it ends. Gives the
/// account that it acts as; `None` where there is no such client.
async fn lock(tx: &mut Tx, id: &ClientId) -> Result<Option<Option<i32>>, StoreError> {
    let rows = tx.run("clients.lock", &[id.as_str().into()]).await?;
    rows.first().map(|row| row.opt_int32("account_id")).transpose()
}

async fn end_tokens(
    tx: &mut Tx,
    id: &ClientId,
    account: Option<i32>,
    now: Timestamp,
) -> Result<(), StoreError> {
    if let Some(account) = account {
        tx.run("clients.bury_tokens", &[id.as_str().into(), now.seconds().into()]).await?;
        changes::note(tx, Change::Account(account), now).await?;
    }
    tx.run("clients.end_tokens", &[id.as_str().into()]).await.map(drop)
}

/// One row for each secret, or one without.
fn clients(rows: &[Row]) -> Result<Vec<Client>, StoreError> {
    let mut clients: Vec<Client> = Vec::new();
    for row in rows {
        let id = row.text("id")?;
        if clients.last().is_none_or(|client| client.id.as_str() != id) {
            clients.push(client(&id, row)?);
        }
        let secret = row.opt_digest("digest")?;
        if let (Some(digest), Some(client)) = (secret, clients.last_mut()) {
            let created_at = row.seconds("secret_created_at")?;
            let ends_at = row.opt_seconds("ends_at")?;
            client.secrets.push(KnownSecret { digest, created_at, ends_at });
        }
    }
    Ok(clients)
}

fn client(id: &str, row: &Row) -> Result<Client, StoreError> {
    let odd = |what: &str| StoreError::Other(format!("client {id} has an odd {what}"));
    Ok(Client {
        id: ClientId::parse(id).ok_or_else(|| odd("id"))?,
        name: row.text("name")?,
        scopes: ClientScopes::parse(&row.text("scopes")?).ok_or_else(|| odd("scope"))?,
        grants: row
            .text("grants")?
            .split_ascii_whitespace()
            .map(|grant| Grant::parse(grant).ok_or_else(|| odd("grant")))
            .collect::<Result<_, _>>()?,
        account: row.opt_int32("account_id")?.map(AccountId::new),
        created_at: row.seconds("created_at")?,
        disabled_at: row.opt_seconds("disabled_at")?,
        last_used_at: row.opt_seconds("last_used_at")?,
        secrets: Vec::new(),
    })
}
