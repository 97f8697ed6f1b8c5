//! Keeps a fault that hits every message from filling the log: one line a second, and how many there would have been.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use prometheus_client::metrics::counter::Counter;

/// Lets one line a second through.
#[derive(Debug)]
pub struct Throttle {
    begun: Instant,
    /// The second, counted from `begun`, in which a line was let through last, plus one.
    last: AtomicU64,
    held_back: AtomicU64,
    counter: Counter,
}

impl Throttle {
    /// One that counts here what it holds back.
    #[must_use]
    pub fn counting(counter: Counter) -> Self {
        Self { counter, ..Self::default() }
    }

    /// Whether a line may be logged now: how many were held back before it.
    #[must_use]
    pub fn pass(&self) -> Option<u64> {
        let now = self.begun.elapsed().as_secs() + 1;
        let last = self.last.load(Ordering::Relaxed);
        let first = now > last && self.last.compare_exchange(last, now, Ordering::Relaxed, Ordering::Relaxed).is_ok();
        if first {
            return Some(self.held_back.swap(0, Ordering::Relaxed));
        }
        self.held_back.fetch_add(1, Ordering::Relaxed);
        self.counter.inc();
        None
    }
}

impl Default for Throttle {
    fn default() -> Self {
        Self {
            begun: Instant::now(),
            last: AtomicU64::new(0),
            held_back: AtomicU64::new(0),
            counter: Counter::default(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn one_line_a_second_passes_and_tells_how_many_did_not() {
        let mut throttle = Throttle::default();
        assert_eq!(throttle.pass(), Some(0));
        let passed = (0..100).filter(|_| throttle.pass().is_some()).count();
        assert!(passed <= 1, "a second may have ended meanwhile, but not two");
        throttle.begun -= Duration::from_secs(10);
        assert!(throttle.pass().is_some_and(|held_back| held_back >= 99));
    }
}
