//! A mail server for tests: takes mails and remembers them, or misbehaves as it is told.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::io::{AsyncBufReadExt as _, AsyncRead, AsyncWrite, AsyncWriteExt as _, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;
use tokio::time::sleep;
use tokio_rustls::TlsAcceptor;

/// How the server behaves from now on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mood {
    Well,
    /// Greets with 421.
    Busy,
    /// Greets all but one connection with 421.
    OneAtATime,
    /// Refuses the sender with a code.
    NoSender(u16),
    /// Answers recipients with a code.
    NoRecipient(u16),
    /// Answers whole messages with a code.
    NoMessage(u16),
    /// Ends the connection amid the message.
    CutMessage,
    /// Takes the message, and ends the connection in place of the 250.
    CutAnswer,
    /// Takes the connection and says nothing.
    Silent,
    /// Waits so long before each answer.
    Slow(Duration),
    /// Waits so long before it says that it took a message.
    SlowEnd(Duration),
    /// Ends the connection after so many mails.
    Few(usize),
}

/// A mail that was taken.
#[derive(Clone, Debug)]
pub(crate) struct Taken {
    pub(crate) to: String,
    pub(crate) content: String,
    pub(crate) encrypted: bool,
}

#[derive(Default)]
struct State {
    mood: Option<Mood>,
    /// By recipient, in place of the mood.
    moods: HashMap<String, Mood>,
    taken: Vec<Taken>,
    /// Mails that were taken and whose 250 was cut.
    cut: Vec<String>,
    connections: usize,
    open: usize,
    most_open: usize,
    /// What clients signed in with.
    signed_in: Vec<String>,
}

/// A mail server.
pub(crate) struct Sink {
    pub(crate) address: SocketAddr,
    state: Arc<Mutex<State>>,
    tls: Option<TlsAcceptor>,
    /// Whether it speaks TLS from the first byte.
    implicit: bool,
    serving: Option<JoinHandle<()>>,
}

impl Sink {
    pub(crate) async fn start() -> Self {
        Self::start_with(None).await
    }

    /// With `tls` it offers STARTTLS, and asks to sign in.
    pub(crate) async fn start_with(tls: Option<TlsAcceptor>) -> Self {
        Self::start_as(tls, false).await
    }

    /// Speaks TLS from the first byte, and asks to sign in.
    pub(crate) async fn start_encrypted(tls: TlsAcceptor) -> Self {
        Self::start_as(Some(tls), true).await
    }

    async fn start_as(tls: Option<TlsAcceptor>, implicit: bool) -> Self {
        let any = SocketAddr::from(([127, 0, 0, 1], 0));
        let mut sink = Self { address: any, state: Arc::default(), tls, implicit, serving: None };
        sink.open().await;
        sink
    }

    /// Takes connections, on the port that it had.
    pub(crate) async fn open(&mut self) {
        let listener = TcpListener::bind(self.address).await.expect("the port is free");
        self.address = listener.local_addr().expect("it has one");
        let (state, tls, implicit) = (Arc::clone(&self.state), self.tls.clone(), self.implicit);
        self.serving = Some(tokio::spawn(async move {
            let mut open = tokio::task::JoinSet::new();
            loop {
                let Ok((stream, _)) = listener.accept().await else { return };
                let talk = Talk { state: Arc::clone(&state), tls: tls.clone(), encrypted: false };
                if implicit {
                    open.spawn(talk.whole_encrypted(stream));
                } else {
                    open.spawn(talk.whole(stream));
                }
            }
        }));
    }

    /// Refuses connections and ends those that are open.
    pub(crate) async fn close(&mut self) {
        if let Some(serving) = self.serving.take() {
            serving.abort();
            drop(serving.await);
        }
    }

    pub(crate) fn set(&self, mood: Mood) {
        self.state().mood = Some(mood);
    }

    pub(crate) fn set_for(&self, recipient: &str, mood: Mood) {
        self.state().moods.insert(recipient.to_owned(), mood);
    }

    pub(crate) fn taken(&self) -> Vec<Taken> {
        self.state().taken.clone()
    }

    /// How often each recipient was written to.
    pub(crate) fn counts(&self) -> HashMap<String, usize> {
        let mut counts = HashMap::new();
        for taken in &self.state().taken {
            *counts.entry(taken.to.clone()).or_default() += 1;
        }
        counts
    }

    /// How often a 250 was cut, by recipient.
    pub(crate) fn cuts(&self) -> HashMap<String, usize> {
        let mut counts = HashMap::new();
        for to in &self.state().cut {
            *counts.entry(to.clone()).or_default() += 1;
        }
        counts
    }

    pub(crate) fn connections(&self) -> usize {
        self.state().connections
    }

    pub(crate) fn open_now(&self) -> usize {
        self.state().open
    }

    pub(crate) fn most_open(&self) -> usize {
        self.state().most_open
    }

    pub(crate) fn signed_in(&self) -> Vec<String> {
        self.state().signed_in.clone()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        lock(&self.state)
    }
}

fn lock(state: &Mutex<State>) -> MutexGuard<'_, State> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Counts a connection as long as it lives.
struct Open(Arc<Mutex<State>>);

impl Drop for Open {
    fn drop(&mut self) {
        lock(&self.0).open -= 1;
    }
}

struct Talk {
    state: Arc<Mutex<State>>,
    tls: Option<TlsAcceptor>,
    encrypted: bool,
}

/// What a conversation ended with.
enum End {
    Over,
    Upgrade,
}

