//! The doctor: attacks a live gateway in the ways that gateways are known to fail, and says which line of
//! nginx's configuration mends what it finds.
//!
//! It is the one part of avain that sends requests, and only the command line calls it. What it sends is
//! harmless: reading, or writing that a gateway must refuse, to a path that no backend has, with a body of
//! a type that none takes. It judges what can be seen from outside; where that is not enough it needs help
//! (a credential, an endpoint that shows what the backend gets, avain's metrics), and without help it says
//! that it did not check, never that all is well.

mod arrivals;
pub mod checks;
pub mod client;
mod limits;
mod outage;
mod outside;
mod questions;
pub mod report;
mod trust;
mod verdicts;

use std::path::PathBuf;
use std::time::Duration;

use tokio::time::timeout;

use crate::base::encode::hex;
use crate::base::random::{Random, bytes};
use crate::base::secret::Secret;
use crate::doctor::checks::{ALL, Check};
use crate::doctor::client::{Answer, Ask, Client, Target};
use crate::doctor::report::Report;

/// What is examined, and with what help.
#[derive(Debug)]
pub struct Options {
    /// The gateway, and a protected path that can be read.
    pub target: Target,
    /// The protected roots, with a slash at both ends.
    pub roots: Vec<String>,
    /// Where nginx asks avain.
    pub gate_path: String,
    /// Unknown credentials that one address may present before it is throttled.
    pub misses: u32,
    /// Whether the policy lets anybody write.
    pub anybody_writes: bool,
    /// `Authorization` with a scheme that counts and nothing good behind it.
    pub bad: String,
    /// A good credential, as it stands in `Authorization`.
    pub credential: Option<Secret<String>>,
    /// Paths of the gateway whose answers show the headers that reached the backend.
    pub echoes: Vec<String>,
    /// Prefixes that the gateway passes on without asking.
    pub open: Vec<String>,
    /// The sign-in endpoint.
    pub sign_in: String,
    /// An origin of a front end that CORS allows.
    pub origin: Option<String>,
    /// avain's operations listeners, all of them.
    pub operations: Vec<Target>,
    /// The backend's own address.
    pub backend: Option<Target>,
    /// Where the gateway listens without TLS.
    pub plain: Option<Target>,
    /// avain is stopped on purpose: only that is judged.
    pub outage: bool,
    /// Authorities that may have signed certificates; `None`: the system's.
    pub authorities: Option<PathBuf>,
    /// Checks to leave out.
    pub skipped: Vec<&'static Check>,
    /// Time for everything.
    pub deadline: Duration,
}

/// Examines a gateway. The error is a sentence: it cannot be reached, or does not answer as one would.
pub async fn examine(options: &Options, random: &dyn Random) -> Result<Report, String> {
    let client = Client::new(options.target.clone(), options.authorities.as_deref())?;
    let report = Report::without(&options.skipped);
    let nonce = hex(&bytes::<8>(random));
    let anonymous = client.send(Ask::get(&options.target.path)).await?;
    if options.outage {
        let reader = Reader::Nobody;
        let scene = Scene { options, client, nonce, reader, anonymous, nowhere: None };
        outage::attack(&scene, &report).await;
        for check in ALL.iter().filter(|check| check.name != checks::OUTAGE.name) {
            report.not_checked(check, "with --outage only the outage is judged");
        }
        return Ok(report);
    }
    report.not_checked(checks::OUTAGE, "avain answers: stop it for a moment and say --outage");
    if anonymous.status.is_server_error() {
        let dressed = Ask::get(&options.target.path)
            .header("x-original-method", "GET")
            .header("x-original-uri", &options.target.path);
        if client.send(dressed).await?.status.is_success() {
            for check in [checks::METHOD, checks::PATH] {
                let found =
                    "the gate hears it from nobody but the client: every other request is an error";
                report.judge(check, Some(found.to_owned()));
            }
            for check in ALL.iter().filter(|check| !report.knows(check)) {
                report.not_checked(check, "every request is answered with an error");
            }
            return Ok(report);
        }
        return Err(format!(
            "GET {} is answered {}: avain or the backend seems to be away (--outage judges just that)",
            options.target.path, anonymous.status
        ));
    }
    let credential = options.credential.as_ref().map(|credential| credential.expose().as_str());
    let reader = if anonymous.status.is_success() {
        Reader::Anybody
    } else if let Some(credential) = credential {
        let answer =
            client.send(Ask::get(&options.target.path).credential(Some(credential))).await?;
        if !answer.status.is_success() {
            return Err(format!(
                "GET {} with the credential is answered {}: name a protected path that it may read",
                options.target.path, answer.status
            ));
        }
        Reader::Credential
    } else {
        Reader::Nobody
    };
    let mut scene = Scene { options, client, nonce, reader, anonymous, nowhere: None };
    scene.nowhere = scene.find_nowhere().await?;
    if timeout(options.deadline, scene.attack(&report)).await.is_err() {
        let why = format!("{} s were not enough (--deadline)", options.deadline.as_secs());
        for check in ALL.iter().filter(|check| !report.knows(check)) {
            report.not_checked(check, &why);
        }
    }
    Ok(report)
}

