//! The backbone port: messages come in through a [`Source`], go out through a [`Publisher`], and every [`Delivery`]
//! carries the [`Acker`] that tells the server what became of it. Nothing outside this module sees the NATS client.
//! Behind the port are NATS servers ([`connect`]), or one in memory ([`memory`]) that fails as it is told to.
//!
//! What can be relied on:
//! * **At least once from JetStream.** A delivery is acknowledged by [`Acker::ack`] and by nothing else; one that is
//!   dropped comes again after the consumer's ack wait.
//! * **A confirmed output is safe.** [`Pending::confirmed`] answers once the stream has stored the message, or, for
//!   a subject that no stream takes, once the server is known to have read it off the wire.
//! * **Order out.** Messages reach the wire in the order in which [`Publisher::publish`] returned.
//! * **Order in.** A source with partitions hands messages over in stream order among all that are not acknowledged, over
//!   redeliveries and from one instance to the next; with several partitions, in each of them.
//! * **Bounds.** A source never asks for more than the [`Room`] it is given.
//! * **Identity.** The origin's id is the same on every redelivery and differs between any two messages, also of a
//!   stream that was deleted and made again.

mod ack;
mod batch;
mod buckets;
mod connect;
mod connection;
mod consumer;
mod core;
mod drops;
mod echo;
mod ensure;
mod held;
mod ingest;
mod jetstream;
mod link;
pub mod memory;
mod ordered;
mod partitions;
mod publish;
mod replies;
mod source;
mod streams;
#[cfg(test)]
mod tests;
mod tls;
mod wire;

pub use ack::{AckError, Acker};
pub use buckets::{BucketError, Buckets, EnsureBucketsError, Entry, RequiredBucket};
pub use connect::{ConnectError, check, connect};
pub use connection::{CloseError, Connection};
pub use consumer::Difference;
pub use drops::Drops;
pub use ensure::{EnsureError, Lack, MissingStream, Need, RequiredStream};
pub use held::{Held, Holding};
pub use link::LinkWatch;
pub use publish::{Confirmed, Outgoing, Pending, PublishError, Publisher};
pub use replies::{Awaited, Replies, Reply};
pub use source::{Room, Source, SourceError};
pub use wire::JetStreamError;

use crate::message::{Message, Origin, Subject};

/// One message that a source has delivered and that waits to be resolved.
#[derive(Debug)]
pub struct Delivery {
    /// The message.
    pub message: Message,
    /// Where it came from.
    pub origin: Origin,
    /// Where a requester waits for an answer; core sources only.
    pub reply: Option<Subject>,
    /// What it counts against a bound in bytes: subject, reply subject, headers and payload.
    pub bytes: usize,
    /// How to tell the server what became of it.
    pub acker: Acker,
}
