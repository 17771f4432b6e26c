//! `avain client …`.

use std::process::ExitCode;

use clap::Subcommand;
use serde_json::{Value, json};

use crate::account::account::AccountId;
use crate::base::clock::Timestamp;
use crate::cli::{Failure, Tools, say, say_json};
use crate::flow::administer;
use crate::flow::clients::{ClientDraft, ClientError, ClientRoom};
use crate::settings::{Settings, parse_duration};
use crate::store::{Store, accounts};
use crate::token::client::{Client, ClientId, ClientScopes, ClientSecret, Grant};

#[derive(Debug, Subcommand)]
pub(super) enum ClientCommand {
    /// Register a client, and print its secret: nobody is told it again.
    #[command(after_help = "A resource server that asks what tokens are worth:\n  \
        avain client create shop --scope introspect\n\
        A program that acts as the account `robot` through the gate:\n  \
        avain client create reports --grant client_credentials --account robot --scope reports:read")]
    Create {
        /// The name that it authenticates with: letters, digits, `-`, `.`, `_` and `~`.
        id: String,
        /// The name that people know it by; without it the id.
        #[arg(long)]
        name: Option<String>,
        /// A scope that it may ask for; may be given several times. `introspect` lets it introspect tokens.
        #[arg(long, value_name = "SCOPE")]
        scope: Vec<String>,
        /// A grant that it may use: `client_credentials` or `refresh_token`; may be given several times.
        #[arg(long, value_name = "GRANT")]
        grant: Vec<String>,
        /// The user name of the account that its tokens act as. Without it they act as nobody: they are good
        /// for introspection and for other services, and the gate refuses them.
        #[arg(long, value_name = "NAME")]
        account: Option<String>,
        /// Print JSON.
        #[arg(long)]
        json: bool,
    },
    /// List all clients.
    List {
        /// Print JSON, one object a line.
        #[arg(long)]
        json: bool,
    },
    /// Show a client.
    Show {
        /// Its id.
        id: String,
        /// Print JSON.
        #[arg(long)]
        json: bool,
    },
    /// Change a client: what is not named stays as it is. Where it may ask for less than before, or acts as
    /// another account, the tokens that it has are refused at once.
    #[command(group = clap::ArgGroup::new("change").required(true).multiple(true))]
    Edit {
        /// Its id.
        id: String,
        /// The name that people know it by.
        #[arg(long, group = "change")]
        name: Option<String>,
        /// A scope that it may ask for, in place of all that it has; may be given several times. `--scope ""`
        /// leaves none.
        #[arg(long, value_name = "SCOPE", group = "change")]
        scope: Option<Vec<String>>,
        /// A grant that it may use, in place of all that it has; may be given several times.
        #[arg(long, value_name = "GRANT", group = "change")]
        grant: Option<Vec<String>>,
        /// The user name of the account that its tokens act as.
        #[arg(long, value_name = "NAME", group = "change", conflicts_with = "no_account")]
        account: Option<String>,
        /// Its tokens act as nobody.
        #[arg(long, group = "change")]
        no_account: bool,
    },
    /// Give a client another secret, and print it. The old one goes on for a while.
    Rotate {
        /// Its id.
        id: String,
        /// How long the old secret goes on; 0 ends it at once, and the tokens that were obtained with it.
        #[arg(long, default_value = "1d", value_name = "DURATION")]
        overlap: String,
        /// Print JSON.
        #[arg(long)]
        json: bool,
    },
    /// Switch a client off. Its secrets and its tokens are refused at once.
    Disable {
        /// Its id.
        id: String,
    },
    /// Switch a client on again. The tokens that it had stay refused.
    Enable {
        /// Its id.
        id: String,
    },
    /// Delete a client. Its secrets and its tokens are refused at once.
    Delete {
        /// Its id.
        id: String,
    },
}

