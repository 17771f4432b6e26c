//! Where letters go: to a mail server, or for development to the log or into a folder.

use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use crate::mail::letter::Letter;
use crate::mail::smtp::Smtp;

/// Where letters go.
#[derive(Debug)]
pub enum Transport {
    /// To a mail server.
    Smtp(Box<Smtp>),
    /// Into the log, links and all: for development.
    Log,
    /// Into a folder, as `.eml` files: for development.
    Folder(PathBuf),
}

/// What came of sending a letter. The words are for operators and hold no address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It was taken.
    Sent,
    /// It was refused for good.
    Refused(String),
    /// It was not taken this time; other letters may be.
    Failed(String),
    /// No letter can be sent at present.
    Unavailable(String),
}

impl Transport {
    /// Sends a letter.
    pub async fn send(&self, id: &str, letter: &Letter) -> Outcome {
        match self {
            Self::Smtp(smtp) => smtp.send(letter).await,
            Self::Log => {
                let content = String::from_utf8_lossy(letter.content());
                tracing::info!(mail = id, "this would be sent:\n{content}");
                Outcome::Sent
            }
            Self::Folder(folder) => match write(folder, id, letter.content()) {
                Ok(()) => Outcome::Sent,
                Err(error) => {
                    Outcome::Unavailable(format!("cannot write to {}: {error}", folder.display()))
                }
            },
        }
    }

    /// Nothing is left to send for now: ends idle connections.
    pub async fn rest(&self) {
        if let Self::Smtp(smtp) = self {
            smtp.rest().await;
        }
    }
}

/// Writes a whole file or none.
fn write(folder: &Path, id: &str, content: &[u8]) -> std::io::Result<()> {
    use std::io::Write as _;

    std::fs::create_dir_all(folder)?;
    let partial = folder.join(format!(".{id}"));
    let mut options = std::fs::OpenOptions::new();
    let mut file = options.write(true).create(true).truncate(true).mode(0o600).open(&partial)?;
    file.write_all(content)?;
    std::fs::rename(&partial, folder.join(format!("{id}.eml")))
}
