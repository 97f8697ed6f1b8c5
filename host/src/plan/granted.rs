//! The secrets that plugins are granted by name.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::names::{PluginName, SecretName};
use crate::plugins::Plugin;
use crate::rules::{Problem, Rules, Secret};

/// Those that one of the plugins is granted. What cannot be had is reported at its entry, once however many want it.
pub(super) fn granted_secrets(
    rules: &Rules,
    plugins: &BTreeMap<PluginName, Arc<Plugin>>,
    problems: &mut Vec<Problem>,
) -> BTreeMap<SecretName, Secret> {
    let wanted: BTreeSet<_> = plugins.values().flat_map(|plugin| &plugin.settings().grants.secrets).collect();
    let entries = rules.config.secrets.iter().filter(|(name, _)| wanted.contains(name));
    let mut secrets = BTreeMap::new();
    for (name, entry) in entries {
        match entry.reference.resolve(&rules.directory) {
            Ok(secret) => {
                secrets.insert(name.clone(), secret);
            }
            Err(error) => {
                let message = format!("secret `{name}`: {error}");
                problems.push(Problem::error(message).at(entry.location.clone()));
            }
        }
    }
    secrets
}
