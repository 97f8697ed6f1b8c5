//! A connection that is there: what can be done with it, and leaving in good order.

use std::sync::Arc;
use std::time::Duration;

use async_nats::jetstream::consumer::Info;

use super::buckets::Buckets;
use super::consumer::Wanted;
use super::core::CoreSource;
use super::ensure::{self, EnsureError, RequiredStream};
use super::jetstream::JetStreamSource;
use super::link::LinkWatch;
use super::partitions::{self, PartitionedSource};
use super::publish::{NatsPublisher, Publisher, PublisherKind};
use super::replies::Replies;
use super::source::{Kind, Source, SourceError};
use super::wire::{JetStreamError, Wire};
use crate::rules::{self, SourceKind};
use crate::telemetry::Lag;

/// Why a connection was not closed in good order.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CloseError {
    /// Not everything was sent in time.
    #[error(
        "the connection to NATS was not drained within {0:?}; what was not sent is lost, or redelivered by its stream"
    )]
    Deadline(Duration),
}

/// A connection to the NATS servers, which comes back by itself; cheap to clone.
#[derive(Debug, Clone)]
pub struct Connection {
    pub(super) publisher: NatsPublisher,
}

/// Ends the background work of a connection with its last handle.
#[derive(Debug)]
pub(super) struct Tasks(pub(super) [tokio::task::JoinHandle<()>; 3]);

impl Drop for Tasks {
    fn drop(&mut self) {
        self.0.iter().for_each(tokio::task::JoinHandle::abort);
    }
}

impl Connection {
    pub(super) fn new(publisher: NatsPublisher) -> Self {
        Self { publisher }
    }

    /// Whether the connection is there at this moment.
    #[must_use]
    pub fn is_connected(&self) -> bool {
        self.wire().is_connected()
    }

    /// The version of the server, as `2.11.4`.
    #[must_use]
    pub fn server_version(&self) -> String {
        self.wire().client.server_info().version
    }

    /// The name of the server.
    #[must_use]
    pub fn server_name(&self) -> String {
        self.wire().client.server_info().server_name
    }

    /// Largest message that the server takes, headers and payload together, in bytes.
    #[must_use]
    pub fn max_payload(&self) -> usize {
        self.wire().client.max_payload()
    }

    /// Whether the connection is there, now and after every change.
    #[must_use]
    pub fn watch(&self) -> LinkWatch {
        LinkWatch::of(&self.wire().link)
    }

    /// How often the connection was lost.
    #[must_use]
    pub fn losses(&self) -> u64 {
        self.wire().link.state().lost
    }

    /// Messages that the client itself dropped, because a subscription was not read fast enough.
    #[must_use]
    pub fn slow_consumer_drops(&self) -> u64 {
        self.wire().link.slow_consumer_drops()
    }

    /// What outputs are published with.
    #[must_use]
    pub fn publisher(&self) -> Publisher {
        Publisher(PublisherKind::Nats(self.publisher.clone()))
    }

    /// The buckets of the key-value store.
    #[must_use]
    pub fn buckets(&self) -> Buckets {
        Buckets::new(Arc::clone(self.wire()))
    }

    /// Opens a source. The durable consumers of a JetStream source are made if they are missing.
    ///
    /// # Errors
    /// When its stream does not exist, its consumer is not as the settings say, or the server refuses.
    pub async fn open(&self, source: &rules::Source) -> Result<Source, SourceError> {
        let wire = Arc::clone(self.wire());
        Ok(Source(match &source.kind {
            SourceKind::JetStream {
                stream,
                filter_subjects,
                durable,
                deliver,
                ack_wait,
                double_ack,
                partitions,
                ..
            } => {
                let wanted = Wanted {
                    stream,
                    durable,
                    filter_subjects,
                    deliver,
                    ack_wait: *ack_wait,
                    max_in_flight_messages: source.max_in_flight_messages,
                    ordered: partitions.is_some(),
                    double_ack: *double_ack,
                };
                match partitions {
                    Some(partitions) if partitions.count > 1 => {
                        Kind::Partitioned(Box::new(PartitionedSource::open(wire, wanted, partitions).await?))
                    }
                    _ => Kind::JetStream(Box::new(JetStreamSource::open(wire, wanted).await?)),
                }
            }
            SourceKind::Core { subject, queue_group } => {
                let echo = &self.publisher.parts.echo;
                let (messages, bytes) = (source.max_in_flight_messages, source.max_in_flight_bytes);
                Kind::Core(CoreSource::open(&wire, echo, subject, queue_group.as_deref(), messages, bytes).await?)
            }
            SourceKind::Sidecar | SourceKind::Replies => return Err(SourceError::NotOfNats),
        }))
    }

    /// How far the consumers of a JetStream source are behind, those of all its partitions together. `None` for a source
    /// of another kind.
    ///
    /// # Errors
    /// When the server does not say.
    pub async fn lag(&self, source: &rules::Source) -> Result<Option<Lag>, JetStreamError> {
        let SourceKind::JetStream { stream, durable, partitions, .. } = &source.kind else { return Ok(None) };
        let durables = match partitions {
            Some(partitions) if partitions.count > 1 => {
                (0..partitions.count).map(|number| partitions::durable_of(durable, number)).collect()
            }
            _ => vec![durable.clone()],
        };
        let mut lag = Lag::default();
        for durable in durables {
            let info: Info = self.wire().ask(format!("CONSUMER.INFO.{stream}.{durable}")).await?;
            lag.pending += info.num_pending;
            lag.unacknowledged += info.num_ack_pending as u64;
            lag.redelivered += info.num_redelivered as u64;
        }
        Ok(Some(lag))
    }

    /// Opens what replies to requests come in by.
    ///
    /// # Errors
    /// When the server refuses the subscription.
    pub async fn replies(&self) -> Result<Replies, SourceError> {
        Replies::open(self.wire()).await
    }

    /// Checks that all these streams exist and take their subjects; with `create`, makes those that do not exist.
    ///
    /// # Errors
    /// Names everything that is missing, each with the command that makes it.
    pub async fn ensure_streams(&self, required: &[RequiredStream], create: bool) -> Result<(), EnsureError> {
        let result = ensure::ensure(self.wire(), required, create).await;
        self.publisher.parts.index.refresh(self.wire()).await;
        result
    }

    /// Sends what is still to be sent and closes the connection for all its handles.
    ///
    /// # Errors
    /// When that takes longer than `within`.
    pub async fn close(&self, within: Duration) -> Result<(), CloseError> {
        let leave = async {
            let mut link = self.wire().link.watch();
            // Lost or not, there is nothing more to be done about it than to close.
            let _ = self.publisher.parts.echo.flush().await;
            if self.wire().client.drain().await.is_ok() {
                let _ = link.wait_for(|state| state.closed).await;
            }
        };
        tokio::time::timeout(within, leave).await.map_err(|_| CloseError::Deadline(within))
    }

    pub(super) fn wire(&self) -> &Arc<Wire> {
        &self.publisher.parts.wire
    }
}
