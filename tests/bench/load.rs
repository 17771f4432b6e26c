//! `load TARGET CONNECTIONS SECONDS REQUEST [OPTION…]`: asks a server on `127.0.0.1:PORT` or `unix:PATH` the
//! same thing over and over, one request at a time on each connection, and prints what came of it as JSON.
//!
//! REQUEST is a file with a request, asked as it is. Answers must be 204, without a body. Options:
//!
//! * `secret=SECRET`: the token behind `Bearer` is signed anew with that HS256 secret and another `jti` for
//!   each request: tokens that nobody has seen;
//! * `tokens=FILE`: it is the next one of these, one a line; the run ends with the last one;
//! * `requests=N`: the run ends after so many;
//! * `rate=N`: so many requests a second and no more;
//! * `status=N`: answers must have this status, and may have a body with a `Content-Length`.
#![expect(
    clippy::future_not_send,
    reason = "one thread asks, so that the other cores are the server's"
)]

mod signer;

use std::cell::{Cell, RefCell};
use std::env::args;
use std::error::Error;
use std::io;
use std::rc::Rc;
use std::time::Duration;

use serde_json::json;
use signer::Signer;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::{TcpStream, UnixStream};
use tokio::task::{JoinSet, LocalSet};
use tokio::time::Instant;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = args().skip(1).collect();
    let [target, connections, seconds, request, options @ ..] = arguments.as_slice() else {
        return Err("load TARGET CONNECTIONS SECONDS REQUEST [OPTION…]".into());
    };
    let request = std::fs::read_to_string(request)?;
    let option =
        |name: &str| options.iter().find_map(|option| option.strip_prefix(name)?.strip_prefix('='));
    let requests = match option("tokens") {
        Some(file) => Requests::listed(&request, &std::fs::read_to_string(file)?),
        None => Requests::new(request, option("secret")),
    };
    let requests = requests.ok_or("no token behind `Bearer `")?;
    let seconds = Duration::from_secs_f64(seconds.parse()?);
    let connections: u32 = connections.parse()?;
    let pause = option("rate").map(str::parse::<f64>).transpose()?;
    let run = Rc::new(Run {
        requests,
        until: Instant::now() + seconds,
        left: Cell::new(option("requests").map_or(Ok(u64::MAX), str::parse)?),
        status: format!("HTTP/1.1 {}", option("status").unwrap_or("204")).into_bytes(),
        // Each connection's share.
        pause: pause.map(|rate| Duration::from_secs_f64(f64::from(connections) / rate)),
        ..Run::default()
    });
    let began = Instant::now();
    LocalSet::new().run_until(run.clone().all(target, connections)).await?;
    let elapsed = began.elapsed().as_secs_f64();

    let mut micros = run.micros.take();
    micros.sort_unstable();
    let at = |per_mille: usize| micros.get(micros.len() * per_mille / 1000).copied().unwrap_or(0);
    let report = json!({
        "requests": micros.len(), "errors": run.errors.get(), "seconds": elapsed,
        "p50_us": at(500), "p99_us": at(990), "p999_us": at(999),
    });
    println!("{report}");
    Ok(())
}

struct Run {
    requests: Requests,
    until: Instant,
    left: Cell<u64>,
    status: Vec<u8>,
    pause: Option<Duration>,
    micros: RefCell<Vec<u32>>,
    errors: Cell<u64>,
}

impl Default for Run {
    fn default() -> Self {
        Self {
            requests: Requests::default(),
            until: Instant::now(),
            left: Cell::new(u64::MAX),
            status: Vec::new(),
            pause: None,
            micros: RefCell::new(Vec::with_capacity(1 << 20)),
            errors: Cell::new(0),
        }
    }
}

