//! Publishes the orders to the source stream, never more than a window of them ahead of what has arrived.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use async_nats::jetstream::{self, context::PublishAckFuture, message::PublishMessage};
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinSet;

use super::orders::Order;

/// Carries the order's number through Trackside, because not every order has a payload that could.
pub(crate) const NUMBER_HEADER: &str = "Demo-Order";
/// Carries when the order was sent, in microseconds since the start of the demo.
pub(crate) const SENT_HEADER: &str = "Demo-Sent-Micros";

/// How many orders may be on their way at a time.
pub(crate) const WINDOW: usize = 256;
/// Longest wait for the server to confirm an order.
const ACK_LIMIT: Duration = Duration::from_secs(30);

/// What the feed shares with those who watch it.
#[derive(Clone)]
pub(crate) struct Feed {
    /// The clock that [`SENT_HEADER`] counts from.
    pub(crate) start: Instant,
    /// A permit for every order that may still be sent; whoever sees one arrive gives a permit back.
    pub(crate) window: Arc<Semaphore>,
    sent: Arc<AtomicU32>,
}

impl Feed {
    /// A feed that has sent nothing.
    pub(crate) fn new() -> Self {
        Self { start: Instant::now(), window: Arc::new(Semaphore::new(WINDOW)), sent: Arc::default() }
    }

    /// How many orders have been handed to the server: those of the numbers below this one.
    pub(crate) fn sent(&self) -> u32 {
        self.sent.load(Ordering::SeqCst)
    }

    /// Sends the orders `0..count`. Before the order `hold` it waits until `go` becomes true.
    pub(crate) async fn send(
        &self,
        jetstream: &jetstream::Context,
        seed: u64,
        count: u32,
        hold: u32,
        mut go: watch::Receiver<bool>,
    ) -> Result<()> {
        let mut unconfirmed = JoinSet::new();
        for number in 0..count {
            if number == hold {
                go.wait_for(|go| *go).await.context("nobody is left to let the last orders go")?;
            }
            self.window.acquire().await?.forget();
            unconfirmed.spawn(confirmed(self.send_one(jetstream, seed, number).await?));
            while let Some(result) = unconfirmed.try_join_next() {
                result??;
            }
        }
        while let Some(result) = unconfirmed.join_next().await {
            result??;
        }
        Ok(())
    }

    /// Sends one order.
    pub(crate) async fn send_one(
        &self,
        jetstream: &jetstream::Context,
        seed: u64,
        number: u32,
    ) -> Result<PublishAckFuture> {
        let order = Order::new(seed, number);
        let message = PublishMessage::build()
            .message_id(format!("demo-{number}"))
            .header(NUMBER_HEADER, number.to_string())
            .header(SENT_HEADER, self.start.elapsed().as_micros().to_string())
            .payload(order.payload.into());
        // Counted before it is sent, so that an order is never under way without being counted.
        self.sent.store(number + 1, Ordering::SeqCst);
        let ack = jetstream.send_publish(order.subject, message).await;
        ack.with_context(|| format!("cannot publish order {number}"))
    }
}

async fn confirmed(ack: PublishAckFuture) -> Result<()> {
    match tokio::time::timeout(ACK_LIMIT, ack.into_future()).await {
        Ok(ack) => ack.map(drop).context("the server did not store an order"),
        Err(_) => bail!("the server did not confirm an order within {} s", ACK_LIMIT.as_secs()),
    }
}
