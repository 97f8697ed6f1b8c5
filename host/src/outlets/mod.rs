//! Where outputs go that do not go to NATS: to a service that is posted to ([`service`]), or to services that subscribe
//! ([`queue`]). As with NATS, an output is safe only when its receiver has said so.
//!
//! A leaf beside `backbone`: it knows messages, and neither rules' files nor plans. What is here outlives revisions, as
//! breakers do: a plan has handles to it.

pub mod queue;
pub mod service;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::names::QueueName;
use crate::rules::ServiceAddress;

pub use queue::{Content, Offered, Queue, Unanswered};
pub use service::{Post, PostError, Posted, Service};

/// Whether a header of a message could pass for a right of whoever the message is handed to by HTTP.
pub(crate) fn is_credential(name: &str) -> bool {
    ["authorization", "cookie", "proxy-authorization"].iter().any(|known| known.eq_ignore_ascii_case(name))
}

/// The services and queues that were ever in a configuration of this process, each once; cheap to clone.
#[derive(Debug, Clone, Default)]
pub struct Outlets(Arc<Mutex<Known>>);

#[derive(Debug, Default)]
struct Known {
    services: HashMap<ServiceAddress, Arc<Service>>,
    queues: HashMap<QueueName, Arc<Queue>>,
}

impl Outlets {
    /// The service at an address. `concurrency` bounds the requests to it that are under way, and holds from the first
    /// time on.
    #[must_use]
    pub fn service(&self, address: &ServiceAddress, concurrency: usize) -> Arc<Service> {
        let make = || Arc::new(Service::new(address.clone(), concurrency));
        Arc::clone(self.known().services.entry(address.clone()).or_insert_with(make))
    }

    /// What services subscribe to by a name.
    #[must_use]
    pub fn queue(&self, name: &QueueName) -> Arc<Queue> {
        let make = || Arc::new(Queue::new(name.clone()));
        Arc::clone(self.known().queues.entry(name.clone()).or_insert_with(make))
    }

    /// The same, if it is known.
    #[must_use]
    pub fn find_queue(&self, name: &str) -> Option<Arc<Queue>> {
        self.known().queues.get(name).cloned()
    }

    /// All queues.
    #[must_use]
    pub fn queues(&self) -> Vec<Arc<Queue>> {
        self.known().queues.values().cloned().collect()
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
