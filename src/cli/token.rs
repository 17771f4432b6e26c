//! `avain token …`: API keys, and looking into tokens.

use std::process::ExitCode;
use std::time::Duration;

use clap::{Args, Subcommand};
use serde_json::{Value, json};

use crate::base::clock::Timestamp;
use crate::cli::inspect::{self, InspectArgs};
use crate::cli::{Failure, Tools, say, say_json};
use crate::flow::personal_keys::{
    Cabinet, IssuedKey, LONGEST_NAME, LONGEST_OVERLAP, NotDone, StoredKey, Wish,
};
use crate::flow::{Error, administer, obtain_key};
use crate::settings::{self, Settings};
use crate::store::api_keys::{self, ListedKey};
use crate::store::personal_keys;
use crate::token::opaque::ClassicKey;
use crate::token::personal::{self, PersonalKeyDigest, PersonalKeyId};
use crate::token::scope::Scopes;
use crate::token::terms::{HIGHEST_RATE, Networks, Terms};

#[derive(Debug, Subcommand)]
pub(super) enum TokenCommand {
    /// Print an API key of an account: with --name a new one, else the classic one, made where there is none.
    #[command(
        after_help = "Scopes are words: plain names, which policies ask for, or METHODS:PATH such as \
        GET,POST:/api/v1/hobbies/* or *:/api/**. Without any the key may what its account may."
    )]
    Create {
        /// The account's user name.
        #[arg(value_name = "USER")]
        user: String,
        /// What the new key is called.
        #[arg(long, value_name = "TEXT")]
        name: Option<String>,
        #[command(flatten)]
        terms: TermsArgs,
        /// Print JSON.
        #[arg(long)]
        json: bool,
    },
    /// List API keys by the beginnings of them.
    List {
        /// Only those of accounts with larger ids.
        #[arg(long, default_value_t = 0, value_name = "ID")]
        after: i32,
        /// Those of so many accounts at most.
        #[arg(long, default_value_t = 1000)]
        limit: i64,
        /// Print JSON, one object a line.
        #[arg(long)]
        json: bool,
    },
    /// Print a new key in place of another, on the same terms. The old one goes on for a while.
    Rotate {
        /// The key.
        #[arg(required_unless_present = "id")]
        key: Option<String>,
        /// Its id in the list, in place of the key itself.
        #[arg(long, conflicts_with = "key")]
        id: Option<i64>,
        /// For how long: 1h, 2d; 0 ends it at once. Without it as the settings say.
        #[arg(long, value_name = "DURATION", value_parser = settings::parse_duration)]
        overlap: Option<Duration>,
        /// Print JSON.
        #[arg(long)]
        json: bool,
    },
    /// Replace the classic key of an account by a key of our own, at once.
    Upgrade {
        /// The account's user name.
        #[arg(value_name = "USER")]
        user: String,
        /// What the new key is called.
        #[arg(long, value_name = "TEXT", default_value = "upgraded")]
        name: String,
        #[command(flatten)]
        terms: TermsArgs,
        /// Print JSON.
        #[arg(long)]
        json: bool,
    },
    /// Take an API key back. Running services refuse it at once.
    Revoke {
        /// The key.
        #[arg(required_unless_present_any = ["id", "user"])]
        key: Option<String>,
        /// Its id in the list, in place of the key itself.
        #[arg(long, conflicts_with = "key")]
        id: Option<i64>,
        /// All keys of this account, the classic one too.
        #[arg(long, value_name = "NAME", conflicts_with_all = ["key", "id"])]
        user: Option<String>,
    },
    /// Say what a token or an API key says, whether it would be accepted, and why not.
    Inspect(InspectArgs),
}

/// What a key may.
#[derive(Args, Debug)]
pub(super) struct TermsArgs {
    /// What it may do; may be given several times.
    #[arg(long, value_name = "SCOPE")]
    scope: Vec<String>,
    /// From where it may be used: 192.0.2.0/24; may be given several times.
    #[arg(long, value_name = "NETWORK")]
    network: Vec<String>,
    /// Requests a minute, on each instance.
    #[arg(long, value_name = "NUMBER", value_parser = clap::value_parser!(u32).range(1..=i64::from(HIGHEST_RATE)))]
    rate: Option<u32>,
    /// How long it lives: 90d, 12h. Without it for ever, where the settings allow that.
    #[arg(long, value_name = "DURATION", value_parser = settings::parse_duration)]
    expires_in: Option<Duration>,
}

impl TermsArgs {
    fn terms(&self, now: Timestamp) -> Result<Terms, Failure> {
        Ok(Terms {
            scopes: Scopes::parse(&self.scope.join(" ")).map_err(Failure::usage)?,
            networks: Networks::parse(&self.network.join(" ")).map_err(Failure::usage)?,
            rate: self.rate,
            expires_at: self.expires_in.map(|life| now.plus(life)),
        })
    }

    fn is_empty(&self) -> bool {
        self.scope.is_empty()
            && self.network.is_empty()
            && self.rate.is_none()
            && self.expires_in.is_none()
    }
}

