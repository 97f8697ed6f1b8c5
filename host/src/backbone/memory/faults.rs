//! What goes wrong, and how often.

use std::time::Duration;

use fastrand::Rng;

/// How often things go wrong, each number out of a thousand. The default is a server without fault or delay.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Faults {
    /// How long a delivery or a confirmation is on its way, at most.
    pub delay_most: Duration,
    /// Deliveries that come twice.
    pub delivered_twice: u32,
    /// Acknowledgements of any kind that get lost.
    pub acks_lost: u32,
    /// Publishes that fail before anything is stored.
    pub publishes_failed: u32,
    /// Publishes that are stored, and whose confirmation gets lost.
    pub confirmations_lost: u32,
    /// Publishes in which the client panics, before or after they are stored.
    pub panics: u32,
}

/// A bug that a client, or the pipeline above it, could have: played here to see whether a check would notice.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sabotage {
    /// Deliveries are acknowledged when they are handed over.
    AckEarly,
    /// Publishes that fail are reported as confirmed.
    ConfirmUnstored,
    /// What is handed back is never delivered again.
    DropNaks,
    /// Streams store again what they have stored already.
    IgnoreIds,
    /// Ordered sources do not wait for what was lost.
    SkipBarriers,
    /// Outputs that are to be stored together are stored one by one.
    SplitBatches,
}

impl Faults {
    pub(super) fn delay(&self, rng: &mut Rng) -> Duration {
        match u64::try_from(self.delay_most.as_micros()) {
            Ok(0) | Err(_) => Duration::ZERO,
            Ok(most) => Duration::from_micros(rng.u64(0..=most)),
        }
    }
}

/// Whether something happens that does so this often out of a thousand.
pub(super) fn happens(rng: &mut Rng, often: u32) -> bool {
    often > 0 && rng.u32(0..1000) < often
}
