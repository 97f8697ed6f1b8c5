//! What one instance may use: memory and tables over its life, calls, bytes and time in each call.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use wasmtime::ResourceLimiter;

use crate::rules::PluginLimits;

use super::verdict::{Fault, Limit};

/// Core instances, memories and tables that a component may be made of. Python's has about thirty instances.
const MAX_CORE_INSTANCES: usize = 256;
const MAX_MEMORIES: usize = 8;
const MAX_TABLES: usize = 32;

/// Memory and table elements in use, over all memories and tables of a store.
///
/// Growth past a limit is refused as WebAssembly has it, with -1, because Python, Go and JavaScript live on after
/// that. The refusal is remembered: a guest that does not get over it is told apart from one that broke.
#[derive(Debug)]
pub(super) struct Usage {
    alive: Arc<Alive>,
    max_memory_bytes: usize,
    max_table_elements: usize,
    memory_bytes: usize,
    table_elements: usize,
    asked: usize,
    refused: Option<Fault>,
}

/// What all instances of a plugin use together.
#[derive(Debug, Default)]
pub(super) struct Alive {
    instances: AtomicUsize,
    memory_bytes: AtomicUsize,
}

impl Alive {
    /// How many there are, and the bytes of their linear memory.
    pub(super) fn readings(&self) -> (usize, usize) {
        (self.instances.load(Ordering::Relaxed), self.memory_bytes.load(Ordering::Relaxed))
    }
}

impl Drop for Usage {
    fn drop(&mut self) {
        self.alive.instances.fetch_sub(1, Ordering::Relaxed);
        self.alive.memory_bytes.fetch_sub(self.memory_bytes, Ordering::Relaxed);
    }
}

impl Usage {
    pub(super) fn new(limits: &PluginLimits, alive: &Arc<Alive>) -> Self {
        alive.instances.fetch_add(1, Ordering::Relaxed);
        Self {
            alive: Arc::clone(alive),
            max_memory_bytes: limits.memory_bytes,
            max_table_elements: limits.table_elements,
            memory_bytes: 0,
            table_elements: 0,
            asked: 0,
            refused: None,
        }
    }

    /// Linear memory in use, in bytes.
    pub(super) fn memory_bytes(&self) -> usize {
        self.memory_bytes
    }

    /// What was refused since this was last asked.
    pub(super) fn take_refusal(&mut self) -> Option<Fault> {
        self.refused.take()
    }
}

impl ResourceLimiter for Usage {
    fn memory_growing(&mut self, current: usize, desired: usize, _maximum: Option<usize>) -> wasmtime::Result<bool> {
        let asked = desired.saturating_sub(current);
        if self.memory_bytes.saturating_add(asked) > self.max_memory_bytes {
            self.refused = Some(Fault::Memory { limit_bytes: self.max_memory_bytes });
            return Ok(false);
        }
        self.memory_bytes += asked;
        self.alive.memory_bytes.fetch_add(asked, Ordering::Relaxed);
        self.asked = asked;
        Ok(true)
    }

    fn memory_grow_failed(&mut self, error: wasmtime::Error) -> wasmtime::Result<()> {
        tracing::debug!(%error, "a plugin's memory did not grow");
        let asked = std::mem::take(&mut self.asked);
        self.memory_bytes -= asked;
        self.alive.memory_bytes.fetch_sub(asked, Ordering::Relaxed);
        Ok(())
    }

    fn table_growing(&mut self, current: usize, desired: usize, _maximum: Option<usize>) -> wasmtime::Result<bool> {
        let asked = desired.saturating_sub(current);
        if self.table_elements.saturating_add(asked) > self.max_table_elements {
            self.refused = Some(Fault::Limit { which: Limit::TableElements(self.max_table_elements) });
            return Ok(false);
        }
        self.table_elements += asked;
        self.asked = asked;
        Ok(true)
    }

    fn table_grow_failed(&mut self, error: wasmtime::Error) -> wasmtime::Result<()> {
        tracing::debug!(%error, "a plugin's table did not grow");
        self.table_elements -= std::mem::take(&mut self.asked);
        Ok(())
    }

    fn instances(&self) -> usize {
        MAX_CORE_INSTANCES
    }

    fn tables(&self) -> usize {
        MAX_TABLES
    }

    fn memories(&self) -> usize {
        MAX_MEMORIES
    }
}

/// What is left to one call.
#[derive(Debug)]
pub(super) struct Budget {
    limits: PluginLimits,
    calls: u32,
    bytes: usize,
}

impl Budget {
    pub(super) fn new(limits: PluginLimits) -> Self {
        Self { limits, calls: limits.host_calls, bytes: limits.host_bytes }
    }

    /// Fills it up for the next call.
    pub(super) fn refill(&mut self) {
        self.calls = self.limits.host_calls;
        self.bytes = self.limits.host_bytes;
    }

    /// Pays for a host call.
    pub(super) fn call(&mut self) -> Result<(), Fault> {
        match self.calls.checked_sub(1) {
            Some(left) => {
                self.calls = left;
                Ok(())
            }
            None => Err(Fault::Limit { which: Limit::HostCalls(self.limits.host_calls) }),
        }
    }

    /// Pays for bytes that a host call moves.
    pub(super) fn bytes(&mut self, bytes: usize) -> Result<(), Fault> {
        match self.bytes.checked_sub(bytes) {
            Some(left) => {
                self.bytes = left;
                Ok(())
            }
            None => Err(Fault::Limit { which: Limit::HostBytes(self.limits.host_bytes) }),
        }
    }
}

/// The end of a call's time, as host calls see it; code of the guest is stopped by the engine's epoch.
#[derive(Debug, Clone, Copy)]
pub(super) struct Deadline {
    limit: std::time::Duration,
    at: Instant,
}

impl Deadline {
    /// So long from now.
    pub(super) fn after(limit: std::time::Duration) -> Self {
        Self { limit, at: Instant::now() + limit }
    }

    /// When it is.
    pub(super) fn at(&self) -> Instant {
        self.at
    }

    /// How long the call was given.
    pub(super) fn limit(&self) -> std::time::Duration {
        self.limit
    }

    /// Fails once it has passed.
    pub(super) fn check(&self) -> Result<(), Fault> {
        if Instant::now() >= self.at { Err(Fault::Deadline { limit: self.limit }) } else { Ok(()) }
    }

    /// How many ticks of the epoch, one a millisecond, give the call at least its time: one more than it has
    /// milliseconds, for the tick that is under way.
    pub(super) fn ticks(&self) -> u64 {
        u64::try_from(self.limit.as_millis()).unwrap_or(u64::MAX / 2).min(u64::MAX / 2) + 1
    }
}
