//! The plan in force. `control` replaces it, `pipeline` pins it for each message.

use std::sync::Arc;

use arc_swap::{ArcSwap, Cache};

use super::Plan;

/// The plan in force, shared by everything.
#[derive(Debug, Clone)]
pub struct Live(Arc<ArcSwap<Plan>>);

/// A reader's own view of the plan in force: as cheap as reading a plain pointer while nothing changes.
#[derive(Debug)]
pub struct Pinned(Cache<Arc<ArcSwap<Plan>>, Arc<Plan>>);

impl Live {
    /// Begins with this plan.
    #[must_use]
    pub fn new(plan: Arc<Plan>) -> Self {
        Self(Arc::new(ArcSwap::new(plan)))
    }

    /// Replaces the plan: messages pinned to the old one finish on it.
    pub fn replace(&self, plan: Arc<Plan>) {
        self.0.store(plan);
    }

    /// The plan in force now.
    #[must_use]
    pub fn current(&self) -> Arc<Plan> {
        self.0.load_full()
    }

    /// A reader of its own for a hot path.
    #[must_use]
    pub fn reader(&self) -> Pinned {
        Pinned(Cache::new(Arc::clone(&self.0)))
    }
}

impl Pinned {
    /// Pins the plan in force now.
    pub fn pin(&mut self) -> Arc<Plan> {
        Arc::clone(self.0.load())
    }
}
