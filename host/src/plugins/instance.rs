//! One live instance of a stage: a store of its own, configured once, called many times.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use wasmtime::component;
use wasmtime::{PoolConcurrencyLimitError, Store, Trap, WasmBacktrace};
use wasmtime_wasi::I32Exit;

use crate::message::{HeaderError, Headers};

use super::bindings::exports::trackside::plugin::stage as contract;
use super::exports::{Code, Exports};
use super::files::{FileSnapshot, Files};
use super::guest::Guest;
use super::handler;
use super::limits::Deadline;
use super::snapshot::{self, Snapshot};
use super::stage::{ConfigureError, Settings};
use super::text;
use super::verdict::{CallError, Fault, Limit, MAX_PARTS, Part, Refusal, Verdict, Work};

/// Longest reason that is kept of what a plugin says.
const MAX_REASON_BYTES: usize = 4 << 10;

/// Longest name that is kept of a route that the rule does not declare.
const MAX_NAME_BYTES: usize = 128;

/// Longest function name that is kept in a trap's message.
const MAX_FUNCTION_BYTES: usize = 200;

/// How wasmtime says that a list or string was too long to be copied out of the guest; it has no public type.
const TOO_MUCH_COPIED: &str = "fuel allocated for hostcalls has been exhausted";

/// How wasmtime says that there are too many handles; it has no public type either.
const TOO_MANY_HANDLES: &str = "store handle limit exceeded";

/// Handles that an instance may have at a time, of whatever kind. They are kept in the host's memory, also those that
/// components make for themselves, with no call of the host.
const MAX_HANDLES: usize = 10_000;

/// One live instance of a stage.
pub(super) struct Instance {
    store: Store<Guest>,
    exports: Exports,
    /// What a snapshot would be taken of.
    of_snapshot: Option<component::Instance>,
    messages: u64,
}

impl Instance {
    /// Makes an instance and configures it.
    pub(super) fn new(settings: &Arc<Settings>, files: Files) -> Result<Self, ConfigureError> {
        let mut store = store(settings, files);
        let (exports, of_snapshot) = match settings.plugin.code().instantiate(&mut store) {
            Ok(made) => made,
            Err(error) => return Err(not_instantiated(&error, &mut store).into()),
        };
        let Exports::Stage(stage) = &exports else {
            // A handler asks for its settings itself.
            return Ok(Self { store, exports, of_snapshot, messages: 0 });
        };
        store.data_mut().begin_configure();
        let configured = stage.trackside_plugin_stage().call_configure(&mut store, &settings.config);
        store.data_mut().end_configure();
        match configured {
            Ok(Ok(())) => Ok(Self { store, exports, of_snapshot, messages: 0 }),
            Ok(Err(reason)) => {
                Err(ConfigureError::Refused { reason: settings.secrets.clean(&reason, MAX_REASON_BYTES) })
            }
            Err(error) => Err(fault(&error, &mut store).into()),
        }
    }

    /// Makes an instance that is configured already.
    pub(super) fn from_snapshot(
        snapshot: &Snapshot,
        settings: &Arc<Settings>,
        files: &Arc<FileSnapshot>,
    ) -> Result<Self, Fault> {
        let mut store = store(settings, Files::Snapshot(Arc::clone(files)));
        match snapshot.instantiate(&mut store) {
            Ok(stage) => Ok(Self { store, exports: Exports::Stage(stage), of_snapshot: None, messages: 0 }),
            Err(error) => Err(not_instantiated(&error, &mut store)),
        }
    }

    /// What others can start from, of an instance that has been configured and has seen no message. `None` if there is
    /// never to be one.
    pub(super) fn snapshot(&mut self) -> Option<Result<Snapshot, snapshot::Refusal>> {
        let settings = Arc::clone(&self.store.data().settings);
        match (settings.plugin.code(), &self.of_snapshot) {
            (Code::Stateless(code), Some(instance)) => Some(code.snapshot(&mut self.store, instance)),
            _ => None,
        }
    }

    /// Handles a message. After a fault the instance must not be called again.
    pub(super) fn handle(&mut self, work: &mut Work) -> Result<Verdict, CallError> {
        let deadline = Deadline::after(self.store.data().settings.plugin.settings().limits.deadline);
        self.messages += 1;
        self.store.set_epoch_deadline(deadline.ticks());
        self.store.data_mut().begin_handle(work, deadline);
        let result = match &self.exports {
            Exports::Stage(stage) => match stage.trackside_plugin_stage().call_handle(&mut self.store) {
                Ok(Ok(verdict)) => self.verdict(verdict).map_err(CallError::from),
                Ok(Err(failure)) => Err(self.failure(failure)),
                Err(error) => Err(fault(&error, &mut self.store).into()),
            },
            Exports::Wasmcloud(_) | Exports::Wasi(_) => match handler::handle(&self.exports, &mut self.store) {
                Ok(Ok(verdict)) => Ok(verdict),
                Ok(Err(reason)) => Err(CallError::Refused(Refusal { reason: self.clean(&reason), after: None })),
                Err(error) => Err(fault(&error, &mut self.store).into()),
            },
        };
        self.store.data_mut().end_handle(work, result.is_err());
        result
    }

    /// Whether it is time for a fresh instance.
    pub(super) fn is_spent(&self) -> bool {
        let guest = self.store.data();
        let limits = &guest.settings.plugin.settings().limits;
        self.messages >= limits.recycle_after_messages || guest.usage.memory_bytes() > limits.recycle_above_bytes
    }

    /// Linear memory in use, in bytes. It never shrinks.
    pub(super) fn memory_bytes(&self) -> usize {
        self.store.data().usage.memory_bytes()
    }

