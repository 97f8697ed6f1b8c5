//! Compiling and linking plugins, and the settings of wasmtime that the rest relies on.

use std::path::PathBuf;
use std::sync::Arc;

use sha2::{Digest, Sha256};
use trackside_json::Limits;
use wasmtime::component::{Component, HasSelf, Linker};
use wasmtime::{Config, Enabled, InstanceAllocationStrategy, PoolingAllocationConfig, ProfilingStrategy};

use crate::names::PluginName;
use crate::rules::{Isolation, PluginLimits, PluginSettings};

use super::bindings;
use super::cache::Cache;
use super::compile::{self, CompileIn};
use super::error::{EngineError, LoadError};
use super::exports::{self, Code};
use super::guest::Guest;
use super::inspect::{Inspection, Kind};
use super::keyvalue::{KeyValue, MemoryStore};
use super::log::PluginLog;
use super::plugin::{Plugin, PluginSource};
use super::snapshot::{self, Refusal, Room, Stateless};
use super::text::{self, size};
use super::ticker::Ticker;
use super::wasi;

/// Most linear memory that an instance can be allowed. Address space, not memory, is set aside for it.
pub const MAX_MEMORY_BYTES: usize = 1 << 30;

/// Most table elements that an instance can be allowed. SpiderMonkey's component has some twenty thousand.
pub const MAX_TABLE_ELEMENTS: usize = 128 << 10;

/// Stack for guest code. Threads that call plugins need this and about as much again for the host.
const WASM_STACK_BYTES: usize = 1 << 20;

/// Tables that there can be for each instance on average; runtimes have two or three.
const TABLES_AN_INSTANCE: u32 = 4;

/// Core instances that there can be for each instance on average; Python has some thirty, Rust three.
const CORE_INSTANCES_AN_INSTANCE: u32 = 32;

/// wasmtime's bookkeeping for one instance; Python needs about half a megabyte. Taken from the heap as needed.
const MAX_INSTANCE_BYTES: usize = 8 << 20;

/// Memory that a slot keeps between instances, so that the next one does not wait for the kernel.
const KEEP_RESIDENT_BYTES: usize = 512 << 10;
const KEEP_TABLE_RESIDENT_BYTES: usize = 32 << 10;

/// With this in the environment, `/tmp/perf-PID.map` tells profilers such as `perf` the names of guests' functions.
const PERF_MAP: &str = "TRACKSIDE_PERF_MAP";

/// Slots that are kept warm for a plugin that may come back; with the above, 8 MiB at most.
const WARM_SLOTS: u32 = 16;

/// Instances that are not handed out to threads, or half of fewer: for configuring stages while all threads are busy.
const SPARE_INSTANCES: u32 = 16;

/// How the engine is set up.
#[derive(Debug, Clone)]
pub struct EngineSettings {
    /// The folder for compiled components; `None` keeps none.
    pub cache: Option<PathBuf>,
    /// Where those are compiled that are not there.
    pub compile_in: CompileIn,
    /// How many instances there can be at a time, over all threads; at least 2. Each sets 4 GiB of address space aside.
    pub max_instances: u32,
    /// Bounds of what host calls do with a payload's JSON; their deadline is set for each call.
    pub json: Limits,
    /// Where the buckets are that plugins may be granted.
    pub store: Arc<dyn KeyValue>,
}

impl Default for EngineSettings {
    /// No cache, compiling in this process, 1000 instances, the JSON bounds' own defaults, buckets in memory.
    fn default() -> Self {
        Self {
            cache: None,
            compile_in: CompileIn::default(),
            max_instances: 1000,
            json: Limits::default(),
            store: Arc::new(MemoryStore::default()),
        }
    }
}

/// Compiles plugins. Cheap to clone; calls of plugins keep what they need of it alive.
#[derive(Clone)]
pub struct Engine(Arc<Inner>);

struct Inner {
    wasmtime: wasmtime::Engine,
    ticker: Arc<Ticker>,
    cache: Option<Cache>,
    compile_in: CompileIn,
    /// For plugins that import the contract alone.
    bare: Linker<Guest>,
    /// For those that import more: WASI, as language runtimes do, or interfaces of others. Whether a plugin may import
    /// what is here was decided before.
    full: Linker<Guest>,
    json: Limits,
    store: Arc<dyn KeyValue>,
    /// What snapshots of instances take.
    room: Arc<Room>,
    max_instances: u32,
}

