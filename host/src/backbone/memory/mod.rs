//! A NATS server in memory, behind the same port as a real one: streams with duplicate windows, durable pull
//! consumers, core subscriptions, and everything that can go wrong with them.
//!
//! It is for the simulation, which runs the real pipeline against it on one thread with tokio's time paused. All that
//! is left to chance is decided by one seeded generator in the order of the calls, and nothing here depends on the
//! order of a hash map or on the machine's clock: the same calls give the same [`Event`]s. It is compiled always, so
//! that what the simulation has tried is the very code that users run.
//!
//! What it models, and where it is simpler than a server:
//! * A publish is stored or refused at once; its confirmation comes later, may get lost, and does not outlive the
//!   connection. Deliveries come later too, in order, and are lost with the connection.
//! * Acknowledgements arrive at once or not at all; those of a lost connection arrive when it is back, or never.
//! * What is due again is delivered in the order of the deadlines, ahead of what is new.
//! * A source with `partitions` is *ordered*: one reader at a time, the first that asks once the one before is gone or
//!   was silent for too long. After anything that may have lost a delivery nothing newer is handed over before what was
//!   lost has come again, sorted by sequence, or others are done with it. All partitions are one.
//! * Messages to one stream that are published together are stored together, unless the stream has some of them.
//! * Streams keep everything, up to a bound, and neither they nor their consumers can be deleted.

mod ack;
mod client;
mod consumer;
mod core;
mod event;
mod faults;
mod publish;
mod server;
mod source;
mod state;
mod stream;
#[cfg(test)]
mod tests;

pub use ack::MemoryAcker;
pub use client::Client;
pub use event::{Event, Happened, Place};
pub use faults::{Faults, Sabotage};
pub use server::{Backlog, Server};
pub use stream::Stored;

pub(super) use ack::Resolution;
pub(super) use publish::Pending;
pub(super) use source::MemorySource;
