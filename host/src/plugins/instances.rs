//! The live instances of one thread.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::rules::Isolation;

use super::instance::Instance;
use super::stage::ConfiguredStage;
use super::verdict::{CallError, Verdict, Work};

/// The live instances of one thread: at most one a stage, since a thread runs one message at a time. Nothing here is
/// shared, so nothing is locked.
#[derive(Debug)]
pub struct Instances {
    limit: usize,
    live: BTreeMap<u64, Live>,
    /// Counts calls, to tell which instance has not been called for longest.
    clock: u64,
    created: u64,
    peak_memory_bytes: usize,
}

#[derive(Debug)]
struct Live {
    instance: Instance,
    called: u64,
}

impl Instances {
    /// None yet, and never more than `limit`, at least one, at a time; past it the one that was not called for longest
    /// goes. See [`Engine::instances_per_thread`](super::Engine::instances_per_thread).
    #[must_use]
    pub fn new(limit: usize) -> Self {
        Self { limit: limit.max(1), live: BTreeMap::new(), clock: 0, created: 0, peak_memory_bytes: 0 }
    }

    /// Has a stage handle a message. Needs 2 MiB of stack at least; plugins that import WASI need a thread that is
    /// not inside an async task.
    ///
    /// # Errors
    /// When the plugin asks for a retry, or breaks; the message is then as it was.
    pub fn call(&mut self, stage: &Arc<ConfiguredStage>, work: &mut Work) -> Result<Verdict, CallError> {
        if stage.plugin().settings().isolation == Isolation::Message {
            self.make_room();
            self.created += 1;
            let mut instance = stage.instantiate()?;
            let result = instance.handle(work);
            self.peak_memory_bytes = self.peak_memory_bytes.max(instance.memory_bytes());
            return result;
        }
        self.clock += 1;
        if !self.live.contains_key(&stage.id()) {
            self.make_room();
            self.created += 1;
            self.live.insert(stage.id(), Live { instance: stage.instantiate()?, called: 0 });
        }
        let live = self.live.get_mut(&stage.id()).expect("it is there or was put there");
        live.called = self.clock;
        let result = live.instance.handle(work);
        self.peak_memory_bytes = self.peak_memory_bytes.max(live.instance.memory_bytes());
        if matches!(result, Err(CallError::Fault(_))) || live.instance.is_spent() {
            self.live.remove(&stage.id());
        }
        result
    }

    /// Gives up the instances of all other stages than these.
    pub fn keep_only(&mut self, stages: &BTreeSet<u64>) {
        self.live.retain(|id, _| stages.contains(id));
    }

    /// How many instances there have been, those that could not be made included.
    #[must_use]
    pub fn created(&self) -> u64 {
        self.created
    }

    /// The most linear memory that one instance has had, in bytes.
    #[must_use]
    pub fn peak_memory_bytes(&self) -> usize {
        self.peak_memory_bytes
    }

    /// How many instances are alive.
    #[must_use]
    pub fn len(&self) -> usize {
        self.live.len()
    }

    /// Whether no instance is alive.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.live.is_empty()
    }

    /// Makes room for one more.
    fn make_room(&mut self) {
        if self.live.len() >= self.limit
            && let Some(id) = self.live.iter().min_by_key(|(_, live)| live.called).map(|(id, _)| *id)
        {
            self.live.remove(&id);
        }
    }
}
