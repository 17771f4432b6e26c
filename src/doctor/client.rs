//! A client that sends exactly what it is told, over one kept connection.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::header::{CONTENT_LENGTH, CONTENT_TYPE, HOST};
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, StatusCode, Uri};
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::client::conn::http1::{self, SendRequest};
use hyper_util::rt::TokioIo;
use rustls::pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::sync::Mutex;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;

use crate::doctor::trust;

/// For one request, its connection included.
const PATIENCE: Duration = Duration::from_secs(3);
/// Of an answer's body; more is an error.
const MOST_READ: usize = 4 << 20;

/// Where requests go: `https://HOST[:PORT]` or `http://…`, and the path behind it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    /// Whether with TLS.
    pub is_tls: bool,
    /// Host, as it is resolved and as certificates name it.
    pub host: String,
    /// The port, if the URL names one.
    pub port: Option<u16>,
    /// Path with query, at least `/`.
    pub path: String,
}

impl Target {
    /// Reads an absolute URL. The error is a sentence.
    pub fn parse(url: &str) -> Result<Self, String> {
        let wrong = |why: &str| format!("`{url}` {why}: write https://HOST[:PORT]/PATH");
        let uri: Uri = url.parse().map_err(|_| wrong("is no URL"))?;
        let is_tls = match uri.scheme_str() {
            Some("https") => true,
            Some("http") => false,
            _ => return Err(wrong("is neither https:// nor http://")),
        };
        let host =
            uri.host().filter(|host| !host.is_empty()).ok_or_else(|| wrong("has no host"))?;
        if uri.authority().is_some_and(|authority| authority.as_str().contains('@')) {
            return Err(wrong("holds a user name"));
        }
        let path = uri.path_and_query().map_or("/", |path| path.as_str()).to_owned();
        Ok(Self { is_tls, host: host.to_owned(), port: uri.port_u16(), path })
    }

    /// What clients write into `Host`.
    #[must_use]
    pub fn authority(&self) -> String {
        self.port.map_or_else(|| self.host.clone(), |port| format!("{}:{port}", self.host))
    }

    fn address(&self) -> (&str, u16) {
        let default = if self.is_tls { 443 } else { 80 };
        (self.host.trim_start_matches('[').trim_end_matches(']'), self.port.unwrap_or(default))
    }
}

/// A request that is being written.
#[derive(Clone, Debug)]
pub struct Ask {
    method: Method,
    path: String,
    headers: HeaderMap,
    body: Bytes,
}

impl Ask {
    /// This method for this path, which is sent as it is.
    pub(super) fn new(method: Method, path: impl Into<String>) -> Self {
        Self { method, path: path.into(), headers: HeaderMap::new(), body: Bytes::new() }
    }

    /// GET.
    pub(super) fn get(path: impl Into<String>) -> Self {
        Self::new(Method::GET, path)
    }

    /// Adds a header; the same one twice makes two lines. What is no header is left out.
    pub(super) fn header(mut self, name: &str, value: &str) -> Self {
        let name = HeaderName::try_from(name);
        if let (Ok(name), Ok(value)) = (name, HeaderValue::try_from(value)) {
            self.headers.append(name, value);
        }
        self
    }

    /// `Authorization`, where there is a credential.
    pub(super) fn credential(self, credential: Option<&str>) -> Self {
        match credential {
            Some(credential) => self.header("authorization", credential),
            None => self,
        }
    }

    /// A body of a type that no API takes: whoever gets it refuses it, and nothing is changed.
    pub(super) fn body(self, body: impl Into<Bytes>) -> Self {
        Self { body: body.into(), ..self }
            .header(CONTENT_TYPE.as_str(), "application/x-avain-doctor")
    }

    /// A JSON body.
    pub(super) fn json(self, body: &'static str) -> Self {
        Self { body: body.into(), ..self }.header(CONTENT_TYPE.as_str(), "application/json")
    }
}

/// An answer.
#[derive(Clone, Debug)]
pub struct Answer {
    /// Its status.
    pub status: StatusCode,
    /// Its headers.
    pub headers: HeaderMap,
    /// Its body.
    pub body: Bytes,
}

