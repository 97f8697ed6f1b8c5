//! What a source had no room for: counted where it is dropped, told by whoever reads the source.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use tokio::sync::Notify;

/// Messages that came and were dropped; cheap to clone.
#[derive(Debug, Clone, Default)]
pub struct Drops(Arc<Counted>);

#[derive(Debug, Default)]
struct Counted {
    in_all: AtomicU64,
    more: Notify,
}

impl Drops {
    pub(super) fn one(&self) {
        self.0.in_all.fetch_add(1, Ordering::Relaxed);
        self.0.more.notify_one();
    }

    /// How many there were since the source was opened.
    #[must_use]
    pub fn in_all(&self) -> u64 {
        self.0.in_all.load(Ordering::Relaxed)
    }

    /// Waits until there are more than there were when it was last waited for. For one caller at a time.
    pub async fn more(&self) {
        self.0.more.notified().await;
    }
}
