//! How many requests are answered: a bucket that fills up again.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

/// So many a second, and twice as many at once after a while without any.
#[derive(Debug)]
pub(super) struct Rate {
    /// Between two requests, where they come without end.
    interval: Duration,
    /// How far ahead of that they may be.
    ahead: Duration,
    /// When there would be one request less ahead: in the past while nobody asks.
    next: Mutex<Instant>,
}

impl Rate {
    pub(super) fn new(per_second: u32) -> Self {
        let interval = Duration::from_secs(1) / per_second.max(1);
        Self { interval, ahead: interval * (2 * per_second.max(1) - 1), next: Mutex::new(Instant::now()) }
    }

    /// Takes one.
    ///
    /// # Errors
    /// When there is none: in how many seconds to come again.
    pub(super) fn take(&self) -> Result<(), u64> {
        let now = Instant::now();
        let mut next = self.next.lock().unwrap_or_else(PoisonError::into_inner);
        let free = next.checked_duration_since(now + self.ahead).filter(|wait| !wait.is_zero());
        match free {
            Some(wait) => Err(wait.as_secs() + 1),
            None => {
                *next = (*next).max(now) + self.interval;
                Ok(())
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn twice_as_many_at_once_and_then_one_after_another() {
        let rate = Rate::new(10);
        let taken = || (0..100).filter(|_| rate.take().is_ok()).count();
        assert_eq!(taken(), 20);
        assert_eq!(rate.take(), Err(1));
        tokio::time::advance(Duration::from_millis(300)).await;
        assert_eq!(taken(), 3);
        tokio::time::advance(Duration::from_secs(3600)).await;
        assert_eq!(taken(), 20, "what is not asked for is not saved up for ever");
    }
}
