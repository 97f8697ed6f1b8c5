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
use crate::supply::file;

/// Longest file of authorities, in bytes; a system's own has some hundred kilobytes.
const MAX_AUTHORITIES_BYTES: usize = 4 << 20;

/// A connector that trusts the authorities of this file, or else the system's. Which scheme is taken is for the caller to
/// say.
pub(super) fn connector(ca: Option<&Path>, http: HttpConnector) -> Result<HttpsConnector<HttpConnector>, OciError> {
    let builder = HttpsConnectorBuilder::new();
    let builder = match ca {
        Some(path) => builder.with_tls_config(config(path)?),
        None => builder.with_provider_and_native_roots(ring::default_provider())?,
    };
    Ok(builder.https_or_http().enable_http1().wrap_connector(http))
}

fn config(ca: &Path) -> Result<ClientConfig, OciError> {
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
    let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()));
    let config = config.with_safe_default_protocol_versions().map_err(|error| wrong(error.to_string()))?;
    Ok(config.with_root_certificates(roots).with_no_client_auth())
}
