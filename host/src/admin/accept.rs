//! One connection after another, each of which has a place: the admin API's and the sidecar's listeners.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::sleep;

/// What to wait for after the system refused a connection, as it does when there are too many open files.
const REFUSED_PAUSE: Duration = Duration::from_secs(1);

/// Where connections come in.
pub(crate) trait Door: Sync {
    /// A connection, with what is known of it.
    type Connection;

    fn open(&self) -> impl Future<Output = io::Result<Self::Connection>> + Send;
}

impl Door for TcpListener {
    type Connection = (TcpStream, SocketAddr);

    async fn open(&self) -> io::Result<Self::Connection> {
        self.accept().await
    }
}

/// The places of a listener; further connections wait in its backlog.
#[derive(Debug)]
pub(crate) struct Places {
    free: Arc<Semaphore>,
    /// Whose they are, for the log.
    whose: &'static str,
}

impl Places {
    pub(crate) fn new(count: usize, whose: &'static str) -> Self {
        Self { free: Arc::new(Semaphore::new(count)), whose }
    }

    /// The next connection, once there is a place for it.
    pub(crate) async fn next<D: Door>(&self, door: &D) -> (D::Connection, OwnedSemaphorePermit) {
        let place = Arc::clone(&self.free).acquire_owned().await.expect("the semaphore is never closed");
        loop {
            match door.open().await {
                Ok(connection) => return (connection, place),
                // The client's own doing.
                Err(error)
                    if matches!(error.kind(), io::ErrorKind::ConnectionAborted | io::ErrorKind::ConnectionReset) => {}
                Err(error) => {
                    tracing::warn!(%error, "{} cannot accept a connection", self.whose);
                    sleep(REFUSED_PAUSE).await;
                }
            }
        }
    }
}
