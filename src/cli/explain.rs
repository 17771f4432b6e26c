//! `avain explain`: rule by rule, whether and why the gate lets a request pass.

use std::process::ExitCode;
use std::sync::Arc;

use clap::Args;
use serde_json::{Value, json};

use crate::app::{App, Plan};
use crate::base::clock::SystemClock;
use crate::base::random::SystemRandom;
use crate::cli::{Failure, say, say_json};
use crate::flow::administer;
use crate::gate::decide::{ClientAddress, Question, Verdict};
use crate::gate::path::{self, Path};
use crate::gate::policies::Served;
use crate::gate::policy::{
    Caller, Found, Host, Methods, Mismatch, Requirement, Rule, Unmet, has_small_letters,
};
use crate::http::handlers::gate;
use crate::settings::Settings;

/// Exit status: the gate does not let it pass.
const DENIED: u8 = 2;

#[derive(Args, Debug)]
#[command(
    after_help = "Exit status: 0 it passes, 2 it does not, 1 something went wrong, 64 wrong usage or configuration."
)]
pub(super) struct ExplainArgs {
    /// The method: GET, POST, …
    method: String,
    /// What is asked for: a path, or an address of which host and path count
    url: String,
    /// Who asks: the name of an account, an access token, or an API key as `Token KEY`; nobody where this is
    /// left out
    #[arg(long = "as", value_name = "NAME|TOKEN")]
    caller: Option<String>,
    /// The method that a browser's preflight announces (`Access-Control-Request-Method`); the method is OPTIONS then
    #[arg(long, value_name = "METHOD", conflicts_with = "caller")]
    announces: Option<String>,
    /// The policy; the default one where this is left out
    #[arg(long, value_name = "NAME", default_value = "", hide_default_value = true)]
    policy: String,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

pub(super) async fn explain(settings: Settings, args: ExplainArgs) -> Result<ExitCode, Failure> {
    let plan = Plan::new(settings).map_err(Failure::Usage)?;
    let policies = plan.policies()?;
    let Some(served) = policies.find(&args.policy) else {
        let names: Vec<&str> = policies.names().collect();
        let why = format!("there is no policy {}; there are {}", args.policy, names.join(", "));
        return Err(Failure::usage(why));
    };
    if args.announces.is_some() && args.method != "OPTIONS" {
        return Err(Failure::usage("--announces goes with OPTIONS: nothing else is a preflight"));
    }
    let (host, target) = split(&args.url)?;
    let prefix = plan.settings().tokens.prefix.clone();
    let caller = args.caller.as_deref().map(|text| Presented::read(text, &prefix));
    let question = Question {
        method: args.method.as_bytes(),
        uri: target.as_bytes(),
        host: host.as_bytes(),
        authorization: None,
        preflight_for: args.announces.as_deref().map(str::as_bytes),
        client: ClientAddress::default(),
    };
    let outcome = match &caller {
        None => by_account(served, &question, Caller::Anonymous),
        Some(Presented::Account(name)) => ask_as(plan, served, &question, name).await?,
        Some(Presented::Header(header)) => {
            let authorization = Some(header.as_bytes());
            ask_with(plan, served, &Question { authorization, ..question }).await?
        }
    };
    let report = Report { served, question: &question, outcome };
    if args.json {
        say_json(&report.json())?;
    } else {
        report.print()?;
    }
    Ok(ExitCode::from(if report.outcome.passes { 0 } else { DENIED }))
}

/// The host and the request target of an address; a path is its own target.
fn split(url: &str) -> Result<(&str, &str), Failure> {
    if url.starts_with('/') {
        return Ok(("", url));
    }
    let Some((_, rest)) = url.split_once("://") else {
        return Err(Failure::usage(format!(
            "`{url}` is no address: write /path or https://host/path"
        )));
    };
    let (authority, target) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
    let host = match authority.rsplit_once(':') {
        Some((host, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => host,
        _ => authority,
    };
    Ok((host, if target.is_empty() { "/" } else { target }))
}

/// Who asks, as it was given.
enum Presented {
    Account(String),
    Header(String),
}

impl Presented {
    /// A whole `Authorization`, a JWT, or the name of an account.
    fn read(text: &str, prefix: &str) -> Self {
        let is_jwt = text.starts_with("eyJ") && text.matches('.').count() == 2;
        if text.contains(' ') {
            Self::Header(text.to_owned())
        } else if is_jwt {
            Self::Header(format!("{prefix} {text}"))
        } else {
            Self::Account(text.to_owned())
        }
    }
}

/// What came of it.
struct Outcome {
    caller: String,
    passes: bool,
    status: u16,
    why: String,
}

/// What the gate would say to somebody whose credential is good.
fn by_account(served: &Served, question: &Question<'_>, caller: Caller<'_>) -> Outcome {
    let mut room = path::Room::default();
    let requirement = path::read(question.uri, &mut room).map_or(&Requirement::Deny, |path| {
        served.policy.requirement(judged_by(question), question.host, &path)
    });
    if question.preflight().is_some() && *requirement != Requirement::Deny {
        let caller = "a browser, on behalf of a page".to_owned();
        let why =
            "a preflight passes where somebody may make the request that it announces".to_owned();
        return Outcome { caller, passes: true, status: 204, why };
    }
    let (status, why) = match requirement.judge(caller) {
        Ok(()) => (204, "it passes".to_owned()),
        Err(Unmet::NoAccount) => (401, "an account is needed".to_owned()),
        Err(Unmet::NoScope(scope)) => {
            (403, format!("a credential with the scope {} is needed", scope.name()))
        }
        Err(Unmet::Forbidden) => (403, "it is not allowed".to_owned()),
    };
    let caller = match caller {
        Caller::Anonymous => "nobody in particular",
        Caller::Account { is_staff: true, .. } => "an account that is staff",
        Caller::Account { is_staff: false, .. } => "an account that is not staff",
    };
    Outcome { caller: caller.to_owned(), passes: status == 204, status, why }
}

/// The method by which rules are chosen.
fn judged_by<'q>(question: &Question<'q>) -> &'q [u8] {
    question.preflight().unwrap_or(question.method)
}

async fn ask_as(
    plan: Plan,
    served: &Served,
    question: &Question<'_>,
    name: &str,
) -> Result<Outcome, Failure> {
    let store = plan.open_store()?;
    let account = administer::find(&store, name).await;
    store.close().await;
    let account = account.map_err(Failure::fault)?;
    if !account.is_active {
        let caller = format!("the account {name}, which is switched off");
        let why = "its credentials are refused".to_owned();
        return Ok(Outcome { caller, passes: false, status: 401, why });
    }
    let caller = Caller::Account { is_staff: account.is_staff, scope: None };
    let mut outcome = by_account(served, question, caller);
    let staff = if account.is_staff { "staff" } else { "not staff" };
    outcome.caller = format!("the account {name} ({staff}), by a credential without scopes");
    Ok(outcome)
}

/// Lets the gate itself decide, with all that it looks up.
async fn ask_with(
    plan: Plan,
    served: &Served,
    question: &Question<'_>,
) -> Result<Outcome, Failure> {
    let app = App::start(plan, Arc::new(SystemClock), Arc::new(SystemRandom::new())).await?;
    let verdict = gate::judge(&app.service, served, question).await;
    app.service.context.store.close().await;
    let presented = "whoever presents this credential";
    let (caller, status, why) = match &verdict {
        Verdict::Anonymous => (
            "nobody in particular: no scheme of gate.schemes reads this credential".to_owned(),
            204,
            "it passes".to_owned(),
        ),
        Verdict::Allow(allowed) => {
            let scope = allowed.scope().unwrap_or("no scopes");
            let caller = format!("the account {} ({scope})", allowed.username());
            (caller, 204, "it passes".to_owned())
        }
        Verdict::Deny(denial) => {
            let status = if denial.is_unauthenticated() { 401 } else { 403 };
            (presented.to_owned(), status, format!("it is refused: {denial:?}"))
        }
        Verdict::InsufficientScope(_) => {
            (presented.to_owned(), 403, "it lacks the scope that is asked for".to_owned())
        }
        Verdict::Throttle(seconds) => {
            (presented.to_owned(), 429, format!("its key has a rate: again in {seconds}s"))
        }
        Verdict::Ask(_) | Verdict::AskAgain(_) | Verdict::Unavailable => {
            (presented.to_owned(), 503, "the gate cannot decide".to_owned())
        }
    };
    Ok(Outcome { caller, passes: status == 204, status, why })
}

/// What is told.
struct Report<'r> {
    served: &'r Served,
    question: &'r Question<'r>,
    outcome: Outcome,
}

