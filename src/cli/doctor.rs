//! `avain doctor`: attacks a live gateway, and says which line of its configuration mends what it finds.

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::Args;
use serde_json::{Value, json};

use crate::base::random::SystemRandom;
use crate::base::secret::Secret;
use crate::cli::{Failure, complain, say, say_json};
use crate::doctor::checks::{self, ALL, Check};
use crate::doctor::client::Target;
use crate::doctor::report::{Outcome, Report};
use crate::doctor::{self, Options};
use crate::gate::policy;
use crate::settings::Settings;

/// Exit status: the gateway cannot be reached (`EX_UNAVAILABLE` of sysexits).
const UNREACHABLE: u8 = 69;

#[derive(Args, Debug)]
#[command(
    after_help = "Only reading, and writing that a gateway must refuse: nothing is changed. For ten seconds \
    afterwards the address that it ran from may be throttled.\n\n\
    The more help it gets, the more it can check:\n  \
    avain doctor https://api.example.org/api/v1/hobbies/ --credential-file key --echo /api/echo/ \\\n      \
    --operations http://127.0.0.1:8001 --backend http://10.0.0.5:8002 --origin https://ui.example.org\n\n\
    Exit status: 0 no findings, 1 findings, 64 wrong usage, 69 the gateway does not answer."
)]
pub(super) struct DoctorArgs {
    /// The gateway and a path under `gate.roots` that can be read.
    #[arg(value_name = "URL", required_unless_present = "list")]
    url: Option<String>,
    /// A good credential: `Bearer …` or `Token …`. Other users of this machine can see it: better in a file.
    #[arg(long, value_name = "CREDENTIAL", conflicts_with = "credential_file")]
    credential: Option<String>,
    /// A file with a good credential.
    #[arg(long, value_name = "FILE")]
    credential_file: Option<PathBuf>,
    /// A path of the gateway whose answer shows the headers that reached the backend; several times for several.
    #[arg(long, value_name = "PATH")]
    echo: Vec<String>,
    /// avain's `server.operations`, as http://HOST:PORT; once for each instance.
    #[arg(long, value_name = "URL")]
    operations: Vec<String>,
    /// Where the backend listens: nobody but the gateway may reach it. Run it from where clients are.
    #[arg(long, value_name = "URL")]
    backend: Option<String>,
    /// Where the gateway listens without TLS, if not on port 80.
    #[arg(long, value_name = "URL")]
    plain: Option<String>,
    /// An origin of a front end that CORS allows.
    #[arg(long, value_name = "ORIGIN")]
    origin: Option<String>,
    /// The sign-in endpoint.
    #[arg(long, value_name = "PATH", default_value = "/auth/token/")]
    sign_in: String,
    /// A prefix that the gateway passes on without asking, beside the usual ones; several times for several.
    #[arg(long, value_name = "PATH")]
    open: Vec<String>,
    /// avain is stopped on purpose: judge only what clients get meanwhile.
    #[arg(long)]
    outage: bool,
    /// A PEM file with authorities that may have signed the certificate, in place of the system's.
    #[arg(long, value_name = "FILE")]
    ca: Option<PathBuf>,
    /// Leave a check out; several times for several.
    #[arg(long, value_name = "CHECK")]
    skip: Vec<String>,
    /// Seconds for everything.
    #[arg(long, value_name = "SECONDS", default_value_t = 10)]
    deadline: u64,
    /// List the checks, and the lines that mend what they find.
    #[arg(long)]
    list: bool,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

pub(super) async fn doctor(settings: Settings, args: DoctorArgs) -> Result<ExitCode, Failure> {
    if args.list {
        return list(args.json);
    }
    let options = options(&settings, &args)?;
    let report = match doctor::examine(&options, &SystemRandom::new()).await {
        Ok(report) => report,
        Err(why) => {
            complain(&why);
            return Ok(ExitCode::from(UNREACHABLE));
        }
    };
    let found = if args.json { print_json(&report)? } else { print(&report)? };
    Ok(ExitCode::from(u8::from(found)))
}

fn options(settings: &Settings, args: &DoctorArgs) -> Result<Options, Failure> {
    let url = args.url.as_deref().unwrap_or_default();
    let mut target = Target::parse(url).map_err(Failure::usage)?;
    let roots = settings.gate.roots.0.clone();
    if target.path == "/" && !roots.iter().any(|root| root == "/") {
        target.path = roots.first().cloned().unwrap_or_default();
    }
    if !roots.iter().any(|root| target.path.starts_with(root.as_str())) {
        return Err(Failure::usage(format!(
            "{} is under none of gate.roots ({}): name a protected path, or say --set gate.roots=…",
            target.path,
            roots.join(", ")
        )));
    }
    for path in args.echo.iter().chain(&args.open).chain([&args.sign_in]) {
        if !path.starts_with('/') {
            return Err(Failure::usage(format!("`{path}` is no path: it begins with a slash")));
        }
    }
    let credential =
        match &args.credential_file {
            Some(file) => Some(std::fs::read_to_string(file).map_err(|error| {
                Failure::usage(format!("cannot read {}: {error}", file.display()))
            })?),
            None => args.credential.clone(),
        };
    let credential = credential.map(|credential| credential.trim().to_owned());
    if credential.as_ref().is_some_and(|credential| credential.split_whitespace().count() != 2) {
        return Err(Failure::usage("a credential is two words: `Bearer …` or `Token …`"));
    }
    let parse = |url: &String| Target::parse(url).map_err(Failure::usage);
    let skipped: Result<Vec<&'static Check>, Failure> =
        args.skip.iter().map(|name| skipped(name)).collect();
    Ok(Options {
        target,
        roots,
        gate_path: settings.gate.path.clone(),
        misses: settings.gate.misses,
        anybody_writes: policy::preset_name(&settings.gate.policy) == Some("open"),
        bad: if settings.gate.schemes.0.iter().any(|scheme| scheme == "Token") {
            "Token avain doctor".to_owned()
        } else {
            format!("{} avain.doctor.nonsense", settings.tokens.prefix)
        },
        credential: credential.map(Secret::new),
        echoes: args.echo.clone(),
        open: args.open.clone(),
        sign_in: args.sign_in.clone(),
        origin: args.origin.clone(),
        operations: args.operations.iter().map(parse).collect::<Result<_, _>>()?,
        backend: args.backend.as_ref().map(parse).transpose()?,
        plain: args.plain.as_ref().map(parse).transpose()?,
        outage: args.outage,
        authorities: args.ca.clone(),
        skipped: skipped?,
        deadline: Duration::from_secs(args.deadline.max(1)),
    })
}

fn skipped(name: &str) -> Result<&'static Check, Failure> {
    checks::named(name).ok_or_else(|| {
        Failure::usage(format!("there is no check `{name}`: `avain doctor --list` lists them"))
    })
}

