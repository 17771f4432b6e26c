//! Logs: a sentence and its fields. Never a token, a password, a mail address or a body.

use std::io::IsTerminal as _;

use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::format::FmtSpan;

/// How log lines look.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// For people.
    Human,
    /// One JSON object a line.
    Json,
}

impl Format {
    /// `human`, `json`, or `auto`: human on a terminal.
    #[must_use]
    pub fn parse(name: &str) -> Option<Self> {
        match name {
            "human" => Some(Self::Human),
            "json" => Some(Self::Json),
            "auto" => Some(if std::io::stderr().is_terminal() { Self::Human } else { Self::Json }),
            _ => None,
        }
    }
}

/// Whether `filter` can be understood; else what is wrong with it.
pub fn check_filter(filter: &str) -> Result<(), String> {
    let levels = ["off", "error", "warn", "info", "debug", "trace"];
    for part in filter.split(',').map(str::trim) {
        // To the library a bare word that is no level is the name of a module, and all else falls silent.
        if !part.contains('=') && !levels.contains(&part.to_ascii_lowercase().as_str()) {
            return Err(format!("`{part}` is none of {}, nor MODULE=LEVEL", levels.join(", ")));
        }
    }
    EnvFilter::try_new(filter).map(drop).map_err(|error| error.to_string())
}

/// Starts to log to standard error. Only the first call counts.
pub fn start(format: Format, filter: &str) {
    let filter = EnvFilter::try_new(filter).unwrap_or_else(|_| EnvFilter::new("info"));
    let logs = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_span_events(FmtSpan::NONE)
        .with_writer(std::io::stderr);
    let started = match format {
        Format::Human => {
            logs.with_target(false).with_ansi(std::io::stderr().is_terminal()).try_init()
        }
        Format::Json => logs.json().flatten_event(true).with_current_span(false).try_init(),
    };
    if let Err(error) = started {
        tracing::debug!(%error, "logging was started before");
    }
}