impl Report<'_> {
    fn print(&self) -> Result<(), Failure> {
        let shown = String::from_utf8_lossy;
        say(&format!("policy   {}", self.served.name))?;
        let host = shown(self.question.host);
        say(&format!(
            "request  {} {host}{}",
            shown(self.question.method),
            shown(self.question.uri)
        ))?;
        let mut room = path::Room::default();
        match path::read(self.question.uri, &mut room) {
            Err(_) => say(
                "path     not the same to nginx, to the backend and to the gate (//, .., %2f and the like): denied \
                 before any rule is asked",
            )?,
            Ok(path) => {
                for line in self.rules(&path) {
                    say(&line)?;
                }
            }
        }
        let Outcome { caller, passes, status, why } = &self.outcome;
        say(&format!("asked by {caller}"))?;
        say(&format!("{}: {why} ({status})", if *passes { "allow" } else { "deny" }))
    }

    fn rules(&self, path: &Path<'_>) -> Vec<String> {
        if has_small_letters(judged_by(self.question)) {
            let why = "method   in small letters, which some servers read as capitals: denied before any rule is asked";
            return vec![why.to_owned()];
        }
        let (policy, method) = (&self.served.policy, Methods::of(judged_by(self.question)));
        let mut lines = Vec::new();
        for rule in policy.rules() {
            let judged = rule.matches(method, self.question.host, path.decoded);
            let judged = judged.map_or_else(mismatch, |()| "matches");
            lines.push(format!("rule {:<3} {}: {judged}", rule.number, describe(rule)));
            if judged == "matches" {
                break;
            }
        }
        for view in views(path) {
            let found = match policy.find(method, self.question.host, view) {
                Found::NoRoot => {
                    "no protected root (gate.roots) holds it, or a second one stands in it: denied"
                        .to_owned()
                }
                Found::NoRule => "no rule names it: denied".to_owned(),
                Found::Rule(rule) => format!("rule {} asks for {}", rule.number, rule.requirement),
            };
            lines.push(format!("path     {view}: {found}"));
        }
        let asked = policy.requirement(judged_by(self.question), self.question.host, path);
        let differ = views(path).any(|view| match policy.find(method, self.question.host, view) {
            Found::Rule(rule) => rule.requirement != *asked,
            Found::NoRoot | Found::NoRule => *asked != Requirement::Deny,
        });
        if differ {
            lines.push("path     its views meet different rules: denied".to_owned());
        }
        lines
    }

    fn json(&self) -> Value {
        let shown = String::from_utf8_lossy;
        let (policy, question) = (&self.served.policy, self.question);
        let method = Methods::of(judged_by(question));
        let mut room = path::Room::default();
        let path = path::read(question.uri, &mut room).ok();
        let rules = policy.rules().iter().map(|rule| {
            let judged = path.map(|path| rule.matches(method, question.host, path.decoded));
            json!({
                "rule": rule.number,
                "methods": rule.methods.shown(),
                "paths": rule.paths.iter().map(ToString::to_string).collect::<Vec<_>>(),
                "hosts": rule.hosts.iter().map(Host::shown).collect::<Vec<_>>(),
                "access": rule.requirement.to_string(),
                "matches": matches!(judged, Some(Ok(()))),
                "because": judged.and_then(Result::err).map(mismatch),
            })
        });
        let asked = path.map(|path| policy.requirement(judged_by(question), question.host, &path));
        json!({
            "policy": self.served.name,
            "method": shown(question.method),
            "host": shown(question.host),
            "uri": shown(question.uri),
            "path": path.map(|path| path.decoded),
            "rules": rules.collect::<Vec<_>>(),
            "asks_for": asked.unwrap_or(&Requirement::Deny).to_string(),
            "caller": self.outcome.caller,
            "allowed": self.outcome.passes,
            "status": self.outcome.status,
            "why": self.outcome.why,
        })
    }
}

/// The views of a path that differ.
fn views<'p>(path: &Path<'p>) -> impl Iterator<Item = &'p str> {
    let Path { raw, decoded, bare } = *path;
    let others = [raw, bare].into_iter().filter(move |view| *view != decoded);
    std::iter::once(decoded).chain(others)
}

fn mismatch(mismatch: Mismatch) -> &'static str {
    match mismatch {
        Mismatch::Method => "the method is another one",
        Mismatch::Host => "the host is another one",
        Mismatch::Path => "the path is another one",
    }
}

fn describe(rule: &Rule) -> String {
    let mut pieces = vec![rule.methods.shown()];
    let paths: Vec<String> = rule.paths.iter().map(ToString::to_string).collect();
    pieces.push(if paths.is_empty() { "any path".to_owned() } else { paths.join(" or ") });
    if !rule.hosts.is_empty() {
        let hosts: Vec<String> = rule.hosts.iter().map(Host::shown).collect();
        pieces.push(format!("at {}", hosts.join(" or ")));
    }
    format!("{} → {}", pieces.join(" "), rule.requirement)
}
