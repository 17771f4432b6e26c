//! `avain key …`.

use std::process::ExitCode;

use clap::Subcommand;
use serde_json::json;

use crate::base::clock::Timestamp;
use crate::cli::{Failure, Tools, say, say_json};
use crate::flow::keys::{HEARD, KeyRoom, KeysError, Succeeded};
use crate::settings::Settings;
use crate::store::signing_keys::{KeyState, Purpose};
use crate::token::algorithm::Algorithm;
use crate::token::key::{KeyId, SigningKey};

#[derive(Debug, Subcommand)]
pub(super) enum KeyCommand {
    /// List all keys: id, algorithm, and whether they are published, sign, verify, or are retired.
    List {
        /// Print JSON, one object a line.
        #[arg(long)]
        json: bool,
    },
    /// Make a key and publish it in the key set; it signs once `avain key rotate ID` says so.
    Generate {
        /// `HS256`, `RS256`, `ES256` or `EdDSA`; without it the setting tokens.algorithm.
        #[arg(long)]
        algorithm: Option<String>,
    },
    /// Import a key and sign with it: tokens that it signed elsewhere go on working.
    #[command(
        after_help = "FILE is a PEM as openssl and ssh-keygen -m PEM write it, or a file that holds \
        `hs256:` and a secret such as Django's SECRET_KEY."
    )]
    Import {
        /// The file with the private key or the secret.
        file: String,
        /// Only verify with it.
        #[arg(long)]
        verify_only: bool,
    },
    /// Sign with another key from now on. Nobody is signed out: the one before verifies until nothing that it
    /// signed lives on, and is retired then (an imported one: when you say so).
    Rotate {
        /// The key to sign with; without it a new one is made.
        #[arg(allow_hyphen_values = true)]
        id: Option<String>,
        /// The algorithm of the new one; without it the setting tokens.algorithm.
        #[arg(long)]
        algorithm: Option<String>,
    },
    /// Take a key out of use: tokens that it signed are refused at once.
    Retire {
        /// Its id.
        #[arg(allow_hyphen_values = true)]
        id: String,
    },
    /// In an emergency: end everything that a key has signed, also the one that signs. Whoever was signed in
    /// by it signs in again.
    Kill {
        /// Its id.
        #[arg(allow_hyphen_values = true)]
        id: String,
        /// The algorithm of the key in its place, where one must be made; without it the setting
        /// tokens.algorithm.
        #[arg(long)]
        algorithm: Option<String>,
    },
    /// Print what the backend needs to read phantom tokens: the secret (HS256) or the public key (RS256).
    Phantom,
    /// Print the public half of a key as PEM. Who keeps a copy must get the next one before it signs: better
    /// have them read the key set (see README.md).
    Public {
        /// Its id; without it the key that signs.
        #[arg(allow_hyphen_values = true)]
        id: Option<String>,
    },
}

