//! As fast as it goes: how many messages a second, and what each costs.

use std::sync::Arc;

use anyhow::Result;

use super::books::Mistakes;
use super::contestant::{Contestant, Programs};
use super::task::Transport;
use super::usage::Usage;
use super::world::{Load, World};

mod live;
pub(crate) mod stored;

/// The first so many of a hundred messages are for warming up: they are checked and not measured.
const WARM_UP_PERCENT: usize = 10;

/// What one run showed.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Measured {
    /// Messages a second.
    pub(crate) rate: f64,
    /// Processor time of the process under test, in microseconds a message.
    pub(crate) micros: Usage,
    /// The most memory that it had, in bytes.
    pub(crate) peak: u64,
}

/// What came of a run: a result, or what was wrong about what arrived.
pub(crate) type Judged<T> = std::result::Result<T, Mistakes>;

/// Runs a contestant under a load.
///
/// # Errors
/// When it cannot be run at all.
pub(crate) async fn run(
    world: &World,
    programs: &Programs,
    load: &Arc<Load>,
    contestant: &Contestant,
) -> Result<Judged<Measured>> {
    match load.transport {
        Transport::Core => live::run(world, programs, load, contestant).await,
        Transport::JetStream => stored::run(world, programs, load, contestant).await,
    }
}

/// From which message on is measured.
pub(crate) fn warm(count: usize) -> usize {
    count * WARM_UP_PERCENT / 100
}

fn measured(messages: usize, seconds: f64, used: Usage, peak: u64) -> Measured {
    #[expect(clippy::cast_precision_loss, reason = "no run has that many messages")]
    let rate = messages as f64 / seconds.max(f64::EPSILON);
    Measured { rate, micros: used.micros_each(messages), peak }
}