pub(super) async fn token(settings: Settings, command: TokenCommand) -> Result<ExitCode, Failure> {
    let command = match command {
        TokenCommand::Inspect(args) => return inspect::inspect(settings, args).await,
        other => other,
    };
    let tools = Tools::open(settings).await?;
    let store = &tools.store;
    let cabinet = Cabinet {
        owner: None,
        store,
        random: tools.random.as_ref(),
        rules: tools.plan.key_rules(),
        now: tools.clock.now(),
        caller: &tools.caller,
    };
    match command {
        TokenCommand::Create { user, name: None, terms, json } => {
            if !terms.is_empty() {
                return Err(Failure::usage("a key with terms needs a name: --name TEXT"));
            }
            print_classic(&cabinet, &user, json).await?;
        }
        TokenCommand::Create { user, name: Some(name), terms, json } => {
            let wish = Wish { name, terms: terms.terms(cabinet.now)? };
            let account = administer::find(store, &user).await.map_err(Failure::fault)?;
            let issued = cabinet.make(account.id, wish, None).await;
            print_issued(&granted(issued)?, cabinet.now, json)?;
        }
        TokenCommand::Upgrade { user, name, terms, json } => {
            let wish = Wish { name, terms: terms.terms(cabinet.now)? };
            let account = administer::find(store, &user).await.map_err(Failure::fault)?;
            let issued = cabinet.upgrade(account.id, wish, None).await;
            print_issued(&granted(issued)?, cabinet.now, json)?;
        }
        TokenCommand::List { after, limit, json } => list(&cabinet, after, limit, json).await?,
        TokenCommand::Rotate { key, id, overlap, json } => {
            let old = find(&cabinet, key.as_deref(), id).await?;
            let issued = cabinet.rotate(old.account, old.id, overlap, None).await;
            print_issued(&granted(issued)?, cabinet.now, json)?;
        }
        TokenCommand::Revoke { user: Some(user), .. } => {
            let account = administer::find(store, &user).await.map_err(Failure::fault)?;
            match cabinet.revoke_all(account.id).await.map_err(fault)? {
                0 => return Err(no_such_key()),
                1 => say("The key is revoked.")?,
                several => say(&format!("{several} keys are revoked."))?,
            }
        }
        TokenCommand::Revoke { key, id, user: None } => revoke(&cabinet, key, id).await?,
        TokenCommand::Inspect(_) => {}
    }
    tools.store.close().await;
    Ok(ExitCode::SUCCESS)
}

fn no_such_key() -> Failure {
    Failure::fault("there is no such key")
}

fn fault(error: Error) -> Failure {
    match error {
        Error::Fault(fault) => Failure::fault(fault),
        Error::Refused(_) => Failure::fault("the key was refused"),
    }
}

fn granted(done: Result<Result<IssuedKey, NotDone>, Error>) -> Result<IssuedKey, Failure> {
    done.map_err(fault)?.map_err(|why| match why {
        NotDone::NoSuchKey => Failure::fault("there is no such key in force"),
        NotDone::NoClassicKey => Failure::fault("the account has no classic key"),
        NotDone::Replaced => Failure::fault("another key has taken its place already"),
        NotDone::Name => Failure::usage(format!(
            "--name: between 1 and {LONGEST_NAME} characters, none of them a control character"
        )),
        NotDone::TooMany(most) => Failure::fault(format!(
            "the account has {most} keys: revoke one, or raise the setting api_keys.per_account"
        )),
        NotDone::OverlapTooLong => {
            Failure::usage(format!("--overlap: at most {}s", LONGEST_OVERLAP.as_secs()))
        }
        NotDone::Over => Failure::usage("--expires-in: such a key has ended already"),
        NotDone::TooLong(longest) => Failure::usage(format!(
            "--expires-in: at most {}s, by the setting api_keys.longest_life",
            longest.as_secs()
        )),
    })
}

async fn print_classic(cabinet: &Cabinet<'_>, user: &str, json: bool) -> Result<(), Failure> {
    let account = administer::find(cabinet.store, user).await.map_err(Failure::fault)?;
    let key =
        obtain_key::key_of(cabinet.store, cabinet.caller, account.id, cabinet.random, cabinet.now);
    let key = key.await;
    let key = key.map_err(fault)?;
    if json {
        say_json(&json!({ "key": key.expose(), "username": user }))
    } else {
        say(key.expose())
    }
}

fn print_issued(issued: &IssuedKey, now: Timestamp, json: bool) -> Result<(), Failure> {
    if json {
        let mut shown = described(&issued.stored, now);
        if let Value::Object(members) = &mut shown {
            members.insert("key".to_owned(), issued.key.expose().into());
        }
        say_json(&shown)
    } else {
        say(issued.key.expose())
    }
}