pub(super) async fn client(
    settings: Settings,
    command: ClientCommand,
) -> Result<ExitCode, Failure> {
    let tools = Tools::open(settings).await?;
    let room = ClientRoom {
        store: &tools.store,
        random: tools.random.as_ref(),
        now: tools.clock.now(),
        caller: &tools.caller,
        superuser: None,
    };
    match command {
        ClientCommand::Create { id, name, scope, grant, account, json } => {
            let id = client_id(&id)?;
            let draft = ClientDraft {
                name: name.unwrap_or_else(|| id.to_string()),
                scopes: scopes(&scope)?,
                grants: grants(&grant)?,
                account: match account {
                    Some(name) => Some(
                        administer::find(&tools.store, &name).await.map_err(Failure::fault)?.id,
                    ),
                    None => None,
                },
                id: id.clone(),
            };
            let secret = room.create(draft).await.map_err(failure)?;
            tell_secret(&id, &secret, json)?;
        }
        ClientCommand::List { json } => {
            for client in room.list().await.map_err(failure)? {
                if json {
                    say_json(&described(&tools.store, &client).await?)?;
                } else {
                    let state = if client.disabled_at.is_some() { "off" } else { "on" };
                    say(&format!("{:<24} {state:<4} {}", client.id, client.scopes))?;
                }
            }
        }
        ClientCommand::Show { id, json } => {
            let client = room.find(&client_id(&id)?).await.map_err(failure)?;
            show(&described(&tools.store, &client).await?, json)?;
        }
        ClientCommand::Edit { id, name, scope, grant, account, no_account } => {
            let old = room.find(&client_id(&id)?).await.map_err(failure)?;
            let draft = ClientDraft {
                name: name.unwrap_or(old.name),
                scopes: scope.as_deref().map_or(Ok(old.scopes), scopes)?,
                grants: grant.as_deref().map_or(Ok(old.grants), grants)?,
                account: match account {
                    Some(name) => Some(
                        administer::find(&tools.store, &name).await.map_err(Failure::fault)?.id,
                    ),
                    None => old.account.filter(|_| !no_account),
                },
                id: old.id,
            };
            room.edit(draft).await.map_err(failure)?;
            say(&format!("Client {id} is changed."))?;
        }
        ClientCommand::Rotate { id, overlap, json } => {
            let id = client_id(&id)?;
            let overlap = parse_duration(&overlap)
                .map_err(|_| Failure::usage(format!("--overlap {overlap}: write 1d, 12h or 0")))?;
            let secret = room
                .rotate(&id, overlap, tools.plan.client_token_lifetime())
                .await
                .map_err(failure)?;
            tell_secret(&id, &secret, json)?;
        }
        ClientCommand::Disable { id } => {
            room.disable(&client_id(&id)?).await.map_err(failure)?;
            say(&format!("Client {id} is off; its secrets and its tokens are refused."))?;
        }
        ClientCommand::Enable { id } => {
            room.enable(&client_id(&id)?).await.map_err(failure)?;
            say(&format!("Client {id} is on."))?;
        }
        ClientCommand::Delete { id } => {
            room.delete(&client_id(&id)?).await.map_err(failure)?;
            say(&format!("Client {id} is deleted; its secrets and its tokens are refused."))?;
        }
    }
    tools.store.close().await;
    Ok(ExitCode::SUCCESS)
}

fn tell_secret(id: &ClientId, secret: &ClientSecret, as_json: bool) -> Result<(), Failure> {
    if as_json {
        return say_json(&json!({ "client_id": id.as_str(), "client_secret": secret.expose() }));
    }
    say(&format!("client_id      {id}"))?;
    say(&format!("client_secret  {}", secret.expose()))
}

/// A client as it is shown: no digest of a secret.
async fn described(store: &Store, client: &Client) -> Result<Value, Failure> {
    let account = match client.account {
        Some(account) => Some(username(store, account).await?),
        None => None,
    };
    let grants: Vec<_> = client.grants.iter().map(|grant| grant.as_str()).collect();
    let moment = |moment: Option<Timestamp>| moment.map(Timestamp::rfc3339);
    let secrets: Vec<_> = client
        .secrets
        .iter()
        .map(|secret| {
            json!({ "created_at": secret.created_at.rfc3339(), "ends_at": moment(secret.ends_at) })
        })
        .collect();
    Ok(json!({
        "client_id": client.id.as_str(),
        "name": client.name,
        "scope": client.scopes.to_string(),
        "grant_types": grants,
        "account": account,
        "created_at": client.created_at.rfc3339(),
        "disabled_at": moment(client.disabled_at),
        "last_used_at": moment(client.last_used_at),
        "secrets": secrets,
    }))
}

async fn username(store: &Store, account: AccountId) -> Result<String, Failure> {
    let found = accounts::find_by_id(store, account).await.map_err(Failure::fault)?;
    Ok(found.map_or_else(|| account.to_string(), |account| account.username))
}

fn show(described: &Value, as_json: bool) -> Result<(), Failure> {
    if as_json {
        return say_json(described);
    }
    for (name, value) in described.as_object().into_iter().flatten() {
        let shown = match value {
            Value::Null => "–".to_owned(),
            Value::String(text) => text.clone(),
            other => other.to_string(),
        };
        say(&format!("{name:<14} {shown}"))?;
    }
    Ok(())
}

fn client_id(text: &str) -> Result<ClientId, Failure> {
    ClientId::parse(text).ok_or_else(|| {
        Failure::usage(format!("{text} is no client id: write letters, digits, - . _ and ~"))
    })
}

fn scopes(words: &[String]) -> Result<ClientScopes, Failure> {
    let text = words.join(" ");
    ClientScopes::parse(&text).ok_or_else(|| {
        Failure::usage(format!("{text}: scopes are words of ASCII without \" and \\"))
    })
}

fn grants(names: &[String]) -> Result<Vec<Grant>, Failure> {
    let read = names.iter().map(|name| {
        Grant::parse(name).ok_or_else(|| {
            Failure::usage(format!("{name} is neither client_credentials nor refresh_token"))
        })
    });
    read.collect()
}

fn failure(error: ClientError) -> Failure {
    match error {
        ClientError::Refused(why) => Failure::Fault(why),
        error @ (ClientError::Store(_) | ClientError::NotAllowed) => Failure::fault(error),
    }
}
