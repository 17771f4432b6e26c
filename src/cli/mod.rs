//! The command line: what there is, and what it exits with.

mod audit;
mod check;
mod client;
mod doctor;
mod explain;
mod inspect;
mod key;
mod mail;
mod prompt;
mod serve;
mod token;
mod triggers;
mod user;

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fmt;
use std::io::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

use clap::{Args, Parser, Subcommand};

use crate::app::{Plan, StartError};
use crate::base::clock::{Clock, SystemClock};
use crate::base::random::{Random, SystemRandom};
use crate::flow::Caller;
use crate::settings::{GROUPS, Settings, Sources};
use crate::store::Store;
use crate::store::migrate;

/// Exit status: something went wrong.
const FAULT: u8 = 1;
/// Exit status: wrong usage or configuration (`EX_USAGE` of sysexits).
const USAGE: u8 = 64;

/// A standalone auth/token service behind nginx: issues, refreshes, verifies and revokes tokens.
#[derive(Debug, Parser)]
#[command(
    name = "avain",
    version,
    after_help = "Start here:\n  \
        avain createsuperuser             make a first account\n  \
        avain serve                       serve on 127.0.0.1:8000, with a SQLite file in this folder\n  \
        avain check                       say everything that is wrong with the configuration\n  \
        avain settings                    list all settings, their defaults and what they are for\n\n\
        Exit status: 0 good, 1 something went wrong, 64 wrong usage or configuration."
)]
struct Cli {
    #[command(flatten)]
    common: Common,
    #[command(subcommand)]
    command: Command,
}

/// Where `--help` lists what every command takes.
const SETTINGS: &str = "Settings";

#[derive(Args, Debug)]
struct Common {
    /// The file with settings; without it `avain.toml` in this folder, if there is one
    #[arg(long, global = true, value_name = "FILE", env = "AVAIN_CONFIG", help_heading = SETTINGS)]
    config: Option<PathBuf>,
    /// Override one setting: `--set server.listen=127.0.0.1:9000`; may be given several times
    #[arg(long, global = true, value_name = "NAME=VALUE", help_heading = SETTINGS)]
    set: Vec<String>,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Serve until SIGTERM or SIGINT, then answer what was asked and stop. SIGHUP reads the gate's policies anew.
    Serve,
    /// Apply missing migrations. Safe to run several times and on several machines at once.
    Migrate,
    /// Say everything that is wrong with the configuration, and what is unsafe in production.
    Check(check::CheckArgs),
    /// Attack a live gateway, and say which line of its configuration mends what is found.
    Doctor(doctor::DoctorArgs),
    /// Say rule by rule whether and why the gate lets a request pass.
    Explain(explain::ExplainArgs),
    /// List all settings with their defaults and what they are for.
    Settings,
    /// Make an account that may do everything; asks for what is not given.
    Createsuperuser(user::SuperuserArgs),
    /// Make, list, change and delete accounts. Running services hear of it at once.
    #[command(subcommand)]
    User(user::UserCommand),
    /// Make, list, rotate, upgrade and revoke API keys; look into tokens.
    #[command(subcommand)]
    Token(token::TokenCommand),
    /// Register programs that ask for tokens, or what tokens are worth; list them, change their secrets.
    #[command(subcommand)]
    Client(client::ClientCommand),
    /// Make, import, list, rotate, retire and kill signing keys.
    #[command(subcommand)]
    Key(key::KeyCommand),
    /// Search what happened to accounts, tokens and keys.
    Audit(audit::AuditArgs),
    /// Put triggers on Django's tables, so that what others change there counts at once (PostgreSQL).
    #[command(subcommand)]
    Triggers(triggers::TriggersCommand),
    /// List, retry and drop mails in the outbox; look at what mails say.
    #[command(subcommand)]
    Mail(mail::MailCommand),
}

/// Why a command did not do what it was told.
#[derive(Debug)]
enum Failure {
    /// Wrong usage or configuration: one line each.
    Usage(Vec<String>),
    /// Something went wrong: one line.
    Fault(String),
}

impl Failure {
    fn usage(why: impl fmt::Display) -> Self {
        Self::Usage(vec![why.to_string()])
    }

    fn fault(why: impl fmt::Display) -> Self {
        Self::Fault(why.to_string())
    }

    /// Everything that is wrong.
    fn lines(&self) -> &[String] {
        match self {
            Self::Usage(lines) => lines,
            Self::Fault(line) => std::slice::from_ref(line),
        }
    }
}

impl From<StartError> for Failure {
    fn from(error: StartError) -> Self {
        match error {
            StartError::Configuration(lines) => Self::Usage(lines),
            StartError::Fault(line) => Self::Fault(line),
        }
    }
}

impl From<std::io::Error> for Failure {
    fn from(error: std::io::Error) -> Self {
        Self::Fault(format!("cannot write: {error}"))
    }
}

/// Runs the program with these arguments and this environment.
#[must_use]
pub fn run(arguments: Vec<OsString>, environment: &BTreeMap<String, String>) -> ExitCode {
    let cli = match Cli::try_parse_from(arguments) {
        Ok(cli) => cli,
        Err(error) => {
            let is_help = !error.use_stderr();
            // Nothing is left to do where even this cannot be printed.
            drop(error.print());
            return ExitCode::from(if is_help { 0 } else { USAGE });
        }
    };
    match execute(cli, environment) {
        Ok(code) => code,
        Err(failure) => {
            failure.lines().iter().for_each(|line| complain(line));
            ExitCode::from(match failure {
                Failure::Usage(_) => USAGE,
                Failure::Fault(_) => FAULT,
            })
        }
    }
}