fn list(as_json: bool) -> Result<ExitCode, Failure> {
    for check in ALL {
        if as_json {
            say_json(&json!({ "check": check.name, "about": check.about, "mend": check.mend }))?;
        } else {
            say(&format!("{:<22} {}\n{:<22}   {}", check.name, check.about, "", check.mend))?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// Prints what was found, then what was not checked. Gives whether anything was found.
fn print(report: &Report) -> Result<bool, Failure> {
    let (mut found, mut good, mut not_checked) = (0, 0, 0);
    let outcomes = report.outcomes();
    for (check, outcome) in &outcomes {
        if let Outcome::Found(what) = outcome {
            found += 1;
            say(&format!("FOUND {}: {what}", check.name))?;
            say(&format!("      {}", check.about))?;
            say(&format!("      mend: {}", check.mend))?;
        }
    }
    for (check, outcome) in &outcomes {
        match outcome {
            Outcome::NotChecked(why) => {
                not_checked += 1;
                say(&format!("not checked: {}, because: {why}", check.name))?;
            }
            Outcome::Good => good += 1,
            Outcome::Found(_) | Outcome::Skipped => {}
        }
    }
    say(&format!("{found} found, {good} good, {not_checked} not checked"))?;
    Ok(found > 0)
}

fn print_json(report: &Report) -> Result<bool, Failure> {
    let mut found = false;
    let mut told = Vec::new();
    for (check, outcome) in report.outcomes() {
        let (state, why) = match outcome {
            Outcome::Good => ("good", Value::Null),
            Outcome::Found(what) => {
                found = true;
                ("found", what.into())
            }
            Outcome::NotChecked(why) => ("not-checked", why.into()),
            Outcome::Skipped => ("skipped", Value::Null),
        };
        let mend = if state == "found" { check.mend.into() } else { Value::Null };
        told.push(json!({ "check": check.name, "state": state, "why": why, "mend": mend }));
    }
    say_json(&json!({ "checks": told }))?;
    Ok(found)
}