/// Who can read the target.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Reader {
    /// Whoever asks.
    Anybody,
    /// The credential that was given.
    Credential,
    /// Nobody that we know.
    Nobody,
}

/// What all attacks share.
struct Scene<'o> {
    options: &'o Options,
    client: Client,
    /// In all that is made up, so that nothing else can be taken for it.
    nonce: String,
    reader: Reader,
    /// What the target answers to anybody.
    anonymous: Answer,
    /// A protected path that no backend has, and that the gate lets a reader through to.
    nowhere: Option<String>,
}

impl Scene<'_> {
    /// All attacks, one after the other; those that make a gateway throttle us come last.
    async fn attack(&self, report: &Report) {
        outside::attack(self, report).await;
        verdicts::attack(self, report).await;
        arrivals::attack(self, report).await;
        questions::attack(self, report).await;
        limits::attack(self, report).await;
    }

    /// The protected path that was named, without its query.
    fn path(&self) -> &str {
        let path = &self.options.target.path;
        path.split_once('?').map_or(path.as_str(), |(path, _)| path)
    }

    /// The root that the path lies under, and the rest of the path.
    fn root_and_rest(&self) -> Option<(&str, &str)> {
        let path = self.path();
        let mut roots = self.options.roots.iter();
        roots.find_map(|root| Some((root.as_str(), path.strip_prefix(root.as_str())?)))
    }

    /// A protected path that no backend has: what is written there changes nothing.
    fn nowhere(&self) -> String {
        self.nowhere.clone().unwrap_or_else(|| self.under(self.path()))
    }

    fn under(&self, path: &str) -> String {
        let slash = if path.ends_with('/') { "" } else { "/" };
        format!("{path}{slash}avain-doctor-{}/", self.nonce)
    }

    /// Looks for a path on which the backend's own refusal cannot be taken for the gate's: one that the
    /// policy lets a reader through to, and that the backend does not have.
    async fn find_nowhere(&self) -> Result<Option<String>, String> {
        let Ok(reading) = self.reading() else { return Ok(None) };
        let roots = self.root_and_rest().map(|(root, _)| root);
        for path in roots.into_iter().chain([self.path()]).map(|path| self.under(path)) {
            let answer = self.client.send(Ask::get(&path).credential(reading)).await?;
            if answer.status == 404 {
                return Ok(Some(path));
            }
        }
        Ok(None)
    }

    /// A credential that the gate refuses without looking anything up: a second run is not throttled by
    /// what the first one presented.
    fn bad(&self) -> &str {
        &self.options.bad
    }

    /// What a reader presents: nothing where anybody may read. The error says what is missing.
    fn reading(&self) -> Result<Option<&str>, String> {
        match self.reader {
            Reader::Anybody => Ok(None),
            Reader::Credential => Ok(self.credential()),
            Reader::Nobody if matches!(self.anonymous.status.as_u16(), 401 | 403) => {
                Err("anonymous requests are refused: give a good credential with --credential"
                    .to_owned())
            }
            Reader::Nobody => Err(format!(
                "{} is answered {}: name a protected path that can be read",
                self.path(),
                self.anonymous.status
            )),
        }
    }

    fn credential(&self) -> Option<&str> {
        self.options.credential.as_ref().map(|credential| credential.expose().as_str())
    }
}
