//! A component that is ready to be instantiated.

use std::borrow::Cow;
use std::sync::Arc;

use trackside_json::Limits;

use crate::names::PluginName;
use crate::rules::PluginSettings;

use super::exports::Code;
use super::keyvalue::KeyValue;
use super::limits::Alive;
use super::log::PluginLog;
use super::ticker::Ticker;

/// A file that may be a plugin, and how it is to be run.
#[derive(Debug, Clone)]
pub struct PluginSource {
    /// What the configuration calls it.
    pub name: PluginName,
    /// The component.
    pub bytes: Cow<'static, [u8]>,
    /// Its table of the configuration, or the defaults.
    pub settings: PluginSettings,
}

/// A component that was checked and compiled.
pub struct Plugin {
    pub(super) name: PluginName,
    pub(super) digest: [u8; 32],
    pub(super) contract: String,
    pub(super) wasi: bool,
    /// Whether it is a handler as others have it.
    pub(super) handler: bool,
    /// Whether it has a way to learn its stage's settings.
    pub(super) takes_settings: bool,
    pub(super) settings: PluginSettings,
    pub(super) json: Limits,
    pub(super) log: PluginLog,
    pub(super) alive: Arc<Alive>,
    pub(super) store: Arc<dyn KeyValue>,
    pub(super) code: Code,
    /// Keeps deadlines working for as long as the plugin can be called.
    pub(super) _ticker: Arc<Ticker>,
}

impl Plugin {
    /// What the configuration calls it.
    #[must_use]
    pub fn name(&self) -> &PluginName {
        &self.name
    }

    /// The component's SHA-256.
    #[must_use]
    pub fn digest(&self) -> &[u8; 32] {
        &self.digest
    }

    /// The version of the contract it was built against, such as `0.1.0`; or the interface of others that it was built
    /// for.
    #[must_use]
    pub fn contract(&self) -> &str {
        &self.contract
    }

    /// How it is run.
    #[must_use]
    pub fn settings(&self) -> &PluginSettings {
        &self.settings
    }

    /// Log lines that were dropped because it wrote more a second than it may.
    #[must_use]
    pub fn log_lines_dropped(&self) -> u64 {
        self.log.dropped()
    }

    /// How many of its instances are alive, and the bytes of their linear memory.
    #[must_use]
    pub fn alive_now(&self) -> (usize, usize) {
        self.alive.readings()
    }

    pub(super) fn alive(&self) -> &Arc<Alive> {
        &self.alive
    }

    pub(super) fn is_handler(&self) -> bool {
        self.handler
    }

    pub(super) fn imports_wasi(&self) -> bool {
        self.wasi
    }

    pub(super) fn json_limits(&self) -> &Limits {
        &self.json
    }

    pub(super) fn log(&self) -> &PluginLog {
        &self.log
    }

    pub(super) fn store(&self) -> &dyn KeyValue {
        &*self.store
    }

    pub(super) fn code(&self) -> &Code {
        &self.code
    }
}

impl std::fmt::Debug for Plugin {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Plugin")
            .field("name", &self.name)
            .field("digest", &hex::encode(self.digest))
            .finish_non_exhaustive()
    }
}
