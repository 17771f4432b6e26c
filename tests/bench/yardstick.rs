//! The yardstick: a bare hyper server that answers 204 with constants, set up as avain sets hyper up.

use std::convert::Infallible;
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, Request, Response, StatusCode};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, UnixListener};

/// Serves on an address until the runtime ends.
pub(crate) async fn serve_tcp(listener: TcpListener, headers: &'static HeaderMap) {
    while let Ok((stream, _)) = listener.accept().await {
        stream.set_nodelay(true).expect("a socket has this option");
        tokio::spawn(connection(stream, headers));
    }
}

/// Serves on a path until the runtime ends.
#[cfg_attr(test, expect(dead_code, reason = "the test that counts allocations uses TCP alone"))]
pub(crate) async fn serve_unix(listener: UnixListener, headers: &'static HeaderMap) {
    while let Ok((stream, _)) = listener.accept().await {
        tokio::spawn(connection(stream, headers));
    }
}

async fn connection<S>(stream: S, headers: &'static HeaderMap)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let answer = service_fn(move |request: Request<Incoming>| async move {
        drop(request);
        let mut response = Response::new(Full::<Bytes>::default());
        *response.status_mut() = StatusCode::NO_CONTENT;
        for (name, value) in headers {
            response.headers_mut().insert(name.clone(), value.clone());
        }
        Ok::<_, Infallible>(response)
    });
    let mut http = http1::Builder::new();
    http.timer(TokioTimer::new())
        .header_read_timeout(Duration::from_secs(10))
        .max_buf_size(32 * 1024);
    // Clients hang up: nothing to act on.
    drop(http.serve_connection(TokioIo::new(stream), answer).await);
}
