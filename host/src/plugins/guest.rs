//! What the host keeps beside a guest: the state of its store.

use std::sync::Arc;

use bytes::Bytes;
use trackside_json::{Limits, Match, PayloadError};
use wasmtime::component::Resource;
use wasmtime_wasi::{WasiCtxView, WasiView};

use crate::message::{Headers, Message, Origin};

use super::files::Files;
use super::host::messaging::Drafts;
use super::limits::{Budget, Deadline, Usage};
use super::selectors::{SelectorSlot, Selectors};
use super::snapshot::Saved;
use super::stage::Settings;
use super::verdict::{Checked, Fault, Publication, Work};
use super::wasi::VirtualWasi;

/// How much is shown of the subject that a handler publishes to.
const MAX_SUBJECT_BYTES: usize = 128;

/// The state of one instance's store. Host calls find here all they may touch.
pub(super) struct Guest {
    pub(super) settings: Arc<Settings>,
    pub(super) usage: Usage,
    pub(super) budget: Budget,
    pub(super) deadline: Deadline,
    pub(super) files: Files,
    pub(super) selectors: Selectors,
    pub(super) json: Limits,
    pub(super) wasi: Option<Box<VirtualWasi>>,
    /// Messages that a handler has in hand.
    pub(super) drafts: Drafts,
    /// What it has published so far.
    published: Vec<Publication>,
    /// What has been told of its state, while that is asked for.
    saved: Option<Saved>,
    phase: Phase,
    message: Message,
    origin: Option<Arc<Origin>>,
    checked: Checked,
    before: Before,
}

/// What the guest is being called for; it decides which host calls are in force.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    /// Nothing, or the making of the instance.
    Idle,
    Configure,
    Handle,
}

/// What the message was before the call: only what the call has changed.
#[derive(Default)]
struct Before {
    payload: Option<Bytes>,
    headers: Option<Headers>,
}

impl Guest {
    pub(super) fn new(settings: Arc<Settings>, files: Files, deadline: Deadline) -> Self {
        let limits = settings.plugin.settings().limits;
        let json = settings.plugin.json_limits().clone();
        let wasi = settings.plugin.imports_wasi().then(|| Box::new(VirtualWasi::new(&settings, deadline)));
        let usage = Usage::new(&limits, settings.plugin.alive());
        Self {
            settings,
            usage,
            budget: Budget::new(limits),
            deadline,
            files,
            selectors: Selectors::default(),
            json,
            wasi,
            drafts: Drafts::default(),
            published: Vec::new(),
            saved: None,
            phase: Phase::Idle,
            message: Message::default(),
            origin: None,
            checked: Checked::default(),
            before: Before::default(),
        }
    }

    /// Begins `configure`.
    pub(super) fn begin_configure(&mut self) {
        self.phase = Phase::Configure;
        self.json.deadline = Some(self.deadline.at());
    }

    /// Ends `configure`.
    pub(super) fn end_configure(&mut self) {
        self.phase = Phase::Idle;
    }

    /// Begins to keep what is told of its state.
    pub(super) fn begin_save(&mut self) {
        self.saved = Some(Saved::default());
    }

    /// What was told.
    pub(super) fn end_save(&mut self) -> Saved {
        self.saved.take().unwrap_or_default()
    }

    /// Where it is kept.
    pub(super) fn saved(&mut self) -> wasmtime::Result<&mut Saved> {
        self.saved.as_mut().ok_or_else(|| wasmtime::format_err!("nobody asked for the state"))
    }

    /// Takes the message over and begins `handle`.
    pub(super) fn begin_handle(&mut self, work: &mut Work, deadline: Deadline) {
        self.phase = Phase::Handle;
        self.deadline = deadline;
        self.json.deadline = Some(deadline.at());
        self.budget.refill();
        self.usage.take_refusal();
        self.selectors.payload_changed();
        self.drafts.clear();
        self.published.clear();
        if let Some(wasi) = &mut self.wasi {
            wasi.begin_message(&work.origin, deadline);
        }
        std::mem::swap(&mut self.message, &mut work.message);
        std::mem::swap(&mut self.checked, &mut work.checked);
        self.origin = Some(Arc::clone(&work.origin));
    }

    /// Ends `handle` and gives the message back; with `undo`, as it was.
    pub(super) fn end_handle(&mut self, work: &mut Work, undo: bool) {
        self.phase = Phase::Idle;
        self.origin = None;
        std::mem::swap(&mut self.message, &mut work.message);
        std::mem::swap(&mut self.checked, &mut work.checked);
        let before = std::mem::take(&mut self.before);
        if undo {
            if let Some(payload) = before.payload {
                work.message.payload = payload;
            }
            if let Some(headers) = before.headers {
                work.message.headers = headers;
            }
        }
    }

    /// Pays for a call that is in force during `handle`, and checks that there is a message.
    pub(super) fn in_handle(&mut self, function: &'static str) -> Result<(), Fault> {
        if self.phase != Phase::Handle {
            return Err(Fault::Trap { message: format!("it called `{function}` outside of `handle`") });
        }
        self.budget.call()
    }

    /// Pays for a call of interface `setup` and checks that the stage is being configured.
    pub(super) fn in_configure(&mut self, function: &'static str) -> Result<(), Fault> {
        if self.phase != Phase::Configure {
            return Err(Fault::Trap { message: format!("it called `setup.{function}` outside of `configure`") });
        }
        self.budget.call()
    }

    pub(super) fn message(&self) -> &Message {
        &self.message
    }

    pub(super) fn origin(&self) -> &Origin {
        self.origin.as_deref().expect("there is a message during `handle`, which was checked")
    }

    /// The headers, to be changed.
    pub(super) fn headers_mut(&mut self) -> &mut Headers {
        if self.before.headers.is_none() {
            self.before.headers = Some(self.message.headers.clone());
        }
        &mut self.message.headers
    }

    /// Puts another payload in.
    pub(super) fn set_payload(&mut self, payload: Bytes) {
        let old = std::mem::replace(&mut self.message.payload, payload);
        self.before.payload.get_or_insert(old);
        self.selectors.payload_changed();
    }

    /// The same for a payload that is well-formed because the one before was.
    pub(super) fn set_checked_payload(&mut self, payload: Bytes) {
        self.checked.note(&payload, &self.json);
        self.set_payload(payload);
    }

    /// Keeps what a handler publishes until it is done.
    pub(super) fn publish_to(&mut self, subject: String, payload: Bytes, headers: Option<Headers>) {
        let shown = self.settings.secrets.clean(&subject, MAX_SUBJECT_BYTES);
        self.published.push(Publication { subject, shown, payload, headers });
    }

    /// What a handler has published.
    pub(super) fn take_published(&mut self) -> Vec<Publication> {
        std::mem::take(&mut self.published)
    }

    /// Selects from the payload. Gives what is found, and what is paid of for it.
    pub(super) fn select(
        &mut self,
        selector: &Resource<SelectorSlot>,
    ) -> Result<(&Bytes, &[Match], &Limits, &mut Budget), PayloadError> {
        let payload = &self.message.payload;
        let found = self.selectors.select(selector, payload, &self.json, &mut self.checked)?;
        Ok((payload, found, &self.json, &mut self.budget))
    }
}

impl WasiView for Guest {
    fn ctx(&mut self) -> WasiCtxView<'_> {
        self.virtual_wasi().view()
    }
}

impl Guest {
    pub(super) fn virtual_wasi(&mut self) -> &mut VirtualWasi {
        self.wasi.as_mut().expect("WASI is linked only for plugins that import it, and these have this state")
    }
}