impl Run {
    async fn all(self: Rc<Self>, target: &str, connections: u32) -> io::Result<()> {
        let mut asking = JoinSet::new();
        for _ in 0..connections {
            let run = Rc::clone(&self);
            if let Some(path) = target.strip_prefix("unix:") {
                let stream = UnixStream::connect(path).await?;
                asking.spawn_local(async move { run.ask(stream).await });
            } else {
                let stream = TcpStream::connect(target).await?;
                stream.set_nodelay(true)?;
                asking.spawn_local(async move { run.ask(stream).await });
            }
        }
        asking.join_all().await.into_iter().collect()
    }

    async fn ask<S: AsyncRead + AsyncWrite + Unpin>(&self, mut stream: S) -> io::Result<()> {
        let mut answer = vec![0; 16 * 1024];
        let mut fresh = Vec::new();
        let mut due = Instant::now();
        loop {
            if let Some(pause) = self.pause {
                due += pause;
                tokio::time::sleep_until(due).await;
            }
            let asked = Instant::now();
            if asked >= self.until || self.left.get() == 0 {
                return Ok(());
            }
            self.left.set(self.left.get() - 1);
            let Some(request) = self.requests.next(&mut fresh) else { return Ok(()) };
            stream.write_all(request).await?;
            let mut length = 0;
            while !is_whole(&answer[..length]) {
                match stream.read(&mut answer[length..]).await? {
                    0 => return Err(io::ErrorKind::UnexpectedEof.into()),
                    read => length += read,
                }
            }
            if !answer.starts_with(&self.status) {
                self.errors.set(self.errors.get() + 1);
            }
            let micros = u32::try_from(asked.elapsed().as_micros()).unwrap_or(u32::MAX);
            self.micros.borrow_mut().push(micros);
        }
    }
}

/// Whether this is an answer with all of its body.
fn is_whole(answer: &[u8]) -> bool {
    if answer.ends_with(b"\r\n\r\n") && answer.starts_with(b"HTTP/1.1 204") {
        return true;
    }
    let Some(head) = answer.windows(4).position(|end| end == b"\r\n\r\n") else { return false };
    let text = String::from_utf8_lossy(&answer[..head]).to_ascii_lowercase();
    let length = text.lines().find_map(|line| line.strip_prefix("content-length: ")?.parse().ok());
    answer.len() >= head + 4 + length.unwrap_or(0)
}

/// What is asked.
#[derive(Default)]
struct Requests {
    before: String,
    after: String,
    signer: Option<Signer>,
    /// Tokens to present, the next one last.
    listed: Option<RefCell<Vec<String>>>,
}

impl Requests {
    fn listed(request: &str, tokens: &str) -> Option<Self> {
        let (before, rest) = request.split_once("Bearer ")?;
        let (_, after) = rest.split_once("\r\n")?;
        Some(Self {
            before: format!("{before}Bearer "),
            after: format!("\r\n{after}"),
            signer: None,
            listed: Some(RefCell::new(tokens.lines().map(str::to_owned).collect())),
        })
    }

    fn new(request: String, secret: Option<&str>) -> Option<Self> {
        let Some(secret) = secret else { return Some(Self { before: request, ..Self::default() }) };
        let (before, rest) = request.split_once("Bearer ")?;
        let (token, after) = rest.split_once("\r\n")?;
        Some(Self {
            before: format!("{before}Bearer "),
            after: format!("\r\n{after}"),
            signer: Some(Signer::new(token, secret)?),
            listed: None,
        })
    }

    /// The next request; `None` where all tokens have been presented.
    fn next<'r>(&'r self, fresh: &'r mut Vec<u8>) -> Option<&'r [u8]> {
        let token = match (&self.signer, &self.listed) {
            (Some(signer), _) => signer.next(),
            (None, Some(listed)) => listed.borrow_mut().pop()?,
            (None, None) => return Some(self.before.as_bytes()),
        };
        fresh.clear();
        for part in [&self.before, &token, &self.after] {
            fresh.extend_from_slice(part.as_bytes());
        }
        Some(fresh)
    }
}
