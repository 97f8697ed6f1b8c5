//! The control path: one way for start and reload. Whatever wants a new revision sends an event into one bounded
//! queue; a state machine compiles off the hot path, and either swaps the plan or leaves everything as it was.

mod change;
mod event;
mod hangup;
mod history;
mod state;
mod status;
mod watch;

pub use change::{Basis, Change, Overlay, Refused, Wanted, What};
pub use event::{Control, Stopping, Trigger};
pub use hangup::follow_hangups;
pub use history::{Changes, Difference, Past};
pub use state::{Compiled, Controller, Rejection};
pub use status::{Active, Outcome, ReloadRecord, Status};
pub use watch::FileWatch;
