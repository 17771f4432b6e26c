//! SMTP (RFC 5321), with STARTTLS (RFC 3207) or TLS from the first byte (RFC 8314).
//!
//! lettre speaks it; which step fails is what is decided on here. Until the server has taken the sender, a
//! failure says that it takes no mail at present. From the recipient on it concerns this mail: a 5xx is
//! for good, anything else for now. After the final dot only the server's 250 says that it was taken; where
//! that is lost, the mail is sent again.

use std::error::Error as _;
use std::fmt;
use std::path::Path;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use lettre::transport::smtp::Error;
use lettre::transport::smtp::authentication::{Credentials, Mechanism};
use lettre::transport::smtp::client::{AsyncSmtpConnection, Certificate, TlsParameters};
use lettre::transport::smtp::commands::{Data, Mail, Rcpt, Rset};
use lettre::transport::smtp::extension::ClientId;
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::base::secret::Secret;
use crate::mail::letter::Letter;
use crate::mail::transport::Outcome;

/// How the connection is protected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Security {
    /// By STARTTLS, or not at all.
    StartTls,
    /// By STARTTLS where the server offers it: protects against listeners alone.
    Opportunistic,
    /// By TLS from the first byte.
    Tls,
    /// Not at all.
    None,
}

/// What is needed to reach a mail server.
#[derive(Debug)]
pub struct SmtpRules {
    /// Its name, which its certificate must have.
    pub host: String,
    /// Its port.
    pub port: u16,
    /// How the connection is protected.
    pub security: Security,
    /// The name to sign in with and the password.
    pub credentials: Option<(String, Secret<String>)>,
    /// For how long an answer is awaited.
    pub timeout: Duration,
    /// For how long the answer to a whole message is awaited: who gives up sends it twice
    /// (RFC 5321 4.5.3.2.6 asks for ten minutes).
    pub final_timeout: Duration,
}

/// A mail server, and connections to it that are open.
pub struct Smtp {
    rules: SmtpRules,
    tls: Option<TlsParameters>,
    credentials: Option<Credentials>,
    hello: ClientId,
    idle: Mutex<Vec<AsyncSmtpConnection>>,
}

impl fmt::Debug for Smtp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Smtp").field("rules", &self.rules).finish_non_exhaustive()
    }
}

impl Smtp {
    /// A mail server. Certificates are trusted as the system does, and those of the PEM file `authorities`
    /// too. Connects when there is something to send. Fails with a sentence.
    pub fn new(rules: SmtpRules, authorities: Option<&Path>) -> Result<Self, String> {
        let tls = match rules.security {
            Security::None => None,
            _ => Some(tls(&rules.host, authorities)?),
        };
        let credentials = rules.credentials.as_ref();
        let credentials = credentials
            .map(|(user, password)| Credentials::new(user.clone(), password.expose().clone()));
        let idle = Mutex::default();
        Ok(Self { rules, tls, credentials, hello: ClientId::default(), idle })
    }

    /// Sends a letter, over a connection that is open already or a new one.
    pub(super) async fn send(&self, letter: &Letter) -> Outcome {
        let mut connection = match self.begin(letter).await {
            Ok(connection) => connection,
            Err(trouble) => return Outcome::Unavailable(trouble.words(letter)),
        };
        let rcpt = Rcpt::new(letter.recipient.clone(), Vec::new());
        let done = match self.answer(connection.command(rcpt)).await {
            Ok(_) => match self.answer(connection.command(Data)).await {
                Ok(_) => {
                    let message = connection.message(letter.content());
                    answer_within(self.rules.final_timeout, message).await
                }
                refused => refused,
            },
            refused => refused,
        };
        match done {
            Ok(_) => {
                self.park(connection);
                Outcome::Sent
            }
            Err(trouble) => {
                let words = trouble.words(letter);
                if trouble.in_order {
                    self.keep(connection).await;
                }
                if trouble.for_good { Outcome::Refused(words) } else { Outcome::Failed(words) }
            }
        }
    }

    /// Ends connections that nothing uses.
    pub(super) async fn rest(&self) {
        let idle = std::mem::take(&mut *lock(&self.idle));
        for mut connection in idle {
            // It is a courtesy; the server ends the connection itself where it is not met.
            drop(timeout(Duration::from_secs(1), connection.quit()).await);
        }
    }

    /// A connection on which the server has taken the letter's sender.
    async fn begin(&self, letter: &Letter) -> Result<AsyncSmtpConnection, Trouble> {
        let mail = Mail::new(Some(letter.sender.clone()), Vec::new());
        // Servers end connections that idled, or that were used often enough: that is no failure.
        while let Some(mut connection) = self.unpark() {
            if self.answer(connection.command(mail.clone())).await.is_ok() {
                return Ok(connection);
            }
        }
        let mut connection = timeout(self.rules.timeout * 3, self.connect())
            .await
            .unwrap_or_else(|_| Err(Trouble::silence()))?;
        self.answer(connection.command(mail)).await?;
        Ok(connection)
    }

