//! Bringing a plugin to a registry: component, config, and last the manifest that makes them one.

use std::path::Path;

use bytes::Bytes;
use hyper::{Method, StatusCode};
use sha2::{Digest, Sha256};

use super::manifest::{MANIFEST_TYPE, compose};
use super::session::{Access, Session};
use super::{OciError, shown_digest, wait};
use crate::rules::{OciReference, RegistrySettings};

const BLOB_TYPE: &str = "application/octet-stream";

/// Pushes a component to a tag, with the names that it imports and exports, and the text of its file `.sig`; the SHA-256 of
/// the manifest, by which it can be had from now on. Blocks.
///
/// # Errors
/// When the registry does not take it.
pub fn push(
    reference: &OciReference,
    component: Bytes,
    (imports, exports): (&[String], &[String]),
    signatures: Option<&str>,
    settings: &RegistrySettings,
    directory: &Path,
) -> Result<[u8; 32], OciError> {
    let (Some(tag), None) = (reference.tag(), reference.digest()) else { return Err(OciError::NoTag) };
    let (manifest, config) = compose(&component, imports, exports, signatures)?;
    wait(reference.registry(), settings, async {
        let mut session = Session::new(reference, settings, directory, Access::Push)?;
        for blob in [component, config.into()] {
            upload(&mut session, blob).await?;
        }
        let url = session.below_home(&format!("manifests/{tag}"))?;
        let digest = Sha256::digest(&manifest).into();
        let created = (StatusCode::CREATED, "taking the manifest");
        session.submit(Method::PUT, &url, MANIFEST_TYPE, manifest.into(), created).await?;
        Ok(digest)
    })
}

/// Uploads a blob in one piece.
async fn upload(session: &mut Session<'_>, blob: Bytes) -> Result<(), OciError> {
    let digest = shown_digest(&Sha256::digest(&blob).into());
    let begin = session.below_home("blobs/uploads/")?;
    let accepted = (StatusCode::ACCEPTED, "an upload");
    let headers = session.submit(Method::POST, &begin, BLOB_TYPE, Bytes::new(), accepted).await?;
    let mut place = session.place_of_upload(&begin, &headers)?;
    place.query_pairs_mut().append_pair("digest", &digest);
    session.submit(Method::PUT, &place, BLOB_TYPE, blob, (StatusCode::CREATED, "taking a blob")).await.map(drop)
}
