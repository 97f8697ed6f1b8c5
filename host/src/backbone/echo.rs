//! Flushing to the server and back. The client's own flush ends at the socket, where a broken connection still loses
//! what was written. So a marker is published to an inbox of ours: since a server handles one connection's protocol
//! lines in order, its return proves that everything before it was read. All that wait share one marker.

use std::sync::Arc;

use async_nats::Subscriber;
use bytes::Bytes;
use futures::StreamExt as _;
use tokio::sync::{mpsc, oneshot};

use super::wire::Wire;

/// How many may wait to be asked for; more wait for their turn.
const MAX_WAITING: usize = 4096;

/// Why a flush did not succeed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum FlushFailure {
    Disconnected,
    Timeout,
}

type Waiter = oneshot::Sender<Result<(), FlushFailure>>;

/// The way to ask for a flush.
#[derive(Debug, Clone)]
pub(super) struct Echo {
    waiting: mpsc::Sender<Waiter>,
}

impl Echo {
    /// Subscribes to the inbox and starts the task that serves flushes; it ends when all handles are gone.
    pub(super) async fn start(wire: Arc<Wire>) -> Result<Self, async_nats::SubscribeError> {
        let inbox = wire.client.new_inbox();
        let markers = wire.client.subscribe(inbox.clone()).await?;
        wire.link.set_echo_inbox(inbox.clone());
        let (waiting, requests) = mpsc::channel(MAX_WAITING);
        tokio::spawn(serve(wire, inbox, markers, requests));
        Ok(Self { waiting })
    }

    pub(super) async fn flush(&self) -> Result<(), FlushFailure> {
        let (done, result) = oneshot::channel();
        self.waiting.send(done).await.map_err(|_| FlushFailure::Disconnected)?;
        result.await.unwrap_or(Err(FlushFailure::Disconnected))
    }
}

async fn serve(wire: Arc<Wire>, inbox: String, mut markers: Subscriber, mut requests: mpsc::Receiver<Waiter>) {
    let mut waiters = Vec::new();
    let mut number = 0_u64;
    while requests.recv_many(&mut waiters, MAX_WAITING).await > 0 {
        number += 1;
        let result = round_trip(&wire, &inbox, &mut markers, number).await;
        for waiter in waiters.drain(..) {
            let _ = waiter.send(result);
        }
    }
}

async fn round_trip(wire: &Wire, inbox: &str, markers: &mut Subscriber, number: u64) -> Result<(), FlushFailure> {
    let mut link = wire.link.watch();
    let lost = link.borrow_and_update().lost;
    let there_and_back = async {
        if wire.link.is_echo_denied() {
            return wire.client.flush().await.map_err(|_| FlushFailure::Disconnected);
        }
        let marker = Bytes::copy_from_slice(&number.to_be_bytes());
        wire.client.publish(inbox.to_owned(), marker.clone()).await.map_err(|_| FlushFailure::Disconnected)?;
        // A marker of an earlier round that came too late is passed over.
        while let Some(message) = markers.next().await {
            if message.payload == marker {
                return Ok(());
            }
        }
        Err(FlushFailure::Disconnected)
    };
    tokio::select! {
        biased;
        result = tokio::time::timeout(wire.request_timeout, there_and_back) => match result {
            Ok(result) => result,
            Err(_) if wire.is_connected() => Err(FlushFailure::Timeout),
            Err(_) => Err(FlushFailure::Disconnected),
        },
        _ = link.wait_for(|state| state.lost > lost || state.closed) => Err(FlushFailure::Disconnected),
    }
}
