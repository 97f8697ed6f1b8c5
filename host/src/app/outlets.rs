//! Looks after the services and subscriptions of the revision in force: tries services until they are there, serves
//! subscriptions, and keeps readiness true to both.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::task::JoinHandle;

use crate::outlets::service::Presence;
use crate::outlets::{Outlets, Queue, Service};
use crate::plan::{Plan, RouteTo};
use crate::telemetry::{Condition, Readiness};

/// Looks after them for as long as it is there.
#[derive(Debug)]
pub(super) struct Following {
    outlets: Outlets,
    readiness: Readiness,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    /// By what each keeps true.
    tasks: HashMap<Condition, JoinHandle<()>>,
    draining: bool,
}

impl Following {
    pub(super) fn new(outlets: Outlets, readiness: Readiness) -> Self {
        Self { outlets, readiness, state: Mutex::default() }
    }

    /// The services and queues of all revisions.
    pub(super) fn outlets(&self) -> Outlets {
        self.outlets.clone()
    }

    /// A plan comes into force: its rules wait for the services that it has, and what it no longer leads to is let go.
    /// Called on the runtime.
    pub(super) fn activated(&self, plan: &Plan) {
        let mut state = self.state();
        let mut wanted = HashMap::new();
        for rule in &plan.rules {
            rule.gate.set(rule.services());
            for route in &rule.routes {
                match &route.to {
                    RouteTo::Subject { .. } | RouteTo::Caller => {}
                    RouteTo::Service { service, .. } => {
                        wanted.insert(of_service(service), Followed::Service(Arc::clone(service)));
                    }
                    RouteTo::Subscribers { queue, .. } => {
                        wanted.insert(of_queue(queue), Followed::Queue(Arc::clone(queue)));
                    }
                }
            }
        }
        state.tasks.retain(|condition, task| {
            let kept = wanted.contains_key(condition);
            if !kept {
                task.abort();
                self.readiness.forget(condition);
            }
            kept
        });
        for queue in self.outlets.queues() {
            queue.serve(!state.draining && wanted.contains_key(&of_queue(&queue)));
        }
        for (condition, followed) in wanted {
            let (readiness, key) = (self.readiness.clone(), condition.clone());
            state.tasks.entry(condition).or_insert_with(|| tokio::spawn(followed.follow(key, readiness)));
        }
    }

    /// Hands nothing more to subscribers: what waits for one goes back to its source.
    pub(super) fn drain(&self) {
        self.state().draining = true;
        self.outlets.queues().iter().for_each(|queue| queue.serve(false));
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Following {
    fn drop(&mut self) {
        self.state().tasks.values().for_each(JoinHandle::abort);
    }
}

enum Followed {
    Service(Arc<Service>),
    Queue(Arc<Queue>),
}

impl Followed {
    async fn follow(self, condition: Condition, readiness: Readiness) {
        match self {
            Self::Service(service) => {
                let mut presence = service.presence();
                let told = async {
                    loop {
                        let met = match &*presence.borrow_and_update() {
                            Presence::There => Ok(()),
                            Presence::Unknown => Err("not tried yet".to_owned()),
                            Presence::Missing(reason) => Err(reason.clone()),
                        };
                        readiness.set(condition.clone(), met);
                        if presence.changed().await.is_err() {
                            return;
                        }
                    }
                };
                tokio::join!(service.keep_watch(), told);
            }
            Self::Queue(queue) => {
                let mut subscribers = queue.subscribers();
                loop {
                    let met = match *subscribers.borrow_and_update() {
                        0 => Err("nobody subscribes; its messages wait".to_owned()),
                        _ => Ok(()),
                    };
                    readiness.set(condition.clone(), met);
                    if subscribers.changed().await.is_err() {
                        return;
                    }
                }
            }
        }
    }
}

fn of_service(service: &Service) -> Condition {
    Condition::Service(service.address().to_string())
}

fn of_queue(queue: &Queue) -> Condition {
    Condition::Subscription(queue.name().clone())
}