    async fn connect(&self) -> Result<AsyncSmtpConnection, Trouble> {
        let rules = &self.rules;
        let server = (rules.host.as_str(), rules.port);
        let tls = self.tls.clone();
        let mut connection = if rules.security == Security::Tls {
            // lettre opens the socket here and leaves Nagle's algorithm on: a message may wait 40 ms.
            let limit = Some(rules.timeout);
            let hello = &self.hello;
            let connecting =
                AsyncSmtpConnection::connect_tokio1(server, limit, hello, tls.clone(), None);
            self.answer(connecting).await?
        } else {
            let stream = match timeout(rules.timeout, TcpStream::connect(server)).await {
                Ok(Ok(stream)) => stream,
                Ok(Err(error)) => return Err(Trouble::unreachable(&error)),
                Err(_) => return Err(Trouble::silence()),
            };
            // A message is written in two pieces; the second must not wait for word of the first, which
            // servers put off by 40 ms.
            stream.set_nodelay(true).map_err(|error| Trouble::unreachable(&error))?;
            let stream = Box::new(stream);
            self.answer(AsyncSmtpConnection::connect_with_transport(stream, &self.hello)).await?
        };
        let upgrade = match rules.security {
            Security::StartTls => true,
            Security::Opportunistic => connection.can_starttls(),
            Security::Tls | Security::None => false,
        };
        if upgrade && let Some(tls) = tls {
            self.answer(connection.starttls(tls, &self.hello)).await?;
        }
        if let Some(credentials) = &self.credentials {
            let mechanisms = [Mechanism::Plain, Mechanism::Login];
            self.answer(connection.auth(&mechanisms, credentials)).await?;
        }
        Ok(connection)
    }

    async fn answer<T>(
        &self,
        answering: impl Future<Output = Result<T, Error>>,
    ) -> Result<T, Trouble> {
        answer_within(self.rules.timeout, answering).await
    }

    /// Keeps a connection for the next letter, this one being over.
    async fn keep(&self, mut connection: AsyncSmtpConnection) {
        if self.answer(connection.command(Rset)).await.is_ok() {
            self.park(connection);
        }
    }

    fn park(&self, connection: AsyncSmtpConnection) {
        lock(&self.idle).push(connection);
    }

    fn unpark(&self) -> Option<AsyncSmtpConnection> {
        lock(&self.idle).pop()
    }
}

/// An answer that is no, or none.
struct Trouble {
    /// What was said.
    said: String,
    /// A 5xx.
    for_good: bool,
    /// The connection can be used on.
    in_order: bool,
}

impl Trouble {
    fn silence() -> Self {
        let said = "the mail server did not answer in time".to_owned();
        Self { said, for_good: false, in_order: false }
    }

    fn unreachable(error: &std::io::Error) -> Self {
        let said = format!("the mail server cannot be reached: {error}");
        Self { said, for_good: false, in_order: false }
    }

    fn words(&self, letter: &Letter) -> String {
        without_addresses(&self.said, letter.recipient.user())
    }
}

impl From<Error> for Trouble {
    fn from(error: Error) -> Self {
        let cause = error.source().map(ToString::to_string);
        let Some(code) = error.status() else {
            let said = cause.map_or_else(|| error.to_string(), |cause| format!("{error}: {cause}"));
            return Self { said: said_once(&said), for_good: false, in_order: false };
        };
        let said = format!("{code} {}", cause.unwrap_or_default());
        // 421: the server ends the connection (RFC 5321 3.8).
        let in_order = code.to_string() != "421";
        Self { said, for_good: error.is_permanent(), in_order }
    }
}

/// lettre's errors say their cause themselves at times.
fn said_once(said: &str) -> String {
    match said.rsplit_once(": ") {
        Some((before, cause)) if before.ends_with(cause) => before.to_owned(),
        _ => said.to_owned(),
    }
}

async fn answer_within<T>(
    limit: Duration,
    answering: impl Future<Output = Result<T, Error>>,
) -> Result<T, Trouble> {
    match timeout(limit, answering).await {
        Ok(done) => done.map_err(Trouble::from),
        Err(_) => Err(Trouble::silence()),
    }
}

fn tls(host: &str, authorities: Option<&Path>) -> Result<TlsParameters, String> {
    let mut builder = TlsParameters::builder(host.to_owned());
    if let Some(path) = authorities {
        let failed = |why: String| format!("cannot read {}: {why}", path.display());
        let pem = std::fs::read(path).map_err(|error| failed(error.to_string()))?;
        let certificate =
            Certificate::from_pem(&pem).map_err(|error| failed(said_once(&error.to_string())))?;
        builder = builder.add_root_certificate(certificate);
    }
    builder.build_rustls().map_err(|error| error.to_string())
}

/// The most that is kept of what a server says.
const LONGEST: usize = 300;

/// What a server said, in one line and without addresses: neither any word with an @ in it, nor the
/// recipient's part before the @.
fn without_addresses(said: &str, local: &str) -> String {
    let delimiter = |c: char| c.is_whitespace() || "<>()[]\"',;:".contains(c);
    let mut out = String::new();
    for word in said.split_inclusive(delimiter) {
        let (word, end) = match word.char_indices().next_back() {
            Some((at, last)) if delimiter(last) => word.split_at(at),
            _ => (word, ""),
        };
        let is_local = word.trim_end_matches('.').eq_ignore_ascii_case(local);
        out.push_str(if word.contains('@') || is_local { "…" } else { word });
        out.push_str(end);
    }
    let line: Vec<_> = out.split(|c: char| c.is_whitespace() || c.is_control()).collect();
    let line = line.into_iter().filter(|word| !word.is_empty()).collect::<Vec<_>>().join(" ");
    line.chars().take(LONGEST).collect()
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn servers_words_lose_addresses_and_line_breaks() {
        for (said, kept) in [
            (
                "550 5.1.1 <maija@example.com>: Recipient address rejected",
                "550 5.1.1 <…>: Recipient address rejected",
            ),
            ("550 No such user MAIJA.", "550 No such user …"),
            ("550 'maija' unknown\r\nask help@example.com", "550 '…' unknown ask …"),
            ("450 4.2.0 maijan is not maija", "450 4.2.0 maijan is not …"),
            ("421 \u{7}too\tbusy", "421 too busy"),
        ] {
            assert_eq!(without_addresses(said, "maija"), kept);
        }
        assert_eq!(without_addresses(&"å ".repeat(1000), "x").chars().count(), LONGEST);
    }
}
