//! `avain token inspect`: what a token says, and whether and why it would be accepted.

use std::io::{BufRead as _, Read as _};
use std::process::ExitCode;

use clap::Args;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::account::account::AccountId;
use crate::base::clock::Timestamp;
use crate::base::digest::Digest;
use crate::base::encode::unbase64url_vec;
use crate::cli::{Failure, Tools, say, say_json};
use crate::settings::Settings;
use crate::store::{accounts, refresh_families};
use crate::token::claims::Kind;
use crate::token::key_ring::KeyRing;
use crate::token::verification_key::VerificationKey;
use crate::token::verify::{self, Rejection, Scratch, Subject};
use crate::token::{jwk_set, jws};

#[derive(Args, Debug)]
pub(super) struct InspectArgs {
    /// The token; `-` or nothing reads it from standard input.
    token: Option<String>,
    /// Judge only the signature, by the key in this file (PEM, JWK, or `hs256:` and a secret), not by ours.
    #[arg(long, value_name = "FILE")]
    key: Option<String>,
    /// Read one JSON object a line, {"jws": …, "jwk": …}, and print `valid` or `invalid` for each; with
    /// --key the objects need no "jwk".
    #[arg(long, conflicts_with = "token")]
    batch: bool,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

pub(super) async fn inspect(settings: Settings, args: InspectArgs) -> Result<ExitCode, Failure> {
    let key = match &args.key {
        Some(file) => {
            let text = std::fs::read_to_string(file)
                .map_err(|error| Failure::usage(format!("cannot read {file}: {error}")))?;
            Some(
                VerificationKey::parse(&text)
                    .map_err(|error| Failure::usage(format!("{file}: {error}")))?,
            )
        }
        None => None,
    };
    if args.batch {
        return batch(key.as_ref());
    }
    let presented = match args.token.as_deref() {
        None | Some("-") => {
            let mut text = String::new();
            let read = std::io::stdin().take(1 << 20).read_to_string(&mut text);
            read.map_err(|error| Failure::usage(format!("cannot read standard input: {error}")))?;
            text
        }
        Some(token) => token.to_owned(),
    };
    let presented = presented.trim();
    let report = match &key {
        Some(key) => {
            let judged = jws::check_jws(key, presented).map(drop).map_err(|why| why.to_string());
            Report::of(presented, judged)
        }
        None => {
            let tools = Tools::open(settings).await?;
            let judged = judge(&tools, presented).await?;
            Report::of(presented, judged)
        }
    };
    report.print(args.json)
}

/// Whether our service would accept the token now: `Err` says why not.
async fn judge(tools: &Tools, presented: &str) -> Result<Result<(), String>, Failure> {
    let master = tools.plan.master_key(&tools.store, tools.random.as_ref()).await?;
    let now = tools.clock.now();
    let room = tools.plan.key_room(&tools.store, &master, tools.random.as_ref(), now);
    tools.plan.ensure_keys(&room).await?;
    let ring: KeyRing = room.ring(0).await.map_err(Failure::fault)?;
    let mut scratch = Box::<Scratch>::default();
    let expect = tools.plan.expectations();
    let token = match verify::verify(&ring, expect, presented.as_bytes(), now, &mut scratch) {
        Ok(token) => token,
        Err(rejection) => return Ok(Err(explain(rejection))),
    };
    let kind = if token.is(Kind::Refresh) { Kind::Refresh } else { Kind::Access };
    if let Err(rejection) = token.require(kind) {
        return Ok(Err(explain(rejection)));
    }
    let account = match token.subject() {
        Subject::Account(account) => AccountId::new(account),
        Subject::Nobody => return Ok(Err("its user id cannot be an account's".to_owned())),
        Subject::Absent => return Ok(Err("it names no account".to_owned())),
    };
    let ended_after = now.minus(tools.plan.longest_access());
    let standing = accounts::standing(&tools.store, account, ended_after).await;
    let Some(standing) = standing.map_err(Failure::fault)? else {
        return Ok(Err(format!("there is no account {account}")));
    };
    if !standing.principal.is_active {
        return Ok(Err(format!("account {} is switched off", standing.principal.username)));
    }
    if standing.revokes(&token) {
        return Ok(Err("it was taken back: signed out, or the password was changed".to_owned()));
    }
    if kind == Kind::Refresh
        && let (Some(family), Some(token_id)) = (token.family(), token.token_id())
    {
        let found = refresh_families::find(&tools.store, family).await.map_err(Failure::fault)?;
        return Ok(match found {
            None if token.imported_at().is_some() => Ok(()),
            None => Err("its refresh family is not known".to_owned()),
            Some(family) if family.ended => Err("its refresh family was ended".to_owned()),
            Some(family) if family.current != Digest::of(token_id.as_bytes()) => {
                Err("a later refresh token has replaced it".to_owned())
            }
            Some(_) => Ok(()),
        });
    }
    Ok(Ok(()))
}

fn explain(rejection: Rejection) -> String {
    match rejection {
        Rejection::Invalid(flaw) => flaw.explain().to_owned(),
        Rejection::Expired => "it has expired".to_owned(),
        Rejection::Revoked => "it was taken back".to_owned(),
        Rejection::NoExpiry => "it has no exp".to_owned(),
        Rejection::NoTokenId => "it has no jti".to_owned(),
        Rejection::NoKind => "it has no token_type".to_owned(),
        Rejection::WrongKind => "its token_type is neither access nor refresh".to_owned(),
    }
}

/// What is told about one token.
struct Report {
    header: Option<Value>,
    claims: Option<Value>,
    judged: Result<(), String>,
}

impl Report {
    fn of(presented: &str, judged: Result<(), String>) -> Self {
        let mut parts = presented.split('.').map(|part| {
            let bytes = unbase64url_vec(part.as_bytes())?;
            serde_json::from_slice(&bytes).ok()
        });
        let (header, claims) = (parts.next().flatten(), parts.next().flatten());
        Self { header, claims, judged }
    }