impl Talk {
    async fn whole_encrypted(mut self, stream: TcpStream) {
        let tls = self.tls.take().expect("it has a certificate");
        lock(&self.state).connections += 1;
        let Ok(mut stream) = tls.accept(stream).await else { return };
        self.encrypted = true;
        if self.say(&mut stream, "220 sink ready").await.is_ok() {
            drop(self.converse(&mut stream).await);
        }
    }

    async fn whole(mut self, mut stream: TcpStream) {
        let _open = {
            let mut state = lock(&self.state);
            state.connections += 1;
            state.open += 1;
            state.most_open = state.most_open.max(state.open);
            Open(Arc::clone(&self.state))
        };
        if self.mood("") == Mood::Silent {
            sleep(Duration::from_mins(10)).await;
        }
        let crowded = self.mood("") == Mood::OneAtATime && lock(&self.state).open > 1;
        if crowded || self.mood("") == Mood::Busy {
            drop(stream.write_all(b"421 4.3.2 come back later\r\n").await);
            return;
        }
        if self.say(&mut stream, "220 sink ready").await.is_err() {
            return;
        }
        if let Ok(End::Upgrade) = self.converse(&mut stream).await
            && let Some(tls) = self.tls.take()
            && let Ok(mut stream) = tls.accept(stream).await
        {
            self.encrypted = true;
            drop(self.converse(&mut stream).await);
        }
    }

    fn mood(&self, recipient: &str) -> Mood {
        let state = lock(&self.state);
        state.moods.get(recipient).copied().or(state.mood).unwrap_or(Mood::Well)
    }

    async fn say<S: AsyncWrite + Unpin>(&self, stream: &mut S, text: &str) -> std::io::Result<()> {
        if let Mood::Slow(pause) = self.mood("") {
            sleep(pause).await;
        }
        stream.write_all(format!("{text}\r\n").as_bytes()).await?;
        stream.flush().await
    }

    async fn converse<S: AsyncRead + AsyncWrite + Unpin>(
        &self,
        stream: &mut S,
    ) -> std::io::Result<End> {
        let mut stream = BufReader::new(stream);
        let (mut to, mut line, mut mails) = (String::new(), String::new(), 0);
        loop {
            line.clear();
            if stream.read_line(&mut line).await? == 0 {
                return Ok(End::Over);
            }
            let command = line.trim_end().to_owned();
            let upper = command.to_uppercase();
            let mood = self.mood(&to);
            let answer = if upper.starts_with("EHLO") {
                match (self.tls.is_some(), self.encrypted) {
                    (true, false) => "250-sink\r\n250-STARTTLS\r\n250 8BITMIME".to_owned(),
                    (_, true) => "250-sink\r\n250 AUTH PLAIN LOGIN".to_owned(),
                    (false, false) => "250 sink".to_owned(),
                }
            } else if upper == "STARTTLS" {
                self.say(&mut stream, "220 go ahead").await?;
                return Ok(End::Upgrade);
            } else if let Some(credentials) = command.strip_prefix("AUTH PLAIN ") {
                lock(&self.state).signed_in.push(credentials.to_owned());
                "235 welcome".to_owned()
            } else if upper.starts_with("MAIL FROM:") {
                match mood {
                    Mood::NoSender(code) => format!("{code} not from you"),
                    Mood::Few(most) if mails >= most => return Ok(End::Over),
                    _ => "250 ok".to_owned(),
                }
            } else if let Some(rest) = upper.strip_prefix("RCPT TO:") {
                let start = command.len() - rest.len();
                to = command[start..].trim_matches(['<', '>']).to_owned();
                match self.mood(&to) {
                    Mood::NoRecipient(code) => {
                        format!(
                            "{code}-5.1.1 <{to}>: not here\r\n{code} ask postmaster@sink.example"
                        )
                    }
                    _ => "250 ok".to_owned(),
                }
            } else if upper == "DATA" {
                self.say(&mut stream, "354 go on").await?;
                match self.take(&mut stream, &to).await? {
                    Some(answer) => {
                        mails += 1;
                        answer
                    }
                    None => return Ok(End::Over),
                }
            } else if upper == "QUIT" {
                self.say(&mut stream, "221 bye").await?;
                return Ok(End::Over);
            } else {
                "250 ok".to_owned()
            };
            self.say(&mut stream, &answer).await?;
        }
    }

    /// Reads a message. `None`: the connection ends without a word.
    async fn take<S: AsyncRead + AsyncWrite + Unpin>(
        &self,
        stream: &mut BufReader<S>,
        to: &str,
    ) -> std::io::Result<Option<String>> {
        let (mut content, mut line) = (String::new(), String::new());
        loop {
            line.clear();
            if stream.read_line(&mut line).await? == 0 {
                return Ok(None);
            }
            if line == ".\r\n" {
                break;
            }
            content.push_str(line.strip_prefix('.').unwrap_or(&line));
            if self.mood(to) == Mood::CutMessage && content.len() > 200 {
                return Ok(None);
            }
        }
        match self.mood(to) {
            Mood::NoMessage(code) => return Ok(Some(format!("{code} not this"))),
            Mood::SlowEnd(pause) => sleep(pause).await,
            _ => {}
        }
        let cut = self.mood(to) == Mood::CutAnswer;
        let mut state = lock(&self.state);
        state.taken.push(Taken { to: to.to_owned(), content, encrypted: self.encrypted });
        if cut {
            state.cut.push(to.to_owned());
        }
        Ok((!cut).then(|| "250 taken".to_owned()))
    }
}
