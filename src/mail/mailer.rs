//! Puts mails into the outbox.

use std::fmt;
use std::sync::Arc;

use crate::base::clock::Timestamp;
use crate::base::encode::hex;
use crate::base::random::{Random, bytes};
use crate::base::seal::MasterKey;
use crate::locale::Language;
use crate::mail::composer::{ComposeError, Composer};
use crate::mail::letter::{Letter, Sender};
use crate::mail::message::{Draft, NOTHING};
use crate::store::outbox::{self, NewMail};
use crate::store::{StoreError, Tx};

/// Writes mails into the outbox.
pub struct Mailer {
    composer: Composer,
    from: Sender,
    language: Language,
    master: MasterKey,
    random: Arc<dyn Random>,
}

/// Why no mail was put into the outbox. Both are faults of ours.
#[derive(Debug)]
pub enum MailError {
    /// It could not be written.
    Compose(ComposeError),
    /// The store did not take it.
    Store(StoreError),
}

impl fmt::Display for MailError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Compose(error) => error.fmt(f),
            Self::Store(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for MailError {}

impl From<ComposeError> for MailError {
    fn from(error: ComposeError) -> Self {
        Self::Compose(error)
    }
}

impl From<StoreError> for MailError {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

impl fmt::Debug for Mailer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Mailer").field("composer", &self.composer).finish_non_exhaustive()
    }
}

impl Mailer {
    /// Mails go out from `from`, and lie in the outbox under `master`. `language` is for those who wish
    /// no other.
    #[must_use]
    pub fn new(
        composer: Composer,
        from: Sender,
        language: Language,
        master: MasterKey,
        random: Arc<dyn Random>,
    ) -> Self {
        Self { composer, from, language, master, random }
    }

    /// The language to write in to a client that sends this `Accept-Language`, or none.
    #[must_use]
    pub fn language(&self, accept_language: Option<&str>) -> Language {
        Language::negotiate(accept_language.unwrap_or_default(), self.language)
    }

    /// Part of a transaction: writes a mail into the outbox. Once the transaction is committed it is sent,
    /// here or by another instance; who causes it never waits for that.
    ///
    /// An address that cannot stand in a mail is no fault and gives no error, since who asks must not be
    /// able to tell: the row is marked as failed, for operators.
    pub async fn enqueue(
        &self,
        tx: &mut Tx,
        draft: &Draft<'_>,
        now: Timestamp,
    ) -> Result<(), MailError> {
        self.write(tx, draft, now, draft.message.as_str(), Letter::seal).await
    }

    /// Part of a transaction: costs what [`enqueue`](Self::enqueue) costs, then and later, but nobody gets a
    /// mail. For where nobody may be able to tell by the time it takes whether somebody does.
    pub async fn enqueue_nothing(
        &self,
        tx: &mut Tx,
        draft: &Draft<'_>,
        now: Timestamp,
    ) -> Result<(), MailError> {
        self.write(tx, draft, now, NOTHING, Letter::seal_for_nobody).await
    }

    async fn write(
        &self,
        tx: &mut Tx,
        draft: &Draft<'_>,
        now: Timestamp,
        about: &str,
        seal: fn(&Letter, &str, &MasterKey, &dyn Random) -> Vec<u8>,
    ) -> Result<(), MailError> {
        let rendered = self.composer.compose(draft)?;
        let id = hex(&bytes::<16>(self.random.as_ref()));
        let letter = Letter::write(&id, &self.from, draft.to, &rendered, now);
        let content = match &letter {
            Ok(letter) => Ok(seal(letter, &id, &self.master, self.random.as_ref())),
            Err(unwritable) => Err(unwritable.to_string()),
        };
        let mail = NewMail {
            id: &id,
            message: about,
            language: draft.language.as_str(),
            content: content.as_deref().map_err(String::as_str),
        };
        Ok(outbox::add(tx, &mail, now).await?)
    }
}
