//! `avain mail …`.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Subcommand;
use serde_json::json;

use crate::app::Plan;
use crate::base::clock::Timestamp;
use crate::cli::{Failure, Tools, complain, say, say_json};
use crate::flow::outbox as queue;
use crate::locale::Language;
use crate::mail::message::NOTHING;
use crate::settings::Settings;
use crate::store::Store;
use crate::store::outbox::{self, Entry, MailState};

#[derive(Debug, Subcommand)]
pub(super) enum MailCommand {
    /// List mails in the outbox: what they are about and how they stand, not who gets them. A `decoy` goes to
    /// nobody: it is made where somebody asks for a mail to an address that no account has, so that the time
    /// it takes tells nothing.
    List {
        /// Only those that are `queued`, `sending`, `sent` or `failed`.
        #[arg(long)]
        state: Option<String>,
        /// Print JSON, one object a line.
        #[arg(long)]
        json: bool,
    },
    /// Have a mail tried at once that waits or was given up.
    Retry {
        /// Its id.
        #[arg(required_unless_present = "all")]
        id: Option<String>,
        /// All of them.
        #[arg(long, conflicts_with = "id")]
        all: bool,
    },
    /// Delete a mail that waits or was given up.
    Drop {
        /// Its id.
        id: String,
    },
    /// Write every mail, filled in with a sample, into a folder for a look.
    Render {
        /// The folder.
        #[arg(long)]
        out: PathBuf,
        /// Only in this language: `en`, `fi` or `sv`.
        #[arg(long)]
        language: Option<String>,
    },
}

/// Mails read at once.
const PAGE: i64 = 500;

pub(super) async fn mail(settings: Settings, command: MailCommand) -> Result<ExitCode, Failure> {
    if let MailCommand::Render { out, language } = command {
        return render(settings, &out, language.as_deref());
    }
    let tools = Tools::open(settings).await?;
    let (store, now) = (&tools.store, tools.clock.now());
    match command {
        MailCommand::List { state, json } => {
            let state = state.as_deref().map(parse_state).transpose()?;
            list(store, state, json).await?;
        }
        MailCommand::Retry { id: Some(id), .. } => {
            if !queue::retry(store, &tools.caller, &id, now).await.map_err(Failure::fault)? {
                return Err(Failure::fault(format!(
                    "there is no mail {id} that waits or was given up and can be sent"
                )));
            }
            say("It is tried at once, where avain serves.")?;
        }
        MailCommand::Retry { id: None, .. } => {
            let count =
                queue::retry_all(store, &tools.caller, now).await.map_err(Failure::fault)?;
            say(&format!("{count} mails are tried at once, where avain serves."))?;
        }
        MailCommand::Drop { id } => {
            if !queue::drop(store, &tools.caller, &id, now).await.map_err(Failure::fault)? {
                return Err(Failure::fault(format!(
                    "there is no mail {id} that waits or was given up"
                )));
            }
            say("It is deleted.")?;
        }
        MailCommand::Render { .. } => {}
    }
    tools.store.close().await;
    Ok(ExitCode::SUCCESS)
}

fn parse_state(name: &str) -> Result<MailState, Failure> {
    MailState::parse(name).ok_or_else(|| {
        let known = MailState::ALL.map(MailState::as_str).join(", ");
        Failure::usage(format!("--state {name}: none of {known}"))
    })
}

async fn list(store: &Store, state: Option<MailState>, as_json: bool) -> Result<(), Failure> {
    let mut last: Option<Entry> = None;
    loop {
        let page = outbox::list(store, state, last.as_ref(), PAGE).await;
        let page = page.map_err(Failure::fault)?;
        for entry in &page {
            print(entry, as_json)?;
        }
        match page.into_iter().next_back() {
            Some(entry) => last = Some(entry),
            None => return Ok(()),
        }
    }
}

fn print(entry: &Entry, as_json: bool) -> Result<(), Failure> {
    if as_json {
        return say_json(&json!({
            "id": entry.id,
            "message": about(entry),
            "language": entry.language,
            "state": entry.state.as_str(),
            "created_at": entry.created_at.rfc3339(),
            "next_try_at": entry.next_try_at.rfc3339(),
            "sent_at": entry.sent_at.map(Timestamp::rfc3339),
            "attempts": entry.attempts,
            "last_error": entry.last_error,
        }));
    }
    let stands = match (entry.state, entry.sent_at) {
        (MailState::Sent, Some(at)) => format!("at {}", at.rfc3339()),
        (MailState::Queued, _) if entry.attempts > 0 => {
            format!("tried {} times, next at {}", entry.attempts, entry.next_try_at.rfc3339())
        }
        _ => format!("tried {} times", entry.attempts),
    };
    let said = entry.last_error.as_deref().map(|error| format!(": {error}")).unwrap_or_default();
    say(&format!(
        "{}  {}  {:<18} {}  {:<7} {stands}{said}",
        entry.id,
        entry.created_at.rfc3339(),
        about(entry),
        entry.language,
        entry.state.as_str(),
    ))
}

/// What a row is about, in the word that `--help` explains.
fn about(entry: &Entry) -> &str {
    if entry.message == NOTHING { "decoy" } else { &entry.message }
}

/// Writes `<language>/<message>.html`, `.txt` and an index of them. Faults of templates are told, and the
/// mails are written as they would be sent.
fn render(settings: Settings, out: &Path, language: Option<&str>) -> Result<ExitCode, Failure> {
    let plan = Plan::new(settings).map_err(Failure::Usage)?;
    let languages = match language {
        None => Language::ALL.to_vec(),
        Some(tag) => vec![Language::parse(tag).ok_or_else(|| {
            let known = Language::ALL.map(Language::as_str).join(", ");
            Failure::usage(format!("--language {tag}: none of {known}"))
        })?],
    };
    let (composer, faults) = plan.composer()?;
    for fault in &faults {
        complain(&format!("mail.templates: {fault}"));
    }
    let mut count = 0;
    for (language, message, mail) in composer.samples(&languages).map_err(Failure::fault)? {
        let folder = out.join(language.as_str());
        std::fs::create_dir_all(&folder)?;
        let text = format!("Subject: {}\n\n{}", mail.subject, mail.text);
        std::fs::write(folder.join(format!("{message}.txt")), text)?;
        std::fs::write(folder.join(format!("{message}.html")), mail.html)?;
        count += 1;
    }
    say(&format!("{count} mails are in {}, each as .html and .txt.", out.display()))?;
    Ok(if faults.is_empty() { ExitCode::SUCCESS } else { ExitCode::from(super::USAGE) })
}
