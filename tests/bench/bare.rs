//! `bare LISTEN… -- HEADER…`: the yardstick as a program. Listens on `127.0.0.1:PORT` or `unix:PATH` and
//! answers everything with 204 and these headers (`name: value`), until it is killed.

mod yardstick;

use std::env::args;
use std::error::Error;

use http::{HeaderMap, HeaderName, HeaderValue};
use tokio::net::{TcpListener, UnixListener};
use tokio::task::JoinSet;

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let mut headers = HeaderMap::new();
    for header in args().skip_while(|argument| argument != "--").skip(1) {
        let (name, value) = header.split_once(": ").ok_or("a header is `name: value`")?;
        headers.insert(name.parse::<HeaderName>()?, HeaderValue::from_str(value)?);
    }
    let headers: &'static HeaderMap = Box::leak(Box::new(headers));
    let mut servers = JoinSet::new();
    for listen in args().skip(1).take_while(|argument| argument != "--") {
        match listen.strip_prefix("unix:") {
            Some(path) => servers.spawn(yardstick::serve_unix(UnixListener::bind(path)?, headers)),
            None => servers.spawn(yardstick::serve_tcp(TcpListener::bind(listen).await?, headers)),
        };
    }
    servers.join_all().await;
    Ok(())
}
