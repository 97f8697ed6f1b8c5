//! What HTTP clients of services share: TLS by the system's authorities, and errors told with their causes.

pub(crate) mod tls;

use std::error::Error;
use std::io;

use hyper_rustls::builderstates::WantsSchemes;
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::connect::HttpConnector;
use rustls::crypto::ring;
use rustls::{ClientConfig, RootCertStore};
use url::{Host, Url};

/// A connector that trusts the system's authorities. On a machine that has none, no service is reached by TLS.
pub(crate) fn connector(http: HttpConnector, secure: bool) -> HttpsConnector<HttpConnector> {
    try_connector(http.clone(), secure).unwrap_or_else(|error| {
        tracing::warn!(%error, "this machine's certificate authorities cannot be read");
        wrapped(untrusting(), http)
    })
}

/// The same, or why the system's authorities cannot be read.
pub(crate) fn try_connector(http: HttpConnector, secure: bool) -> io::Result<HttpsConnector<HttpConnector>> {
    // Reading the authorities takes milliseconds, which a service without TLS need not cost.
    let builder = match secure {
        true => HttpsConnectorBuilder::new().with_provider_and_native_roots(ring::default_provider())?,
        false => untrusting(),
    };
    Ok(wrapped(builder, http))
}

fn untrusting() -> HttpsConnectorBuilder<WantsSchemes> {
    let config = ClientConfig::builder_with_provider(ring::default_provider().into());
    let config = config.with_safe_default_protocol_versions().expect("ring has what these versions need");
    HttpsConnectorBuilder::new()
        .with_tls_config(config.with_root_certificates(RootCertStore::empty()).with_no_client_auth())
}

fn wrapped(builder: HttpsConnectorBuilder<WantsSchemes>, http: HttpConnector) -> HttpsConnector<HttpConnector> {
    builder.https_or_http().enable_http1().wrap_connector(http)
}

/// Whether the URL's host is this machine, so that nobody else can read on the way.
pub(crate) fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(Host::Domain(name)) => name == "localhost",
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        None => false,
    }
}

/// Why a service that is reached by the system's authorities is not.
pub(crate) fn reasons(error: &(dyn Error + 'static)) -> String {
    reasons_trusting(error, &tls::system_authorities())
}

/// Why something is not reached: what is wrong with its TLS, where that is it (`authorities` as [`tls::told`] has it), or
/// else the error with all that it comes from, since the outermost one often says no more than that there was one.
pub(crate) fn reasons_trusting(error: &(dyn Error + 'static), authorities: &str) -> String {
    if let Some(error) = tls::find_error(error) {
        return tls::told(error, authorities);
    }
    let mut reasons: Vec<String> = Vec::new();
    let mut next = Some(error);
    while let Some(error) = next {
        let text = error.to_string();
        if reasons.last().is_none_or(|last| !last.contains(&text)) {
            reasons.push(text);
        }
        next = error.source();
    }
    reasons.join(": ")
}

/// An error and all that it comes from, from the outside in.
pub(crate) fn causes<'a>(error: &'a (dyn Error + 'static)) -> impl Iterator<Item = &'a (dyn Error + 'static)> {
    std::iter::successors(Some(error), |&error| {
        // `source` of an I/O error skips the error that it wraps.
        match error.downcast_ref::<io::Error>().and_then(io::Error::get_ref) {
            Some(inner) => Some(inner),
            None => error.source(),
        }
    })
}
