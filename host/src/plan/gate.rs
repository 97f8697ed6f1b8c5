//! What a rule's messages wait at while a service is not there that its outputs are posted to.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use tokio::time::Instant;

use crate::outlets::Service;

/// One for each rule; it outlives revisions. It asks after the services of the revision in force, whatever revision a
/// message is pinned to: one whose service was taken out of the configuration would wait for ever otherwise.
#[derive(Debug, Default)]
pub struct Gate {
    /// Whether it has to ask at all: of most rules, all that a message sees of this.
    asks: AtomicBool,
    services: Mutex<Vec<Arc<Service>>>,
}

impl Gate {
    /// Takes over the services of the revision that comes into force.
    pub fn set<'s>(&self, services: impl Iterator<Item = &'s Arc<Service>>) {
        let mut known = self.services.lock().unwrap_or_else(PoisonError::into_inner);
        *known = services.cloned().collect();
        self.asks.store(!known.is_empty(), Ordering::Release);
    }

    /// When to ask again; `None` if messages may pass.
    #[must_use]
    pub fn closed_until(&self) -> Option<Instant> {
        if !self.asks.load(Ordering::Acquire) {
            return None;
        }
        let services = self.services.lock().unwrap_or_else(PoisonError::into_inner);
        services.iter().filter_map(|service| service.closed_until()).max()
    }
}
