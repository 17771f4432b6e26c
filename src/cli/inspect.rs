//! `avain token inspect`: what a token or an API key says, and whether and why it would be accepted.

use std::io::{BufRead as _, Read as _};
use std::process::ExitCode;

use clap::Args;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::account::account::AccountId;
use crate::base::clock::Timestamp;
use crate::base::digest::Digest;
use crate::base::encode::unbase64url_vec;
use crate::cli::{Failure, Tools, say, say_json, token};
use crate::settings::Settings;
use crate::store::{accounts, api_keys, personal_keys, refresh_families};
use crate::token::claims::Kind;
use crate::token::key_ring::KeyRing;
use crate::token::opaque::ClassicKey;
use crate::token::personal::{self, PersonalKeyDigest};
use crate::token::refresh::Family;
use crate::token::standing::Standing;
use crate::token::verification_key::VerificationKey;
use crate::token::verify::{self, Rejection, Scratch, Subject};
use crate::token::{jwk_set, jws};

#[derive(Args, Debug)]
pub(super) struct InspectArgs {
    /// The token or the key; `-` or nothing reads it from standard input.
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
            if personal::is_claimed(presented.as_bytes()) {
                return personal_key(&tools, presented).await?.print(args.json);
            }
            if let Some(key) = ClassicKey::parse(presented) {
                return classic_key(&tools, &key).await?.print(args.json);
            }
            let judged = judge(&tools, presented).await?;
            Report::of(presented, judged)
        }
    };
    report.print(args.json)
}

/// Whether our service would accept a key of our own, wherever it comes from and whatever for.
async fn personal_key(tools: &Tools, presented: &str) -> Result<Report, Failure> {
    let Some(digest) = PersonalKeyDigest::of_presented(presented.as_bytes()) else {
        let why = "its form or its checksum is wrong: it was cut off or mistyped";
        return Ok(Report::of_key(Value::Null, Err(why.to_owned())));
    };
    let store = &tools.store;
    let found = personal_keys::find_by_digest(store, &digest).await.map_err(Failure::fault)?;
    let Some(key) = found else {
        return Ok(Report::of_key(Value::Null, Err("it is not known".to_owned())));
    };
    let now = tools.clock.now();
    let described = token::described(&key, now);
    let judged = match (key.revoked_at, key.terms.expires_at) {
        (Some(_), _) => Err("it was revoked".to_owned()),
        (None, Some(_)) if key.terms.have_ended(now) => Err("it has expired".to_owned()),
        (None, _) => {
            let standing = accounts::standing(store, key.account, now).await;
            owner_may(standing.map_err(Failure::fault)?.map(|found| found.standing))
        }
    };
    Ok(Report::of_key(described, judged))
}

/// Whether our service would accept a classic key.
async fn classic_key(tools: &Tools, key: &ClassicKey) -> Result<Report, Failure> {
    let now = tools.clock.now();
    let owner = api_keys::standing_of_owner(&tools.store, key, now).await;
    let Some(owner) = owner.map_err(Failure::fault)? else {
        return Ok(Report::of_key(Value::Null, Err("it is not known".to_owned())));
    };
    let described = json!({
        "kind": "classic",
        "key_begins": key.beginning(),
        "user_id": owner.principal.id.get(),
        "username": owner.principal.username,
    });
    Ok(Report::of_key(described, owner_may(Some(owner))))
}

fn owner_may(owner: Option<Standing>) -> Result<(), String> {
    match owner {
        None => Err("its account is gone".to_owned()),
        Some(owner) if !owner.principal.is_active => {
            Err(format!("account {} is switched off", owner.principal.username))
        }
        Some(_) => Ok(()),
    }
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
    let Some(accounts::Found { standing, .. }) = standing.map_err(Failure::fault)? else {
        return Ok(Err(format!("there is no account {account}")));
    };
    if !standing.principal.is_active {
        return Ok(Err(format!("account {} is switched off", standing.principal.username)));
    }
    if standing.revokes(&token) {
        return Ok(Err("it was taken back: signed out, or the password was changed".to_owned()));
    }
    let Some(family) = token.family() else { return Ok(Ok(())) };
    let found = refresh_families::find(&tools.store, family).await.map_err(Failure::fault)?;
    if found.as_ref().is_some_and(Family::is_outdated) {
        return Ok(Err("the account's password was changed elsewhere since".to_owned()));
    }
    if kind == Kind::Refresh
        && let Some(token_id) = token.token_id()
    {
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
    key: Option<Value>,
    judged: Result<(), String>,
}

impl Report {
    fn of(presented: &str, judged: Result<(), String>) -> Self {
        let mut parts = presented.split('.').map(|part| {
            let bytes = unbase64url_vec(part.as_bytes())?;
            serde_json::from_slice(&bytes).ok()
        });
        let (header, claims) = (parts.next().flatten(), parts.next().flatten());
        Self { header, claims, key: None, judged }
    }

    fn of_key(key: Value, judged: Result<(), String>) -> Self {
        Self { header: None, claims: None, key: Some(key), judged }
    }

    fn print(&self, as_json: bool) -> Result<ExitCode, Failure> {
        let accepted = self.judged.is_ok();
        if as_json {
            let mut report = match &self.key {
                Some(key) => json!({ "key": key }),
                None => json!({ "header": self.header, "claims": self.claims }),
            };
            report["accepted"] = accepted.into();
            report["reason"] = self.judged.as_ref().err().cloned().into();
            say_json(&report)?;
        } else {
            let parts = [("header", &self.header), ("claims", &self.claims), ("key", &self.key)];
            for (what, value) in parts {
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
