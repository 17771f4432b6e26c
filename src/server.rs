//! Listeners: accepting connections, bounding them, and stopping without dropping a request.

use std::convert::Infallible;
use std::future::Future;
use std::io;
use std::os::unix::fs::{FileTypeExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use futures_util::StreamExt as _;
use futures_util::future::Either;
use futures_util::stream::FuturesUnordered;
use http::{Request, Response};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, UnixListener};
use tokio::sync::{Semaphore, watch};

use crate::http::response::Body;
use crate::http::{Peer, Service, dispatch, operations};
use crate::settings::Listen;

/// How much a connection may ask for.
#[derive(Clone, Copy, Debug)]
pub struct ConnectionLimits {
    /// Open connections of one listener at most.
    pub connections: usize,
    /// Bytes of a request's head.
    pub head: usize,
    /// Time for a request's head to arrive.
    pub head_timeout: Duration,
    /// Mode of unix sockets.
    pub unix_mode: u32,
}

/// An open listener.
#[derive(Debug)]
pub enum Listener {
    /// On an address.
    Tcp(TcpListener),
    /// On a path, which is removed when the listener is dropped.
    Unix(UnixListener, RemovedPath),
}

/// A file that is removed when this is dropped.
#[derive(Debug)]
pub struct RemovedPath(PathBuf);

impl Drop for RemovedPath {
    fn drop(&mut self) {
        if let Err(error) = std::fs::remove_file(&self.0) {
            tracing::debug!(%error, path = %self.0.display(), "the socket was not removed");
        }
    }
}

impl Listener {
    /// Opens a listener. The error says what to do.
    pub async fn open(listen: &Listen, unix_mode: u32) -> Result<Self, String> {
        match listen {
            Listen::Tcp(address) => TcpListener::bind(address)
                .await
                .map(Self::Tcp)
                .map_err(|error| cannot_listen(listen, &error)),
            Listen::Unix(path) => {
                Self::open_unix(path, unix_mode).map_err(|error| cannot_listen(listen, &error))
            }
        }
    }

    fn open_unix(path: &Path, unix_mode: u32) -> io::Result<Self> {
        if std::fs::symlink_metadata(path).is_ok_and(|found| found.file_type().is_socket()) {
            // A socket that a killed process left behind is in the way; one that answers is in use.
            if std::os::unix::net::UnixStream::connect(path).is_ok() {
                return Err(io::ErrorKind::AddrInUse.into());
            }
            std::fs::remove_file(path)?;
        }
        let listener = UnixListener::bind(path)?;
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(unix_mode))?;
        Ok(Self::Unix(listener, RemovedPath(path.to_owned())))
    }

    /// The address, as it was really bound.
    #[must_use]
    pub fn address(&self) -> Option<std::net::SocketAddr> {
        match self {
            Self::Tcp(listener) => listener.local_addr().ok(),
            Self::Unix(..) => None,
        }
    }
}

/// Says why an address cannot be had, and what to do.
fn cannot_listen(listen: &Listen, error: &io::Error) -> String {
    let advice = match error.kind() {
        io::ErrorKind::AddrInUse => {
            "another program listens there; stop it, or choose another address"
        }
        io::ErrorKind::AddrNotAvailable => "it is no address of this machine; choose another one",
        io::ErrorKind::PermissionDenied => "choose a port above 1023, or a folder we may write to",
        io::ErrorKind::NotFound => "make the folder first",
        _ => "choose another address",
    };
    format!("cannot listen on {listen}: {error}: {advice} (server.listen, server.operations)")
}

/// Which of the two faces of the service a listener shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Face {
    /// Clients and nginx.
    Public,
    /// Operators.
    Operations,
}

/// Accepts connections until `stop` turns true, then waits until the open ones have answered what they
/// were asked. Requests that come in on kept connections meanwhile are answered with `Connection: close`.
pub async fn serve(
    service: Arc<Service>,
    listener: Listener,
    face: Face,
    limits: ConnectionLimits,
    mut stop: watch::Receiver<bool>,
) {
    let places = Arc::new(Semaphore::new(limits.connections));
    loop {
        let place = tokio::select! {
            place = Arc::clone(&places).acquire_owned() => place,
            _ = stop.wait_for(|stop| *stop) => break,
        };
        let Ok(place) = place else { break };
        let accepted = tokio::select! {
            accepted = accept(&listener) => accepted,
            _ = stop.wait_for(|stop| *stop) => break,
        };
        let (stream, peer) = match accepted {
            Ok(accepted) => accepted,
            Err(error) => {
                // Out of file descriptors, say: what is open goes on, and ends some day.
                tracing::error!(%error, "cannot accept a connection");
                tokio::time::sleep(Duration::from_millis(100)).await;
                continue;
            }
        };
        let (service, stop) = (Arc::clone(&service), stop.clone());
        tokio::spawn(async move {
            service.metrics.connections.inc();
            if face == Face::Public {
                service.metrics.connections_accepted.inc();
            }
            match stream {
                Stream::Tcp(stream) => {
                    connection(&service, stream, peer, face, limits, stop).await;
                }
                Stream::Unix(stream) => {
                    connection(&service, stream, peer, face, limits, stop).await;
                }
            }
            service.metrics.connections.dec();
            drop(place);
        });
    }
    // All places are free again when all connections have ended.
    let all = u32::try_from(limits.connections).unwrap_or(u32::MAX);
    drop(places.acquire_many(all).await);
}