impl Answer {
    /// Reads an answer that the end of its connection has ended.
    fn parse(bytes: &[u8]) -> Option<Self> {
        let end = bytes.windows(4).position(|four| four == b"\r\n\r\n")?;
        let (head, body) = (bytes.get(..end)?, bytes.get(end + 4..)?);
        let mut lines = std::str::from_utf8(head).ok()?.split("\r\n");
        let status = lines.next()?.strip_prefix("HTTP/1.")?.get(2..5)?;
        let mut headers = HeaderMap::new();
        for line in lines {
            let (name, value) = line.split_once(':')?;
            headers.append(HeaderName::try_from(name).ok()?, value.trim().parse().ok()?);
        }
        let body = Bytes::copy_from_slice(body);
        Some(Self { status: status.parse().ok()?, headers, body })
    }

    /// The body as text.
    pub(super) fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// Whether the body is JSON, and says so.
    pub(super) fn is_json(&self) -> bool {
        let kind = self.headers.get(CONTENT_TYPE).and_then(|kind| kind.to_str().ok());
        kind.is_some_and(|kind| kind.starts_with("application/json"))
            && serde_json::from_slice::<serde_json::Value>(&self.body).is_ok()
    }

    /// Whether it has this header, once or more often.
    pub(super) fn has(&self, name: &str) -> bool {
        self.headers.contains_key(name)
    }
}

/// Sends requests to one target.
pub struct Client {
    target: Target,
    tls: Option<TlsConnector>,
    idle: Mutex<Option<SendRequest<Full<Bytes>>>>,
}

impl Client {
    /// A client; certificates are trusted as the system does, or as the PEM file `authorities` says.
    /// Connects when there is something to send.
    pub(super) fn new(target: Target, authorities: Option<&Path>) -> Result<Self, String> {
        let tls = if target.is_tls {
            Some(TlsConnector::from(Arc::new(trust::config(authorities)?)))
        } else {
            None
        };
        Ok(Self { target, tls, idle: Mutex::default() })
    }

    /// Another client of the same target, with a connection of its own.
    pub(super) fn another(&self) -> Self {
        Self { target: self.target.clone(), tls: self.tls.clone(), idle: Mutex::default() }
    }

    /// Where it sends to.
    pub(super) fn target(&self) -> &Target {
        &self.target
    }

    /// Sends a request and gives the answer. The error is a sentence.
    pub(super) async fn send(&self, ask: Ask) -> Result<Answer, String> {
        let Ask { method, path, .. } = &ask;
        let what = format!("{method} {path}: ");
        match timeout(PATIENCE, self.exchange(ask)).await {
            Ok(answer) => answer.map_err(|why| what + &why),
            Err(_) => Err(format!("{what}no answer within {} s", PATIENCE.as_secs())),
        }
    }

    async fn exchange(&self, ask: Ask) -> Result<Answer, String> {
        if ask.path.contains('#') {
            return self.by_hand(&ask).await;
        }
        let kept = self.idle.lock().await.take().filter(|kept| !kept.is_closed());
        if let Some(kept) = kept {
            // The other side may close a kept connection at any moment: that says nothing of the request.
            if let Ok(answer) = self.over(kept, &ask).await {
                return Ok(answer);
            }
        }
        let fresh = self.connect().await?;
        self.over(fresh, &ask).await
    }

    async fn over(
        &self,
        mut connection: SendRequest<Full<Bytes>>,
        ask: &Ask,
    ) -> Result<Answer, String> {
        let uri: Uri = ask.path.parse().map_err(|_| "is no request target".to_owned())?;
        let mut request = Request::new(Full::new(ask.body.clone()));
        *request.method_mut() = ask.method.clone();
        *request.uri_mut() = uri;
        let host = HeaderValue::try_from(self.target.authority());
        request.headers_mut().insert(HOST, host.map_err(|_| "is no host".to_owned())?);
        request.headers_mut().extend(ask.headers.clone());
        let ready = connection.ready().await;
        ready.map_err(|error| format!("the connection ended: {error}"))?;
        let response = connection.send_request(request).await;
        let response = response.map_err(|error| format!("no answer: {error}"))?;
        let (head, body) = response.into_parts();
        let body = Limited::new(body, MOST_READ).collect().await;
        let body = body.map_err(|error| format!("half an answer: {error}"))?.to_bytes();
        if !connection.is_closed() {
            *self.idle.lock().await = Some(connection);
        }
        Ok(Answer { status: head.status, headers: head.headers, body })
    }

