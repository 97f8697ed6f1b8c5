//! Snapshots of configured instances, for stages whose every message gets an instance of its own.
//!
//! Configuring can cost a thousand times what handling does. What an instance is after `configure` are its memories, its
//! mutable globals and its handles, so a component is rewritten to import the first two from a module that has nothing
//! else (`detach`): compiled once, it is instantiated with the state that it had, and then, for each message, with the
//! state that `configure` has left in one instance. Wasmtime maps that copy-on-write, as it does any module's data.
//!
//! ```text
//! component --detach--> component without state + state --configure--> snapshot --instantiate--> instance
//! ```
//!
//! What an instance made so can see is what every other one of its stage can: nothing of a message has been in it.
//! State that cannot be told, such as changed tables, is a reason to refuse (`Refusal`): such plugins are configured anew
//! for each message. Snapshots hold the settings, with secrets: they are in memory only.

mod accessor;
mod detach;
mod module;
mod state;

use std::borrow::Cow;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use wasmtime::component::{Component, ComponentExportIndex, Instance, InstancePre, Linker, Resource};
use wasmtime::{Engine, Module, Store, StoreContextMut};

use crate::names::PluginName;

use self::state::{Global, Layout, Segment};
use super::bindings::{Plugin, PluginIndices};
use super::guest::Guest;
use super::selectors::{SelectorSlot, Selectors};

/// Most linear memory of an instance that a snapshot is made of.
const MAX_MEMORY_BYTES: usize = 64 << 20;

/// Most of it that may be something else than zeros.
const MAX_DATA_BYTES: usize = 16 << 20;

/// What all snapshots of an engine may have together.
const MAX_BYTES_IN_ALL: usize = 256 << 20;

/// Memory is kept by pages of this size, those of zeros are not.
const PAGE_BYTES: usize = 4 << 10;

/// Stack for reading a component, whose types may nest as deep as there are bytes of them.
const STACK_BYTES: usize = 64 << 20;

/// Why there is no snapshot.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub(super) struct Refusal(Cow<'static, str>);

impl Refusal {
    fn new(reason: &'static str) -> Self {
        Self(Cow::Borrowed(reason))
    }

    pub(super) fn because(reason: String) -> Self {
        Self(Cow::Owned(reason))
    }

    pub(super) fn more_than_the_contract() -> Self {
        Self::new("it imports more than the contract, whose handles cannot be put back")
    }
}

impl From<wasmparser::Error> for Refusal {
    fn from(error: wasmparser::Error) -> Self {
        Self::because(error.to_string())
    }
}

impl From<wasm_encoder::reencode::Error<Self>> for Refusal {
    fn from(error: wasm_encoder::reencode::Error<Self>) -> Self {
        match error {
            wasm_encoder::reencode::Error::UserError(refusal) => refusal,
            other => Self::because(other.to_string()),
        }
    }
}

impl From<wasmtime::Error> for Refusal {
    fn from(error: wasmtime::Error) -> Self {
        Self::because(format!("{error:#}"))
    }
}

/// Says that a plugin's instances are configured for each message, and why.
pub(super) fn configured_anew(plugin: &PluginName, reason: &Refusal) {
    tracing::info!(%plugin, %reason, "no snapshots of this plugin's instances: it is configured for each message");
}

/// A component without its state.
pub(super) struct Detached {
    pub(super) component: Vec<u8>,
    state: Vec<u8>,
    memories: Vec<wasm_encoder::MemoryType>,
    globals: Vec<Global>,
}

/// Takes a component's state out of it.
pub(super) fn detach(bytes: &[u8]) -> Result<Detached, Refusal> {
    // Whatever its bytes do to who reads them ends with the thread.
    std::thread::scope(|scope| {
        let reader = std::thread::Builder::new().name("detach".to_owned()).stack_size(STACK_BYTES);
        let reader = reader.spawn_scoped(scope, || detach::detach(bytes));
        let reader = reader.map_err(|error| Refusal::because(error.to_string()))?;
        reader.join().unwrap_or_else(|_| Err(Refusal::new("it could not be read")))
    })
}

/// The bytes that all snapshots of an engine have.
#[derive(Debug, Default)]
pub(super) struct Room(AtomicUsize);

/// Some of them.
struct Taken {
    room: Arc<Room>,
    bytes: usize,
}

impl Taken {
    fn from(room: &Arc<Room>, bytes: usize) -> Result<Self, Refusal> {
        let taken = Self { room: Arc::clone(room), bytes };
        if room.0.fetch_add(bytes, Ordering::Relaxed) + bytes > MAX_BYTES_IN_ALL {
            return Err(Refusal::new("there are as many snapshots as may be"));
        }
        Ok(taken)
    }
}

impl Drop for Taken {
    fn drop(&mut self) {
        self.room.0.fetch_sub(self.bytes, Ordering::Relaxed);
    }
}

/// A compiled component that imports its state.
pub(super) struct Stateless {
    component: Component,
    linker: Linker<Guest>,
    memories: Vec<wasm_encoder::MemoryType>,
    globals: Vec<Global>,
    room: Arc<Room>,
    /// With the state that the component had.
    start: Start,
}

/// Where instances start: a component with a state.
struct Start {
    code: InstancePre<Guest>,
    stage: PluginIndices,
}

impl Start {
    fn new(linker: &Linker<Guest>, component: &Component, state: &[u8]) -> wasmtime::Result<Self> {
        let module = Module::new(component.engine(), state)?;
        let mut linker = linker.clone();
        linker.root().module(state::STATE, &module)?;
        let code = linker.instantiate_pre(component)?;
        Ok(Self { stage: PluginIndices::new(&code)?, code })
    }

