//! Where the components of plugins come from, and whether they may be loaded. Knows the configuration, and no Wasm:
//!
//! ```text
//! [plugins.NAME] --file, or registry and what was kept of it--> bytes --pin, lock file, signatures--> Component
//! ```
//!
//! # What holds here
//!
//! * The bytes that were checked are those that are compiled: they are read once, and handed on.
//! * Everything fails closed. A lock file that is there and cannot be read keeps every plugin out; a signature that is asked
//!   for and missing, malformed, by another key or of something else keeps its plugin out.
//! * Nothing that comes from a registry is trusted, nor kept or used unless it has the digest that was asked for.

mod error;
mod file;
mod keys;
mod lock;
mod oci;
mod signature;

#[cfg(test)]
mod tests;

use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

use crate::names::PluginName;
use crate::plugins::MAX_COMPONENT_BYTES;
use crate::rules::{
    OciReference, PluginSettings, Problem, RegistrySettings, Report, Rules, RuntimeSettings, SecretRef,
};

pub use error::SupplyError;
pub(crate) use file::read as read_plain_file;
pub use file::signature_path;
pub use keys::{SecretKey, SecretKeyError};
pub use lock::{LOCK_FILE, Lock, LockError, Locked, LockedOrigin};
pub use oci::{OciError, push, shown_digest};
pub use signature::{SignatureError, Signatures};

use oci::Store;

/// The components of one configuration, as its lock file says. Made anew for every load, so that a changed lock file counts.
#[derive(Debug)]
pub struct Supply<'r> {
    rules: &'r Rules,
    lock: Option<Lock>,
    store: Store,
}

/// A component that may be loaded.
#[derive(Debug)]
pub struct Component {
    /// Its bytes.
    pub bytes: Vec<u8>,
    /// Their SHA-256.
    pub sha256: [u8; 32],
}

/// A component that was found, and nothing about it checked but that a registry sent what was asked for.
struct Found {
    component: Component,
    origin: LockedOrigin,
    signatures: Result<String, String>,
}

impl<'r> Supply<'r> {
    /// Reads the lock file, if there is one.
    ///
    /// # Errors
    /// When there is one that cannot be used, or there is none and has to be.
    pub fn open(rules: &'r Rules) -> Result<Self, Box<Problem>> {
        let (directory, shown) = (&rules.directory, rules.directory.display());
        let write = format!("write it by `trackside plugin lock {shown}`");
        let lock = Lock::read(directory).map_err(|error| {
            let help = format!("no plugin is loaded until it is right: restore it, or {write}");
            Box::new(Problem::error(error.to_string()).help(help))
        })?;
        if lock.is_none() && rules.config.trust.require_lock {
            let path = directory.join(LOCK_FILE);
            let message = format!("there is no `{}`, and `[trust]` says `require-lock`", path.display());
            return Err(Box::new(Problem::error(message).help(write)));
        }
        Ok(Self::new(rules, lock))
    }

    fn new(rules: &'r Rules, lock: Option<Lock>) -> Self {
        let store = Store::below(cache_folder(&rules.config.runtime).as_deref());
        Self { rules, lock, store }
    }

    /// The component of a plugin that has a `path` or `oci`. Blocks, and may ask a registry.
    ///
    /// # Errors
    /// When it cannot be had, or may not be loaded.
    pub fn component(&self, name: &PluginName, settings: &PluginSettings) -> Result<Component, SupplyError> {
        let locked = self.lock.as_ref().map(|lock| lock.get(name));
        let manifest = match (&settings.oci, locked) {
            (Some(reference), locked) => Some(self.manifest(reference, locked)?),
            (None, _) => None,
        };
        let found = self.find(settings, manifest.as_ref())?;
        if let Some(locked) = locked {
            found.check_locked(locked)?;
        }
        found.check(settings)?;
        Ok(found.component)
    }

    /// The manifest that a reference stands for, by its digest or by the lock file, which have to agree.
    fn manifest(&self, reference: &OciReference, locked: Option<Option<&Locked>>) -> Result<[u8; 32], SupplyError> {
        // Nothing is fetched that would not be loaded.
        let locked = match locked {
            Some(Some(locked)) => locked,
            Some(None) => return Err(SupplyError::NotLocked(format!("`{reference}`"))),
            None => return reference.digest().copied().ok_or_else(|| SupplyError::Tag(reference.clone())),
        };
        match &locked.origin {
            LockedOrigin::Oci { reference: known, manifest } if known == reference.as_str() => {
                let written = reference.digest().unwrap_or(manifest);
                if written != manifest {
                    return Err(SupplyError::LockedManifest(hex::encode(manifest), hex::encode(written)));
                }
                Ok(*manifest)
            }
            other => {
                let ours = LockedOrigin::Oci { reference: reference.to_string(), manifest: [0; 32] };
                Err(SupplyError::LockedElsewhere(other.clone(), ours))
            }
        }
    }