enum Stream {
    Tcp(tokio::net::TcpStream),
    Unix(tokio::net::UnixStream),
}

async fn accept(listener: &Listener) -> io::Result<(Stream, Peer)> {
    match listener {
        Listener::Tcp(listener) => {
            let (stream, address) = listener.accept().await?;
            // Answers are small and written at once: waiting for more would only delay them.
            stream.set_nodelay(true)?;
            Ok((Stream::Tcp(stream), Peer::Address(address.ip())))
        }
        Listener::Unix(listener, _) => {
            let (stream, _) = listener.accept().await?;
            Ok((Stream::Unix(stream), Peer::Local))
        }
    }
}

async fn connection<S>(
    service: &Arc<Service>,
    stream: S,
    peer: Peer,
    face: Face,
    limits: ConnectionLimits,
    mut stop: watch::Receiver<bool>,
) where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let mut http = http1::Builder::new();
    // hyper sets a timer for each head anew, for a good part of what a request costs.
    http.header_read_timeout(None).max_buf_size(limits.head);
    let progress = Progress::default();
    let io = TokioIo::new(stream);
    let stopping = async move {
        // An error means that the sender is gone, and with it everything.
        drop(stop.wait_for(|stop| *stop).await);
        Event::Stopping
    };
    let stalled = async {
        progress.ends(limits.head_timeout).await;
        Event::Stalled
    };
    let events = [Either::Left(stopping), Either::Right(stalled)];
    let served = match face {
        Face::Public => {
            let answer = service_fn(|request: Request<Incoming>| {
                progress.during(dispatch::handle(service, request, peer))
            });
            until(http.serve_connection(io, answer), events).await
        }
        Face::Operations => {
            let answer =
                service_fn(|request: Request<Incoming>| progress.during(operate(service, request)));
            until(http.serve_connection(io, answer), events).await
        }
    };
    if let Err(error) = served {
        // Clients hang up, send garbage, or are too slow: nothing to act on.
        tracing::debug!(%error, "a connection ended");
    }
}

async fn operate(
    service: &Service,
    request: Request<Incoming>,
) -> Result<Response<Body>, Infallible> {
    Ok(operations::handle(service, request.method(), request.uri().path()).await)
}

/// How far a connection has got: a number that is odd while a request is in work.
#[derive(Default)]
struct Progress(AtomicU64);

impl Progress {
    /// Sees a request through.
    async fn during<T>(&self, answer: impl Future<Output = T>) -> T {
        self.0.fetch_add(1, Ordering::Relaxed);
        let answer = answer.await;
        self.0.fetch_add(1, Ordering::Relaxed);
        answer
    }

    /// Waits until there has been none for `patience`, or for at most a quarter of it more: no whole head
    /// has come, and what was answered was not asked again.
    async fn ends(&self, patience: Duration) {
        const LOOKS: u32 = 4;
        let (mut seen, mut alike) = (self.0.load(Ordering::Relaxed), 0);
        while alike < LOOKS {
            tokio::time::sleep(patience / LOOKS).await;
            let found = self.0.load(Ordering::Relaxed);
            let is_idle = found == seen && found.is_multiple_of(2);
            alike = if is_idle { alike + 1 } else { 0 };
            seen = found;
        }
    }
}

/// What a connection is told while it is served.
enum Event {
    /// The service stops.
    Stopping,
    /// Nothing has come from the client for too long.
    Stalled,
}

/// Drives a connection; when the service stops, lets it finish what it has begun.
async fn until<I, S, E>(
    connection: http1::Connection<I, S>,
    events: impl IntoIterator<Item = E>,
) -> hyper::Result<()>
where
    I: hyper::rt::Read + hyper::rt::Write + Unpin,
    S: hyper::service::HttpService<Incoming, ResBody = Body>,
    S::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
    E: Future<Output = Event>,
{
    let mut connection = std::pin::pin!(connection);
    // In a set, which polls what was woken and nothing else: `stopping` takes a lock that all connections
    // share, and would take it for every request.
    let mut events: FuturesUnordered<E> = events.into_iter().collect();
    loop {
        tokio::select! {
            biased;
            served = connection.as_mut() => return served,
            event = events.next() => match event {
                Some(Event::Stopping) => connection.as_mut().graceful_shutdown(),
                Some(Event::Stalled) | None => return Ok(()),
            },
        }
    }
}

/// Marks the service as stopping and tells all listeners.
pub fn begin_stop(service: &Service, stop: &watch::Sender<bool>) {
    service.draining.store(true, Ordering::Release);
    stop.send_replace(true);
}
