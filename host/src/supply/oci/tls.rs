//! TLS to registries, by the same libraries as to NATS.

use std::path::Path;
use std::sync::Arc;

use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::connect::HttpConnector;
use rustls::crypto::ring;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use rustls::{ClientConfig, RootCertStore};

use super::OciError;
use crate::rules::RegistrySettings;
use crate::supply::file;

/// Longest file of authorities, in bytes; a system's own has some hundred kilobytes.
const MAX_AUTHORITIES_BYTES: usize = 4 << 20;

/// A connector that trusts the authorities of the registry's `ca`, or else the system's. Which scheme is taken is for the
/// caller to say.
pub(super) fn connector(
    settings: &RegistrySettings,
    http: HttpConnector,
) -> Result<HttpsConnector<HttpConnector>, OciError> {
    let builder = || HttpsConnectorBuilder::new();
    let builder = match &settings.ca {
        Some(path) => builder().with_tls_config(config(authorities(path)?)?),
        None => match builder().with_provider_and_native_roots(ring::default_provider()) {
            // A machine without authorities can still have a registry of its own.
            Err(_) if settings.plain_http => builder().with_tls_config(config(RootCertStore::empty())?),
            roots => roots?,
        },
    };
    Ok(builder.https_or_http().enable_http1().wrap_connector(http))
}

fn config(roots: RootCertStore) -> Result<ClientConfig, OciError> {
    let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()));
    let config = config.with_safe_default_protocol_versions().map_err(std::io::Error::other)?;
    Ok(config.with_root_certificates(roots).with_no_client_auth())
}

fn authorities(ca: &Path) -> Result<RootCertStore, OciError> {
    let wrong = |reason: String| OciError::Authorities(ca.to_owned(), reason);
    let pem = file::read(ca, MAX_AUTHORITIES_BYTES).map_err(|error| wrong(error.to_string()))?;
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_slice_iter(&pem) {
        let certificate = certificate.map_err(|error| wrong(error.to_string()))?;
        roots.add(certificate).map_err(|error| wrong(error.to_string()))?;
    }
    if roots.is_empty() {
        return Err(wrong("it has no `BEGIN CERTIFICATE`".to_owned()));
    }
    Ok(roots)
}
