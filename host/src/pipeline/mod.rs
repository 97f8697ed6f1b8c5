//! The hot path: `intake -> lane -> stages -> emit -> ack`. Each step consumes the one before (`Delivery -> Job ->
//! Routed -> Emitted -> Acked`), so that acknowledging before emitting does not compile.

mod ack;
mod dead;
mod emit;
mod intake;
mod lane;
mod observe;
mod outcome;
mod stages;

pub use ack::Acked;
pub use dead::dead_letter;
pub use emit::{Emitted, Routed, outgoing};
pub use intake::{Intake, Job, Window};
pub use lane::{LaneQueues, Lanes, LanesSettings};
pub use observe::{Observation, Observer, observations};
pub use outcome::{Dropped, Failure, FailureClass, Outcome, Output, StageTrace};
pub use stages::{MAX_PARTS, Runner};
