//! How long a connection lives: for a while, or for as long as somebody reads what never ends.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::time::{Instant, sleep_until};

/// The connection of a request, as far as its handler has a say in it.
#[derive(Debug, Clone)]
pub(super) struct Line(Arc<Mutex<Instant>>);

impl Line {
    /// A connection that lives for so long.
    pub(super) fn new(life: Duration) -> Self {
        Self(Arc::new(Mutex::new(Instant::now() + life)))
    }

    /// It lives for at least this long from now on.
    pub(super) fn stays_for(&self, more: Duration) {
        let mut end = self.end();
        *end = (*end).max(Instant::now() + more);
    }

    /// Waits for the end of its life.
    pub(super) async fn over(&self) {
        loop {
            let end = *self.end();
            if end <= Instant::now() {
                return;
            }
            sleep_until(end).await;
        }
    }

    fn end(&self) -> std::sync::MutexGuard<'_, Instant> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_connection_lives_for_as_long_as_it_is_asked_to_stay() {
        let (begun, line) = (Instant::now(), Line::new(Duration::from_secs(600)));
        line.stays_for(Duration::from_secs(60));
        let asking = line.clone();
        tokio::spawn(async move {
            for _ in 0..100 {
                tokio::time::sleep(Duration::from_secs(10)).await;
                asking.stays_for(Duration::from_secs(60));
            }
        });
        line.over().await;
        assert_eq!(begun.elapsed().as_secs(), 1060);
    }
}
