//! A TCP proxy that a test can cut.

use std::net::SocketAddr;
use std::sync::Arc;

use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;

/// What becomes of connections.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Way {
    /// They lead to the server.
    Open,
    /// They are ended, and new ones too.
    Cut,
    /// They stay, and nothing comes through any more: a cable that was pulled.
    Silent,
}

/// A proxy in front of a server on this machine.
pub(crate) struct Proxy {
    pub(crate) address: SocketAddr,
    way: Arc<watch::Sender<Way>>,
    _accepting: JoinSet<()>,
}

impl Proxy {
    pub(crate) async fn to(server: SocketAddr) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port is free");
        let address = listener.local_addr().expect("it is bound");
        let way = Arc::new(watch::Sender::new(Way::Open));
        let mut accepting = JoinSet::new();
        let ways = Arc::clone(&way);
        accepting.spawn(async move {
            let mut connections = JoinSet::new();
            while let Ok((client, _)) = listener.accept().await {
                connections.spawn(pass(client, server, ways.subscribe()));
            }
        });
        Self { address, way, _accepting: accepting }
    }

    pub(crate) fn set(&self, way: Way) {
        self.way.send_replace(way);
    }
}

async fn pass(mut client: TcpStream, server: SocketAddr, mut way: watch::Receiver<Way>) {
    if *way.borrow() == Way::Open {
        let Ok(mut server) = TcpStream::connect(server).await else { return };
        tokio::select! {
            _ = copy_bidirectional(&mut client, &mut server) => return,
            _ = way.wait_for(|way| *way != Way::Open) => {}
        }
        hold(&way).await;
    } else {
        hold(&way).await;
    }
}

/// Returns when the connection is to end: what was silent once has lost bytes, and is of no use again.
async fn hold(way: &watch::Receiver<Way>) {
    let mut way = way.clone();
    drop(way.wait_for(|way| *way != Way::Silent).await);
}
