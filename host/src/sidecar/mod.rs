//! HTTP for a service beside Trackside that has no NATS client.
//!
//! Services that would rather pull than be posted to get what routes hand out by `subscribe.rs`. It holds no state of its
//! own: what is handed out is known to [`crate::outlets`], and what becomes of it is decided by its rule.

mod server;
mod subscribe;

use std::sync::Arc;

use crate::outlets::Outlets;
use crate::telemetry::Readiness;

pub use server::serve;

/// What the listener needs.
#[derive(Debug, Clone)]
pub struct Sidecar {
    outlets: Outlets,
    readiness: Readiness,
    /// Tells what this process has handed out from what another one has.
    run: Arc<str>,
}

impl Sidecar {
    /// A sidecar that hands out what waits in these queues.
    ///
    /// # Errors
    /// When the system has no random bytes.
    pub fn new(outlets: Outlets, readiness: Readiness) -> Result<Self, getrandom::Error> {
        let mut run = [0; 6];
        getrandom::fill(&mut run)?;
        Ok(Self { outlets, readiness, run: hex::encode(run).into() })
    }
}