    /// Gives up the instance for what it has read.
    pub(super) fn into_files(self) -> Arc<FileSnapshot> {
        self.store.into_data().files.into_snapshot()
    }

    fn verdict(&self, verdict: contract::Verdict) -> Result<Verdict, Fault> {
        Ok(match verdict {
            contract::Verdict::Forward => Verdict::Forward,
            contract::Verdict::Route(routes) => {
                Verdict::Route(routes.into_iter().take(MAX_PARTS + 1).map(|route| self.route(route)).collect())
            }
            contract::Verdict::Split(parts) => {
                let parts = parts.into_iter().take(MAX_PARTS + 1).map(|part| self.part(part));
                Verdict::Split(parts.collect::<Result<_, _>>()?)
            }
            contract::Verdict::Drop(reason) => Verdict::Drop(self.clean(&reason)),
            contract::Verdict::Reject(reason) => Verdict::Reject(self.clean(&reason)),
        })
    }

    fn failure(&self, failure: contract::Failure) -> CallError {
        match failure {
            contract::Failure::Retry(retry) => CallError::Refused(Refusal {
                reason: self.clean(&retry.reason),
                after: retry.after.map(|millis| Duration::from_millis(millis.into())),
            }),
            contract::Failure::Fatal(reason) => Fault::Fatal { reason: self.clean(&reason) }.into(),
        }
    }

    /// A part with headers that can be sent. Reserved ones are left out: a plugin that hands on the headers it was given
    /// has them without meaning to.
    fn part(&self, part: contract::Part) -> Result<Part, Fault> {
        // A guest is stopped by the engine; how much it has others do for it, once it has returned, is seen here.
        self.store.data().deadline.check()?;
        let mut headers = Headers::default();
        for header in part.headers {
            match headers.append_by_plugin(&header.name, &header.value) {
                Ok(()) | Err(HeaderError::Reserved) => {}
                Err(error) => return Err(Fault::Verdict { reason: error.to_string() }),
            }
        }
        Ok(Part { payload: Bytes::from(part.payload), headers, route: part.route.map(|route| self.route(route)) })
    }

    /// A route's name, made fit to be shown if it is not one that the rule declares.
    fn route(&self, name: String) -> String {
        let settings = &self.store.data().settings;
        if settings.routes.contains(&name) { name } else { settings.secrets.clean(&name, MAX_NAME_BYTES) }
    }

    fn clean(&self, text: &str) -> String {
        self.store.data().settings.secrets.clean(text, MAX_REASON_BYTES)
    }
}

impl std::fmt::Debug for Instance {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Instance").field("messages", &self.messages).finish_non_exhaustive()
    }
}

/// A store for an instance that is to be made and configured within its time.
fn store(settings: &Arc<Settings>, files: Files) -> Store<Guest> {
    let limits = settings.plugin.settings().limits;
    let deadline = Deadline::after(limits.configure_deadline);
    let guest = Guest::new(Arc::clone(settings), files, deadline);
    let mut store = Store::new(settings.plugin.code().engine(), guest);
    store.limiter(|guest| &mut guest.usage);
    store.set_hostcall_fuel(limits.host_bytes);
    store.set_max_component_handles(MAX_HANDLES);
    store.set_epoch_deadline(deadline.ticks());
    store
}

/// What an error while the instance was made comes to.
fn not_instantiated(error: &wasmtime::Error, store: &mut Store<Guest>) -> Fault {
    if let Some(full) = error.downcast_ref::<PoolConcurrencyLimitError>() {
        return Fault::Instantiate { reason: format!("too many instances are alive: {full}") };
    }
    if error.is::<Trap>() || error.is::<Fault>() || error.is::<I32Exit>() {
        return fault(error, store);
    }
    // Beside traps of start functions: memories and tables that begin larger than they may be.
    store.data_mut().usage.take_refusal().unwrap_or_else(|| Fault::Instantiate { reason: root_cause(error) })
}

/// What an error of a call comes to.
fn fault(error: &wasmtime::Error, store: &mut Store<Guest>) -> Fault {
    if let Some(fault) = error.downcast_ref::<Fault>() {
        return fault.clone();
    }
    let guest = store.data_mut();
    if error.downcast_ref::<Trap>() == Some(&Trap::Interrupt) {
        return Fault::Deadline { limit: guest.deadline.limit() };
    }
    if let Some(refused) = guest.usage.take_refusal() {
        return refused;
    }
    let cause = root_cause(error);
    if cause.contains(TOO_MUCH_COPIED) {
        return Fault::Limit { which: Limit::HostBytes(guest.settings.plugin.settings().limits.host_bytes) };
    }
    if cause.contains(TOO_MANY_HANDLES) {
        return Fault::Limit { which: Limit::Handles(MAX_HANDLES) };
    }
    let what = match error.downcast_ref::<Trap>() {
        Some(Trap::StackOverflow) => "it used up its call stack".to_owned(),
        Some(Trap::UnreachableCodeReached) => "it aborted (wasm `unreachable`)".to_owned(),
        _ => match error.downcast_ref::<I32Exit>() {
            Some(I32Exit(code)) => format!("it exited with code {code}"),
            None => guest.settings.secrets.clean(&cause, MAX_REASON_BYTES),
        },
    };
    Fault::Trap { message: what + &place(error) }
}

/// In which function it happened, if the component tells names.
fn place(error: &wasmtime::Error) -> String {
    let frame = error.downcast_ref::<WasmBacktrace>().and_then(|trace| trace.frames().first());
    match frame.and_then(wasmtime::FrameInfo::func_name) {
        Some(name) => format!(" in `{}`", text::line(name, MAX_FUNCTION_BYTES)),
        None => String::new(),
    }
}

fn root_cause(error: &wasmtime::Error) -> String {
    error.root_cause().to_string()
}
