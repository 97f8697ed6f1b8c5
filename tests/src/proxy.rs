//! A network between two programs that can be made to fail.

use std::net::SocketAddr;
use std::sync::Arc;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

/// What the network does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Network {
    /// It carries bytes.
    Works,
    /// It carries nothing, and everything sent meanwhile arrives once it works again.
    Stalls,
    /// It swallows what is sent, and never gives it back: connections that lived through it are broken for good.
    Drops,
    /// It takes no connections, and those that were there have been reset.
    Down,
}

/// Forwards connections to a server.
#[derive(Debug)]
pub struct Proxy {
    address: SocketAddr,
    network: Arc<watch::Sender<Network>>,
    task: tokio::task::JoinHandle<()>,
}

impl Proxy {
    /// Listens on a free port of this machine and forwards to this port.
    ///
    /// # Panics
    /// When there is no free port.
    pub async fn start(to: u16) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("there is a free port");
        let address = listener.local_addr().expect("it listens");
        let network = Arc::new(watch::Sender::new(Network::Works));
        let seen = Arc::clone(&network);
        let task = tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                if *seen.borrow() == Network::Down {
                    continue;
                }
                let Ok(server) = TcpStream::connect(("127.0.0.1", to)).await else { continue };
                let (from_client, to_client) = client.into_split();
                let (from_server, to_server) = server.into_split();
                tokio::spawn(carry(from_client, to_server, seen.subscribe()));
                tokio::spawn(carry(from_server, to_client, seen.subscribe()));
            }
        });
        Self { address, network, task }
    }

    /// Where it listens, as a NATS client is told.
    #[must_use]
    pub fn url(&self) -> String {
        format!("nats://{}", self.address)
    }

    /// From now on the network does this.
    pub fn set(&self, network: Network) {
        self.network.send_replace(network);
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Carries bytes one way, for as long as the network and both ends let it.
async fn carry(
    mut from: tokio::net::tcp::OwnedReadHalf,
    mut to: tokio::net::tcp::OwnedWriteHalf,
    mut network: watch::Receiver<Network>,
) {
    let mut bytes = vec![0; 64 << 10];
    let mut swallowed = false;
    loop {
        let state = *network.borrow_and_update();
        let read = match state {
            Network::Down => return,
            Network::Stalls => None,
            // Bytes are missing from the middle: what follows would mean something else.
            Network::Works if swallowed => return,
            Network::Works | Network::Drops => Some(()),
        };
        tokio::select! {
            biased;
            changed = network.changed() => if changed.is_err() { return },
            read = from.read(&mut bytes), if read.is_some() => match read {
                Ok(0) | Err(_) => return,
                Ok(_) if state == Network::Drops => swallowed = true,
                Ok(count) => if to.write_all(&bytes[..count]).await.is_err() { return },
            },
        }
    }
}