    fn print(&self, as_json: bool) -> Result<ExitCode, Failure> {
        let accepted = self.judged.is_ok();
        if as_json {
            say_json(&json!({
                "header": self.header,
                "claims": self.claims,
                "accepted": accepted,
                "reason": self.judged.as_ref().err(),
            }))?;
        } else {
            for (what, value) in [("header", &self.header), ("claims", &self.claims)] {
                let Some(Value::Object(members)) = value else { continue };
                say(what)?;
                for (name, value) in members {
                    let moment = value
                        .as_i64()
                        .filter(|_| matches!(name.as_str(), "exp" | "iat" | "nbf"))
                        .map(|at| format!("  ({})", Timestamp::from_seconds(at).rfc3339()));
                    say(&format!("  {name:<12} {value}{}", moment.unwrap_or_default()))?;
                }
            }
            match &self.judged {
                Ok(()) => say("accepted")?,
                Err(why) => say(&format!("refused: {why}"))?,
            }
        }
        Ok(ExitCode::from(u8::from(!accepted)))
    }
}

#[derive(Deserialize)]
struct Vector {
    jws: Value,
    #[serde(default)]
    jwk: Option<Value>,
}

/// Judges signatures only: one line in, `valid` or `invalid` out.
fn batch(key: Option<&VerificationKey>) -> Result<ExitCode, Failure> {
    for line in std::io::stdin().lock().lines() {
        let line =
            line.map_err(|error| Failure::usage(format!("cannot read standard input: {error}")))?;
        if line.trim().is_empty() {
            continue;
        }
        say(if is_valid(key, &line) { "valid" } else { "invalid" })?;
    }
    Ok(ExitCode::SUCCESS)
}

fn is_valid(key: Option<&VerificationKey>, line: &str) -> bool {
    let Ok(vector) = serde_json::from_str::<Vector>(line) else { return false };
    // JSON serialisations are no compact JWS.
    let Value::String(jws) = &vector.jws else { return false };
    match (&vector.jwk, key) {
        (Some(jwk), _) => {
            jwk_set::choose(jwk, jws).is_ok_and(|key| jws::check_jws(&key, jws).is_ok())
        }
        (None, Some(key)) => jws::check_jws(key, jws).is_ok(),
        (None, None) => false,
    }
}