fn complain(line: &str) {
    drop(writeln!(std::io::stderr(), "avain: {line}"));
}

fn execute(cli: Cli, environment: &BTreeMap<String, String>) -> Result<ExitCode, Failure> {
    if matches!(cli.command, Command::Settings) {
        return print_settings();
    }
    let superuser = user::superuser_environment(environment);
    let read = || read_settings(&cli.common, environment.clone());
    let settings = read()?;
    match cli.command {
        Command::Serve => serve::serve(Plan::new(settings).map_err(Failure::Usage)?, read),
        Command::Check(args) => with_runtime(check::check(settings, args)),
        Command::Doctor(args) => with_runtime(doctor::doctor(settings, args)),
        Command::Explain(args) => with_runtime(explain::explain(settings, args)),
        Command::Settings => Ok(ExitCode::SUCCESS),
        Command::Migrate => with_runtime(migrate_now(settings)),
        Command::Createsuperuser(args) => {
            with_runtime(user::createsuperuser(settings, args, superuser))
        }
        Command::User(command) => with_runtime(user::user(settings, command)),
        Command::Token(command) => with_runtime(token::token(settings, command)),
        Command::Client(command) => with_runtime(client::client(settings, command)),
        Command::Key(command) => with_runtime(key::key(settings, command)),
        Command::Audit(args) => with_runtime(audit::audit(settings, args)),
        Command::Triggers(command) => with_runtime(triggers::triggers(settings, command)),
        Command::Mail(command) => with_runtime(mail::mail(settings, command)),
    }
}

/// The default file, where `--config` names none.
const DEFAULT_FILE: &str = "avain.toml";

fn read_settings(
    common: &Common,
    environment: BTreeMap<String, String>,
) -> Result<Settings, Failure> {
    let file = match &common.config {
        Some(file) => Some(file.clone()),
        None => Some(PathBuf::from(DEFAULT_FILE)).filter(|file| file.exists()),
    };
    let toml = match &file {
        Some(file) => {
            let text = std::fs::read_to_string(file).map_err(|error| {
                Failure::usage(format!("cannot read {}: {error}", file.display()))
            })?;
            Some((text, file.display().to_string()))
        }
        None => None,
    };
    let sources = Sources { toml, environment, overrides: common.set.clone() };
    let (settings, mut wrong) = Settings::judge(&sources);
    if wrong.is_empty() {
        return Ok(settings);
    }
    // All at once: what only the whole can judge comes with what no single value can be.
    wrong.extend(Plan::new(settings).err().into_iter().flatten());
    Err(Failure::Usage(wrong))
}

fn with_runtime(
    work: impl Future<Output = Result<ExitCode, Failure>>,
) -> Result<ExitCode, Failure> {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(Failure::fault)?
        .block_on(work)
}

/// What every command but `serve` needs.
struct Tools {
    plan: Plan,
    store: Store,
    clock: Arc<dyn Clock>,
    random: Arc<dyn Random>,
    /// Who is recorded as the one who did it.
    caller: Caller,
}

impl Tools {
    /// Opens the store; migrates it where `serve` would.
    async fn open(settings: Settings) -> Result<Self, Failure> {
        crate::token::provider::install();
        let plan = Plan::new(settings).map_err(Failure::Usage)?;
        let clock: Arc<dyn Clock> = Arc::new(SystemClock);
        let random: Arc<dyn Random> = Arc::new(SystemRandom::new());
        plan.ensure_migrated(clock.as_ref()).await?;
        let store = plan.open_store()?;
        Ok(Self { plan, store, clock, random, caller: Caller::command_line() })
    }
}

async fn migrate_now(settings: Settings) -> Result<ExitCode, Failure> {
    let plan = Plan::new(settings).map_err(Failure::Usage)?;
    let applied = migrate::run(plan.options(), SystemClock.now())
        .await
        .map_err(|error| Failure::Fault(format!("database: {error}")))?;
    for name in &applied {
        say(&format!("applied {name}"))?;
    }
    if applied.is_empty() {
        say("nothing to apply")?;
    }
    Ok(ExitCode::SUCCESS)
}

fn print_settings() -> Result<ExitCode, Failure> {
    for (group, declarations) in GROUPS {
        for setting in *declarations {
            let secret = if setting.secret { " (secret; also by file)" } else { "" };
            say(&format!("{group}.{} = \"{}\"{secret}", setting.key, setting.default))?;
            say(&format!("    {} [{}]", setting.doc.trim(), setting.hint))?;
        }
    }
    say("")?;
    say(
        "In avain.toml as tables, `[server] listen = \"…\"`; in the environment AVAIN_SERVER_LISTEN; for one",
    )?;
    say(
        "run `--set server.listen=…`. Secrets also from a file: AVAIN_DATABASE_URL_FILE=/run/secrets/url.",
    )?;
    Ok(ExitCode::SUCCESS)
}

/// Prints one line.
fn say(line: &str) -> Result<(), Failure> {
    match writeln!(std::io::stdout(), "{line}") {
        // Who reads has seen enough.
        Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => Ok(()),
        other => Ok(other?),
    }
}

/// Prints one JSON value on a line.
fn say_json(value: &serde_json::Value) -> Result<(), Failure> {
    say(&value.to_string())
}