pub(super) async fn key(settings: Settings, command: KeyCommand) -> Result<ExitCode, Failure> {
    let tools = Tools::open(settings).await?;
    let master = tools.plan.master_key(&tools.store, tools.random.as_ref()).await?;
    let (random, now) = (tools.random.as_ref(), tools.clock.now());
    let room = KeyRoom {
        caller: &tools.caller,
        ..tools.plan.key_room(&tools.store, &master, random, now)
    };
    match command {
        KeyCommand::List { json } => list(&room, json).await?,
        KeyCommand::Generate { algorithm } => {
            let key = generate(&tools, &room, algorithm.as_deref())?;
            room.keep(Purpose::Token, &key, false).await.map_err(failure)?;
            say(&format!(
                "Key {} is published; `avain key rotate {}` signs with it.",
                key.id(),
                key.id()
            ))?;
        }
        KeyCommand::Import { file, verify_only } => {
            let text = std::fs::read_to_string(&file)
                .map_err(|error| Failure::usage(format!("cannot read {file}: {error}")))?;
            let key = SigningKey::import(&text, &file).map_err(Failure::usage)?;
            if verify_only {
                room.keep(Purpose::Token, &key, true).await.map_err(failure)?;
                say(&format!("Key {} is imported and verifies.", key.id()))?;
            } else {
                room.add(Purpose::Token, &key, true).await.map_err(failure)?;
                say(&format!("Key {} is imported and signs.", key.id()))?;
            }
        }
        KeyCommand::Rotate { id, algorithm } => {
            let id = match id {
                Some(id) => key_id(&id)?,
                None => {
                    let key = generate(&tools, &room, algorithm.as_deref())?;
                    room.keep(Purpose::Token, &key, false).await.map_err(failure)?;
                    // Running instances verify with it before the first of them signs with it.
                    tokio::time::sleep(HEARD).await;
                    key.id().clone()
                }
            };
            match room.sign_with(Purpose::Token, &id).await.map_err(failure)? {
                Succeeded::Now => say(&format!("Key {id} signs from now on."))?,
                Succeeded::Before => {
                    say(&format!("Key {id} signs already; nothing is changed."))?;
                }
            }
        }
        KeyCommand::Kill { id, algorithm } => {
            let algorithm = algorithm_named(&tools, algorithm.as_deref())?;
            let successor = room.kill(&key_id(&id)?, algorithm).await.map_err(failure)?;
            say(&format!("Key {id} is out of use; everything that it signed is refused."))?;
            if let Some(successor) = successor {
                say(&format!("Key {successor} signs in its place."))?;
            }
        }
        KeyCommand::Retire { id } => {
            room.retire(&id).await.map_err(failure)?;
            say(&format!("Key {id} is retired; what it signed is refused."))?;
        }
        KeyCommand::Phantom => {
            tools.plan.ensure_keys(&room).await?;
            let key = tools.plan.phantom_key(&room).await?;
            match (key.secret_text(), key.public_pem()) {
                (Some(secret), _) => say(secret.expose())?,
                (None, Some(pem)) => say(pem.trim_end())?,
                (None, None) => return Err(Failure::fault("the key has no text form")),
            }
        }
        KeyCommand::Public { id } => {
            tools.plan.ensure_keys(&room).await?;
            let ring = room.ring(0).await.map_err(failure)?;
            let id = id.unwrap_or_else(|| ring.signing().id().to_string());
            let found =
                KeyId::parse(&id).and_then(|id| ring.find(&id).map(|held| held.key.public_pem()));
            match found {
                Some(Some(pem)) => say(pem.trim_end())?,
                Some(None) => {
                    return Err(Failure::usage(format!("{id} is a secret; it has no public half")));
                }
                None => return Err(Failure::fault(format!("there is no key {id} in use"))),
            }
        }
    }
    tools.store.close().await;
    Ok(ExitCode::SUCCESS)
}

async fn list(room: &KeyRoom<'_>, as_json: bool) -> Result<(), Failure> {
    for key in room.list().await.map_err(failure)? {
        let (created, imported) =
            (key.created_at.rfc3339(), key.imported_at.map(Timestamp::rfc3339));
        if as_json {
            say_json(&json!({
                "id": key.id,
                "purpose": key.purpose.as_str(),
                "algorithm": key.algorithm,
                "state": key.state.as_str(),
                "created_at": created,
                "imported_at": imported,
                "signs_at": key.signs_at.map(Timestamp::rfc3339),
                "retires_at": key.retires_at.map(Timestamp::rfc3339),
            }))?;
        } else {
            let imported = if imported.is_some() { "  imported" } else { "" };
            let planned = match (key.state, key.signs_at, key.retires_at) {
                (KeyState::Published, Some(moment), _) => {
                    format!("  signs at {}", moment.rfc3339())
                }
                (KeyState::Verifying, _, Some(moment)) => format!("  until {}", moment.rfc3339()),
                _ => String::new(),
            };
            say(&format!(
                "{:<44} {:<8} {:<6} {:<10} {created}{imported}{planned}",
                key.id,
                key.purpose.as_str(),
                key.algorithm,
                key.state.as_str(),
            ))?;
        }
    }
    Ok(())
}

fn generate(
    tools: &Tools,
    room: &KeyRoom<'_>,
    algorithm: Option<&str>,
) -> Result<SigningKey, Failure> {
    Ok(SigningKey::generate(algorithm_named(tools, algorithm)?, room.random))
}

fn algorithm_named(tools: &Tools, name: Option<&str>) -> Result<Algorithm, Failure> {
    let Some(name) = name else { return Ok(tools.plan.algorithm()) };
    Algorithm::parse(name)
        .ok_or_else(|| Failure::usage(format!("{name} is none of HS256, RS256, ES256, EdDSA")))
}

fn key_id(text: &str) -> Result<KeyId, Failure> {
    KeyId::parse(text).ok_or_else(|| Failure::usage(format!("{text} is no key id")))
}

fn failure(error: KeysError) -> Failure {
    match error {
        KeysError::Refused(why) => Failure::Fault(why),
        other => Failure::fault(other),
    }
}