impl Engine {
    /// Sets wasmtime up and starts the thread that keeps deadlines.
    ///
    /// # Errors
    /// When the machine does not give the address space or the thread.
    pub fn new(settings: EngineSettings) -> Result<Self, EngineError> {
        let max_instances = settings.max_instances.max(2);
        let refused = |error: wasmtime::Error| EngineError::Wasmtime(format!("{error:#}"));
        let mut config = config();
        config.allocation_strategy(InstanceAllocationStrategy::Pooling(pool(max_instances)));
        if std::env::var_os(PERF_MAP).is_some() {
            config.profiler(ProfilingStrategy::PerfMap);
        }
        let wasmtime = wasmtime::Engine::new(&config).map_err(refused)?;
        let mut bare = Linker::new(&wasmtime);
        bindings::Plugin::add_to_linker::<_, HasSelf<Guest>>(&mut bare, |guest| guest).map_err(refused)?;
        let mut full = bare.clone();
        wasi::add_to_linker(&mut full).map_err(refused)?;
        bindings::offered::Offered::add_to_linker::<_, HasSelf<Guest>>(&mut full, |guest| guest).map_err(refused)?;
        let ticker = Arc::new(Ticker::start(wasmtime.clone()).map_err(EngineError::Ticker)?);
        let EngineSettings { cache, compile_in, json, store, .. } = settings;
        let cache = cache.and_then(|folder| Cache::open(&folder, &wasmtime));
        Ok(Self(Arc::new(Inner {
            wasmtime,
            ticker,
            cache,
            compile_in,
            bare,
            full,
            json,
            store,
            room: Arc::default(),
            max_instances,
        })))
    }

    /// Checks and compiles a plugin: seconds of work for a language runtime that is not in the cache, and never much more
    /// than its `compile-timeout`.
    ///
    /// # Errors
    /// When it is not a plugin that this host can run as its settings say.
    pub fn load(&self, source: PluginSource) -> Result<Arc<Plugin>, LoadError> {
        let PluginSource { name, bytes, settings } = source;
        let inspection = Inspection::of(&bytes)?;
        if let Some(pinned) = settings.sha256.filter(|pin| *pin != inspection.sha256) {
            return Err(LoadError::Pin { pinned: hex::encode(pinned), found: hex::encode(inspection.sha256) });
        }
        let contract = inspection.contract()?.to_owned();
        inspection.check_grants(&settings.grants)?;
        check_limits(&settings.limits)?;
        let code = match self.without_state(&name, &bytes, &inspection, &settings)? {
            Some(code) => code,
            None => self.code(&bytes, &inspection, &settings)?,
        };
        Ok(Arc::new(Plugin {
            log: PluginLog::new(name.clone(), settings.limits.log_lines_per_second),
            alive: Arc::default(),
            name,
            digest: inspection.sha256,
            contract,
            wasi: inspection.imports_wasi(),
            handler: matches!(inspection.kind, Kind::Handler(_)),
            takes_settings: inspection.takes_settings(),
            settings,
            json: self.0.json.clone(),
            store: Arc::clone(&self.0.store),
            code,
            _ticker: Arc::clone(&self.0.ticker),
        }))
    }

    /// How many instances each of so many threads can have at a time without one going short.
    #[must_use]
    pub fn instances_per_thread(&self, threads: usize) -> usize {
        (self.0.max_instances - spare(self.0.max_instances)) as usize / threads.max(1)
    }

    /// The component as it is.
    fn code(&self, bytes: &[u8], inspection: &Inspection, settings: &PluginSettings) -> Result<Code, LoadError> {
        let component = self.component(bytes, &inspection.sha256, &settings.limits)?;
        let linker = if inspection.imports_the_contract_alone() { &self.0.bare } else { &self.0.full };
        exports::check_types(&component, &inspection.kind, &inspection.exports).map_err(|error| not_linked(&error))?;
        linker
            .instantiate_pre(&component)
            .and_then(|pre| Code::new(&inspection.kind, pre))
            .map_err(|error| not_linked(&error))
    }

    /// The component without its state, if each message is to have an instance and there can be snapshots of them.
    fn without_state(
        &self,
        name: &PluginName,
        bytes: &[u8],
        inspection: &Inspection,
        settings: &PluginSettings,
    ) -> Result<Option<Code>, LoadError> {
        if settings.isolation != Isolation::Message || !matches!(inspection.kind, Kind::Plugin { .. }) {
            return Ok(None);
        }
        let detached = match inspection.imports_the_contract_alone() {
            true => snapshot::detach(bytes),
            false => Err(Refusal::more_than_the_contract()),
        };
        let linked = detached.and_then(|detached| {
            let digest = Sha256::digest(&detached.component).into();
            let component = match self.component(&detached.component, &digest, &settings.limits) {
                Ok(component) => component,
                // Its own bytes are told apart from what was made of them: they are compiled next.
                Err(LoadError::Compile { reason }) => return Err(Refusal::because(reason)),
                Err(error) => return Ok(Err(error)),
            };
            exports::check_types(&component, &inspection.kind, &inspection.exports)?;
            Ok(Ok(Stateless::new(detached, component, &self.0.bare, &self.0.room)?))
        });
        match linked {
            Ok(code) => code.map(|code| Some(Code::Stateless(Box::new(code)))),
            Err(reason) => {
                snapshot::configured_anew(name, &reason);
                Ok(None)
            }
        }
    }

