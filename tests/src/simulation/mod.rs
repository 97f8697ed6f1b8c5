//! The simulation: the real pipeline on a NATS server in memory, with tokio's time paused and everything that is left
//! to chance decided by a seed, so that a seed that fails can be looked at again and again.
//!
//! For each seed a [`Scenario`] says which messages are published, what the plugin does with each, and what goes
//! wrong: lost and late confirmations, acknowledgements and deliveries, publishes that fail, interruptions, full
//! streams, reloads, restarts and crashes. [`run`] plays it, then lets everything come to rest; [`oracle`] knows what
//! each message has to come to and judges the server's record:
//!
//! * **Nothing lost.** Whenever a message is acknowledged, everything that its verdict calls for is stored, or it is a
//!   dead letter; and long after the last fault every message of a stream is acknowledged.
//! * **Nothing twice.** No output or dead letter is stored twice within the duplicate window.
//! * **Nothing out of order.** For each rule with `order-by`, route and key, outputs are stored in the order of their
//!   messages, except of messages that were given up.
//! * **Nothing invented.** Every output and dead letter belongs to a message and has the subject and payload that its
//!   verdict calls for.
//! * **Nothing left behind.** A process that has drained has answered every delivery, and with nothing in its way it
//!   drains in time.
//!
//! The rules, the plan, the intake, the scheduler, the lanes, the plugin calls and the settlers are the ones that users
//! run. Lanes are tasks here and not threads. That the oracle finds what it is there for is shown by [`Bug`]s.

mod bug;
mod oracle;
mod process;
mod ruling;
mod run;
mod scenario;
mod verdict;
mod world;

pub use bug::Bug;
pub use oracle::{Counts, Violation};
pub use run::{Run, run};
pub use scenario::{Act, Produced, Scenario};
pub use verdict::Verdict;
pub use world::World;