    /// Reads the file or asks the registry. A tag without a manifest to expect is looked up.
    fn find(&self, settings: &PluginSettings, manifest: Option<&[u8; 32]>) -> Result<Found, SupplyError> {
        let signed = !settings.signed_by.is_empty();
        if let Some(reference) = &settings.oci {
            let host = reference.registry();
            let registry = self.rules.config.registries.get(host).cloned();
            let registry = registry.unwrap_or_else(|| RegistrySettings::of(host));
            let pulled = oci::pull(reference, manifest, &registry, &self.rules.directory, &self.store);
            let pulled = pulled.map_err(|error| SupplyError::Oci(reference.clone(), Box::new(error)))?;
            let signatures = pulled.signatures.ok_or_else(|| "its manifest has none".to_owned());
            let origin = LockedOrigin::Oci { reference: reference.to_string(), manifest: pulled.manifest };
            return Ok(Found { component: Component::of(pulled.bytes), origin, signatures });
        }
        let path = settings.path.clone().unwrap_or_default();
        let bytes = file::read(&path, MAX_COMPONENT_BYTES).map_err(|error| SupplyError::File(path.clone(), error))?;
        let signatures = if signed { read_signatures(&path) } else { Err(String::new()) };
        let origin = LockedOrigin::Path(shown_from(&path, &self.rules.directory));
        Ok(Found { component: Component::of(bytes), origin, signatures })
    }
}

impl Component {
    fn of(bytes: Vec<u8>) -> Self {
        let sha256 = Sha256::digest(&bytes).into();
        Self { bytes, sha256 }
    }
}

impl Found {
    fn locked(&self) -> Locked {
        let Component { bytes, sha256 } = &self.component;
        Locked { origin: self.origin.clone(), sha256: *sha256, size: bytes.len() as u64 }
    }

    /// Checks that it is what the lock file says.
    fn check_locked(&self, locked: Option<&Locked>) -> Result<(), SupplyError> {
        let found = self.locked();
        let Some(locked) = locked else {
            let Locked { sha256, size, .. } = found;
            return Err(SupplyError::NotLocked(format!("SHA-256 {} ({size} bytes)", hex::encode(sha256))));
        };
        if locked.origin != found.origin {
            return Err(SupplyError::LockedElsewhere(locked.origin.clone(), found.origin));
        }
        if *locked != found {
            return Err(SupplyError::Differs {
                expected: hex::encode(locked.sha256),
                expected_bytes: locked.size,
                found: hex::encode(found.sha256),
                found_bytes: found.size,
            });
        }
        Ok(())
    }

    /// Checks the pin and the signatures.
    fn check(&self, settings: &PluginSettings) -> Result<(), SupplyError> {
        let sha256 = &self.component.sha256;
        if let Some(pinned) = settings.sha256.filter(|pin| pin != sha256) {
            return Err(SupplyError::Pin { pinned: hex::encode(pinned), found: hex::encode(sha256) });
        }
        let Some(first) = settings.signed_by.first() else { return Ok(()) };
        let text = self.signatures.as_ref().map_err(|place| {
            let (by, place) = (first.name.clone(), place.clone());
            SupplyError::Unsigned { by, place }
        })?;
        let signatures = Signatures::parse(text)?;
        Ok(settings.signed_by.iter().try_for_each(|key| signatures.verify(key, sha256))?)
    }
}

/// The lock file that fits a configuration as it is now: tags are looked up, pins and signatures checked. Blocks, and may
/// ask registries.
///
/// # Errors
/// Every plugin that cannot be had, or that its pin or its signatures keep out.
pub fn lock(rules: &Rules) -> Result<Lock, Report> {
    let supply = Supply::new(rules, None);
    let (mut lock, mut problems) = (Lock::default(), Vec::new());
    for (name, settings) in lockable(rules) {
        let manifest = settings.oci.as_ref().and_then(OciReference::digest);
        let found = supply.find(settings, manifest).and_then(|found| found.check(settings).map(|()| found));
        match found {
            Ok(found) => lock.insert(name.clone(), found.locked()),
            Err(error) => problems.push(problem(name, settings, &error, &rules.directory)),
        }
    }
    if problems.is_empty() { Ok(lock) } else { Err(Report::sorted(problems)) }
}