    /// Sends what hyper takes for no request target, one with a `#`: over a connection of its own, and as
    /// HTTP/1.0, whose answers end with it.
    async fn by_hand(&self, ask: &Ask) -> Result<Answer, String> {
        let mut request = format!("{} {} HTTP/1.0\r\n", ask.method, ask.path).into_bytes();
        let host = HeaderValue::try_from(self.target.authority());
        let host = (&HOST, &host.map_err(|_| "is no host".to_owned())?);
        let length = (&CONTENT_LENGTH, &HeaderValue::from(ask.body.len()));
        for (name, value) in [host, length].into_iter().chain(&ask.headers) {
            let line = [name.as_str().as_bytes(), b": ", value.as_bytes(), b"\r\n"];
            request.extend(line.concat());
        }
        request.extend(b"\r\n");
        request.extend(&ask.body);
        let mut stream = self.open().await?;
        let failed = |error: std::io::Error| format!("no answer: {error}");
        stream.write_all(&request).await.map_err(failed)?;
        let mut answer = Vec::new();
        // Whether TLS was ended as it should be says nothing of the answer.
        let read = stream.take(MOST_READ as u64).read_to_end(&mut answer).await;
        Answer::parse(&answer).ok_or_else(|| read.map_or_else(failed, |_| "no HTTP".to_owned()))
    }

    async fn connect(&self) -> Result<SendRequest<Full<Bytes>>, String> {
        let shaken = http1::handshake(TokioIo::new(self.open().await?)).await;
        let (sender, connection) = shaken.map_err(|error| format!("no HTTP: {error}"))?;
        // It ends with the sender; what goes wrong on it the sender hears too.
        tokio::spawn(async move { drop(connection.await) });
        Ok(sender)
    }

    async fn open(&self) -> Result<Box<dyn Stream>, String> {
        let stream = TcpStream::connect(self.target.address()).await;
        let stream = stream.map_err(|error| format!("cannot connect: {error}"))?;
        drop(stream.set_nodelay(true));
        let Some(tls) = &self.tls else { return Ok(Box::new(stream)) };
        let name = ServerName::try_from(self.target.address().0.to_owned());
        let name = name.map_err(|error| format!("no name for a certificate: {error}"))?;
        let stream = tls.connect(name, stream).await.map_err(|error| format!("TLS: {error}"))?;
        Ok(Box::new(stream))
    }
}

/// A connection, with TLS or without.
trait Stream: AsyncRead + AsyncWrite + Unpin + Send {}

impl<S: AsyncRead + AsyncWrite + Unpin + Send> Stream for S {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_are_read_up_to_their_connections_end() {
        let text = b"HTTP/1.1 401 Unauthorized\r\nContent-Type: application/json\r\n\r\n{}";
        let answer = Answer::parse(text).expect("is an answer");
        assert_eq!(answer.status, 401);
        assert!(answer.is_json());
        for nonsense in [&b""[..], b"HTTP/1.1 200 OK\r\n", b"HTTP/1.1 2\r\n\r\n", b"hello\r\n\r\n"]
        {
            assert!(Answer::parse(nonsense).is_none());
        }
    }

    #[test]
    fn urls_are_read_with_and_without_port_and_path() {
        let target = Target::parse("https://api.example.org/api/v1/?x=1").expect("is a URL");
        assert_eq!(target.path, "/api/v1/?x=1");
        assert_eq!(target.address(), ("api.example.org", 443));
        let target = Target::parse("http://[::1]:8080").expect("is a URL");
        assert_eq!((target.address(), target.path.as_str()), (("::1", 8080), "/"));
        assert_eq!(target.authority(), "[::1]:8080");
        for wrong in ["", "api.example.org", "/api/", "ftp://x/", "https://", "https://a:b@c/"] {
            assert!(Target::parse(wrong).is_err(), "{wrong}");
        }
    }
}
