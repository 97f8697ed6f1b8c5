//! What happened at the server, in order: for whoever checks it, and for people who want to know how it came to that.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

/// One thing that happened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Event {
    /// When, since the server began.
    pub at: Duration,
    /// What.
    pub what: Happened,
}

/// A message of a stream, as one of its consumers sees it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    /// The stream.
    pub stream: Arc<str>,
    /// The durable consumer.
    pub consumer: Arc<str>,
    /// The message's sequence in the stream.
    pub sequence: u64,
}

/// What can happen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Happened {
    /// A stream has stored a message.
    Stored {
        /// The stream.
        stream: Arc<str>,
        /// The message's sequence.
        sequence: u64,
        /// What it was published to.
        subject: String,
        /// Its `Nats-Msg-Id`; empty without one.
        id: String,
    },
    /// A stream had stored the message before.
    Duplicate {
        /// The stream.
        stream: Arc<str>,
        /// The sequence that it has.
        sequence: u64,
        /// Its `Nats-Msg-Id`.
        id: String,
    },
    /// A message that no stream takes has been passed on to this many subscriptions.
    Passed {
        /// What it was published to.
        subject: String,
        /// Its `Nats-Msg-Id`; empty without one.
        id: String,
        /// How many have it now.
        receivers: usize,
    },
    /// A publish failed before anything was stored.
    Failed {
        /// What it was published to.
        subject: String,
        /// Its `Nats-Msg-Id`.
        id: String,
        /// How.
        why: String,
    },
    /// A message was stored or passed on, and its confirmation got lost.
    Unconfirmed {
        /// Its `Nats-Msg-Id`.
        id: String,
    },
    /// A message was handed over to a reader of the consumer.
    Delivered {
        /// The reader's client.
        client: usize,
        /// Which.
        place: Place,
        /// How often it was delivered with this.
        delivery: u32,
    },
    /// A message of a core subscription was handed over.
    Received {
        /// The reader's client.
        client: usize,
        /// Its subject.
        subject: String,
        /// The id of its origin.
        id: String,
    },
    /// A core subscription had no room for a message.
    Dropped {
        /// Its subject.
        subject: String,
    },
    /// A message is done with: it was acknowledged.
    Acknowledged(Place),
    /// A message is done with: it was terminated.
    Terminated(Place),
    /// A client handed a message back.
    HandedBack {
        /// The client.
        client: usize,
        /// Which.
        place: Place,
        /// After how long it is to be delivered again.
        after: Duration,
    },
    /// A client's acknowledgement, hand-back or termination got lost.
    AnswerLost {
        /// The client.
        client: usize,
        /// Of which message.
        place: Place,
    },
    /// A sign of progress got lost.
    ProgressLost(Place),
    /// An ordered consumer hands over nothing newer before these have come again.
    Barrier {
        /// The consumer.
        consumer: Arc<str>,
        /// How many are waited for.
        awaited: usize,
    },
    /// An ordered consumer delivers to this client from now on.
    Pinned {
        /// The consumer.
        consumer: Arc<str>,
        /// The client.
        client: usize,
    },
    /// A client panicked when it published a message, or when it waited for its confirmation.
    Panicked {
        /// Its `Nats-Msg-Id`.
        id: String,
    },
    /// Every connection is lost for this long.
    Interrupted(Duration),
    /// A client's connection is lost for this long.
    Cut(usize, Duration),
    /// A client has its connection back.
    Reconnected(usize),
    /// A stream takes nothing for this long.
    Filled(Arc<str>, Duration),
    /// A client is gone, with everything that it had not resolved.
    Crashed(usize),
}

impl fmt::Display for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:>10.3}s  {}", self.at.as_secs_f64(), self.what)
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{} by {}", self.stream, self.sequence, self.consumer)
    }
}

impl fmt::Display for Happened {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Stored { stream, sequence, subject, id } => write!(f, "stored {stream}:{sequence} {subject} {id}"),
            Self::Duplicate { stream, sequence, id } => write!(f, "a duplicate of {stream}:{sequence} {id}"),
            Self::Passed { subject, id, receivers } => write!(f, "passed to {receivers}: {subject} {id}"),
            Self::Failed { subject, id, why } => write!(f, "failed: {subject} {id}: {why}"),
            Self::Unconfirmed { id } => write!(f, "unconfirmed {id}"),
            Self::Delivered { client, place, delivery } => {
                write!(f, "delivered {place} ({delivery}) to client {client}")
            }
            Self::Received { client, subject, id } => write!(f, "received {subject} {id} by client {client}"),
            Self::Dropped { subject } => write!(f, "dropped {subject}"),
            Self::Acknowledged(place) => write!(f, "acknowledged {place}"),
            Self::Terminated(place) => write!(f, "terminated {place}"),
            Self::HandedBack { client, place, after } => {
                write!(f, "handed back {place} by client {client}, again after {after:?}")
            }
            Self::AnswerLost { client, place } => write!(f, "lost the answer of client {client} about {place}"),
            Self::ProgressLost(place) => write!(f, "lost a sign of progress of {place}"),
            Self::Barrier { consumer, awaited } => write!(f, "{consumer} awaits {awaited} again"),
            Self::Pinned { consumer, client } => write!(f, "{consumer} delivers to client {client}"),
            Self::Panicked { id } => write!(f, "panicked about {id}"),
            Self::Cut(client, during) => write!(f, "client {client} is cut off for {during:?}"),
            Self::Interrupted(during) => write!(f, "interrupted for {during:?}"),
            Self::Reconnected(client) => write!(f, "client {client} reconnected"),
            Self::Filled(stream, during) => write!(f, "{stream} is full for {during:?}"),
            Self::Crashed(client) => write!(f, "client {client} crashed"),
        }
    }
}