/// Checks every plugin of a configuration against its lock file, as a load would, and that there is nothing else in it.
/// Tags are not looked up: one that leads somewhere else by now changes nothing until it is locked anew.
///
/// # Errors
/// Everything that is wrong.
pub fn check_lock(rules: &Rules) -> Result<Lock, Report> {
    let supply = Supply::open(rules).map_err(|problem| Report(vec![*problem]))?;
    let shown = rules.directory.display();
    let Some(lock) = supply.lock.clone() else {
        let message = format!("there is no `{}`", rules.directory.join(LOCK_FILE).display());
        let help = format!("write it by `trackside plugin lock {shown}`");
        return Err(Report(vec![Problem::error(message).help(help)]));
    };
    let mut problems = Vec::new();
    for (name, settings) in lockable(rules) {
        if let Err(error) = supply.component(name, settings) {
            problems.push(problem(name, settings, &error, &rules.directory));
        }
    }
    let has_table = |name: &PluginName| lockable(rules).any(|(known, _)| known == name);
    for (name, _) in lock.iter().filter(|(name, _)| !has_table(name)) {
        let message =
            format!("plugin `{name}`: it is in {LOCK_FILE}, and the configuration has no such plugin any more");
        problems.push(Problem::error(message).help(format!("run `trackside plugin lock {shown}`")));
    }
    if problems.is_empty() { Ok(lock) } else { Err(Report::sorted(problems)) }
}

/// The problem of a plugin that is kept out.
#[must_use]
pub fn problem(name: &PluginName, settings: &PluginSettings, error: &SupplyError, directory: &Path) -> Problem {
    let mut problem = Problem::error(format!("plugin `{name}`: {error}"));
    if let Some(location) = &settings.location {
        problem = problem.at(location.clone());
    }
    match error.help(&directory.display().to_string()) {
        Some(help) => problem.help(help),
        None => problem,
    }
}

/// The files outside of the configuration directory's own that decide which components are loaded.
pub fn files(rules: &Rules) -> impl Iterator<Item = PathBuf> {
    let plugins = rules.config.plugins.values().filter_map(|plugin| Some((plugin.path.clone()?, plugin)));
    let plugins = plugins.flat_map(|(path, plugin)| {
        let signatures = (!plugin.signed_by.is_empty()).then(|| signature_path(&path));
        std::iter::once(path).chain(signatures)
    });
    let registries = rules.config.registries.values().flat_map(|registry| {
        let secrets = registry.login.iter().flat_map(|(user, password)| [user, password]);
        let secrets = secrets.filter_map(|secret| match secret {
            SecretRef::File(path) => Some(rules.directory.join(path)),
            SecretRef::Env(_) | SecretRef::Plain(_) => None,
        });
        secrets.chain(registry.ca.clone())
    });
    plugins.chain(registries)
}

/// Where what can be made or fetched again is kept: `[runtime] cache`, else the user's cache folder.
#[must_use]
pub fn cache_folder(runtime: &RuntimeSettings) -> Option<PathBuf> {
    runtime.cache.clone().or_else(default_cache_folder)
}

/// `$XDG_CACHE_HOME/trackside`, else `~/.cache/trackside`.
#[must_use]
pub fn default_cache_folder() -> Option<PathBuf> {
    let base = std::env::var_os("XDG_CACHE_HOME").filter(|path| !path.is_empty()).map(PathBuf::from);
    let home = || std::env::var_os("HOME").map(|home| Path::new(&home).join(".cache"));
    base.or_else(home).map(|base| base.join("trackside"))
}

/// The plugins that a lock file is about. The standard ones are part of the binary, and change with it alone.
fn lockable(rules: &Rules) -> impl Iterator<Item = (&PluginName, &PluginSettings)> {
    rules.config.plugins.iter().filter(|(_, settings)| settings.path.is_some() || settings.oci.is_some())
}

/// The text of a file `.sig`, or why there is none.
fn read_signatures(component: &Path) -> Result<String, String> {
    let path = signature_path(component);
    let read = file::read(&path, signature::MAX_SIGNATURES_BYTES);
    let text = read.and_then(|bytes| String::from_utf8(bytes).map_err(std::io::Error::other));
    text.map_err(|error| format!("{} cannot be read: {error}", path.display()))
}

/// A path as the lock file has it: from the configuration directory where it is below it, so that the directory may move.
fn shown_from(path: &Path, directory: &Path) -> String {
    let below =
        |path: &Path, directory: std::io::Result<PathBuf>| path.strip_prefix(directory.ok()?).ok().map(PathBuf::from);
    let real = || {
        // `run` resolves links in the directory's own path, and what is written as an absolute path keeps them.
        let real = path.parent()?.canonicalize().ok()?.join(path.file_name()?);
        below(&real, directory.canonicalize())
    };
    let shown = below(path, std::path::absolute(directory)).or_else(real);
    shown.as_deref().unwrap_or(path).display().to_string()
}
