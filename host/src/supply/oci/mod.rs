//! Plugins in OCI registries. What is fetched is known by its digest before it is asked for, hashed when it comes, and
//! kept on disk by its digest, hashed again when it is read.
//!
//! The client is a few hundred lines over hyper and not crate `oci-client`: that reads manifests and tokens of any length
//! into memory and follows redirects wherever they lead, and a registry is not trusted here.

mod error;
mod manifest;
mod push;
mod session;
mod store;
mod tls;

#[cfg(test)]
mod tests;

use std::path::Path;

use sha2::{Digest, Sha256};

use crate::rules::{OciReference, RegistryHost, RegistrySettings};

pub use error::OciError;
pub use push::push;

use manifest::{MANIFEST_TYPE, MAX_MANIFEST_BYTES, Manifest};
use session::{Access, Session};
pub(super) use store::Store;

/// A plugin as it came from a registry, or from what was kept of it.
#[derive(Debug)]
pub(super) struct Pulled {
    /// The SHA-256 of the manifest.
    pub(super) manifest: [u8; 32],
    /// The component.
    pub(super) bytes: Vec<u8>,
    /// Its signatures, as in a file `.sig`.
    pub(super) signatures: Option<String>,
}

/// Fetches a plugin: the one whose manifest has this digest, or without one the one that the tag leads to now. What was
/// kept is not asked for. Blocks.
///
/// # Errors
/// When it cannot be had, or is not what was asked for.
pub(super) fn pull(
    reference: &OciReference,
    wanted: Option<&[u8; 32]>,
    settings: &RegistrySettings,
    directory: &Path,
    store: &Store,
) -> Result<Pulled, OciError> {
    let kept = wanted.and_then(|digest| Some((*digest, store.get(digest, MAX_MANIFEST_BYTES)?)));
    if let Some((digest, bytes)) = &kept {
        let manifest = Manifest::parse(bytes)?;
        if let Some(component) = kept_component(store, &manifest) {
            return Ok(Pulled { manifest: *digest, bytes: component, signatures: manifest.signatures });
        }
    }
    wait(reference.registry(), settings, async {
        let mut session = Session::new(reference, settings, directory, Access::Pull)?;
        let (digest, bytes) = match kept {
            Some(kept) => kept,
            None => fetch_manifest(&mut session, reference, wanted, store).await?,
        };
        let manifest = Manifest::parse(&bytes)?;
        let component = match kept_component(store, &manifest) {
            Some(component) => component,
            None => fetch_component(&mut session, reference.registry(), &manifest, store).await?,
        };
        Ok(Pulled { manifest: digest, bytes: component, signatures: manifest.signatures })
    })
}

/// A digest as registries write it.
#[must_use]
pub fn shown_digest(digest: &[u8; 32]) -> String {
    format!("sha256:{}", hex::encode(digest))
}

fn kept_component(store: &Store, manifest: &Manifest) -> Option<Vec<u8>> {
    store.get(&manifest.component, manifest.size).filter(|bytes| bytes.len() == manifest.size)
}

async fn fetch_manifest(
    session: &mut Session<'_>,
    reference: &OciReference,
    wanted: Option<&[u8; 32]>,
    store: &Store,
) -> Result<([u8; 32], Vec<u8>), OciError> {
    let version = match (wanted, reference.tag()) {
        (Some(digest), _) => shown_digest(digest),
        (None, tag) => tag.unwrap_or_default().to_owned(),
    };
    let path = format!("manifests/{version}");
    let bytes = session.fetch(&path, MANIFEST_TYPE, "manifest", MAX_MANIFEST_BYTES).await?;
    let digest = Sha256::digest(&bytes).into();
    check(reference.registry(), "manifest", wanted.unwrap_or(&digest), &digest)?;
    // Only what is one is kept.
    Manifest::parse(&bytes)?;
    store.put(&digest, &bytes);
    Ok((digest, bytes.into()))
}

async fn fetch_component(
    session: &mut Session<'_>,
    host: &RegistryHost,
    manifest: &Manifest,
    store: &Store,
) -> Result<Vec<u8>, OciError> {
    let path = format!("blobs/{}", shown_digest(&manifest.component));
    let bytes = session.fetch(&path, "*/*", "component", manifest.size).await?;
    check(host, "component", &manifest.component, &Sha256::digest(&bytes).into())?;
    store.put(&manifest.component, &bytes);
    Ok(bytes.into())
}

fn check(host: &RegistryHost, what: &'static str, expected: &[u8; 32], found: &[u8; 32]) -> Result<(), OciError> {
    if expected == found {
        return Ok(());
    }
    let (expected, found) = (hex::encode(expected), hex::encode(found));
    Err(OciError::Digest { host: host.clone(), what, expected, found })
}

/// `sha256:` and 64 hexadecimal digits.
fn parse_digest(text: &str) -> Option<[u8; 32]> {
    let mut digest = [0; 32];
    hex::decode_to_slice(text.strip_prefix("sha256:")?, &mut digest).ok()?;
    Some(digest)
}

/// Waits for a conversation, for as long as the registry's `timeout` allows. It has a runtime of its own, on this thread:
/// some callers have none, and the one of the others is busy with messages.
fn wait<T>(
    host: &RegistryHost,
    settings: &RegistrySettings,
    work: impl Future<Output = Result<T, OciError>>,
) -> Result<T, OciError> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let done = runtime.block_on(async { tokio::time::timeout(settings.timeout, work).await });
    // Looking a name up cannot be given up, and would be waited for.
    runtime.shutdown_background();
    done.unwrap_or_else(|_| Err(OciError::TimedOut(host.clone(), settings.timeout)))
}
