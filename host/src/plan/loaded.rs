//! A plan with the texts that it was made from, for those who look at it.

use std::sync::Arc;

use arc_swap::ArcSwapOption;

use crate::rules::FileSet;

use super::Plan;

/// A plan, and what it was made from.
#[derive(Debug, Clone)]
pub struct Loaded {
    /// The plan.
    pub plan: Arc<Plan>,
    /// The TOML files; empty where nobody looks at them.
    pub files: Arc<FileSet>,
}

/// What is in force, for those who look at it: the hot path has [`Live`](super::Live).
#[derive(Debug, Clone, Default)]
pub struct View(Arc<ArcSwapOption<Loaded>>);

impl View {
    /// What is in force now; nothing before the first plan is.
    #[must_use]
    pub fn current(&self) -> Option<Arc<Loaded>> {
        self.0.load_full()
    }

    /// Shows another one.
    pub fn replace(&self, loaded: Loaded) {
        self.0.store(Some(Arc::new(loaded)));
    }
}