    fn component(&self, bytes: &[u8], digest: &[u8; 32], limits: &PluginLimits) -> Result<Component, LoadError> {
        let (engine, cache) = (&self.0.wasmtime, self.0.cache.as_ref());
        if let Some(cached) = cache.and_then(|cache| cache.get(engine, digest)) {
            return Ok(cached);
        }
        let failed = |error: wasmtime::Error| LoadError::Compile { reason: failed_to_compile(&error) };
        let compiled = match &self.0.compile_in {
            CompileIn::ThisProcess => engine.precompile_component(bytes).map_err(failed)?,
            CompileIn::Child(program) => compile::in_child(program, bytes, limits)?,
        };
        if let Some(cache) = cache {
            cache.put(&compiled, digest);
            if let Some(cached) = cache.get(engine, digest) {
                return Ok(cached);
            }
        }
        // SAFETY: `deserialize` asks for bytes that the compiler of a compatible engine made, since it runs the machine
        // code in them. They are what `precompile_component` returned, here or in a process of this very program that
        // was started for it, and came through a pipe that nobody else has an end of. The component decides what is in
        // them as much as it would here.
        #[allow(unsafe_code, reason = "argued above")]
        let component = unsafe { Component::deserialize(engine, &compiled) };
        component.map_err(failed)
    }
}

fn not_linked(error: &wasmtime::Error) -> LoadError {
    LoadError::Link { reason: text::line(&format!("{error:#}"), 1024) }
}

fn spare(max_instances: u32) -> u32 {
    SPARE_INSTANCES.min(max_instances / 2)
}

/// An engine like those that plugins are run by, and that runs nothing itself: without their address space.
pub(super) fn for_compiling() -> Result<wasmtime::Engine, EngineError> {
    wasmtime::Engine::new(&config()).map_err(|error| EngineError::Wasmtime(format!("{error:#}")))
}

/// The compiler's words, on one line.
pub(super) fn failed_to_compile(error: &wasmtime::Error) -> String {
    text::line(&format!("{error:#}"), 1024)
}

impl std::fmt::Debug for Engine {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Engine").field("max_instances", &self.0.max_instances).finish_non_exhaustive()
    }
}

fn check_limits(limits: &PluginLimits) -> Result<(), LoadError> {
    if limits.memory_bytes > MAX_MEMORY_BYTES {
        let (asked, max) = (size(limits.memory_bytes), size(MAX_MEMORY_BYTES));
        return Err(LoadError::Setting { setting: "memory", asked, max });
    }
    if limits.table_elements > MAX_TABLE_ELEMENTS {
        let (asked, max) = (limits.table_elements.to_string(), MAX_TABLE_ELEMENTS.to_string());
        return Err(LoadError::Setting { setting: "table-elements", asked, max });
    }
    Ok(())
}

/// What decides how a component is compiled; where its instances are is up to the engine that runs them.
fn config() -> Config {
    let mut config = Config::new();
    config.epoch_interruption(true);
    config.max_wasm_stack(WASM_STACK_BYTES);
    config.memory_init_cow(true);
    // The same bytes on any machine: NaNs and relaxed SIMD are what processors disagree on.
    config.cranelift_nan_canonicalization(true);
    config.relaxed_simd_deterministic(true);
    // Threads are not deterministic, and 64-bit memories do not fit the slots' guard regions.
    config.shared_memory(false);
    config.wasm_memory64(false);
    config
}

fn pool(max_instances: u32) -> PoolingAllocationConfig {
    let mut pool = PoolingAllocationConfig::new();
    pool.total_component_instances(max_instances)
        .total_core_instances(max_instances.saturating_mul(CORE_INSTANCES_AN_INSTANCE))
        .total_memories(max_instances)
        .total_tables(max_instances.saturating_mul(TABLES_AN_INSTANCE))
        // Plugins are called on the thread that calls; no stack of the pool is ever used.
        .total_stacks(0)
        .max_component_instance_size(MAX_INSTANCE_BYTES)
        .max_memory_size(MAX_MEMORY_BYTES)
        .table_elements(MAX_TABLE_ELEMENTS)
        .max_tables_per_module(16)
        .max_memories_per_module(4)
        .max_unused_warm_slots(WARM_SLOTS)
        .linear_memory_keep_resident(KEEP_RESIDENT_BYTES)
        .table_keep_resident(KEEP_TABLE_RESIDENT_BYTES)
        .pagemap_scan(Enabled::Auto);
    pool
}

#[cfg(test)]
mod tests {
    use std::hash::{DefaultHasher, Hash, Hasher};

    use super::*;

    #[test]
    fn what_another_process_compiles_fits_the_engine_that_runs_it() {
        let hash = |engine: &wasmtime::Engine| {
            let mut hasher = DefaultHasher::new();
            engine.precompile_compatibility_hash().hash(&mut hasher);
            hasher.finish()
        };
        let running = Engine::new(EngineSettings { max_instances: 1, ..EngineSettings::default() }).expect("an engine");
        assert_eq!(hash(&for_compiling().expect("an engine")), hash(&running.0.wasmtime));
    }
}
