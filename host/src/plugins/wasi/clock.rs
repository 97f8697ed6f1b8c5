//! The clocks: the message's own time, or the real one for a plugin that was granted it.
//!
//! By the message's time waiting takes no time: a timer is ready when it is made, and moves the clock. By the real one it
//! takes as long as it says, but never longer than the call may take.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use wasmtime::component::Resource;
use wasmtime_wasi::p2::bindings::clocks::{monotonic_clock, wall_clock};
use wasmtime_wasi::p2::{DynPollable, Pollable, subscribe};

use crate::message::Origin;

use super::super::limits::Deadline;
use super::VirtualWasi;

/// How far each look at the virtual monotonic clock moves it.
const NANOS_A_LOOK: u64 = 1_000;

const NANOS_A_MILLI: u64 = 1_000_000;

/// What an instance's clocks read.
pub(super) enum Clock {
    /// The time of the message.
    Virtual { wall_ms: u64, monotonic_ns: u64 },
    /// The time of day, and the time since the instance was made; timers end with the call.
    Real { begun: Instant, deadline: Deadline },
}

impl Clock {
    /// Clocks that stand at this time, in milliseconds since the Unix epoch.
    pub(super) fn virtual_at(timestamp_ms: u64) -> Self {
        // Go aborts when the monotonic clock reads 0.
        let monotonic_ns = timestamp_ms.saturating_mul(NANOS_A_MILLI).max(1);
        Self::Virtual { wall_ms: timestamp_ms, monotonic_ns }
    }

    /// The real ones, in a call that has until then.
    pub(super) fn real(deadline: Deadline) -> Self {
        Self::Real { begun: Instant::now(), deadline }
    }

    pub(super) fn begin_message(&mut self, origin: &Origin, until: Deadline) {
        match self {
            Self::Virtual { .. } => *self = Self::virtual_at(origin.timestamp_ms),
            Self::Real { deadline, .. } => *deadline = until,
        }
    }

    fn wall(&self) -> Duration {
        match self {
            Self::Virtual { wall_ms, .. } => Duration::from_millis(*wall_ms),
            Self::Real { .. } => SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default(),
        }
    }

    fn monotonic(&mut self) -> u64 {
        match self {
            Self::Virtual { monotonic_ns, .. } => {
                *monotonic_ns = monotonic_ns.saturating_add(NANOS_A_LOOK);
                *monotonic_ns
            }
            Self::Real { begun, .. } => since(*begun),
        }
    }

    /// A timer that is ready at this time of the monotonic clock.
    fn until(&mut self, until_ns: u64) -> Timer {
        match self {
            Self::Virtual { wall_ms, monotonic_ns } => {
                *monotonic_ns = until_ns.max(*monotonic_ns);
                *wall_ms = (*monotonic_ns / NANOS_A_MILLI).max(*wall_ms);
                Timer(None)
            }
            Self::Real { begun, deadline } => {
                let at = begun.checked_add(Duration::from_nanos(until_ns)).unwrap_or(deadline.at());
                Timer(Some(at.min(deadline.at())))
            }
        }
    }

    fn after(&mut self, nanos: u64) -> Timer {
        let now = match self {
            Self::Virtual { monotonic_ns, .. } => *monotonic_ns,
            Self::Real { begun, .. } => since(*begun),
        };
        self.until(now.saturating_add(nanos))
    }
}

fn since(begun: Instant) -> u64 {
    u64::try_from(begun.elapsed().as_nanos()).unwrap_or(u64::MAX).max(1)
}

/// Ready at this moment, or at once.
struct Timer(Option<Instant>);

#[wasmtime_wasi::async_trait]
impl Pollable for Timer {
    async fn ready(&mut self) {
        if let Some(at) = self.0 {
            tokio::time::sleep_until(at.into()).await;
        }
    }
}

impl VirtualWasi {
    fn timer(&mut self, timer: Timer) -> wasmtime::Result<Resource<DynPollable>> {
        let timer = self.table.push(timer)?;
        subscribe(&mut self.table, timer)
    }
}

impl wall_clock::Host for VirtualWasi {
    fn now(&mut self) -> wasmtime::Result<wall_clock::Datetime> {
        let now = self.clock.wall();
        Ok(wall_clock::Datetime { seconds: now.as_secs(), nanoseconds: now.subsec_nanos() })
    }

    fn resolution(&mut self) -> wasmtime::Result<wall_clock::Datetime> {
        Ok(wall_clock::Datetime { seconds: 0, nanoseconds: 1_000_000 })
    }
}

impl monotonic_clock::Host for VirtualWasi {
    fn now(&mut self) -> wasmtime::Result<u64> {
        Ok(self.clock.monotonic())
    }

    fn resolution(&mut self) -> wasmtime::Result<u64> {
        Ok(NANOS_A_LOOK)
    }

    fn subscribe_instant(&mut self, when: u64) -> wasmtime::Result<Resource<DynPollable>> {
        let timer = self.clock.until(when);
        self.timer(timer)
    }

    fn subscribe_duration(&mut self, nanos: u64) -> wasmtime::Result<Resource<DynPollable>> {
        let timer = self.clock.after(nanos);
        self.timer(timer)
    }
}
