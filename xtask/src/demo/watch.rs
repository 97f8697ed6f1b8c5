//! Reads what arrives in the streams that the rule's routes and dead letters lead to.

use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use async_nats::HeaderMap;
use async_nats::jetstream::{self, consumer::pull::OrderedConfig};
use futures::StreamExt;
use tokio::sync::mpsc;
use tokio::task::JoinSet;

use super::feed::{NUMBER_HEADER, SENT_HEADER};
use super::world::OUTCOMES;

/// How many arrivals may wait to be looked at.
const QUEUE: usize = 1024;

/// Where an order arrived.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Outcome {
    Clean,
    Review,
    Dead,
}

impl Outcome {
    /// All of them, in the order of [`OUTCOMES`].
    pub(crate) const ALL: [Outcome; 3] = [Self::Clean, Self::Review, Self::Dead];

    /// For people.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Clean => "clean",
            Self::Review => "review",
            Self::Dead => "dead letter",
        }
    }
}

/// One message in an output stream.
pub(crate) struct Arrival {
    pub(crate) outcome: Outcome,
    pub(crate) subject: String,
    /// Number of the order, if the message still says it.
    pub(crate) number: Option<u32>,
    /// From just before the order was published to when the message was read here.
    pub(crate) latency: Duration,
    pub(crate) headers: HeaderMap,
    pub(crate) payload: Vec<u8>,
}

impl Arrival {
    /// The first value of a header.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(async_nats::HeaderValue::as_str)
    }
}

/// Readers of the output streams. Dropping it ends them.
pub(crate) struct Watch {
    arrivals: mpsc::Receiver<Result<Arrival>>,
    _readers: JoinSet<()>,
}

impl Watch {
    /// Reads every output stream from its beginning.
    pub(crate) async fn start(jetstream: &jetstream::Context, start: Instant) -> Result<Self> {
        let (sender, arrivals) = mpsc::channel(QUEUE);
        let mut readers = JoinSet::new();
        for ((stream, _), outcome) in OUTCOMES.into_iter().zip(Outcome::ALL) {
            let consumer = jetstream.create_consumer_on_stream(OrderedConfig::default(), stream).await;
            let messages = consumer.with_context(|| format!("cannot read the stream {stream}"))?.messages().await;
            let mut messages = messages.with_context(|| format!("cannot read the stream {stream}"))?;
            let sender = sender.clone();
            readers.spawn(async move {
                while let Some(message) = messages.next().await {
                    let arrival = message.map(|message| arrival(outcome, start, message.message));
                    let arrival = arrival.with_context(|| format!("reading the stream {stream}"));
                    if sender.send(arrival).await.is_err() {
                        return;
                    }
                }
            });
        }
        Ok(Self { arrivals, _readers: readers })
    }

    /// The next arrival. Cancel safe.
    pub(crate) async fn next(&mut self) -> Result<Arrival> {
        self.arrivals.recv().await.context("the readers of the output streams have ended")?
    }
}

fn arrival(outcome: Outcome, start: Instant, message: async_nats::Message) -> Arrival {
    let headers = message.headers.unwrap_or_default();
    let number = |name: &str| headers.get(name).and_then(|value| value.as_str().parse::<u64>().ok());
    let sent = number(SENT_HEADER).map(Duration::from_micros).unwrap_or_default();
    Arrival {
        outcome,
        subject: message.subject.to_string(),
        number: number(NUMBER_HEADER).and_then(|number| u32::try_from(number).ok()),
        latency: start.elapsed().saturating_sub(sent),
        payload: message.payload.to_vec(),
        headers,
    }
}
