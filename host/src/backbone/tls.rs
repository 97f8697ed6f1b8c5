//! TLS files are read once at start, so that one which is missing or broken is named. The client reads them again at
//! every connect, which is how renewed certificates come into force.

use std::path::Path;

use async_nats::ConnectOptions;
use async_nats::rustls::pki_types::pem::PemObject;
use async_nats::rustls::pki_types::{CertificateDer, PrivateKeyDer};

use super::connect::ConnectError;
use crate::rules::TlsSettings;
use crate::supply::read_plain_file;

/// The longest PEM file.
const MAX_PEM_BYTES: usize = 1 << 20;

/// Adds the settings to the options.
pub(super) fn apply(mut options: ConnectOptions, tls: &TlsSettings) -> Result<ConnectOptions, ConnectError> {
    options = options.require_tls(true);
    if let Some(ca) = &tls.ca {
        check_certificates(ca)?;
        options = options.add_root_certificates(ca.clone());
    }
    if let Some((certificate, key)) = &tls.client {
        check_certificates(certificate)?;
        check_key(key)?;
        options = options.add_client_certificate(certificate.clone(), key.clone());
    }
    Ok(if tls.handshake_first { options.tls_first() } else { options })
}

fn check_certificates(path: &Path) -> Result<(), ConnectError> {
    let pem = read(path)?;
    let certificates = CertificateDer::pem_slice_iter(&pem);
    let count = certificates.collect::<Result<Vec<_>, _>>().map_err(|error| broken(path, &error))?.len();
    if count == 0 {
        return Err(broken(path, &"it has no `BEGIN CERTIFICATE`"));
    }
    Ok(())
}

fn check_key(path: &Path) -> Result<(), ConnectError> {
    PrivateKeyDer::from_pem_slice(&read(path)?).map(drop).map_err(|error| broken(path, &error))
}

fn read(path: &Path) -> Result<Vec<u8>, ConnectError> {
    read_plain_file(path, MAX_PEM_BYTES).map_err(|error| broken(path, &error))
}

fn broken(path: &Path, reason: &dyn std::fmt::Display) -> ConnectError {
    ConnectError::TlsFile { path: path.to_owned(), reason: reason.to_string() }
}