    fn instantiate(&self, store: &mut Store<Guest>) -> wasmtime::Result<(Plugin, Instance)> {
        let instance = self.code.instantiate(&mut *store)?;
        Ok((self.stage.load(store, &instance)?, instance))
    }
}

impl Stateless {
    /// Links the component; `linker` has what it imported before.
    pub(super) fn new(
        detached: Detached,
        component: Component,
        linker: &Linker<Guest>,
        room: &Arc<Room>,
    ) -> wasmtime::Result<Self> {
        let mut linker = linker.clone();
        let mut root = linker.root();
        root.func_wrap(accessor::MEMORY, |mut store: StoreContextMut<'_, Guest>, (_, bytes): (u32, Vec<u8>)| {
            store.data_mut().saved()?.memories.push(bytes);
            Ok(())
        })?;
        root.func_wrap(accessor::GLOBAL, |mut store: StoreContextMut<'_, Guest>, (_, bits): (u32, u64)| {
            store.data_mut().saved()?.globals.push(bits);
            Ok(())
        })?;
        root.func_wrap(accessor::SELECTOR, |mut store: StoreContextMut<'_, Guest>, (): ()| {
            Ok::<(Resource<SelectorSlot>,), _>((store.data_mut().selectors.hand_over()?,))
        })?;
        let start = Start::new(&linker, &component, &detached.state)?;
        let Detached { memories, globals, .. } = detached;
        Ok(Self { component, linker, memories, globals, room: Arc::clone(room), start })
    }

    pub(super) fn engine(&self) -> &Engine {
        self.component.engine()
    }

    /// An instance that is still to be configured.
    pub(super) fn instantiate(&self, store: &mut Store<Guest>) -> wasmtime::Result<(Plugin, Instance)> {
        self.start.instantiate(store)
    }

    /// Takes a snapshot of an instance that is configured.
    pub(super) fn snapshot(&self, store: &mut Store<Guest>, instance: &Instance) -> Result<Snapshot, Refusal> {
        let memory_bytes = store.data().usage.memory_bytes();
        if memory_bytes > MAX_MEMORY_BYTES {
            return Err(Refusal::new("it has much memory"));
        }
        let selectors = store.data().selectors.snapshot();
        let selectors = selectors.ok_or_else(|| Refusal::new("it dropped a selector while it was configured"))?;
        store.data_mut().begin_save();
        store.set_hostcall_fuel(memory_bytes.saturating_add(PAGE_BYTES));
        let save = self.component.get_export_index(None, accessor::SAVE).ok_or_else(no_accessor)?;
        instance.get_typed_func::<(), ()>(&mut *store, save)?.call(&mut *store, ())?;
        let saved = store.data_mut().end_save();
        if (saved.memories.len(), saved.globals.len()) != (self.memories.len(), self.globals.len()) {
            return Err(no_accessor());
        }
        let (state, data_bytes) = self.state(&saved);
        if data_bytes > MAX_DATA_BYTES {
            return Err(Refusal::new("it has much data"));
        }
        let taken = Taken::from(&self.room, data_bytes)?;
        let restore = self.component.get_export_index(None, accessor::RESTORE).ok_or_else(no_accessor)?;
        let start = Start::new(&self.linker, &self.component, &state)?;
        Ok(Snapshot { start, restore, selectors, _taken: taken })
    }

    /// The module with what was saved, and the bytes of its data.
    fn state(&self, saved: &Saved) -> (Vec<u8>, usize) {
        let mut layout = Layout { memories: self.memories.clone(), globals: self.globals.clone(), data: Vec::new() };
        for (global, bits) in layout.globals.iter_mut().zip(&saved.globals) {
            global.bits = *bits;
        }
        for (index, bytes) in (0..).zip(&saved.memories) {
            layout.memories[index as usize].minimum = (bytes.len() >> 16) as u64;
            let zero = |page: &&[u8]| page.iter().all(|byte| *byte == 0);
            let mut at = 0;
            for run in bytes.chunks(PAGE_BYTES).collect::<Vec<_>>().chunk_by(|one, other| zero(one) == zero(other)) {
                let length: usize = run.iter().map(|page| page.len()).sum();
                if !zero(&run[0]) {
                    let offset = i32::try_from(at).expect("memories of snapshots are small");
                    layout.data.push(Segment { memory: index, offset, bytes: &bytes[at..at + length] });
                }
                at += length;
            }
        }
        let data_bytes = layout.data.iter().map(|segment| segment.bytes.len()).sum();
        (layout.module(), data_bytes)
    }
}

fn no_accessor() -> Refusal {
    Refusal::new("its state could not be told")
}

/// What an instance tells of its state.
#[derive(Debug, Default)]
pub(super) struct Saved {
    memories: Vec<Vec<u8>>,
    globals: Vec<u64>,
}

/// What every instance of a stage is after `configure`.
pub(super) struct Snapshot {
    start: Start,
    restore: ComponentExportIndex,
    selectors: Selectors,
    _taken: Taken,
}

impl Snapshot {
    /// An instance that is configured.
    pub(super) fn instantiate(&self, store: &mut Store<Guest>) -> wasmtime::Result<Plugin> {
        let (stage, instance) = self.start.instantiate(store)?;
        if let Some(count) = self.selectors.count() {
            store.data_mut().selectors = self.selectors.clone();
            instance.get_typed_func::<(u32,), ()>(&mut *store, self.restore)?.call(store, (count,))?;
        }
        Ok(stage)
    }
}
