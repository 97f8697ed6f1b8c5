//! The hot path: `intake -> lane -> stages -> emit -> ack`. Each step consumes the one before (`Delivery -> Job ->
//! Routed -> Emitted -> Acked`), so that acknowledging before emitting does not compile.

mod caller;
mod confine;
mod confirm;
mod counter;
mod dead;
mod emit;
mod flight;
mod intake;
mod job;
mod lane;
mod observe;
mod outcome;
mod outlet;
mod ready;
mod schedule;
mod seen;
mod settle;
mod spans;
mod speed;
mod stages;
mod survive;
mod taps;
#[cfg(test)]
mod tests;

pub use caller::{Caller, Ended, Kept, Part, Report};
pub use counter::{Counter, Handed, NotTaken};
pub(crate) use dead::without_payload;
pub use dead::{Tries, dead_letter, header};
pub(crate) use emit::Way;
pub use emit::{Emitted, Routed, Stamped, stamped};
pub use flight::InFlight;
pub use intake::{Intake, Place, Window};
pub use job::{Acked, Job, Task};
pub use lane::{Lanes, LanesSettings};
pub use observe::{Observation, observations};
pub(crate) use observe::{headers_json, raw_json};
pub use outcome::{Dropped, Failure, FailureClass, Outcome, Output, StageTrace};
pub(crate) use outlet::Underway;
pub use schedule::Scheduler;
pub use seen::{Ending, Seen};
pub use stages::Runner;
pub use taps::{Glance, MAX_TAPS, Tap, TapFilter, Taps, TooManyTaps};
