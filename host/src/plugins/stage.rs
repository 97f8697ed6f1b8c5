//! A plugin with the settings of one stage.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use serde_json::Value;
use sha2::{Digest, Sha256};

use crate::names::SecretName;

use super::files::{FileSnapshot, Files, Recorder};
use super::instance::Instance;
use super::plugin::Plugin;
use super::snapshot::{self, Refusal, Snapshot};
use super::text::Secrets;
use super::verdict::Fault;

/// A plugin with the settings of one stage, proven to accept them.
pub struct ConfiguredStage {
    id: u64,
    settings: Arc<Settings>,
    files: Arc<FileSnapshot>,
    digest: [u8; 32],
    /// What instances start from that are for one message; without, each is configured.
    snapshot: Option<Snapshot>,
}

/// What every instance of a stage is given.
pub(super) struct Settings {
    pub(super) plugin: Arc<Plugin>,
    /// The stage's `with` table as JSON, with secrets in it.
    pub(super) config: String,
    pub(super) routes: Vec<String>,
    pub(super) secrets: Secrets,
    /// What `wasi:config` has.
    pub(super) values: BTreeMap<String, String>,
    /// What random numbers are derived from, beside the message.
    pub(super) seed: [u8; 32],
}

/// The secrets of a stage. None of them is shown in a log or an error.
#[derive(Default)]
pub struct StageSecrets {
    /// Those that are in its settings.
    pub of_settings: Vec<String>,
    /// Those that the plugin was granted, by name.
    pub granted: BTreeMap<SecretName, String>,
}

/// Why a stage cannot be configured.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ConfigureError {
    /// The plugin does not accept the settings.
    #[error("{reason}")]
    Refused {
        /// Its own words, on one line, without secrets.
        reason: String,
    },
    /// The plugin broke over them.
    #[error(transparent)]
    Fault(#[from] Fault),
}

impl Plugin {
    /// Makes a stage of the plugin and proves with one instance that it accepts the settings.
    ///
    /// `config` is the `with` table as JSON with references to secrets resolved. `routes` are the names that the rule
    /// declares. Files are read below `directory`.
    ///
    /// As costly as the plugin's `configure`: not for an async task, where plugins that import WASI would panic, but
    /// for a thread of its own, such as those of `spawn_blocking`.
    ///
    /// # Errors
    /// When the plugin refuses the settings, or breaks.
    pub fn configure(
        self: &Arc<Self>,
        config: String,
        routes: Vec<String>,
        directory: &Path,
        secrets: StageSecrets,
    ) -> Result<Arc<ConfiguredStage>, ConfigureError> {
        let values = values(self, &config, &secrets.granted)?;
        let seed = seed(self, &config, &routes, &secrets.granted);
        let plugin = Arc::clone(self);
        let hidden = secrets.of_settings.into_iter().chain(secrets.granted.into_values()).collect();
        let settings = Arc::new(Settings { plugin, config, routes, secrets: Secrets::new(hidden), values, seed });
        let files = Files::Disk(Recorder::new(directory, &self.settings().files));
        let mut instance = Instance::new(&settings, files)?;
        let taken = instance.snapshot();
        let files = instance.into_files();
        // One that no instance can be made of is found here, and what the first one waits for is done here.
        let proven = taken.map(|taken| {
            let snapshot = taken?;
            let made = Instance::from_snapshot(&snapshot, &settings, &files);
            made.map(|_| snapshot).map_err(|fault| Refusal::because(fault.to_string()))
        });
        let snapshot =
            proven.and_then(|proven| proven.inspect_err(|reason| snapshot::configured_anew(self.name(), reason)).ok());
        let digest = digest(&seed, &files);
        Ok(Arc::new(ConfiguredStage { id: next_id(), settings, files, digest, snapshot }))
    }
}

impl ConfiguredStage {
    /// Tells stages of this process apart.
    #[must_use]
    pub fn id(&self) -> u64 {
        self.id
    }

    /// The plugin.
    #[must_use]
    pub fn plugin(&self) -> &Arc<Plugin> {
        &self.settings.plugin
    }

    /// The files that were read to configure it.
    #[must_use]
    pub fn files(&self) -> &FileSnapshot {
        &self.files
    }

    /// SHA-256 of everything that decides what the stage does: the component, the settings, the routes, the secrets
    /// that were granted, the files.
    #[must_use]
    pub fn digest(&self) -> &[u8; 32] {
        &self.digest
    }

    /// Whether instances for one message start from a snapshot.
    #[cfg(test)]
    pub(super) fn has_snapshot(&self) -> bool {
        self.snapshot.is_some()
    }

    /// Another instance.
    pub(super) fn instantiate(&self) -> Result<Instance, Fault> {
        if let Some(snapshot) = &self.snapshot {
            return Instance::from_snapshot(snapshot, &self.settings, &self.files);
        }
        let files = Files::Snapshot(Arc::clone(&self.files));
        Instance::new(&self.settings, files).map_err(|error| match error {
            ConfigureError::Refused { reason } => Fault::Configure { reason },
            ConfigureError::Fault(fault) => fault,
        })
    }
}

impl std::fmt::Debug for ConfiguredStage {
    /// Without the settings, which may be secret.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ConfiguredStage")
            .field("id", &self.id)
            .field("plugin", self.plugin().name())
            .finish_non_exhaustive()
    }
}

fn next_id() -> u64 {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    NEXT.fetch_add(1, Ordering::Relaxed)
}

/// What `wasi:config` has: the secrets that were granted, and for a handler, which has no `configure`, the settings of its
/// stage: texts as they are, everything else as JSON.
fn values(
    plugin: &Plugin,
    config: &str,
    granted: &BTreeMap<SecretName, String>,
) -> Result<BTreeMap<String, String>, ConfigureError> {
    let mut values: BTreeMap<_, _> = granted.iter().map(|(name, value)| (name.to_string(), value.clone())).collect();
    if !plugin.is_handler() {
        return Ok(values);
    }
    let refused = |key: &str, reason: &str| ConfigureError::Refused { reason: format!("{key}: {reason}") };
    let settings = serde_json::from_str::<serde_json::Map<String, Value>>(config).unwrap_or_default();
    for (key, value) in settings {
        if !plugin.takes_settings {
            let reason = "this component has no way to learn settings: it does not import `wasi:config/store`";
            return Err(refused(&key, reason));
        }
        if values.contains_key(&key) {
            return Err(refused(&key, "a secret of this name is granted; a setting cannot have the same name"));
        }
        let text = match value {
            Value::String(text) => text,
            other => other.to_string(),
        };
        values.insert(key, text);
    }
    Ok(values)
}

/// Lengths go in with the texts, so that no two lists of texts give the same bytes.
fn seed(plugin: &Plugin, config: &str, routes: &[String], granted: &BTreeMap<SecretName, String>) -> [u8; 32] {
    let mut hash = Sha256::new_with_prefix(plugin.digest());
    let granted = granted.iter().flat_map(|(name, value)| [name.as_str(), value]);
    for text in std::iter::once(config).chain(routes.iter().map(String::as_str)).chain(granted) {
        hash.update((text.len() as u64).to_le_bytes());
        hash.update(text);
    }
    hash.finalize().into()
}

fn digest(seed: &[u8; 32], files: &FileSnapshot) -> [u8; 32] {
    let mut hash = Sha256::new_with_prefix(seed);
    for (path, digest) in files.iter() {
        hash.update((path.len() as u64).to_le_bytes());
        hash.update(path);
        hash.update(digest.unwrap_or(&[0; 32]));
    }
    hash.finalize().into()
}
