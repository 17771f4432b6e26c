//! `avain token …`: API keys, and looking into tokens.

use std::process::ExitCode;

use clap::Subcommand;
use serde_json::json;

use crate::cli::inspect::{self, InspectArgs};
use crate::cli::{Failure, Tools, say, say_json};
use crate::flow::{Error, administer, obtain_key};
use crate::settings::Settings;
use crate::store::api_keys;
use crate::token::opaque::ClassicKey;

#[derive(Debug, Subcommand)]
pub(super) enum TokenCommand {
    /// Print the API key of an account; makes it where there is none.
    Create {
        /// The account's user name.
        name: String,
        /// Print JSON.
        #[arg(long)]
        json: bool,
    },
    /// List API keys by the beginnings of them.
    List {
        /// Only those of accounts with larger ids.
        #[arg(long, default_value_t = 0, value_name = "ID")]
        after: i32,
        /// At most so many.
        #[arg(long, default_value_t = 1000)]
        limit: i64,
        /// Print JSON, one object a line.
        #[arg(long)]
        json: bool,
    },
    /// Take an API key back. Running services refuse it at once.
    Revoke {
        /// The key.
        #[arg(required_unless_present = "user")]
        key: Option<String>,
        /// The key of this account, in place of the key itself.
        #[arg(long, value_name = "NAME", conflicts_with = "key")]
        user: Option<String>,
    },
    /// Say what a token says, whether it would be accepted, and why not.
    Inspect(InspectArgs),
}

pub(super) async fn token(settings: Settings, command: TokenCommand) -> Result<ExitCode, Failure> {
    let command = match command {
        TokenCommand::Inspect(args) => return inspect::inspect(settings, args).await,
        other => other,
    };
    let tools = Tools::open(settings).await?;
    let store = &tools.store;
    let now = tools.clock.now();
    match command {
        TokenCommand::Create { name, json } => {
            let account = administer::find(store, &name).await.map_err(Failure::fault)?;
            let key =
                obtain_key::key_of(store, &tools.caller, account.id, tools.random.as_ref(), now)
                    .await;
            let key = key.map_err(|error| match error {
                Error::Fault(fault) => Failure::fault(fault),
                Error::Refused(_) => Failure::fault("the key was refused"),
            })?;
            if json {
                say_json(&json!({ "key": key.expose(), "username": name }))?;
            } else {
                say(key.expose())?;
            }
        }
        TokenCommand::List { after, limit, json } => {
            let page = api_keys::page_after(store, after, limit.clamp(1, 100_000)).await;
            for listed in page.map_err(Failure::fault)? {
                // Enough to tell keys apart, too little to use one.
                let beginning: String = listed.key.expose().chars().take(8).collect();
                let created = listed.created.rfc3339();
                if json {
                    say_json(&json!({
                        "key_begins": beginning,
                        "user_id": listed.account.get(),
                        "username": listed.username,
                        "created": created,
                    }))?;
                } else {
                    say(&format!("{beginning}…  {:<30}  {created}", listed.username))?;
                }
            }
        }
        TokenCommand::Revoke { key, user } => {
            let revoked = match (key, user) {
                (Some(key), _) => {
                    administer::revoke_key(store, &tools.caller, &ClassicKey::from_stored(key), now)
                        .await
                        .map_err(Failure::fault)?
                }
                (None, Some(name)) => {
                    let account = administer::find(store, &name).await.map_err(Failure::fault)?;
                    administer::revoke_key_of(store, &tools.caller, account.id, now)
                        .await
                        .map_err(Failure::fault)?
                }
                (None, None) => false,
            };
            if !revoked {
                return Err(Failure::fault("there is no such key"));
            }
            say("The key is revoked.")?;
        }
        TokenCommand::Inspect(_) => {}
    }
    tools.store.close().await;
    Ok(ExitCode::SUCCESS)
}