/// The key that is meant, of our own and in force.
async fn find(
    cabinet: &Cabinet<'_>,
    key: Option<&str>,
    id: Option<i64>,
) -> Result<StoredKey, Failure> {
    let found = match (key, id) {
        (_, Some(id)) => personal_keys::find(cabinet.store, PersonalKeyId::new(id)).await,
        (Some(text), None) => match PersonalKeyDigest::of_presented(text.as_bytes()) {
            Some(digest) => personal_keys::find_by_digest(cabinet.store, &digest).await,
            None if ClassicKey::parse(text).is_some() => {
                return Err(Failure::fault(
                    "a classic key cannot be rotated: `avain token upgrade USER` replaces it",
                ));
            }
            None => Ok(None),
        },
        (None, None) => Ok(None),
    };
    let found = found.map_err(Failure::fault)?;
    found.filter(|key| !key.terms.have_ended(cabinet.now)).ok_or_else(no_such_key)
}

async fn revoke(
    cabinet: &Cabinet<'_>,
    key: Option<String>,
    id: Option<i64>,
) -> Result<(), Failure> {
    let revoked = match key {
        // Django's admin admits classic keys of any form.
        Some(text) if !personal::is_claimed(text.as_bytes()) => {
            let key = ClassicKey::from_stored(text);
            let done = administer::revoke_key(cabinet.store, cabinet.caller, &key, cabinet.now);
            done.await.map_err(Failure::fault)?
        }
        key => {
            let key = find(cabinet, key.as_deref(), id).await?;
            cabinet.revoke(key.account, key.id).await.map_err(fault)?
        }
    };
    if revoked { say("The key is revoked.") } else { Err(no_such_key()) }
}

/// A line of the list.
enum Line {
    Classic(ListedKey),
    Own(StoredKey),
}

impl Line {
    fn account(&self) -> i32 {
        match self {
            Self::Classic(key) => key.account.get(),
            Self::Own(key) => key.account.get(),
        }
    }
}

async fn list(cabinet: &Cabinet<'_>, after: i32, limit: i64, json: bool) -> Result<(), Failure> {
    let (store, limit) = (cabinet.store, limit.clamp(1, 100_000));
    let classic = api_keys::page_after(store, after, limit).await.map_err(Failure::fault)?;
    let own = personal_keys::page_after(store, after, limit).await.map_err(Failure::fault)?;
    let mut lines: Vec<Line> = classic.into_iter().map(Line::Classic).collect();
    lines.extend(own.into_iter().map(Line::Own));
    // The classic key of an account stays before its others.
    lines.sort_by_key(Line::account);
    let mut accounts: Vec<i32> = lines.iter().map(Line::account).collect();
    accounts.dedup();
    let last = usize::try_from(limit - 1).ok().and_then(|last| accounts.get(last));
    for line in lines.iter().filter(|line| last.is_none_or(|last| line.account() <= *last)) {
        match line {
            Line::Classic(key) if json => say_json(&json!({
                "kind": "classic",
                "key_begins": key.key.beginning(),
                "user_id": key.account.get(),
                "username": key.username,
                "created": key.created.rfc3339(),
            }))?,
            Line::Classic(key) => {
                let (begins, created) = (key.key.beginning(), key.created.rfc3339());
                say(&format!("{begins}…  {:<30}  {created}", key.username))?;
            }
            Line::Own(key) if json => say_json(&described(key, cabinet.now))?,
            Line::Own(key) => say(&summary(key, cabinet.now))?,
        }
    }
    Ok(())
}

/// A key of our own as JSON shows it.
pub(super) fn described(key: &StoredKey, now: Timestamp) -> Value {
    let moment = |at: Option<Timestamp>| at.map(Timestamp::rfc3339);
    json!({
        "kind": "own",
        "id": key.id.get(),
        "name": key.name,
        "key_begins": key.beginning,
        "user_id": key.account.get(),
        "username": key.username,
        "scope": key.terms.scopes.to_string(),
        "networks": key.terms.networks.to_string(),
        "rate": key.terms.rate,
        "created": key.created_at.rfc3339(),
        "expires": moment(key.terms.expires_at),
        "last_used": moment(key.last_used_at),
        "replaced_by": key.replaced_by.map(PersonalKeyId::get),
        "revoked": moment(key.revoked_at),
        "active": !key.terms.have_ended(now),
    })
}

fn summary(key: &StoredKey, now: Timestamp) -> String {
    let mut line = format!(
        "{}…  {:<30}  {}  id {}  {:?}",
        key.beginning,
        key.username,
        key.created_at.rfc3339(),
        key.id,
        key.name
    );
    let mut add = |what: &str, value: String| {
        if !value.is_empty() {
            line.push_str("  ");
            line.push_str(what);
            line.push_str(&value);
        }
    };
    let moment = |at: Option<Timestamp>| at.map_or_else(String::new, Timestamp::rfc3339);
    add("scope ", key.terms.scopes.to_string());
    add("from ", key.terms.networks.to_string());
    add("rate ", key.terms.rate.map_or_else(String::new, |rate| format!("{rate}/min")));
    add("used ", moment(key.last_used_at));
    match key.terms.expires_at {
        _ if key.revoked_at.is_some() => add("revoked ", moment(key.revoked_at)),
        Some(end) if key.terms.have_ended(now) => add("ended ", end.rfc3339()),
        end => add("until ", moment(end)),
    }
    line
}
